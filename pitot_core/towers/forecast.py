"""Predictions from the finished embeddings: dense tables once, then a few gathers per query."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import Queries

Array = NDArray[Any]
CHUNK = 1 << 16
TRUSTED = 0.5  # ln units: members that disagree by this much move a cell half as far from its baseline


class Forecast:
    """Tables of E members: Eq. 9 averaged over the members.

    Far from every observation members may be off by factors of thousands, each in its own direction; so the mean
    of their work terms is shrunk by 1/(1 + (variance/τ²)²), which is next to 1 wherever they agree.

    tables (E, P, 1+2s, W, H) float32 as in `interference`; base (E, P, W) each member's log C̄ in ln ns.
    """

    def __init__(
        self, platforms: Array, workloads: Array, base: Array, *, rank: int, types: int, slope: float
    ) -> None:
        members, n_platforms, _ = platforms.shape
        n_workloads = workloads.shape[1]
        heads = workloads.shape[2] // rank
        left = platforms.reshape(members, n_platforms * (1 + 2 * types), rank)
        right = workloads.reshape(members, n_workloads * heads, rank)
        tables = np.matmul(left, right.swapaxes(1, 2)).reshape(
            members, n_platforms, 1 + 2 * types, n_workloads, heads
        )
        work = tables[:, :, 0]
        trust = 1.0 / (1.0 + (work.var(axis=0) / TRUSTED**2) ** 2)
        self.alone = base.mean(axis=0)[..., None] + work.mean(axis=0) * trust  # (P, W, H)
        self.suffers = np.ascontiguousarray(tables[:, :, 1 : 1 + types].swapaxes(1, 2))  # (E, s, P, W, H)
        self.presses = np.ascontiguousarray(tables[:, :, 1 + types :].swapaxes(1, 2))
        self.heads, self.types, self.slope = heads, types, slope
        self.n_workloads = n_workloads

    def __call__(self, queries: Queries) -> NDArray[np.float64]:
        """(M, H) log Ĉ in ln ns."""
        out = np.empty((len(queries), self.heads))
        for start in range(0, len(queries), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = self._chunk(queries.platform[part], queries.workload[part], queries.co_runners[part])
        return out

    def _chunk(self, platform: Array, workload: Array, co_runners: Array) -> NDArray[np.float64]:
        cell = platform.astype(np.int64) * self.n_workloads + workload
        out = np.asarray(self.alone.reshape(-1, self.heads).take(cell, axis=0), np.float64)
        if self.types:
            n_co = np.count_nonzero(co_runners >= 0, axis=1)
            for n in np.unique(n_co[n_co > 0]):
                rows = np.flatnonzero(n_co == n)
                out[rows] += self._interference(cell[rows], platform[rows], co_runners[rows, :n])
        return out

    def _interference(self, cell: Array, platform: Array, co_runners: Array) -> Array:
        """(M, H) mean over members of Σ_t v_s·w_i α(Σ_k v_g·w_k)."""
        members = len(self.suffers)
        pressing = [
            platform.astype(np.int64) * self.n_workloads + co_runners[:, k]
            for k in range(co_runners.shape[1])
        ]
        total = np.zeros((len(cell), self.heads), np.float32)
        for member in range(members):
            for t in range(self.types):
                presses = self.presses[member, t].reshape(-1, self.heads)
                load = presses.take(pressing[0], axis=0)
                for k in pressing[1:]:
                    load += presses.take(k, axis=0)
                load = np.where(load > 0, load, self.slope * load)  # α, also for slopes above 1
                load *= self.suffers[member, t].reshape(-1, self.heads).take(cell, axis=0)
                total += load
        total /= members
        return total
