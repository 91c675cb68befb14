"""A dataset is read the same whoever rewrote or copied its files, and a number that cannot be is named, not used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.dataset import ends, schema
from harness.dataset.records import JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from tests.dataset.test_store import entry


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = Dataset.create(tmp_path / "data")
    made.put_platforms(
        [{"platform": "wasmtime-j:local", "engine": "wasmtime-j", "device": "local", "wall_contains": "instance",
          "facts": [("cores", "2")], "features": [("f", 1.0)]}]
    )  # fmt: skip
    made.put_workloads([{"workload": "s/small/a", "argv": ["a"], "opcodes": [("f64.add", 3)]}])
    with made.journal("local") as journal:
        journal.append(entry(1, "s/small/a", "s/small/b"))
        journal.append(entry(2, status="timeout"))
        journal.append(entry(3, status="trap"))
    made.compact()
    made.begin(settings(), "0.2.0", [entry(1).job])
    return made


def settings() -> Any:
    from harness.dataset.info import Settings

    return Settings()


def by_polars(path: Path) -> None:
    pl.read_parquet(path).with_columns(pl.col(pl.String).cast(pl.Categorical)).write_parquet(path)


def by_polars_plain(path: Path) -> None:
    pl.read_parquet(path).write_parquet(path, compression="lz4")


def by_duckdb(path: Path) -> None:
    fresh = path.with_suffix(".new")
    duckdb.sql(f"copy (from '{path}') to '{fresh}' (format parquet)")
    fresh.replace(path)


def by_pandas(path: Path) -> None:
    pd.read_parquet(path).to_parquet(path)


def by_arrow_large(path: Path) -> None:
    table = pq.read_table(path)
    for number, field in enumerate(table.schema):
        kind = {pa.string(): pa.large_string(), pa.int64(): pa.float64()}.get(field.type)
        if pa.types.is_timestamp(field.type):
            kind = pa.timestamp("ns", "Europe/Berlin")
        if kind:
            table = table.set_column(number, field.name, table[field.name].cast(kind))
    pq.write_table(table, path)


def without_a_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["note", "warmup_ns", "state_after"]), path)


def everything(dataset: Dataset) -> list[Any]:
    dropped = ["note", "warmup_ns", "state_after"]
    rows = dataset.observations().drop_columns(dropped).to_pylist()
    return [rows, dataset.platforms().to_pylist(), dataset.workloads().to_pylist(), dataset.plan()]


@pytest.mark.parametrize(
    "rewrite", [by_polars, by_polars_plain, by_duckdb, by_pandas, by_arrow_large, without_a_column]
)
def test_observations_that_another_program_wrote_anew_are_the_same(
    rewrite: Callable[[Path], None], dataset: Dataset
) -> None:
    before = everything(dataset)
    for path in (dataset.root / "observations").iterdir():
        rewrite(path)
    assert everything(dataset) == before
    nested = dataset.observations(["samples.list.element.wall_ns"])["samples"].to_pylist()
    assert nested[0] == [{"wall_ns": 100}, {"wall_ns": 300}, {"wall_ns": 999}]


@pytest.mark.parametrize("rewrite", [by_polars_plain, by_duckdb])
def test_the_other_tables_that_another_program_wrote_anew_are_the_same(
    rewrite: Callable[[Path], None], dataset: Dataset
) -> None:
    before = everything(dataset)
    for name in ("platforms", "workloads", "plan"):
        rewrite(dataset.root / f"{name}.parquet")
    assert everything(dataset) == before


def test_a_column_that_cannot_be_read_is_named_with_its_file(dataset: Dataset) -> None:
    [path] = (dataset.root / "observations").iterdir()
    table = pq.read_table(path)
    at = table.schema.get_field_index("n_co_runners")
    pq.write_table(table.set_column(at, "n_co_runners", pa.array(["one"] * len(table))), path)
    with pytest.raises(DatasetError, match=rf"{path.name}: column n_co_runners cannot be read as int8"):
        dataset.observations()
    pq.write_table(table.drop_columns(["workload"]), path)
    with pytest.raises(DatasetError, match=rf"{path.name} has no column workload; restore the file"):
        dataset.observations()


@pytest.mark.parametrize(
    "name",
    ["{stem} (1).parquet", "{stem}.sync-conflict-20261126.parquet", "Copy of {stem}.parquet", "zz.parquet"],
)
def test_a_part_that_a_sync_program_copied_counts_once_and_the_next_part_has_a_name(
    name: str, dataset: Dataset
) -> None:
    before = everything(dataset)
    [path] = (dataset.root / "observations").iterdir()
    shutil.copy(path, path.with_name(name.format(stem=path.stem)))
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7 of macOS")
    path.with_name(f".{path.name}.123.partial").write_bytes(b"half")
    assert sorted(map(str, everything(dataset)[0])) == sorted(map(str, before[0]))
    with dataset.journal("local") as journal:
        journal.append(entry(4))
    dataset.compact()
    assert sorted(set(dataset.observations(["job"])["job"].to_pylist())) == ["job1", "job2", "job3", "job4"]
    assert path.with_name(path.name.replace("00001", "00002")).exists()


def test_rows_that_are_there_twice_are_found_among_more_than_are_kept_in_memory(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(dataset)
    monkeypatch.setattr(ends, "IN_MEMORY", 0)
    assert everything(dataset) == before
    [path] = (dataset.root / "observations").iterdir()
    shutil.copy(path, path.with_name("copy.parquet"))
    assert sorted(map(str, everything(dataset)[0])) == sorted(map(str, before[0]))


def test_a_part_in_a_folder_of_its_own_is_read_and_one_in_a_hidden_folder_is_not(dataset: Dataset) -> None:
    before = everything(dataset)
    [path] = (dataset.root / "observations").iterdir()
    for folder in ("2026", ".trash"):
        (path.parent / folder).mkdir()
        shutil.copy(path, path.parent / folder / path.name)
    path.unlink()
    assert everything(dataset) == before


def changed(dataset: Dataset, column: str, value: Any) -> None:
    [path] = (dataset.root / "observations").iterdir()
    table = pq.read_table(path)
    at, kind = table.schema.get_field_index(column), table.schema.field(column).type
    values = table[column].to_pylist()
    values[0] = value(values[0]) if callable(value) else value
    pq.write_table(table.set_column(at, column, pa.array(values, kind)), path)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("wall_ns_mean", 0.0, r"wall_ns_mean is 0.0 in row 1, and it must be from 1 to 4.6"),
        ("wall_ns_mean", 0.5, r"wall_ns_mean is 0.5 in row 1"),
        ("wall_ns_mean", 1e27, r"wall_ns_mean is 1e\+27 in row 1"),
        ("wall_ns_mean", float("nan"), r"wall_ns_mean is nan in row 1"),
        ("wall_ns_mean", None, r"wall_ns_mean is nothing in row 1, and a row whose status is ok has a time"),
        ("time_ns", float("inf"), r"time_ns is inf in row 1"),
        ("workload", None, r"workload is nothing in row 1, and every row must have a value there"),
        ("samples", lambda row: [row[0] | {"wall_ns": 0}], r"samples.wall_ns is 0 in row 1"),
        ("state_before", lambda row: row | {"load_1m": float("nan")}, r"state_before.load_1m is nan in row 1"),
        ("n_co_runners", -1, r"n_co_runners is -1 in row 1, and it must be from 0 to 3"),
        ("limit_s", float("nan"), "limit_s is nan in row 1"),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_by_name(
    column: str, value: Any, told: str, dataset: Dataset
) -> None:
    changed(dataset, column, value)
    with pytest.raises(DatasetError, match=rf"part-\S+\.parquet: {told}") as found:
        dataset.observations()
    assert str(found.value).endswith("correct that row or remove it.")
    with pytest.raises(DatasetError, match=told):
        dataset.observations(["status", column])


def test_a_feature_that_is_no_number_is_refused_by_name(dataset: Dataset) -> None:
    dataset.put_platforms([{"platform": "b:local", "features": [("speed", float("nan"))]}])
    with pytest.raises(DatasetError, match=r"platforms\.parquet: features.value is nan in row 2"):
        dataset.platforms()


@pytest.mark.parametrize(
    ("member", "told"),
    [
        ({"samples": [[0, 0, 0, 0, 0, True]]}, "Expected `int` >= 1"),
        ({"samples": []}, "`ok` without an execution that counts"),
        ({"samples": [[0, 5, 0, 0, 0, True, True]]}, "`ok` without an execution that counts"),
        ({"samples": [[0, 5, 0, 0, 0, True]], "more_count": 3, "more_wall_ns": 1}, "executions that took no time"),
        ({"samples": [[0, 2**63, 0, 0, 0, True]]}, "Expected `int` <= "),
    ],
)  # fmt: skip
def test_a_device_cannot_send_a_result_that_is_no_time(member: dict[str, Any], told: str) -> None:
    whole = {"workload": "s/small/a", "status": "ok", "reason": "", **member}
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert(whole, MemberResult)


def test_a_state_out_of_all_bounds_is_refused() -> None:
    for told in ({"throttle_count": 2**70}, {"load_1m": 1e300}, {"temperature_c": float("inf")}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(told).replace(b"null", b"1e999"), type=State)


# ------------------------------------------------------------------------------------ executions that the limit ended


def one(whole: list[int], cut_off_ns: int | None) -> dict[str, Any]:
    from harness.dataset.entry_rows import rows

    samples = [Sample(0, wall, 0, 0, 0, True) for wall in whole]
    base = entry(1)
    member = MemberResult("s/small/a", "ok", "", samples, cut_off_ns=cut_off_ns)
    [row] = rows(msgspec.structs.replace(base, result=JobResult("job1", 1, State(), [member])))
    return row


def test_an_execution_that_the_limit_ended_counts_like_those_that_took_longer_than_it_had() -> None:
    def told(whole: list[int], cut: int | None) -> tuple[float, bool]:
        row = one(whole, cut)
        return row["time_ns"], row["censored"]

    assert told([100, 100, 100], None) == (100.0, False)
    assert told([100, 100, 100], 40) == (100.0, False)  # it says nothing of a steady workload
    assert told([100, 100, 400], 200) == ((600 + 400) / 4, False)
    assert told([200_000], 30_000_000_000) == ((200_000 + 30_000_000_000) / 2, True)  # the tail is not known
    assert told([100] * 100, 101) == ((100 * 100 + 101) / 101, False)  # nor here, but it cannot matter


def draws(kind: str, draw: np.random.Generator) -> Callable[[], float]:
    if kind == "steady":
        return lambda: draw.normal(1.0, 0.02)
    if kind == "exponential":
        return lambda: draw.exponential(1.0)
    return lambda: 0.2 if draw.random() < 0.9 else 8.2  # mostly quick, at times forty times as long: mean 1


@pytest.mark.parametrize(
    ("kind", "limit", "ours", "survivors"),
    [("steady", 20.0, 0.002, 0.002), ("exponential", 20.0, 0.01, 0.04), ("two kinds", 20.0, 0.03, 0.18)],
)
def test_the_time_has_hardly_the_bias_that_the_mean_of_the_survivors_has(
    kind: str, limit: float, ours: float, survivors: float
) -> None:
    """True mean 1; over many observations, each weighted by its executions."""
    draw = np.random.default_rng(7)
    once = draws(kind, draw)
    counts, means, times = [], [], []
    for _ in range(1500):
        whole, spent = [], 0.0
        while spent + (after := once()) <= limit:
            whole.append(after)
            spent += after
        row = one([round(1e6 * value) for value in whole], round(1e6 * (limit - spent)))
        counts.append(len(whole))
        means.append(row["wall_ns_mean"] / 1e6)
        times.append(row["time_ns"] / 1e6)
    executions = np.array(counts)
    assert abs(np.average(times, weights=executions + 1) - 1) < ours
    naive = np.average(means, weights=executions) - 1
    assert (naive < -survivors) if kind != "steady" else abs(naive) < survivors


def test_the_schema_of_what_is_read_is_the_schema(dataset: Dataset) -> None:
    assert dataset.observations().schema.equals(schema.OBSERVATIONS)
