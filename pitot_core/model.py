"""Pitot: matrix completion that knows interference, with bounds that hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core import persist
from pitot_core.baseline import Baseline
from pitot_core.conformal import Calibration, PoolSize, check_eps
from pitot_core.errors import NotFitted, ObservationsError, UnknownEntity
from pitot_core.features import Features, Scaler
from pitot_core.forecast import Forecast
from pitot_core.losses import Loss
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.splits import folds, split
from pitot_core.training import Progress, Task, member_baselines, offsets, train


@dataclass(frozen=True)
class Learned:
    """All that predictions need, as arrays (E members, P platforms, W workloads, H heads)."""

    platforms: NDArray[np.float32]
    workloads: NDArray[np.float32]
    startup: NDArray[np.float64]
    platform_level: NDArray[np.float64]
    workload_level: NDArray[np.float64]
    seen_platforms: NDArray[np.bool_]
    seen_workloads: NDArray[np.bool_]
    rank: int
    types: int

    @property
    def heads(self) -> int:
        return int(self.workloads.shape[2]) // self.rank


class Pitot:
    """Predicts execution times of workloads on platforms, alone or beside others.

    Options are those of `Settings`. After `fit`: settings, features, learned, calibration, rows_used (a count
    by role) are attributes. Times are nanoseconds everywhere.
    """

    def __init__(self, rank: int | None = None, **options: Any) -> None:
        self.settings = Settings(rank=rank, **options)
        self.features: Features | None = None
        self.learned: Learned | None = None
        self.calibration = Calibration()
        self.rows_used: dict[str, int] = {}
        self.card: dict[str, Any] = {}
        self._forecast: Forecast | None = None

    # Fitting

    def fit(
        self,
        observations: Observations,
        features: Features,
        *,
        calibration: Observations | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from observations.

        Calibration rows choose nothing: they are taken off first (`calibration_share`, by job) unless given.
        Raises ObservationsError when there is nothing to train on, UnknownEntity for rows outside the tables.
        """
        settings = self.settings
        features.check(observations)
        if not len(observations):
            raise ObservationsError("there are no observations to train on")
        if calibration is None:
            share = settings.calibration_share
            parts = split(
                observations, train=1 - share, calibration=share, by=settings.split_by, seed=settings.seed
            )
            calibration, observations = observations[parts.calibration], observations[parts.train]
        features.check(calibration)
        if settings.interference == "discarded":
            observations = observations[observations.n_co_runners == 0]
        n_platforms, n_workloads = len(features.platform_names), len(features.workload_names)
        fold = folds(observations, settings.folds, by=settings.split_by, seed=settings.seed)
        baselines = member_baselines(observations, fold, settings, n_platforms, n_workloads)
        x_w = self._scaler(features.workloads, settings.workload_features)(features.workloads)
        x_p = self._scaler(features.platforms, settings.platform_features)(features.platforms)
        sized = settings.sized(len(observations), n_platforms + n_workloads)
        name = "proportional" if settings.objective == "proportional" else settings.loss
        loss = Loss(name, settings.huber_delta, settings.quantiles)
        task = Task(observations, x_w, x_p, offsets(baselines, observations), fold)
        trained = train(task, settings, sized, loss, progress)
        self.features = features
        seen_platforms, seen_workloads = _seen(observations, n_platforms, n_workloads)
        self.learned = Learned(
            platforms=trained.platforms,
            workloads=trained.workloads,
            seen_platforms=seen_platforms,
            seen_workloads=seen_workloads,
            rank=sized.rank,
            types=trained.shape.types,
            **_stack(baselines),
        )
        self._forecast = None
        self.rows_used = {"training": len(observations), "calibration": len(calibration)}
        self._calibrate(calibration)
        return self

    def _scaler(self, table: NDArray[np.float64], used: bool) -> Scaler:
        return Scaler.of(table, standardise=self.settings.standardise) if used else Scaler.none()

    def _calibrate(self, rows: Observations) -> None:
        location, scale = self._candidates(rows)
        choosing = (folds(rows, 2, by=self.settings.split_by, seed=self.settings.seed + 1) == 0) & (len(location) > 1)
        self.calibration = Calibration.of(rows.log_ns, location, scale, rows.n_co_runners, choosing)

    # Asking

    def predict(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) expected execution time in ns. Raises NotFitted, UnknownEntity."""
        self._check(queries)
        return np.asarray(np.exp(self.forecast(queries)[:, 0]))

    def bound(self, queries: Queries, eps: float) -> NDArray[np.float64]:
        """(M,) ns that the time stays below with probability ≥ 1 − ε; inf where calibration is too small.

        Raises UncalibratedDegree for a number of co-runners without calibration rows.
        """
        check_eps(eps)
        self._check(queries)
        location, scale = self._candidates(queries)
        return np.asarray(np.exp(self.calibration.bound(location, scale, queries.n_co_runners, eps)))

    def pools(self) -> dict[int, PoolSize]:
        """By number of co-runners: calibration rows and the smallest ε with a finite bound."""
        return self.calibration.sizes()

    @property
    def forecast(self) -> Forecast:
        if self.learned is None:
            raise NotFitted
        if self._forecast is None:
            known = self.learned
            base = np.logaddexp(
                known.startup[:, :, None], known.platform_level[:, :, None] + known.workload_level[:, None, :]
            )
            self._forecast = Forecast(
                known.platforms,
                known.workloads,
                base,
                rank=known.rank,
                types=known.types,
                slope=self.settings.negative_slope,
            )
        return self._forecast

    def _candidates(self, queries: Queries) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Location and scale (C, M) of every candidate for a bound."""
        location = self.forecast(queries).T
        return location, np.ones_like(location)

    def _check(self, queries: Queries) -> None:
        if self.learned is None or self.features is None:
            raise NotFitted
        self.features.check(queries)
        _refuse_unseen(
            queries.platform, self.learned.seen_platforms, "platform", self.features.platform_names
        )
        seen = self.learned.seen_workloads
        _refuse_unseen(queries.workload, seen, "workload", self.features.workload_names)
        co_runners = queries.co_runners[queries.co_runners >= 0]
        _refuse_unseen(co_runners, seen, "workload", self.features.workload_names)

    # Keeping

    def save(self, path: str | Path) -> None:
        """Write one .npz with a JSON header."""
        persist.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ModelFileError for anything else."""
        model = cls()
        persist.restore(model, Path(path))
        return model


def _stack(baselines: Iterable[Baseline]) -> dict[str, NDArray[np.float64]]:
    kept = list(baselines)
    return {
        "startup": np.stack([b.startup for b in kept]),
        "platform_level": np.stack([b.platform for b in kept]),
        "workload_level": np.stack([b.workload for b in kept]),
    }


def _seen(
    rows: Observations, n_platforms: int, n_workloads: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which platforms and workloads (as target or co-runner) have a training row."""
    platforms, workloads = np.zeros(n_platforms, bool), np.zeros(n_workloads, bool)
    platforms[rows.platform] = True
    workloads[rows.workload] = True
    return platforms, workloads


def _refuse_unseen(numbers: NDArray[Any], seen: NDArray[np.bool_], what: str, names: tuple[str, ...]) -> None:
    unseen = np.unique(numbers[~seen[numbers]])
    if len(unseen):
        more = f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""
        raise UnknownEntity(
            f"{what} {names[int(unseen[0])]!r}{more} was never observed in training; "
            f"measure it on at least one {'platform' if what == 'workload' else 'workload'} first"
        )
