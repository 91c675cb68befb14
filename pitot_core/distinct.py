"""Distinct rows and how often each was seen, as whole numbers whose sums do not depend on their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.keys import Words, packed, shares, sorted_runs, unpacked
from pitot_core.numbering import MAX_CO_RUNNERS
from pitot_core.observations import Observations, jobs_of
from pitot_core.tables.rows import bins, sizes_of

Array = NDArray[Any]
UNIT = 2.0**-30  # ln units


class Store:
    """Distinct rows of one number of co-runners: words that tell them apart, count and sum of whole times."""

    def __init__(self, sizes: list[int]) -> None:
        self.words: Words = packed([(np.zeros(0, np.int64), size) for size in sizes])
        self.count, self.total = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._waiting: list[tuple[Words, Array, Array]] = []
        self.pending = 0

    def __len__(self) -> int:
        return len(self.count)

    def add(self, words: Words, log_ns: Array, times: Array) -> None:
        count = times.astype(np.int64)
        self._waiting.append((words, count, whole(log_ns) * count))
        self.pending += len(count)

    def join(self, other: Store) -> None:
        """What another one of these sizes was given too."""
        self._waiting += [(other.words, other.count, other.total), *other._waiting]
        self.pending += len(other) + other.pending

    def merge(self) -> None:
        if not self._waiting:
            return
        parts = [(self.words, self.count, self.total), *self._waiting]
        self._waiting, self.pending = [], 0
        words = [np.concatenate(columns) for columns in zip(*(part[0] for part in parts), strict=True)]
        count, total = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        del parts
        order, begins = sorted_runs(words)
        self.count, self.total = (np.add.reduceat(values[order], begins) for values in (count, total))
        self.words = [word[order[begins]] for word in words]

    def keep(self, wanted: Callable[[Words], NDArray[np.bool_]]) -> None:
        kept = wanted(self.words)
        self.words = [word[kept] for word in self.words]
        self.count, self.total = self.count[kept], self.total[kept]


def observations_of(store: Store, n_co: int, shape: tuple[int, int]) -> Observations:
    """Distinct rows with their counts; those of one platform and set of workloads share a job."""
    platform, workload, beside = asked_by(store.words, n_co, shape)
    *_, censored, _ = unpacked(store.words, sizes_of(shape, n_co))
    job = jobs_of(platform, workload, beside)
    log_ns = store.total / store.count * UNIT
    return Observations(
        platform,
        workload,
        beside,
        log_ns,
        job,
        censored.astype(bool),
        None,
        store.count.astype(np.float32),
    )


def words_of(rows: Observations, n_co: int, shape: tuple[int, int]) -> Words:
    """What tells rows with so many co-runners apart, in the order of `sizes_of`."""
    cell = rows.platform.astype(np.int64) * shape[1] + rows.workload
    columns = [cell, *rows.co_runners[:, :n_co].T, ~rows.measured, bins(rows.log_ns)]
    return packed(list(zip(columns, sizes_of(shape, n_co), strict=True)))


def asked_by(words: Words, n_co: int, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """platform, workload (n,) and co_runners (n, 3) again."""
    cell, *columns = unpacked(words, sizes_of(shape, n_co))
    platform, workload = np.divmod(cell.astype(np.int32), np.int32(shape[1]))
    beside = np.full((len(cell), MAX_CO_RUNNERS), -1, np.int32)
    for column, values in enumerate(columns[:n_co]):
        beside[:, column] = values
    return platform, workload, beside


def sets(platform: Array, workload: Array, co_runners: Array) -> NDArray[np.float64]:
    return shares(jobs_of(platform, workload, co_runners).view(np.uint64) << np.uint64(1))


def whole(log_ns: Array) -> NDArray[np.int64]:
    return np.rint(log_ns / UNIT).astype(np.int64)
