"""`harness status`: what is done, failed and left, counted without reading everything at once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.dataset.info import Settings
from harness.dataset.records import JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.measure.status import status_rows
from tests.dataset.test_store import entry


def test_each_platform_is_counted_once_and_what_is_unfit_is_left(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data")
    a = [
        entry(1, "s/a", "s/b"),
        entry(2, "s/a"),
        entry(3, "s/b", status="timeout"),
        entry(4, status="device_unfit"),
    ]
    cut = MemberResult("s/c", "ok", "", [Sample(0, 5, 0, 0, 0, True)], cut_off_ns=10**9, unsteady="drifts")
    a.append(msgspec.structs.replace(entry(5, "s/c"), result=JobResult("job5", 1, State(), [cut])))
    one = entry(6, "s/a")
    a.append(msgspec.structs.replace(one, job=msgspec.structs.replace(one.job, engine="wasm3-i")))
    dataset.begin(Settings(), "0.2.0", [one.job for one in a] + [entry(7, "s/d").job])
    for half in (a[:3], a[3:]):
        with dataset.journal("local") as journal:
            for one in half:
                journal.append(one)
        if half is a[:3] or len(half) == 3:
            dataset.compact()
    assert status_rows(dataset) == [
        {"platform": "wasm3-i:local", "planned": 1, "done": 1, "left": 0, "observations": 1, "failed": 0,
         "reasons": "", "unsteady": 0, "tail": 1.45, "coverage": "1 of 5"},
        {"platform": "wasmtime-j:local", "planned": 6, "done": 4, "left": 2, "observations": 6, "failed": 2,
         "reasons": "1 timeout, 1 device_unfit, 1 cut off", "unsteady": 1, "tail": 1.225, "coverage": "2 of 5"},
    ]  # fmt: skip


def test_an_empty_dataset_has_no_rows(tmp_path: Path) -> None:
    assert status_rows(Dataset.create(tmp_path / "data")) == []


def test_workloads_of_an_earlier_collection_are_among_those_seen(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data")
    for number, name in enumerate(("s/a", "s/b")):
        one = entry(number, name)
        dataset.begin(Settings(), "0.2.0", [one.job])
        with dataset.journal("local") as journal:
            journal.append(one)
    [row] = status_rows(dataset)
    assert (row["planned"], row["done"], row["coverage"]) == (1, 2, "2 of 2")
