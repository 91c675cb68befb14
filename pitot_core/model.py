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
from pitot_core.candidates import Candidates
from pitot_core.conformal import Calibration, PoolSize, Scored, check_eps
from pitot_core.errors import FeaturesError, NotFitted, ObservationsError, UnknownEntity
from pitot_core.explain import Explanation, explain
from pitot_core.features import Features, Scaler
from pitot_core.forecast import Forecast
from pitot_core.learned import Learned
from pitot_core.losses import Loss
from pitot_core.observations import Observations, Queries
from pitot_core.settings import SMALL, Settings
from pitot_core.splits import folds, split
from pitot_core.spread import Spread
from pitot_core.training import Progress, Task, Trained, train
from pitot_core.update import learn_platform, learn_workload, relearned, with_platform, with_workload

Array = NDArray[Any]
MOST_CHOICE_ROWS = 3000  # per number of co-runners; more would only make the model file larger


class Pitot:
    """Predicts execution times of workloads on platforms, alone or beside others.

    Options are those of `Settings`. After `fit` these are attributes: settings, features, learned (the point
    model), heads (a second one with quantile heads, or None), spread (or None), calibration, rows_used (a count
    by role), fingerprint (of the rows) and card, a free dict of figures that is kept with the model. Times are
    nanoseconds everywhere.
    """

    def __init__(self, rank: int | None = None, **options: Any) -> None:
        self.settings = Settings(rank=rank, **options)
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
        self._train(rows, progress)
        self._calibrate(calibration)
        return self

    def _train(self, rows: Observations, progress: Progress | None) -> None:
        settings, features = self.settings, self._features
        fold = folds(rows, settings.folds, by=settings.split_by, seed=settings.seed)
        baselines = self._baselines(rows, fold)
        x_w = _scaled(features.workloads, settings.workload_features, settings.standardise)
        x_p = _scaled(features.platforms, settings.platform_features, settings.standardise)
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
        self._choosing = _at_most(Scored(rows.log_ns[held], rows.n_co_runners[held], location, scale))

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

    def _calibrate(self, rows: Observations) -> None:
        location, scale = self._located(rows)
        scored = Scored(rows.log_ns, rows.n_co_runners, location, scale)
        self.calibration = Calibration.of(scored, self._choosing)

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

    # Learning more

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
            x = _scaled(features.workloads, settings.workload_features, settings.standardise)
            known, names = self.seen_workloads & ~self.new_workloads, features.workload_names
        else:
            rows = rows[self.seen_workloads[rows.workload]]
            x = _scaled(features.platforms, settings.platform_features, settings.standardise)
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

    def pools(self) -> dict[int, PoolSize]:
        """By number of co-runners: calibration rows and the smallest ε with a finite bound."""
        return self.calibration.sizes()

    def chosen(self, eps: float) -> dict[int, str]:
        """By number of co-runners: the name of the candidate that gives the bound at ε."""
        check_eps(eps)
        names = self._candidates.names
        return {n: names[pool.choose(eps, range(len(names)))] for n, pool in self.calibration.pools.items()}

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


def _scaled(table: Array, used: bool, standardise: bool) -> Array:
    scaler = Scaler.of(table, standardise=standardise) if used else Scaler.none()
    return scaler(table)


def _left_out(task: Task, trained: Trained, settings: Settings, head: int | slice) -> tuple[Array, Array]:
    """Rows that some member was not trained on, and that member's predictions of them in ln ns."""
    held = task.held(np.arange(len(trained.predictions)), settings.folds)
    rows = np.flatnonzero(held.any(axis=0))
    return rows, trained.predictions[held[:, rows].argmax(axis=0), rows][:, head]


def _at_most(scored: Scored) -> Scored:
    """No more than MOST_CHOICE_ROWS of every number of co-runners."""
    rng = np.random.default_rng(0)
    kept = []
    for n in np.unique(scored.n_co_runners):
        rows = np.flatnonzero(scored.n_co_runners == n)
        kept.append(rng.permutation(rows)[:MOST_CHOICE_ROWS])
    return scored[np.concatenate(kept)]


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
