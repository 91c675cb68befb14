"""Gradient-boosted trees on the start-up residual: what a user would reach for instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.baselines.point import PointModel
from pitot_core.features import Features, Scaler
from pitot_core.observations import MAX_CO_RUNNERS, Observations, Queries
from pitot_core.steps import Progress

Array = NDArray[Any]
COMPONENTS = 6
FEW_ROWS = 20_000  # fewer are trained faster on one thread
ABSENT = -100.0  # ln ns of a co-runner that is not there


class Boosting(PointModel):
    """scikit-learn's HistGradientBoostingRegressor on log C* − log C̄.

    It sees x_p, x_w, the baseline's terms, and of the co-runners their number, their work on this platform and the
    sum of their leading principal components.
    """

    def __init__(
        self, *, iterations: int = 300, leaves: int = 31, startup: bool = True, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.iterations, self.leaves, self.startup = iterations, leaves, startup

    def _learn(self, rows: Observations, features: Features, progress: Progress | None) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        sizes = len(features.platform_names), len(features.workload_names)
        self.baseline = Baseline.fit(rows, *sizes, startup=self.startup)
        self.x_w = Scaler.of(features.workloads)(features.workloads)
        self.x_p = Scaler.of(features.platforms)(features.platforms)
        u, s, _ = np.linalg.svd(self.x_w, full_matrices=False)
        self.leading = (u * s)[:, :COMPONENTS]
        self.trees = HistGradientBoostingRegressor(
            max_iter=self.iterations, max_leaf_nodes=self.leaves, learning_rate=0.1, random_state=self.seed
        )
        residual = rows.log_ns - self.baseline(rows.platform, rows.workload)
        with threadpool_limits(1 if len(rows) < FEW_ROWS else None):
            self.trees.fit(self._table(rows), residual)

    def _table(self, rows: Queries) -> Array:
        j, i = rows.platform, rows.workload
        base = self.baseline
        sorted_work = np.full((len(rows), MAX_CO_RUNNERS), ABSENT)
        summed = np.zeros((len(rows), self.leading.shape[1]))
        for column in range(MAX_CO_RUNNERS):
            at = np.flatnonzero(rows.co_runners[:, column] >= 0)
            k = rows.co_runners[at, column]
            sorted_work[at, column] = base(j[at], k)
            summed[at] += self.leading[k]
        sorted_work = np.sort(sorted_work, axis=1)
        own = np.column_stack(
            [base(j, i), base.startup[j], base.platform[j], base.workload[i], rows.n_co_runners]
        )
        return np.hstack([self.x_p[j], self.x_w[i], own, sorted_work, summed]).astype(np.float32)

    def _log_ns(self, queries: Queries) -> Array:
        residual = self.trees.predict(self._table(queries)) if len(queries) else np.zeros(0)
        return np.asarray(self.baseline(queries.platform, queries.workload) + residual)
