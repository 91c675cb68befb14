"""Datasets of version 1 are read as if they had been written today, and a job that was done again shows once."""

from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.dataset import schema
from harness.dataset.info import Settings
from harness.dataset.quantiles import SHARES, quantile
from harness.dataset.records import ColdSample, Entry, JobResult, MemberResult, Sample
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from tests.dataset.test_store import entry

NEW = {
    "regime", "warm_executions", "warm_ns", "unsteady", "executions_asked", "executions", "cut_off_ns", "cold_ns",
    "cold_load_ns", "cold_instantiate_ns", "cold_first_ns", "cold_samples", "attempt", "time_ns", "censored",
    "wall_ns_median", "wall_ns_p95",
}  # fmt: skip


def as_version_1(dataset: Dataset) -> None:
    """Rewrite every file as version 1 had it."""
    for path in (dataset.root / "observations").iterdir():
        table = pq.read_table(path).drop_columns(sorted(NEW))
        samples = [
            [{k: v for k, v in one.items() if k != "warm"} for one in row]
            for row in table["samples"].to_pylist()
        ]
        kind = pa.list_(pa.struct([(f.name, f.type) for f in schema.SAMPLE_FIELDS if f.name != "warm"]))
        at = table.schema.get_field_index("samples")
        pq.write_table(table.set_column(at, "samples", pa.array(samples, kind)), path)
    info = dataset.root / "dataset.json"
    info.write_text(info.read_text().replace('"schema": 2', '"schema": 1'))


def told(dataset: Dataset, *columns: str) -> list[tuple]:
    return [tuple(row.values()) for row in dataset.observations(list(columns)).to_pylist()]


@pytest.fixture
def old(tmp_path: Path) -> Dataset:
    dataset = Dataset.create(tmp_path / "old")
    platforms = (("wasmtime-j:local", "instance"), ("wasm3-c:local", "process"))
    dataset.put_platforms({"platform": name, "wall_contains": kind} for name, kind in platforms)
    with dataset.journal("local") as journal:
        journal.append(entry(1, "s/small/a", "s/small/b"))
        other = entry(2)
        journal.append(
            msgspec.structs.replace(other, job=msgspec.structs.replace(other.job, engine="wasm3-c"))
        )
    dataset.compact()
    as_version_1(dataset)
    return Dataset.open(tmp_path / "old")


def test_a_dataset_of_version_1_is_read_whole_and_by_column(old: Dataset) -> None:
    whole = old.observations()
    assert whole.schema.equals(schema.OBSERVATIONS)
    assert told(old, "regime", "attempt", "time_ns", "censored") == [
        ("mixed", 1, 200.0, False),
        ("mixed", 1, 200.0, False),
        ("process", 1, 200.0, False),
    ]
    nested = old.observations(["samples.list.element.wall_ns", "samples.list.element.warm"])["samples"]
    assert nested.to_pylist()[0] == [{"wall_ns": t, "warm": False} for t in (100, 300, 999)]
    assert whole["samples"].to_pylist()[0][0]["warm"] is False
    # Samples of 100 and 300 ns count, one of 999 ns does not.
    assert told(old, "wall_ns_median", "wall_ns_p95") == [(200.0, 290.0)] * 3
    assert [old.observations([name])[name][0].as_py() for name in SHARES] == [200.0, 290.0]


def test_quantiles_are_those_of_numpy() -> None:
    draw = np.random.default_rng(0)
    row = np.sort(draw.integers(0, 40, 300))
    row = row[row != 7]
    values = draw.integers(1, 10**12, len(row))
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        found = quantile(values, row, 41, share)
        expected = [np.quantile(values[row == r], share) if (row == r).any() else np.nan for r in range(41)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_collection_into_a_dataset_of_version_1_makes_it_version_2_and_keeps_its_rows(old: Dataset) -> None:
    old.begin(Settings(), "0.2.0", [])
    with old.journal("local") as journal:
        journal.append(entry(3))
    old.compact()
    assert Dataset.open(old.root).info.schema == 2
    assert told(old, "job") == [("job1",), ("job1",), ("job2",), ("job3",)]


def test_a_dataset_of_a_newer_harness_is_refused(old: Dataset) -> None:
    info = old.root / "dataset.json"
    info.write_text(info.read_text().replace('"schema": 1', '"schema": 3'))
    with pytest.raises(DatasetError, match="has schema version 3, this harness reads 1 to 2; use a newer"):
        Dataset.open(old.root)


def again(number: int, status: str, attempt: int) -> Entry:
    return msgspec.structs.replace(entry(number, "s/small/a", "s/small/b", status=status), attempt=attempt)


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        (["timeout", "ok"], "ok"),
        (["device_unfit", "device_unfit", "trap"], "trap"),
        (["ok", "device_unfit"], "ok"),
        (["device_unfit", "device_unfit"], "device_unfit"),
    ],
)
@pytest.mark.parametrize("compacted", [True, False])
def test_of_a_job_that_was_done_again_the_newest_end_counts_and_none_is_deleted(
    ends: list[str], shown: str, compacted: bool, tmp_path: Path
) -> None:
    dataset = Dataset.create(tmp_path / "data")
    for attempt, status in enumerate(ends, 1):
        with dataset.journal("local") as journal:
            journal.append(again(1, status, attempt))
            if attempt == 1:
                journal.append(entry(2))
        if compacted:
            dataset.compact()
    assert sorted(told(dataset, "job", "workload", "status")) == [
        ("job1", "s/small/a", shown),
        ("job1", "s/small/b", shown),
        ("job2", "s/small/a", "ok"),
    ]
    assert dataset.finished() == ({"job2"} if shown == "device_unfit" else {"job1", "job2"})
    assert dataset.finished(but=[shown]) == ({"job2"} if shown != "ok" else set())
    assert dataset.attempts() == {"job1": len(ends), "job2": 1}
    dataset.compact()
    files = f"{dataset.root}/observations/*.parquet"
    assert duckdb.sql(f"select count(*) from '{files}' where job = 'job1'").fetchall() == [(2 * len(ends),)]


def test_warm_ups_and_cold_starts_are_kept_and_counted_apart(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data")
    samples = [Sample(0, 900, 0, 0, 0, True, True), Sample(1000, 100, 0, 0, 0, True)]
    member = MemberResult(
        "s/small/a", "ok", "", samples, regime="steady", warm_executions=1, warm_ns=900, executions_asked=50,
        executions=1, cut_off_ns=7, cold_samples=[ColdSample(50, 20, 10, 15), ColdSample(70, None, 20, 25)],
    )  # fmt: skip
    one = entry(1)
    with dataset.journal("local") as journal:
        journal.append(
            msgspec.structs.replace(one, result=JobResult("job1", 1, one.result.state_before, [member]))
        )
    [row] = dataset.observations().to_pylist()
    assert [(s["wall_ns"], s["covered"], s["warm"]) for s in row["samples"]] == [
        (900, False, True),
        (100, True, False),
    ]
    assert (row["wall_ns_mean"], row["n_covered"], row["warm_ns"], row["cut_off_ns"]) == (100, 1, 900, 7)
    cold = [row[f"cold_{part}ns"] for part in ("", "load_", "instantiate_", "first_")]
    assert (cold, len(row["cold_samples"])) == ([60, 20, 15, 20], 2)


def test_a_job_that_moves_from_journal_to_part_while_it_is_read_is_seen_once(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data")
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    before = dataset.snapshot()
    dataset.compact()
    with dataset.journal("local") as journal:
        journal.append(entry(2))
    assert [table["job"].to_pylist() for table in before.parts(["job"])] == [["job1"]]
    assert told(dataset, "job") == [("job1",), ("job2",)]
