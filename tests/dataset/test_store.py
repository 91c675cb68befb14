"""Nothing lost, nothing twice, and readable without us."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.dataset import schema
from harness.dataset.info import Settings
from harness.dataset.journal import Journal, read_journal
from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.errors import DatasetError


def entry(number: int, *workloads: str, status: str = "ok") -> Entry:
    names = workloads or ("s/small/a",)
    job = Job(f"job{number}", "local", "wasmtime-j", names, "measure", 0, 50, 30.0, 30.0)
    samples = [
        Sample(10, 100, 90, 5, 2000, True),
        Sample(200, 300, 90, 5, 2000, True),
        Sample(600, 999, 0, 0, 0, False),
    ]
    members = [MemberResult(name, status, "", samples, more_count=2, more_wall_ns=400) for name in names]  # type: ignore[arg-type]
    return Entry(
        job, JobResult(job.id, 1_790_000_000_000_000_000, State(load_1m=0.5), members), "50.0", "0.1.0"
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.create(tmp_path / "data")


def jobs(dataset: Dataset) -> list[str]:
    return sorted(dataset.observations(["job"])["job"].to_pylist())


def test_a_dataset_whose_observations_are_gone_is_not_an_empty_one(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    dataset.compact()
    (dataset.root / "observations").rename(dataset.root / "elsewhere")
    with pytest.raises(DatasetError, match="is damaged: its directory observations is gone; restore it"):
        Dataset.open(dataset.root)
    (dataset.root / "elsewhere").rename(dataset.root / "observations")
    assert jobs(Dataset.open(dataset.root)) == ["job1"]


def test_what_a_killed_creation_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "data" / "observations").mkdir(parents=True)
    assert Dataset.create(tmp_path / "data").observations().num_rows == 0


def test_a_journaled_job_is_an_observation_before_and_after_compaction(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1, "s/small/a", "s/small/b"))
    before = dataset.observations().to_pylist()
    dataset.compact()
    assert dataset.observations().to_pylist() == before
    assert list((dataset.root / "journal").iterdir()) == []
    row = before[0]
    assert (row["workload"], row["co_runners"], row["platform"]) == (
        "s/small/a",
        ["s/small/b"],
        "wasmtime-j:local",
    )
    assert (row["wall_ns_mean"], row["n_covered"], len(row["samples"])) == ((100 + 300 + 400) / 4, 4, 3)


def test_only_finished_observations_have_a_mean_and_only_timeouts_a_bound(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1, status="timeout"))
        journal.append(entry(2, status="trap"))
    rows = dataset.observations(["status", "wall_ns_mean", "lower_bound_ns"]).to_pylist()
    assert rows == [
        {"status": "timeout", "wall_ns_mean": None, "lower_bound_ns": 30_000_000_000},
        {"status": "trap", "wall_ns_mean": None, "lower_bound_ns": None},
    ]


def test_a_line_cut_short_by_a_crash_costs_only_its_own_job(dataset: Dataset) -> None:
    path = dataset.root / "journal" / "local.jsonl"
    with Journal(path) as journal:
        journal.append(entry(1))
        journal.append(entry(2))
    path.write_bytes(path.read_bytes()[:-7])
    assert jobs(dataset) == ["job1"]
    with Journal(path) as journal:
        journal.append(entry(3))
    assert [found.job.id for found in read_journal(path)] == ["job1", "job3"]


def test_damage_inside_a_journal_is_told_with_its_line(dataset: Dataset) -> None:
    path = dataset.root / "journal" / "local.jsonl"
    with Journal(path) as journal:
        journal.append(entry(1))
        journal.append(entry(2))
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with pytest.raises(DatasetError, match=r"local\.jsonl, line 1 is damaged"):
        dataset.observations()


def test_a_crash_between_the_two_steps_of_compaction_doubles_nothing(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1))
        journal.append(entry(2))
    kept = (dataset.root / "journal" / "local.jsonl").read_bytes()
    dataset.compact()
    (dataset.root / "journal" / "local.jsonl").write_bytes(
        kept
    )  # the part was renamed, the journal not yet removed
    with dataset.journal("local") as journal:
        journal.append(entry(3))
    assert jobs(dataset) == ["job1", "job2", "job3"]
    dataset.compact()
    assert jobs(dataset) == ["job1", "job2", "job3"]
    assert len(list((dataset.root / "observations").glob("*.parquet"))) == 2


def test_parts_of_two_datasets_merge_by_copying(dataset: Dataset, tmp_path: Path) -> None:
    other = Dataset.create(tmp_path / "other")
    for number, one in enumerate((dataset, other)):
        with one.journal("local") as journal:
            journal.append(entry(number))
        one.compact()
    for path in (other.root / "observations").iterdir():
        (dataset.root / "observations" / path.name).write_bytes(path.read_bytes())
    assert jobs(dataset) == ["job0", "job1"]


def test_tables_of_two_datasets_merge_by_copying_them_beside_each_other(
    dataset: Dataset, tmp_path: Path
) -> None:
    """As --shard leaves them: each controller has devices of its own, and what both have is that of the first."""
    other = Dataset.create(tmp_path / "other")
    dataset.put_platforms([{"platform": "e:a", "facts": [("cores", "1")]}, {"platform": "e:b"}])
    other.put_platforms([{"platform": "e:a", "facts": [("cores", "9")]}, {"platform": "e:c"}])
    assert [row["platform"] for row in dataset.platforms().to_pylist()] == ["e:a", "e:b"]
    (dataset.root / "platforms-2.parquet").write_bytes((other.root / "platforms.parquet").read_bytes())
    merged = {row["platform"]: row["facts"] for row in dataset.platforms().to_pylist()}
    assert (list(merged), merged["e:a"]) == (["e:a", "e:b", "e:c"], [("cores", "1")])
    (dataset.root / "platforms.parquet").unlink()
    assert [row["platform"] for row in dataset.platforms().to_pylist()] == ["e:a", "e:c"]


def test_a_second_collection_is_kept_out(dataset: Dataset) -> None:
    with (
        dataset.locked(),
        pytest.raises(DatasetError, match="another `harness` is collecting"),
        dataset.locked(),
    ):
        pass


def test_the_plan_and_its_settings_are_kept(dataset: Dataset) -> None:
    planned = [entry(1).job, entry(2, "s/small/a", "s/small/b").job]
    dataset.begin(Settings(seed=7), "0.1.0", planned)
    dataset.begin(Settings(seed=7), "0.1.0", planned)
    again = Dataset.open(dataset.root)
    assert again.plan() == planned
    assert [collection.settings.seed for collection in again.info.collections] == [7]


def test_duckdb_pandas_and_polars_read_it_as_it_is(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1, "s/small/a", "s/small/b"))
    dataset.compact()
    dataset.put_workloads([{"workload": "s/small/a", "argv": ["a"], "opcodes": [("f64.add", 3)]}])
    dataset.put_platforms([{"platform": "wasmtime-j:local", "facts": [("cores", "2")]}])
    parts = str(dataset.root / "observations" / "*.parquet")
    counted = duckdb.sql(
        f"select count(*), avg(wall_ns_mean), max(samples[1].wall_ns) from '{parts}'"
    ).fetchall()
    assert counted == [(2, 200.0, 100)]
    assert duckdb.sql(
        f"select map_extract(opcodes, 'f64.add')[1] from '{dataset.root}/workloads.parquet'"
    ).fetchall() == [(3,)]
    assert pd.read_parquet(dataset.root / "observations")["workload"].tolist() == ["s/small/a", "s/small/b"]
    frame = pl.read_parquet(parts)
    assert frame.explode("samples").unnest("samples")["wall_ns"].to_list() == [100, 300, 999] * 2
    assert pl.read_parquet(dataset.root / "platforms.parquet")["platform"].to_list() == ["wasmtime-j:local"]


def test_every_file_has_exactly_the_documented_columns(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    dataset.compact()
    [part] = (dataset.root / "observations").iterdir()
    assert pq.read_schema(part).equals(schema.OBSERVATIONS)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda root: (root / "dataset.json").unlink(), "is not a dataset"),
        (lambda root: (root / "dataset.json").write_text("{"), r"dataset\.json is damaged"),
        (
            lambda root: (root / "dataset.json").write_text(
                (root / "dataset.json").read_text().replace('": 2,', '": 99,')
            ),
            "schema version 99",
        ),
    ],
)  # fmt: skip
def test_what_is_not_a_dataset_is_refused(damage, told, dataset: Dataset) -> None:
    damage(dataset.root)
    with pytest.raises(DatasetError, match=told):
        Dataset.open(dataset.root)


def test_a_damaged_part_is_named(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    dataset.compact()
    [part] = (dataset.root / "observations").iterdir()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(DatasetError, match=rf"{part.name} is damaged"):
        dataset.observations()


def test_another_table_in_the_place_of_one_is_told(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data")
    for number in range(2):
        with dataset.journal("local") as journal:
            journal.append(entry(number))
    dataset.compact()
    [part] = (dataset.root / "observations").iterdir()
    for name in ("workloads", "platforms"):
        (dataset.root / f"{name}.parquet").write_bytes(part.read_bytes())
        with pytest.raises(DatasetError, match=f"{name}.parquet is no table of {name}: it has more than one"):
            getattr(dataset, name)()


def test_a_directory_with_something_else_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="exists and is not a dataset"):
        Dataset.create(tmp_path)


def test_many_small_parts_are_read_as_few_tables_and_each_is_still_judged_by_its_name(
    dataset: Dataset,
) -> None:
    for number in range(6):
        with dataset.journal("local") as journal:
            journal.append(entry(number))
        dataset.compact()
    assert [len(table) for table in dataset.parts(["job", "n_covered"])] == [6, 0]  # the journals' last
    path = sorted((dataset.root / "observations").iterdir())[3]
    found = pq.read_table(path)
    place = found.column_names.index("n_covered")
    pq.write_table(found.set_column(place, "n_covered", pa.array([-1], pa.int64())), path)
    told = re.escape(f"{path}: n_covered is -1 in row 1")
    with pytest.raises(DatasetError, match=told):
        dataset.observations(["job", "n_covered"])


def test_a_dataset_moved_while_collecting_is_told_and_keeps_its_rows(dataset: Dataset) -> None:
    with dataset.locked(), dataset.journal("local") as journal:
        journal.append(entry(1))
        dataset.check_place()
        moved = dataset.root.rename(dataset.root.with_name("moved"))
        with pytest.raises(DatasetError, match="was moved or removed while"):
            dataset.compact()
        assert not dataset.root.exists()
    assert len(Dataset.open(moved).observations(["job"])) == 1


def test_a_column_that_is_there_twice_is_refused(dataset: Dataset) -> None:
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    dataset.compact()
    [path] = (dataset.root / "observations").iterdir()
    found = pq.read_table(path)
    pq.write_table(found.append_column("status", found["status"]), path)
    with pytest.raises(DatasetError, match="has two columns status"):
        dataset.observations(["job", "status"])
