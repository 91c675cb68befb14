"""The baselines of Eq. 2 alone: a number per platform and workload, with or without start-up."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.baselines.point import PointModel
from pitot_core.features import Features
from pitot_core.observations import Observations, Queries
from pitot_core.steps import Progress


class LogLinear(PointModel):
    """log Ĉ = p̄_j + w̄_i, blind to co-runners."""

    startup = False

    def _learn(self, rows: Observations, features: Features, progress: Progress | None) -> None:
        sizes = len(features.platform_names), len(features.workload_names)
        self.baseline = Baseline.fit(rows, *sizes, startup=self.startup)

    def _log_ns(self, queries: Queries) -> NDArray[Any]:
        return self.baseline(queries.platform, queries.workload)


class StartUp(LogLinear):
    """log Ĉ = logaddexp(u_j, p̄_j + w̄_i), blind to co-runners."""

    startup = True
