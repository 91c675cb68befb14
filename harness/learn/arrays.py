"""From a dataset to the arrays that pitot_core learns from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

from harness.dataset.pieces import Across
from harness.dataset.store import Dataset
from harness.errors import DatasetError, typed
from harness.learn.numbered import COLUMNS, Numbered
from harness.learn.platforms import Encoded, platform_features
from harness.opcodes import features as opcode_features
from pitot_core import Features, Gathering, Observations, PitotError, joined
from pitot_core.gathering import MANY


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
    dataset: Dataset,
    columns: Mapping[str, Sequence[str]] | None = None,
    also: Planned | None = None,
    usual: Mapping[str, float] | None = None,
) -> tuple[Observations, Features]:
    """Every execution time of a dataset, and the features of its workloads and platforms.

    Only ``measure`` observations count, and their ``time_ns``. Of those that are ``censored`` (time-outs, and cells
    where the limit ended an execution longer than all whole ones) the time is only known to be above it: they come
    last and are marked in `Observations.censored`, and in `chosen` what was chosen for what it teaches. Raises
    DatasetError where nothing was measured to its end, and where something makes no sense: a time below a nanosecond,
    a feature that is not finite. ``columns`` are those of `Described.columns` of another dataset, by default this
    one's; ``also`` names what is to have features although nothing was observed of it. The pace of rows is against what
    is ``usual`` on their device (see `Training`), by default the median of these rows.
    """
    described = Described.of(dataset)
    with _sensible(dataset):
        numbered = Numbered(dataset.root, described.platforms, described.workloads)
        rows = [numbered.rows(part) for part in dataset.parts(COLUMNS)]
        if not any(part.measured.any() for part in rows):
            raise _nothing(dataset)
        every = _in_order(joined(*rows))
        place, features = _seen(dataset, [every], described, columns or {}, also or Planned())
        return _paced(_renumbered(every, place), features, usual or {})[0], features


@dataclass(frozen=True)
class Training:
    """What a dataset has to learn from.

    rows         all rows as `load_training` has them; or of very many the distinct ones that train
    calibration  of very many, rows kept apart, and test likewise; else None
    total        how many rows there are
    share        of the distinct sets of co-runners how many are among `rows`
    watched      who else saw every part
    usual        by device, the median ln ns of the fixed work around its jobs
    """

    rows: Observations
    features: Features
    described: Described
    calibration: Observations | None
    test: Observations | None
    total: int
    share: float
    watched: tuple[Watch, ...] = ()
    usual: Mapping[str, float] = field(default_factory=dict)


def gather_training(
    dataset: Dataset,
    *,
    calibration: float,
    test: float,
    seed: int = 0,
    watch: Callable[[], tuple[Watch, ...]] = tuple,
    across: Across | None = None,
) -> Training:
    """The rows of `load_training`, in memory for the distinct ones (see `pitot_core.gathering`).

    calibration and test are the shares to keep apart where there are very many. Those that ``watch`` makes are shown
    what is read, which is all once, or again from the start where some rows turn out to be there twice. ``across`` is
    who reads the files, if not this process (see `dataset.pieces`); what they come to is the same to the last bit.
    Raises DatasetError as `load_training` does.
    """
    described = Described.of(dataset)
    shape = len(described.platforms), len(described.workloads)

    def fresh(so_far: _Reading | None = None) -> _Reading:
        none = Gathering(shape, calibration=calibration, test=test, seed=seed, many=MANY)
        gathering = so_far.gathering.fresh() if so_far else none
        return _Reading(Numbered(dataset.root, described.platforms, described.workloads), gathering, watch())

    with _sensible(dataset):
        columns = [*COLUMNS, *(name for one in watch() for name in one.columns)]
        now = dataset.snapshot()
        reading = now.counted_across(columns, fresh, across) if across else now.counted(columns, fresh)
        pa.default_memory_pool().release_unused()
        if not reading.any_time:
            raise _nothing(dataset)
        found = reading.gathering.finish()
        apart = [part for part in (found.calibration, found.test) if part is not None]
        every = found.training if apart else _by_job(_in_order(found.training))
        place, features = _seen(dataset, [every, *apart], described, {}, Planned())
        held = [
            None if part is None else _renumbered(part, place) for part in (found.calibration, found.test)
        ]
        training, usual = _paced(_renumbered(every, place), features, {})
        return Training(
            training, features, described, held[0], held[1], found.rows, found.share, reading.watched, usual
        )


class Watch(Protocol):
    """Who else wants to see every part of a dataset, with these columns."""

    @property
    def columns(self) -> Sequence[str]: ...

    def add(self, part: pa.Table) -> None: ...

    def join(self, other: Any) -> None: ...


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


@dataclass
class _Reading:
    """What the parts of a dataset come to, one after another."""

    numbered: Numbered
    gathering: Gathering
    watched: tuple[Watch, ...]
    any_time: bool = False

    def add(self, part: pa.Table) -> None:
        for one in self.watched:
            one.add(part)
        rows = self.numbered.rows(part)
        self.any_time = self.any_time or bool(rows.measured.any())
        self.gathering.add(rows)

    def join(self, other: _Reading) -> None:
        for one, more in zip(self.watched, other.watched, strict=True):
            one.join(more)
        self.any_time = self.any_time or other.any_time
        self.gathering.join(other.gathering)


def _in_order(rows: Observations) -> Observations:
    """Those whose time is known first, and jobs numbered by their hashes, wherever they stand."""
    rows = rows[np.argsort(~rows.measured, kind="stable")]
    return replace(rows, job=np.unique(rows.job, return_inverse=True)[1].reshape(-1))


def _by_job(rows: Observations) -> Observations:
    """In an order that no file decides, so that sums of them are the same to the last bit."""
    return rows[np.lexsort((rows.workload, rows.job, ~rows.measured))]


def _paced(
    rows: Observations, features: Features, usual: Mapping[str, float]
) -> tuple[Observations, dict[str, float]]:
    """With each row's pace against what is usual on its device, instead of how long the fixed work took; and that."""
    if rows.pace is None:
        return rows, {}
    names = [name.partition(":")[2] for name in features.platform_names]
    devices, device = np.unique(names, return_inverse=True)
    pace, found = np.zeros(len(rows), np.float32), {}
    for number, name in enumerate(devices.tolist()):
        mine = (device[rows.platform] == number) & (rows.pace > 0)
        if mine.any():
            found[name] = usual.get(name, float(np.median(rows.pace[mine])))
            pace[mine] = rows.pace[mine] - found[name]
    return replace(rows, pace=pace), found


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
