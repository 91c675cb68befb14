"""Observations as the solver reads them: distinct rows, each with how often it was seen, by number of co-runners.

Rows of one (platform, workload, co-runners) have one prediction, so a solve needs of them Σ w and Σ w y. The weights w
of the loss depend on each row's own residual, but hardly change within a fraction of δ: rows of one cell whose ln times
lie in the same bin of δ/4 are merged to their mean and their number, which leaves Σ w y as it is to first order and
changes Σ w by less than a percent. A wild row of five stays apart and is outvoted as before; a limit stays a limit.
Memory then depends on the distinct cells and on how far their times scatter, not on how often they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.keys import packed, sorted_runs
from pitot_core.observations import LONGEST_LOG_NS, Observations

Array = NDArray[Any]
BIN = 0.005  # ln units
BINS = int(LONGEST_LOG_NS / BIN) + 2
CHUNK = 1 << 16  # rows that are worked at together: what they need stays in a processor's cache


@dataclass(frozen=True)
class Group:
    """n distinct rows with the same number N of co-runners, sorted by cell.

    cell      (n,) int32, table cells j·W + i
    beside    (N, n) int32, table cells j·W + k of the co-runners
    log_ns    (n,) mean ln ns of the equal rows, or a limit that the time is above
    count     (n,) float32, how many rows there were; 0 thinks a row away
    censored  (n,) bool: log_ns is only a limit
    fold      (n,) int8, of which fold they all are
    """

    cell: NDArray[np.int32]
    beside: NDArray[np.int32]
    log_ns: NDArray[np.float64]
    count: NDArray[np.float32]
    censored: NDArray[np.bool_]
    fold: NDArray[np.int8]
    n_workloads: int

    def __len__(self) -> int:
        return len(self.cell)

    def chunks(self) -> Iterator[tuple[slice, slice]]:
        """Rows that are worked at together, and the cells of all their platforms."""
        for first in range(0, len(self), CHUNK):
            rows = slice(first, min(first + CHUNK, len(self)))
            ends = (int(self.cell[at]) // self.n_workloads for at in (rows.start, rows.stop - 1))
            low, high = ends
            yield rows, slice(low * self.n_workloads, (high + 1) * self.n_workloads)


@dataclass(frozen=True)
class Rows:
    """Groups, one or more for each number of co-runners that occurs."""

    groups: tuple[Group, ...]
    shape: tuple[int, int]

    @classmethod
    def of(
        cls, observations: Observations, n_platforms: int, n_workloads: int, fold: Array | None = None
    ) -> Self:
        """Equal rows of the same fold (N,) become one: memory then depends on how many differ, and sweeps too."""
        n_co, groups = observations.n_co_runners, []
        for n in np.flatnonzero(np.bincount(n_co)).tolist():
            at = np.flatnonzero(n_co == n)
            groups.append(_merged(observations, at, n, (n_platforms, n_workloads), fold))
        return cls(tuple(groups), (n_platforms, n_workloads))

    @property
    def total(self) -> int:
        return sum(len(group) for group in self.groups)

    def without(self, fold: int) -> Rows:
        """The same with the rows of a fold thought away."""
        groups = (replace(g, count=np.where(g.fold == fold, np.float32(0), g.count)) for g in self.groups)
        return Rows(tuple(groups), self.shape)

    def with_all_of(self, others: Rows) -> Rows:
        return Rows((*self.groups, *others.groups), self.shape)


def bins(log_ns: Array) -> NDArray[np.int64]:
    """(n,) the bin of each ln time, in which equal rows are merged."""
    return np.floor(log_ns / BIN).astype(np.int64)


def sizes_of(shape: tuple[int, int], n_co: int) -> list[int]:
    """How many values each column has that tells rows with so many co-runners apart: cell, co-runners, limit, bin."""
    return [shape[0] * shape[1], *[shape[1]] * n_co, 2, BINS]


def _merged(rows: Observations, at: Array, n_co: int, shape: tuple[int, int], fold: Array | None) -> Group:
    platform = rows.platform[at].astype(np.int32)
    first = platform * np.int32(shape[1])
    beside = [first + rows.co_runners[at, column] for column in range(n_co)]
    cell, log_ns, censored = first + rows.workload[at], rows.log_ns[at], ~rows.measured[at]
    folds = np.zeros(len(at), np.int8) if fold is None else fold[at].astype(np.int8)
    count = np.ones(len(at)) if rows.count is None else rows.count[at].astype(np.float64)
    columns: Sequence[tuple[Array, int]] = [
        (cell, shape[0] * shape[1]),
        *((k - first, shape[1]) for k in beside),
        (censored, 2),
        (bins(log_ns), BINS),
        (folds, int(folds.max(initial=0)) + 1),
    ]
    order, begins = sorted_runs(packed(columns))
    total = np.add.reduceat(count[order], begins)
    mean = np.add.reduceat((log_ns * count)[order], begins) / total
    kept = order[begins]
    return Group(
        cell[kept],
        np.stack([k[kept] for k in beside]) if beside else np.zeros((0, len(kept)), np.int32),
        mean,
        total.astype(np.float32),
        censored[kept],
        folds[kept],
        shape[1],
    )
