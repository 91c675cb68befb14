"""Matrix factorisation: embeddings alone, isolated rows alone (METHOD section 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.baselines.point import PointModel
from pitot_core.features import Features
from pitot_core.observations import Observations, Queries
from pitot_core.splits import folds
from pitot_core.steps import Progress

Array = NDArray[Any]


class MatrixFactorisation(PointModel):
    """log Ĉ = p̄_j + w̄_i + w_i · p_j by alternating ridge regressions; blind to features and co-runners.

    The ridge is the one of `ridges` with the smallest error on a fold of the training rows.
    """

    def __init__(
        self,
        *,
        rank: int = 32,
        sweeps: int = 15,
        ridges: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0),
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.rank, self.sweeps, self.ridges = rank, sweeps, ridges

    def _learn(self, rows: Observations, features: Features, progress: Progress | None) -> None:
        sizes = len(features.platform_names), len(features.workload_names)
        self.baseline = Baseline.fit(rows, *sizes, startup=False)
        alone = rows[rows.n_co_runners == 0] if np.any(rows.n_co_runners == 0) else rows
        residual = alone.log_ns - self.baseline(alone.platform, alone.workload)
        held = folds(alone, 5, by=self.split_by, seed=self.seed) == 0
        errors = []
        for ridge in self.ridges:
            p, w = self._alternate(alone[~held], residual[~held], sizes, ridge)
            off = residual[held] - np.einsum("nr,nr->n", p[alone.platform[held]], w[alone.workload[held]])
            errors.append(float(np.mean(np.abs(off))))
        self.platforms, self.workloads = self._alternate(
            alone, residual, sizes, self.ridges[int(np.argmin(errors))]
        )

    def _alternate(
        self, rows: Observations, y: Array, sizes: tuple[int, int], ridge: float
    ) -> tuple[Array, Array]:
        rng = np.random.default_rng(self.seed)
        p = rng.standard_normal((sizes[0], self.rank)) * 0.1
        w = rng.standard_normal((sizes[1], self.rank)) * 0.1
        for _ in range(self.sweeps):
            p = _regress(rows.platform, w[rows.workload], y, sizes[0], ridge)
            w = _regress(rows.workload, p[rows.platform], y, sizes[1], ridge)
        return p, w

    def _log_ns(self, queries: Queries) -> Array:
        product = np.einsum("nr,nr->n", self.platforms[queries.platform], self.workloads[queries.workload])
        return np.asarray(self.baseline(queries.platform, queries.workload) + product)


def _regress(group: Array, x: Array, y: Array, groups: int, ridge: float) -> Array:
    """(groups, r): ridge regression of y on x within each group."""
    rank = x.shape[1]
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(groups + 1))
    gram = np.tile(ridge * np.eye(rank), (groups, 1, 1))
    right = np.zeros((groups, rank, 1))
    for g in range(groups):
        rows = order[edges[g] : edges[g + 1]]
        gram[g] += x[rows].T @ x[rows]
        right[g, :, 0] = x[rows].T @ y[rows]
    return np.asarray(np.linalg.solve(gram, right)[..., 0])
