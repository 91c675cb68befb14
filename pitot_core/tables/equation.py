"""Eq. 9 over dense tables: a few gathers per question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import MAX_CO_RUNNERS, Queries

Array = NDArray[Any]
CHUNK = 1 << 16


@dataclass(frozen=True)
class Equation:
    """log Ĉ_ijK = alone_ji + Σ_t S⁽ᵗ⁾_ji α(Σ_{k∈K} G⁽ᵗ⁾_jk).

    alone (P, W) float64 in ln ns; suffers S and presses G (s, P, W) float32; slope of α below zero.
    """

    alone: Array
    suffers: Array
    presses: Array
    slope: float

    def __call__(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns."""
        out = np.empty(len(queries))
        for start in range(0, len(queries), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = self._chunk(queries.platform[part], queries.workload[part], queries.co_runners[part])
        return out

    def loads(self, row: Array, co_runners: Array) -> list[Array]:
        """For each type Σ_k G (n,), of rows j·W (n,) and co-runners (n, N), all present."""
        found = []
        for presses in self.presses:
            flat = presses.reshape(-1)
            load = flat.take(row + co_runners[:, 0])
            for column in range(1, co_runners.shape[1]):
                load += flat.take(row + co_runners[:, column])
            found.append(load)
        return found

    def alpha(self, load: Array) -> Array:
        return np.where(load > 0, load, np.float32(self.slope) * load)

    def _chunk(self, platform: Array, workload: Array, co_runners: Array) -> NDArray[np.float64]:
        row = platform.astype(np.int64) * self.alone.shape[1]
        cell = row + workload
        out = self.alone.reshape(-1).take(cell)
        if len(self.suffers):
            n_co = np.count_nonzero(co_runners >= 0, axis=1)
            for n in range(1, MAX_CO_RUNNERS + 1):
                rows = np.flatnonzero(n_co == n)
                if len(rows):
                    loads = self.loads(row[rows], co_runners[rows, :n])
                    for suffers, load in zip(self.suffers, loads, strict=True):
                        out[rows] += suffers.reshape(-1).take(cell[rows]) * self.alpha(load)
        return np.asarray(out)
