"""Files that a stranger may hand to a command: each is refused in one sentence, or is no question at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.decide.batch import Batch
from harness.decide.predict import load_model
from harness.decide.row_file import read_rows
from harness.errors import DevicesError, SuiteError, UsageError
from harness.fleet.devices import load_devices
from harness.learn.layout import _layout
from harness.suites.catalogue import load_suites
from harness.suites.imported import import_modules


def test_links_in_a_circle_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SuiteError, match="name the directory"):
        load_suites(tmp_path / "loop")
    with pytest.raises(SuiteError, match=r"there is no \.wasm file"):
        import_modules(tmp_path / "loop", "mine")


@pytest.mark.parametrize(
    ("name", "begins", "told"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n\0", "a.png cannot be read as CSV: it is a PNG picture; correct it"),
        ("a.jsonl", b"PAR1\0\xff", "a.jsonl cannot be read as JSON lines: it is Parquet; correct it"),
        (
            "a.parquet",
            b"PK\x03\x04\xff",
            "a.parquet cannot be read as Parquet: it is a zip file, as spreadsheets",
        ),
        ("a.csv", b"workload\n\xff", "it is not text in UTF-8 (byte 10 is 0xff)"),
        ("a", None, "a is a directory; name a file with the columns workload"),
        ("none.csv", b"", "no file"),
    ],
)
def test_what_is_no_table_of_questions_is_told_as_what_it_is(
    name: str, begins: bytes | None, told: str, model_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    if begins is None:
        path.mkdir()
    elif begins:
        path.write_bytes(begins)
    for read in (lambda: read_rows(path, "workload"), lambda: Batch(path, load_model(model_path))):
        with pytest.raises(UsageError) as refused:
            read()
        # Arrow tells of bytes that are not UTF-8 in its own words.
        assert told in str(refused.value) or (name == "a.csv" and "UTF" in str(refused.value).upper())


def test_what_is_too_deep_or_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"row 1: it is nested too deeply"):
        read_rows(tmp_path / "deep.jsonl", "workload")
    (tmp_path / "deep.yaml").write_text("[" * 500)
    with pytest.raises(DevicesError, match="nested too deeply"):
        load_devices(tmp_path / "deep.yaml")


def test_profiles_that_do_not_differ_have_no_map() -> None:
    names = np.array([f"s/small/w{k}" for k in range(6)])
    assert _layout(np.zeros((6, 1)), names, "/", 0) is None  # a single platform: none is unlike another
    assert _layout(np.ones((6, 4)), names, "/", 0) is None
