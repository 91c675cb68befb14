"""From a dataset to the arrays that pitot_core learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.store import Dataset
from harness.errors import DatasetError, typed
from harness.learn.platforms import Encoded, platform_features
from harness.opcodes import features as opcode_features
from pitot_core import MAX_CO_RUNNERS, Features, Observations, PitotError


@dataclass(frozen=True)
class Planned:
    """Names of what may be measured."""

    platforms: frozenset[str] = frozenset()
    workloads: frozenset[str] = frozenset()


def load_training(
    dataset: Dataset, columns: Mapping[str, Sequence[str]] | None = None, also: Planned | None = None
) -> tuple[Observations, Features]:
    """Every execution time of a dataset, and the features of its workloads and platforms.

    Only ``measure`` observations count, and their ``time_ns``. Of those that are ``censored`` (time-outs, and cells
    where the limit ended an execution longer than all whole ones) the time is only known to be above it: they come
    last and are marked in `Observations.censored`, and in `chosen` what was chosen for what it teaches. Raises
    DatasetError where nothing was measured to its end, and where something makes no sense: a time below a nanosecond,
    a feature that is not finite. ``columns`` are those of `feature_columns` of another dataset, by default this one's;
    ``also`` names what is to have features although nothing was observed of it.
    """
    try:
        return _loaded(dataset, columns or {}, also or Planned())
    except PitotError as error:
        raise DatasetError(
            f"{dataset.root} holds what cannot be learned from: {error}; correct or remove those rows."
        ) from error


def feature_columns(dataset: Dataset, features: Features) -> dict[str, list[str]]:
    """What the columns of `load_training`'s features are called, of "workloads" and of "platforms"."""
    workloads = {row["workload"]: workload_features(row) for row in dataset.workloads().to_pylist()}
    platforms = {row["platform"]: platform_features(row) for row in dataset.platforms().to_pylist()}
    return {
        "workloads": columns_of([workloads[name] for name in features.workload_names]),
        "platforms": columns_of([platforms[name] for name in features.platform_names]),
    }


def _loaded(
    dataset: Dataset, columns: Mapping[str, Sequence[str]], also: Planned
) -> tuple[Observations, Features]:
    table = _measured(dataset)
    platforms = {row["platform"]: platform_features(row) for row in dataset.platforms().to_pylist()}
    workloads = {row["workload"]: workload_features(row) for row in dataset.workloads().to_pylist()}
    censored = table["censored"].to_numpy()
    if censored.all():
        raise DatasetError(
            f"{dataset.root} has no finished observation to learn from; see `harness status {typed(dataset.root)}`."
        )
    seen_platforms = sorted(also.platforms | set(table["platform"].unique().to_pylist()))
    seen_workloads = sorted(
        also.workloads
        | set(table["workload"].unique().to_pylist())
        | set(pc.list_flatten(table["co_runners"]).unique().to_pylist())
    )
    for kind, seen, known in (
        ("platform", seen_platforms, platforms),
        ("workload", seen_workloads, workloads),
    ):
        missing = [name for name in seen if name not in known]
        if missing:
            raise DatasetError(
                f"{dataset.root}: {kind} {missing[0]} is observed but not in {kind}s.parquet; "
                "copy that table too where datasets are merged."
            )
    observations = Observations.of(
        platform=_numbers(table["platform"], seen_platforms),
        workload=_numbers(table["workload"], seen_workloads),
        co_runners=_co_runners(table, seen_workloads),
        log_ns=np.log(table["time_ns"].to_numpy()),
        censored=censored,
        chosen=pc.fill_null(pc.equal(table["drawn"], "chosen"), False).to_numpy(),
        job=pc.index_in(table["job"], table["job"].unique()).to_numpy(),
    )
    features = Features(
        workloads=matrix([workloads[name] for name in seen_workloads], columns.get("workloads")),
        platforms=matrix([platforms[name] for name in seen_platforms], columns.get("platforms")),
        workload_names=tuple(seen_workloads),
        platform_names=tuple(seen_platforms),
    )
    return observations, features


def _measured(dataset: Dataset) -> pa.Table:
    """The rows to learn from, those whose time is known first."""
    columns = [
        "job",
        "purpose",
        "platform",
        "workload",
        "co_runners",
        "n_co_runners",
        "status",
        "time_ns",
        "censored",
        "drawn",
    ]
    known = pa.array(["ok", "timeout"])
    found = []
    for part in dataset.parts(columns):
        wanted = pc.and_(pc.is_in(part["status"], known), pc.equal(part["purpose"], "measure"))
        found.append(part.filter(pc.and_(wanted, part["time_ns"].is_valid())))
    table = pa.concat_tables(found)
    return pa.concat_tables([table.filter(pc.invert(table["censored"])), table.filter(table["censored"])])


def workload_features(row: Mapping[str, Any]) -> Encoded:
    """ln(1 + dynamic count) per opcode column ``xHH``, counted here or imported."""
    if row["opcodes"] is not None:
        return opcode_features(dict(row["opcodes"]))
    return dict(row["features"] or [])


def matrix(
    rows: Sequence[Encoded], names: Sequence[str] | None = None
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(n, d) float64; a category's or a presence's column is −1 where it is absent, any other 0.

    ``names`` are the d columns; by default all that any row has, sorted.
    """
    names = columns_of(rows) if names is None else names
    absent = np.array([-1.0 if "=" in name or name.endswith((":known", ":ind")) else 0.0 for name in names])
    table = np.tile(absent, (len(rows), 1))
    for i, row in enumerate(rows):
        for j, name in enumerate(names):
            if name in row:
                table[i, j] = row[name]
    return table


def columns_of(rows: Sequence[Encoded]) -> list[str]:
    """The names of all features that any row has, sorted."""
    return sorted({name for row in rows for name in row})


def _numbers(column: Any, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
    found: np.ndarray[Any, np.dtype[np.int32]] = pc.index_in(column, pa.array(names)).to_numpy()
    return found


def _co_runners(table: Any, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """(N, 3) workload numbers, −1 where there is none."""
    counts = table["n_co_runners"].to_numpy()
    flat = _numbers(pc.list_flatten(table["co_runners"]), names)
    if len(flat) != counts.sum() or counts.max(initial=0) > MAX_CO_RUNNERS:
        raise DatasetError(
            "n_co_runners does not agree with co_runners; the observations are damaged; restore them from a copy."
        )
    numbers = np.full((len(table), MAX_CO_RUNNERS), -1, np.int32)
    row = np.repeat(np.arange(len(table)), counts)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers[row, place] = flat
    return numbers
