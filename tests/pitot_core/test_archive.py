"""Files from elsewhere: what they claim is judged before it is read."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pitot_core import ArchiveError, archive


def _with(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in entries:
            out.writestr(name, content)
    return path


def _npy(header: str, numbers: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + numbers


def test_what_is_written_is_read_back_by_us_and_by_numpy(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6.0).reshape(2, 3), "names": np.array(["ä", "bc"]), "none": np.zeros((0, 4), np.int32),
        "one": np.float32(3.5), "mask": np.array([True, False]),
    }  # fmt: skip
    archive.write(tmp_path / "x.npz", arrays)
    ours = archive.read(tmp_path / "x.npz")
    assert list(ours) == list(arrays)
    with np.load(tmp_path / "x.npz") as theirs:
        for name, array in arrays.items():
            np.testing.assert_array_equal(ours[name], array)
            np.testing.assert_array_equal(theirs[name], array)
    assert [entry.shape for entry in archive.entries(tmp_path / "x.npz").values()] == [
        (2, 3),
        (2,),
        (0, 4),
        (),
        (2,),
    ]


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    columns = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.savez_compressed(tmp_path / "x.npz", columns=columns, names=np.array(["a", "bcd"]))
    np.testing.assert_array_equal(archive.read(tmp_path / "x.npz")["columns"], columns)
    assert archive.read(tmp_path / "x.npz", ["names"])["names"].tolist() == ["a", "bcd"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "does not begin as an array"),
        (_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8), "describes no plain array"),
        (_npy("{'descr': '<V8', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8), "only plain ones"),
        (_npy("{'descr': '<q9', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8), "unknown type"),
        (_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, }", b"\0" * 8), "no plain array"),
        (_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"), "no plain array"),
        (_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", b"\0" * 8), "does not fit its shape"),
        (_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 999999999), }"), "does not fit"),
        (_npy("{'descr': '<f8', 'fortran_order': __import__('os'), 'shape': (1,), }", b"\0" * 8), "no plain array"),
        (_npy(" " * 70_000, version=b"\x02\x00"), "a header of 70,001 characters"),
        (_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1" * 9000 + "), }"), "no plain array"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(ArchiveError, match=sentence):
        archive.read(_with(tmp_path / "x.npz", ("a.npy", content)))


def test_two_zero_arrays_of_hundreds_of_megabytes_cost_nothing_before_they_are_refused(
    tmp_path: Path,
) -> None:
    size = 200 << 20
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as out:
        for name in ("a.npy", "b.npy"):
            with out.open(name, "w") as stream:
                stream.write(_npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},), }}"))
                for _ in range(200):
                    stream.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="may hold at most"):
        archive.read(tmp_path / "x.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_two_arrays_of_one_name_and_a_wrong_checksum_are_refused(tmp_path: Path) -> None:
    whole = _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", b"12345678")
    with pytest.warns(UserWarning, match="Duplicate"):
        _with(tmp_path / "x.npz", ("a.npy", whole), ("a.npy", whole))
    with pytest.raises(ArchiveError, match="two arrays 'a'"):
        archive.read(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as out:
        out.writestr("a.npy", whole)
    bytes_of = bytearray((tmp_path / "y.npz").read_bytes())
    bytes_of[bytes_of.index(b"12345678")] ^= 1
    (tmp_path / "y.npz").write_bytes(bytes_of)
    with pytest.raises(ArchiveError, match="not a whole"):
        archive.read(tmp_path / "y.npz")


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    archive.write(tmp_path / "x.npz", {"a": np.ones(2)})
    with pytest.raises(ValueError, match="allow_pickle"):
        archive.write(tmp_path / "x.npz", {"a": np.ones(2), "b": np.array([object()])})
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    assert archive.read(tmp_path / "x.npz")["a"].tolist() == [1.0, 1.0]


def test_a_pipe_stays_a_pipe_and_a_link_a_link(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3)}
    archive.write(tmp_path / "plain.npz", arrays)
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        came = pool.submit((tmp_path / "pipe").read_bytes)
        archive.write(tmp_path / "pipe", arrays)
    assert came.result() == (tmp_path / "plain.npz").read_bytes()
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("elsewhere.npz")
    for _ in range(2):
        archive.write(tmp_path / "link", arrays)
        assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere.npz").read_bytes() == came.result()
