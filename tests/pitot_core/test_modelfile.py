"""A model on disk, whole or hostile."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pitot_core import ModelFileError, Pitot
from tests.pitot_core.problems import made_up


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows, features = made_up()
    path = tmp_path_factory.mktemp("model") / "model.npz"
    Pitot("towers", steps=5).fit(rows, features).save(path)
    return path


def test_a_loaded_model_answers_as_the_saved_one(tmp_path: Path) -> None:
    rows, features = made_up()
    model = Pitot("towers", steps=5).fit(rows, features)
    model.card = {"isolated": {"mape": 0.04}}
    model.save(tmp_path / "m.npz")
    loaded = Pitot.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(loaded.bound(rows, 0.2), model.bound(rows, 0.2))
    assert (loaded.settings, loaded.card, loaded.pools()) == (model.settings, model.card, model.pools())
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def test_which_calibration_rows_a_limit_ended_is_kept(tmp_path: Path) -> None:
    rows, features = made_up(rows=200)
    cut_off = replace(rows, censored=np.arange(len(rows)) % 9 == 0)
    model = Pitot(calibration="cross").fit(cut_off, features)
    model.save(tmp_path / "m.npz")
    assert model.calibration_rows is not None and model.calibration_rows.censored is not None
    kept = Pitot.load(tmp_path / "m.npz").calibration_rows
    assert kept is not None
    np.testing.assert_array_equal(kept.measured, model.calibration_rows.measured)


def test_a_file_holds_the_arrays_of_the_model_and_nothing_else(saved: Path) -> None:
    """numpy before 2.2 stores savez's own options as arrays, and then cannot read them back."""
    with zipfile.ZipFile(saved) as archive:
        names = {member.filename.removesuffix(".npy") for member in archive.infolist()}
    kinds = {name.split("_")[0].rstrip("0123456789") for name in names}
    assert kinds == {
        "header", "feature", "seen", "new", "calibration", "pool", "spread", "remembered",
        "platforms", "workloads", "startup", "platform", "workload",
    }  # fmt: skip
    with np.load(saved, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "biuf" for name in names)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    rows, features = made_up(rows=200)
    for name in ("a", "b"):
        Pitot("towers", steps=3, threads=1).fit(rows, features).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _changed(path: Path, place: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, content if member.filename == name else old.read(member))
    return place


def _npy(array: np.ndarray, **options: bool) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def test_a_pickle_is_never_opened(saved: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (open, (str(tmp_path / "sprung"), "w"))

    trap = np.array([Trap()], dtype=object)
    hostile = _changed(saved, tmp_path / "bad.npz", "platforms.npy", _npy(trap, allow_pickle=True))
    with pytest.raises(ModelFileError, match="platforms"):
        Pitot.load(hostile)
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelFileError, match="not a model"):
        Pitot.load(tmp_path / "plain.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_claim_of_terabytes_is_refused_before_room_is_made(saved: Path, tmp_path: Path) -> None:
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 8), }".ljust(117) + b"\n"
    hostile = _changed(
        saved,
        tmp_path / "bad.npz",
        "platforms.npy",
        b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head,
    )
    with pytest.raises(ModelFileError, match="does not fit its shape"):
        Pitot.load(hostile)


def test_a_zip_bomb_is_refused(saved: Path, tmp_path: Path) -> None:
    hostile = _changed(saved, tmp_path / "bad.npz", "header.npy", b"\0" * (32 << 20))
    with pytest.raises(ModelFileError, match="does not begin as an array"):
        Pitot.load(hostile)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"kind": "other"},
        {"completion": {"networks": {"": [0, 2, 0.1]}}},
        {"completion": {"networks": {"": [5, 2, 0.1]}}},
        {"completion": {"networks": {}}},
        {"settings": {"rank": -1}},
        {"settings": {"method": "magic"}},
        {"settings": {"steps": 5, "bounds": "heads"}},
        {"bounds": {"pools": [9], "new_sides": []}},
        {"workload_names": []},
        {"settings": 3},
    ],
)
def test_a_wrong_header_is_refused_with_a_sentence(saved: Path, tmp_path: Path, change: dict) -> None:
    with np.load(saved) as arrays:
        header = json.loads(arrays["header"].tobytes())
    raw = np.frombuffer(json.dumps(header | change).encode(), np.uint8)
    with pytest.raises(ModelFileError) as refused:
        Pitot.load(_changed(saved, tmp_path / "bad.npz", "header.npy", _npy(raw)))
    assert str(refused.value).count(str(tmp_path / "bad.npz")) == 1


def test_truncated_and_random_bytes_are_refused(saved: Path, tmp_path: Path) -> None:
    whole, told = saved.read_bytes(), []
    rng = np.random.default_rng(0)
    for n in range(60):
        data = bytearray(whole)
        if n % 2:
            data = data[: int(rng.integers(0, len(whole) - 1))]
        else:
            at = rng.integers(0, len(whole), 20)
            for place in at:
                data[place] = int(rng.integers(0, 256))
        (tmp_path / "bad.npz").write_bytes(bytes(data))
        try:
            Pitot.load(tmp_path / "bad.npz")
        except ModelFileError as refused:
            told.append(str(refused))
            continue
        assert not n % 2
    assert {sentence.count(str(tmp_path / "bad.npz")) for sentence in told} == {1}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model file at"):
        Pitot.load(tmp_path / "none.npz")
