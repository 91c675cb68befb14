"""Observations as the solver reads them: distinct rows, each with how often it was seen, by number of co-runners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import Observations

Array = NDArray[Any]


@dataclass(frozen=True)
class Group:
    """n distinct rows with the same number N of co-runners, sorted by cell.

    cell      (n,) table cells j·W + i
    beside    (N, n) table cells j·W + k of the co-runners
    log_ns    (n,) mean ln ns of the equal rows, or a limit that the time is above
    count     (n,) how many rows there were
    censored  (n,) bool: log_ns is only a limit
    """

    cell: NDArray[np.int64]
    beside: NDArray[np.int64]
    log_ns: NDArray[np.float64]
    count: NDArray[np.float64]
    censored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.cell)


@dataclass(frozen=True)
class Rows:
    """Groups by falling number of co-runners are not needed: one per number that occurs, in rising order."""

    groups: tuple[Group, ...]
    shape: tuple[int, int]

    @classmethod
    def of(cls, observations: Observations, n_platforms: int, n_workloads: int) -> Self:
        """Equal rows become one: memory then depends on how many differ, and sweeps on that too."""
        n_co, groups = observations.n_co_runners, []
        for n in np.unique(n_co):
            some = observations if (n_co == n).all() else observations[n_co == n]
            groups.append(_merged(some, int(n), n_workloads))
        return cls(tuple(groups), (n_platforms, n_workloads))

    @property
    def total(self) -> int:
        return sum(len(group) for group in self.groups)


def _merged(rows: Observations, n_co: int, n_workloads: int) -> Group:
    platform = rows.platform.astype(np.int64)
    cell = platform * n_workloads + rows.workload
    key, size = cell.copy(), float(n_workloads) * (int(platform.max()) + 1)
    beside = rows.co_runners[:, :n_co].astype(np.int64)
    size *= float(n_workloads) ** n_co * 2.0
    censored = ~rows.measured
    if size < 2.0**62:
        for column in range(n_co):
            key *= n_workloads
            key += beside[:, column]
        key *= 2
        key += censored
        _, first, inverse, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    else:
        table = np.column_stack([cell, beside, censored])
        _, first, inverse, count = np.unique(
            table, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
    mean = np.bincount(inverse.reshape(-1), rows.log_ns, len(first)) / count
    pressing = np.ascontiguousarray(platform[first] * n_workloads + beside[first].T)
    return Group(cell[first], pressing, mean, count.astype(np.float64), censored[first])
