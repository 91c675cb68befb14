"""What a fitted model is, and how it learns newcomers: the half of Pitot that needs no training loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.candidates import Candidates
from pitot_core.conformal import Calibration
from pitot_core.errors import FeaturesError, NotFitted, ObservationsError
from pitot_core.features import Features, Scaler
from pitot_core.forecast import Forecast
from pitot_core.learned import Learned
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.spread import Spread
from pitot_core.update import learn_platform, learn_workload, relearned, with_platform, with_workload

Array = NDArray[Any]


class Fitted:
    """The state of a model. Attributes are described in `Pitot`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.features: Features | None = None
        self.learned: Learned | None = None
        self.heads: Learned | None = None
        self.spread: Spread | None = None
        self.seen_platforms = np.zeros(0, bool)
        self.seen_workloads = np.zeros(0, bool)
        self.new_platforms = np.zeros(0, bool)
        self.new_workloads = np.zeros(0, bool)
        self.calibration = Calibration()
        self.new_calibration: dict[str, Calibration] = {}
        self.calibration_rows: Observations | None = None
        self.rows_used: dict[str, int] = {}
        self.fingerprint = ""
        self.card: dict[str, Any] = {}

    @property
    def forecast(self) -> Forecast:
        if self.learned is None:
            raise NotFitted
        return self.learned.forecast

    @property
    def _features(self) -> Features:
        if self.features is None:
            raise NotFitted
        return self.features

    @property
    def _candidates(self) -> Candidates:
        if self.heads is None and self.spread is None:
            return Candidates((), False)
        return Candidates(self.settings.quantiles, self.spread is not None)

    @property
    def _point_head(self) -> int:
        return self.settings.quantiles.index(0.5) if self.settings.bounds == "shared" else 0

    def _point(self, queries: Queries) -> Array:
        """(M,) log Ĉ."""
        return self.forecast(queries)[:, self._point_head]

    def _quantile(self, queries: Queries, point: Array | None = None) -> Array | None:
        """(Q, M) quantiles of log C*, or None where there are no heads; `point` replaces log Ĉ."""
        if self.heads is not None:
            quantile = self.heads.forecast(queries).T
            return quantile if point is None else quantile + (point - self._point(queries))
        if self.spread is not None:
            return (self._point(queries) if point is None else point) + self.spread(queries).T
        return None

    def _located(self, queries: Queries, point: Array | None = None) -> tuple[Array, Array]:
        """Location and scale (C, M) of every candidate for a bound."""
        point = self._point(queries) if point is None else point
        return self._candidates.of(point, self._quantile(queries, point))

    def update(self, observations: Observations, features: Features | None = None) -> Self:
        """Learn workloads and platforms that no training row had, from a handful of observations of each.

        `features` are needed where the newcomers are not in the model's own tables: those tables with rows added
        at the end. Everything known stays as it is, to the bit; rows of known workloads on known platforms are
        not used. Bounds of newcomers come from calibration rows of their own kind (see `update`).
        Raises ObservationsError where nothing is new or a newcomer appears only as a co-runner.
        """
        if self.learned is None or self.calibration_rows is None:
            raise NotFitted
        if features is not None:
            self._extend(features)
        features = self._features
        features.check(observations)
        newcomers = {
            "platform": np.setdiff1d(observations.platform, np.flatnonzero(self.seen_platforms)),
            "workload": np.setdiff1d(observations.workload, np.flatnonzero(self.seen_workloads)),
        }
        if not any(len(numbers) for numbers in newcomers.values()):
            raise ObservationsError(
                "every workload and platform of these observations is known; fit again to use them"
            )
        for side, numbers in newcomers.items():
            for number in numbers:
                self._learn_one(side, int(number), observations)
        return self

    def _learn_one(self, side: str, new: int, observations: Observations) -> None:
        learned = self.learned
        assert learned is not None and self.calibration_rows is not None
        settings, features = self.settings, self._features
        known_workload = self.seen_workloads.copy()
        rows = observations[(observations.workload if side == "workload" else observations.platform) == new]
        if side == "workload":
            rows = rows[self.seen_platforms[rows.platform]]
            x = scaled(features.workloads, settings.workload_features, settings.standardise)
            known, names = self.seen_workloads & ~self.new_workloads, features.workload_names
        else:
            rows = rows[self.seen_workloads[rows.workload]]
            x = scaled(features.platforms, settings.platform_features, settings.standardise)
            known, names = self.seen_platforms & ~self.new_platforms, features.platform_names
        beside = rows.co_runners
        rows = rows[((beside < 0) | known_workload[beside]).all(axis=1)]
        if not len(rows):
            raise ObservationsError(
                f"{side} {names[new]!r} has no row beside known workloads on a known platform"
            )
        learn, place = (
            (learn_workload, with_workload) if side == "workload" else (learn_platform, with_platform)
        )
        before = learned
        self.learned = place(learned, new, *learn(learned, rows, x, known, new))
        if self.heads is before:
            self.heads = self.learned
        elif self.heads is not None:
            self.heads = place(self.heads, new, *learn(self.heads, rows, x, known, new))
        if self.spread is not None:
            self.spread = self.spread.with_newcomer(side, new, known)
        again, left = relearned(before, self.calibration_rows, side, x, known, len(rows))
        self._recalibrate(side, again, self.calibration_rows[left])
        mask, seen = (
            (self.new_workloads, self.seen_workloads)
            if side == "workload"
            else (self.new_platforms, self.seen_platforms)
        )
        mask[new] = seen[new] = True

    def _recalibrate(self, side: str, again: Learned, rows: Observations) -> None:
        """Pools of newcomers: scores of known entities made new again, with the usual choice rows."""
        location, scale = self._located(rows, again.forecast(rows)[:, self._point_head])
        score = np.asarray((rows.log_ns - location) / scale)
        pools = {}
        for n, pool in self.calibration.pools.items():
            own = np.sort(score[:, rows.n_co_runners == n], axis=1).astype(np.float32)
            pools[n] = replace(pool, scores=own)
        self.new_calibration[side] = Calibration(pools)

    def _newcomers(self, queries: Queries) -> dict[str, NDArray[np.bool_]]:
        """Rows that touch an updated workload or platform."""
        found = {}
        if self.new_workloads.any():
            beside = (queries.co_runners >= 0) & self.new_workloads[queries.co_runners]
            found["workload"] = self.new_workloads[queries.workload] | beside.any(axis=1)
        if self.new_platforms.any():
            found["platform"] = self.new_platforms[queries.platform]
        return found

    def _extend(self, features: Features) -> None:
        """Longer feature tables that begin with the present ones."""
        old = self._features
        n_w, n_p = len(old.workload_names), len(old.platform_names)
        same = (
            features.workload_names[:n_w] == old.workload_names
            and features.platform_names[:n_p] == old.platform_names
            and np.array_equal(features.workloads[:n_w], old.workloads)
            and np.array_equal(features.platforms[:n_p], old.platforms)
        )
        if not same:
            raise FeaturesError("features for an update must begin with the rows the model was fitted with")
        more_w, more_p = len(features.workload_names) - n_w, len(features.platform_names) - n_p
        shared = self.heads is self.learned
        assert self.learned is not None
        self.learned = self.learned.grown(more_w, more_p)
        self.heads = self.learned if shared else self.heads and self.heads.grown(more_w, more_p)
        self.spread = self.spread and self.spread.grown(more_w, more_p)
        grow = (("seen_workloads", more_w), ("new_workloads", more_w), ("seen_platforms", more_p))
        for name, more in (*grow, ("new_platforms", more_p)):
            setattr(self, name, np.append(getattr(self, name), np.zeros(more, bool)))
        self.features = features


def scaled(table: Array, used: bool, standardise: bool) -> Array:
    scaler = Scaler.of(table, standardise=standardise) if used else Scaler.none()
    return scaler(table)
