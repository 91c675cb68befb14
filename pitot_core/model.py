"""Pitot: matrix completion that knows interference, with bounds that hold."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core import persist
from pitot_core.baseline import Baseline
from pitot_core.conformal import Calibration, PoolSize, Scored, check_eps
from pitot_core.errors import NotFitted, ObservationsError, UnknownEntity
from pitot_core.explain import Explanation, explain
from pitot_core.features import Features
from pitot_core.fitted import Fitted, scaled
from pitot_core.learned import Learned
from pitot_core.losses import Loss
from pitot_core.observations import Observations, Queries
from pitot_core.settings import SMALL, Settings
from pitot_core.splits import folds, split
from pitot_core.spread import Spread
from pitot_core.training import Progress, Task, Trained, train

Array = NDArray[Any]


class Pitot(Fitted):
    """Predicts execution times of workloads on platforms, alone or beside others.

    Options are those of `Settings`. After `fit` these are attributes: settings, features, learned (the point
    model), heads (a second one with quantile heads, or None), spread (or None), calibration, rows_used (a count
    by role), fingerprint (of the rows) and card, a free dict of figures that is kept with the model. Times are
    nanoseconds everywhere.
    """

    def __init__(self, rank: int | None = None, **options: Any) -> None:
        super().__init__(Settings(rank=rank, **options))

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """The paper's configuration (METHOD section 4) with its slips repaired; `changes` are further options."""
        model = cls()
        model.settings = Settings.published(**changes)
        return model

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
        rows = observations
        if settings.interference == "discarded":
            rows = observations[observations.n_co_runners == 0]
            if not len(rows):
                raise ObservationsError(
                    'there are no isolated rows, and interference="discarded" drops the others'
                )
        self.features, self.fingerprint = features, _fingerprint(observations, calibration)
        self.seen_platforms, self.seen_workloads = _seen(rows, features)
        self.new_platforms = np.zeros_like(self.seen_platforms)
        self.new_workloads = np.zeros_like(self.seen_workloads)
        self.new_calibration, self.calibration_rows = {}, calibration
        self.rows_used = {"training": len(rows), "calibration": len(calibration)}
        self._calibrate(calibration, self._train(rows, progress))
        return self

    def _train(self, rows: Observations, progress: Progress | None) -> Scored:
        """Train, and return rows left out by their members: the ones that choose between bounds."""
        settings, features = self.settings, self._features
        fold = folds(rows, settings.folds, by=settings.split_by, seed=settings.seed)
        baselines = self._baselines(rows, fold)
        x_w = scaled(features.workloads, settings.workload_features, settings.standardise)
        x_p = scaled(features.platforms, settings.platform_features, settings.standardise)
        sized = settings.sized(len(rows))
        offset = np.stack([baseline(rows.platform, rows.workload) for baseline in baselines])
        task = Task("training", rows, x_w, x_p, offset, fold)
        trained = train(task, settings, sized, self._point_loss(), progress)
        self.learned = Learned.of(trained, baselines, settings.negative_slope)
        held, point = _left_out(task, trained, settings, self._point_head)
        self.heads, self.spread, quantile = None, None, None
        if settings.bounds == "heads":
            loss = Loss("pinball", quantiles=settings.quantiles)
            second = train(replace(task, phase="heads"), settings, sized, loss, progress)
            self.heads = Learned.of(second, baselines, settings.negative_slope)
            quantile = _left_out(task, second, settings, slice(None))[1].T
        elif settings.bounds == "shared":
            self.heads = self.learned
            quantile = _left_out(task, trained, settings, slice(None))[1].T
        elif settings.bounds == "spread" and len(held) >= SMALL:
            self.spread, left_out = Spread.fit(rows[held], point, x_w, x_p, settings, progress)
            kept = ~np.isnan(left_out[:, 0])
            held, point = held[kept], point[kept]
            quantile = point + left_out[kept].T
        location, scale = self._candidates.of(point, quantile)
        return Scored(rows.log_ns[held], rows.n_co_runners[held], location, scale)

    def _baselines(self, rows: Observations, fold: NDArray[np.int64]) -> list[Baseline]:
        """Each member's baseline, fitted on the rows it trains on."""
        settings = self.settings
        sizes = len(self._features.platform_names), len(self._features.workload_names)
        if settings.objective == "log":
            return [Baseline.constant(rows, *sizes)] * settings.members
        startup = settings.baseline == "start-up"
        everything = Baseline.fit(rows, *sizes, startup=startup)
        if len(rows) < SMALL:  # every row counts, and the folds still choose the checkpoint
            return [everything] * settings.members
        by_fold = []
        for held in range(min(settings.members, settings.folds)):
            kept = rows[fold != held]
            start = everything if startup else None
            by_fold.append(
                Baseline.fit(kept, *sizes, startup=startup, start=start) if len(kept) else everything
            )
        return [by_fold[m % settings.folds] for m in range(settings.members)]

    def _point_loss(self) -> Loss:
        settings = self.settings
        if settings.bounds == "shared":
            return Loss("pinball", quantiles=settings.quantiles)
        if settings.objective == "proportional":
            return Loss("proportional")
        if settings.loss == "pinball":
            return Loss("pinball", quantiles=(0.5,))
        return Loss(settings.loss, settings.sized(self.rows_used["training"]).huber_delta)

    def _calibrate(self, rows: Observations, choosing: Scored) -> None:
        location, scale = self._located(rows)
        scored = Scored(rows.log_ns, rows.n_co_runners, location, scale)
        self.calibration = Calibration.of(scored, choosing)

    # Asking

    def predict(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) expected execution time in ns. Raises NotFitted, UnknownEntity."""
        self._check(queries)
        return np.asarray(np.exp(self._point(queries)))

    def bound(self, queries: Queries, eps: float, *, method: str = "chosen") -> NDArray[np.float64]:
        """(M,) ns that the time stays below with probability ≥ 1 − ε; inf where calibration is too small.

        method: "chosen" (the candidate of least margin), "plain" (split conformal on the prediction) or "naive"
        (the quantile head nearest to 1 − ε). Raises UncalibratedDegree for a number of co-runners without
        calibration rows.
        """
        check_eps(eps)
        allowed = self._candidates.allowed(method, eps)
        self._check(queries)
        n_co = queries.n_co_runners
        point, quantile = self._point(queries), self._quantile(queries)
        newcomers = self._newcomers(queries)
        bound = np.empty(len(queries))
        for n in np.unique(n_co):
            rows = np.flatnonzero(n_co == n)
            candidate, gamma = self.calibration.pick(int(n), eps, allowed)
            of_rows = None if quantile is None else quantile[:, rows]
            location, scale = self._candidates.one(candidate, point[rows], of_rows)
            bound[rows] = location + gamma * scale
            for side, touched in newcomers.items():
                some = touched[rows]
                own = self.new_calibration[side].pools[int(n)].gamma(candidate, eps)
                bound[rows[some]] = np.maximum(bound[rows[some]], location[some] + own * scale[some])
        return np.asarray(np.exp(bound))

    def explain(self, queries: Queries, *, nearest: int = 3) -> Explanation:
        """Start-up, work and interference parts of each prediction in ns, and what behaves alike."""
        self._check(queries)
        if self.learned is None:
            raise NotFitted
        names = self._features.workload_names, self._features.platform_names
        seen = self.seen_workloads, self.seen_platforms
        return explain(self.learned, queries, self._point_head, names, seen, nearest)

    def pools(self) -> dict[int, PoolSize]:
        """By number of co-runners: calibration rows and the smallest ε with a finite bound."""
        return self.calibration.sizes()

    def chosen(self, eps: float) -> dict[int, str]:
        """By number of co-runners: the name of the candidate that gives the bound at ε."""
        check_eps(eps)
        names = self._candidates.names
        return {n: names[pool.choose(eps, range(len(names)))] for n, pool in self.calibration.pools.items()}

    def knows(self, queries: Queries) -> NDArray[np.bool_]:
        """(M,) whether everything a query names was observed in training; what only ran beside others was not."""
        seen = np.append(self.seen_workloads, True)  # the last is −1: no co-runner
        beside = seen[queries.co_runners].all(axis=1)
        return np.asarray(
            self.seen_platforms[queries.platform] & self.seen_workloads[queries.workload] & beside
        )

    def _check(self, queries: Queries) -> None:
        features = self._features
        features.check(queries)
        _refuse_unseen(queries.platform, self.seen_platforms, "platform", features.platform_names)
        _refuse_unseen(queries.workload, self.seen_workloads, "workload", features.workload_names)
        co_runners = queries.co_runners[queries.co_runners >= 0]
        _refuse_unseen(co_runners, self.seen_workloads, "workload", features.workload_names)

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


def _fingerprint(*parts: Observations) -> str:
    """SHA-256 of the rows a model learned from."""
    digest = hashlib.sha256()
    for rows in parts:
        for array in (rows.platform, rows.workload, rows.co_runners, rows.log_ns):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _left_out(task: Task, trained: Trained, settings: Settings, head: int | slice) -> tuple[Array, Array]:
    """Rows that some member was not trained on, and that member's predictions of them in ln ns."""
    held = task.held(np.arange(len(trained.predictions)), settings.folds)
    rows = np.flatnonzero(held.any(axis=0))
    return rows, trained.predictions[held[:, rows].argmax(axis=0), rows][:, head]


def _seen(rows: Observations, features: Features) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which platforms and workloads have a training row."""
    platforms = np.zeros(len(features.platform_names), bool)
    workloads = np.zeros(len(features.workload_names), bool)
    platforms[rows.platform] = True
    workloads[rows.workload] = True
    return platforms, workloads


def _refuse_unseen(numbers: Array, seen: NDArray[np.bool_], what: str, names: tuple[str, ...]) -> None:
    unseen = np.unique(numbers[~seen[numbers]])
    if len(unseen):
        more = f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""
        raise UnknownEntity(
            f"{what} {names[int(unseen[0])]!r}{more} was never observed in training; "
            f"measure it on at least one {'platform' if what == 'workload' else 'workload'} first"
        )
