"""From a dataset to the arrays that pitot_core learns from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.ends import hashed
from harness.dataset.store import Dataset
from harness.errors import DatasetError, typed
from harness.learn.platforms import Encoded, platform_features
from harness.opcodes import features as opcode_features
from pitot_core import MAX_CO_RUNNERS, Features, Gathering, Observations, PitotError, joined
from pitot_core.gathering import MANY

COLUMNS = [
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


@dataclass(frozen=True)
class Planned:
    """Names of what may be measured."""

    platforms: frozenset[str] = frozenset()
    workloads: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Described:
    """The features by name of every platform and workload that a dataset describes, read once."""

    platforms: dict[str, Encoded]
    workloads: dict[str, Encoded]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        return cls(
            {row["platform"]: platform_features(row) for row in dataset.platforms().to_pylist()},
            {row["workload"]: workload_features(row) for row in dataset.workloads().to_pylist()},
        )

    def columns(self, features: Features) -> dict[str, list[str]]:
        """What the columns of these features are called, of "workloads" and of "platforms"."""
        return {
            "workloads": columns_of([self.workloads[name] for name in features.workload_names]),
            "platforms": columns_of([self.platforms[name] for name in features.platform_names]),
        }


def load_training(
    dataset: Dataset, columns: Mapping[str, Sequence[str]] | None = None, also: Planned | None = None
) -> tuple[Observations, Features]:
    """Every execution time of a dataset, and the features of its workloads and platforms.

    Only ``measure`` observations count, and their ``time_ns``. Of those that are ``censored`` (time-outs, and cells
    where the limit ended an execution longer than all whole ones) the time is only known to be above it: they come
    last and are marked in `Observations.censored`, and in `chosen` what was chosen for what it teaches. Raises
    DatasetError where nothing was measured to its end, and where something makes no sense: a time below a nanosecond,
    a feature that is not finite. ``columns`` are those of `Described.columns` of another dataset, by default this
    one's; ``also`` names what is to have features although nothing was observed of it.
    """
    described = Described.of(dataset)
    with _sensible(dataset):
        rows = list(_batches(dataset, described))
        if not any(part.measured.any() for part in rows):
            raise _nothing(dataset)
        every = _in_order(joined(*rows))
        place, features = _seen(dataset, [every], described, columns or {}, also or Planned())
        return _renumbered(every, place), features


@dataclass(frozen=True)
class Training:
    """What a dataset has to learn from.

    rows         all rows as `load_training` has them; or of very many the distinct ones that train
    calibration  of very many, rows kept apart, and test likewise; else None
    total        how many rows there are
    share        of the distinct sets of co-runners how many are among `rows`
    """

    rows: Observations
    features: Features
    described: Described
    calibration: Observations | None
    test: Observations | None
    total: int
    share: float


def gather_training(
    dataset: Dataset, *, calibration: float, test: float, seed: int = 0, watch: Watch | None = None
) -> Training:
    """The rows of `load_training`, in memory for the distinct ones (see `pitot_core.gathering`).

    calibration and test are the shares to keep apart where there are very many. ``watch`` is shown what is read.
    Raises DatasetError as `load_training` does.
    """
    described = Described.of(dataset)
    shape = len(described.platforms), len(described.workloads)
    gathering = Gathering(shape, calibration=calibration, test=test, seed=seed, many=MANY)
    with _sensible(dataset):
        known = False
        for rows in _batches(dataset, described, watch):
            known = known or bool(rows.measured.any())
            gathering.add(rows)
        if not known:
            raise _nothing(dataset)
        found = gathering.finish()
        apart = [part for part in (found.calibration, found.test) if part is not None]
        every = found.training if apart else _in_order(found.training)
        place, features = _seen(dataset, [every, *apart], described, {}, Planned())
        held = [
            None if part is None else _renumbered(part, place) for part in (found.calibration, found.test)
        ]
        training = _renumbered(every, place)
        return Training(training, features, described, held[0], held[1], found.rows, found.share)


class Watch(Protocol):
    """Who else wants to see every part of a dataset, with these columns."""

    @property
    def columns(self) -> Sequence[str]: ...

    def add(self, part: pa.Table) -> None: ...


@contextlib.contextmanager
def _sensible(dataset: Dataset) -> Iterator[None]:
    try:
        yield
    except PitotError as error:
        raise DatasetError(
            f"{dataset.root} holds what cannot be learned from: {error}; correct or remove those rows."
        ) from error


def _nothing(dataset: Dataset) -> DatasetError:
    return DatasetError(
        f"{dataset.root} has no finished observation to learn from; see `harness status {typed(dataset.root)}`."
    )


def _batches(dataset: Dataset, described: Described, watch: Watch | None = None) -> Iterator[Observations]:
    """The rows to learn from, a part at a time, by the numbers of everything described, which is sorted by name."""
    platforms, workloads = sorted(described.platforms), sorted(described.workloads)
    columns = list(dict.fromkeys([*COLUMNS, *(watch.columns if watch else ())]))
    known = pa.array(["ok", "timeout"])
    for part in dataset.parts(columns):
        if watch:
            watch.add(part)
        wanted = pc.and_(pc.is_in(part["status"], known), pc.equal(part["purpose"], "measure"))
        table = part.select(COLUMNS).filter(pc.and_(wanted, part["time_ns"].is_valid()))
        yield Observations.of(
            platform=_known(dataset, "platform", table["platform"], platforms),
            workload=_known(dataset, "workload", table["workload"], workloads),
            co_runners=_co_runners(dataset, table, workloads),
            log_ns=np.log(table["time_ns"].to_numpy()),
            censored=table["censored"].to_numpy(),
            chosen=pc.fill_null(pc.equal(table["drawn"], "chosen"), False).to_numpy(),
            job=(hashed(table["job"]) >> np.uint64(1)).astype(np.int64),
        )


def _in_order(rows: Observations) -> Observations:
    """Those whose time is known first, and jobs numbered in the order in which they come then."""
    rows = rows[np.argsort(~rows.measured, kind="stable")]
    _, first, job = np.unique(rows.job, return_index=True, return_inverse=True)
    return replace(rows, job=np.argsort(np.argsort(first))[job.reshape(-1)])


def _seen(
    dataset: Dataset,
    parts: Sequence[Observations],
    described: Described,
    columns: Mapping[str, Sequence[str]],
    also: Planned,
) -> tuple[dict[str, np.ndarray[Any, np.dtype[np.int32]]], Features]:
    """Of every described name its number among those that rows or `also` name (the last is of none), and features."""
    names, place = {}, {}
    for side, known, wanted in (
        ("platform", sorted(described.platforms), also.platforms),
        ("workload", sorted(described.workloads), also.workloads),
    ):
        seen = np.array([name in wanted for name in known] + [False])
        for part in parts:
            seen[getattr(part, side)] = True
            if side == "workload":
                seen[part.co_runners.ravel()] = True
        seen[-1] = False
        place[side] = np.append(np.cumsum(seen[:-1]) - 1, -1).astype(np.int32)
        names[side] = [name for name, there in zip(known, seen[:-1].tolist(), strict=True) if there]
        if missing := sorted(wanted - set(known)):
            raise DatasetError(
                f"{dataset.root}: {side} {missing[0]} is planned but not in {side}s.parquet; collect with it first."
            )
    features = Features(
        workloads=matrix([described.workloads[name] for name in names["workload"]], columns.get("workloads")),
        platforms=matrix([described.platforms[name] for name in names["platform"]], columns.get("platforms")),
        workload_names=tuple(names["workload"]),
        platform_names=tuple(names["platform"]),
    )
    return place, features


def _renumbered(rows: Observations, place: Mapping[str, np.ndarray[Any, Any]]) -> Observations:
    workload, platform = place["workload"], place["platform"]
    return replace(
        rows,
        platform=platform[rows.platform],
        workload=workload[rows.workload],
        co_runners=workload[rows.co_runners],
    )


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


def _known(
    dataset: Dataset, kind: str, column: Any, names: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The number of each name. Raises DatasetError for a name that is not described."""
    places = pc.index_in(column, pa.array(names, pa.string()))
    if places.null_count:
        missing = sorted(column.filter(places.is_null()).unique().to_pylist())
        raise DatasetError(
            f"{dataset.root}: {kind} {missing[0]} is observed but not in {kind}s.parquet; "
            f"where datasets were merged, copy that table of the other one here too, as {kind}s-2.parquet."
        )
    found: np.ndarray[Any, np.dtype[np.int32]] = places.to_numpy()
    return found


def _co_runners(dataset: Dataset, table: Any, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """(N, 3) workload numbers, −1 where there is none."""
    counts = table["n_co_runners"].to_numpy()
    flat = _known(dataset, "workload", pc.list_flatten(table["co_runners"]), names)
    if len(flat) != counts.sum() or counts.max(initial=0) > MAX_CO_RUNNERS:
        raise DatasetError(
            "n_co_runners does not agree with co_runners; the observations are damaged; restore them from a copy."
        )
    numbers = np.full((len(table), MAX_CO_RUNNERS), -1, np.int32)
    row = np.repeat(np.arange(len(table)), counts)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers[row, place] = flat
    return numbers
