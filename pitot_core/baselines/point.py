"""A point prediction with split conformal bounds: what every baseline shares."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.conformal import PoolSize, check_eps, gamma, ranked, require
from pitot_core.errors import NotFitted, ObservationsError
from pitot_core.estimator import Estimator, constructor_options
from pitot_core.features import Features
from pitot_core.observations import Observations, Queries
from pitot_core.splits import split
from pitot_core.steps import Progress

Array = NDArray[Any]


class PointModel(Estimator):
    """Subclasses learn log times from rows; this class keeps calibration rows apart and makes bounds of them."""

    def __init__(self, *, calibration_share: float = 0.1, split_by: str = "job", seed: int = 0) -> None:
        self.calibration_share, self.split_by, self.seed = calibration_share, split_by, seed
        self.features: Features | None = None
        self.scores: dict[int, Array] = {}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every option by name."""
        return {name: getattr(self, name) for name in constructor_options(type(self))}

    def __repr__(self) -> str:
        return self._changed() if self.features is None else f"<{self._changed()}, fitted>"

    def fit(
        self,
        observations: Observations,
        features: Features,
        *,
        calibration: Observations | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from observations; calibration rows are taken off first unless given."""
        features.check(observations)
        observations = observations[observations.measured]
        if not len(observations):
            raise ObservationsError("there are no observations to train on")
        if calibration is None:
            share = self.calibration_share
            parts = split(observations, train=1 - share, calibration=share, by=self.split_by, seed=self.seed)
            calibration, observations = observations[parts.calibration], observations[parts.train]
        self.features = features
        self._learn(observations, features, progress)
        calibration = calibration[calibration.measured]
        score, n_co = calibration.log_ns - self._log_ns(calibration), calibration.n_co_runners
        self.scores = {int(n): ranked(score[n_co == n]) for n in np.unique(n_co)}
        return self

    @abstractmethod
    def _learn(self, rows: Observations, features: Features, progress: Progress | None) -> None: ...

    @abstractmethod
    def _log_ns(self, queries: Queries) -> Array:
        """(M,) predicted log time."""

    def predict(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) ns."""
        return np.asarray(np.exp(self._checked(queries)))

    def bound(self, queries: Queries, eps: float) -> NDArray[np.float64]:
        """(M,) ns that the time stays below with probability ≥ 1 − ε, by split conformal prediction."""
        check_eps(eps)
        log_bound = self._checked(queries).copy()
        n_co = queries.n_co_runners
        for n in np.unique(n_co):
            require(int(n), self.scores)
            log_bound[n_co == n] += gamma(self.scores[int(n)], eps)
        return np.asarray(np.exp(log_bound))

    def pools(self) -> dict[int, PoolSize]:
        return {n: PoolSize.of(n, len(scores)) for n, scores in sorted(self.scores.items())}

    def _checked(self, queries: Queries) -> Array:
        if self.features is None:
            raise NotFitted
        self.features.check(queries)
        return self._log_ns(queries)
