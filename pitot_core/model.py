"""Pitot: matrix completion that knows interference, with bounds that hold.

An observation goes one way through this package: `Pitot.fit` keeps calibration jobs apart and gives the others to a
completion (`tables.solved` → `tables.sweeps` → `tables.solve`); what that predicted of rows it had not seen, and the
calibration rows, become bounds (`bounds`).
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core import bounds_state, modelfile
from pitot_core.bounds import Bounds
from pitot_core.completion import Completion, State
from pitot_core.conformal import PoolSize, check_eps
from pitot_core.errors import ModelFileError, NotFitted, PitotError
from pitot_core.estimator import Estimator
from pitot_core.explanation import Explanation, explain
from pitot_core.features import Features
from pitot_core.gathering import gather
from pitot_core.known import SIDES, Known
from pitot_core.observations import Observations, Queries, joined
from pitot_core.remembered import Remembered, fingerprint, row_arrays, rows_of
from pitot_core.settings import MOST_CALIBRATE, Settings, made_of, one_of
from pitot_core.splits import enough_of, split
from pitot_core.steps import Progress, one_blas_thread
from pitot_core.tables import Tables
from pitot_core.towers import TowerOptions, Towers

Array = NDArray[Any]
Asked = Queries | Any  # Queries, or what `Queries.named` takes
COMPLETIONS: dict[str, type[Completion]] = {"tables": Tables, "towers": Towers}
DTYPES = bounds_state.DTYPES | {
    "seen_*": "b1", "new_*": "b1", "calibration_platform": "i4", "calibration_workload": "i4",
    "calibration_co_runners": "i4", "calibration_job": "i8", "calibration_censored": "b1", "remembered": "u8",
}  # fmt: skip


class Pitot(Estimator):
    """Predicts execution times of workloads on platforms, alone or beside others, each with a bound.

    `method` names what completes the matrix ("tables" or "towers"); further options are those of `Settings` and of
    the method (`TableOptions`, `TowerOptions`). Times are nanoseconds everywhere. After `fit` these are attributes:

    settings, options  checked options, shared ones and those of the method
    features           the feature tables
    completion         the fitted point model (see `completion.Completion`)
    bounds             spread and calibration
    known              what was observed
    remembered         which rows it learned, so that `update` learns none twice
    calibration_rows   kept for `update`
    rows_used          a count by role, "training" and "calibration"
    fingerprint        SHA-256 of the rows it learned from
    card               a free dict of figures that is kept with the model
    """

    def __init__(self, method: str = "tables", **options: Any) -> None:
        one_of("method", method, tuple(COMPLETIONS))
        self.method = method
        self.settings, self.options = made_of(
            options, Settings, COMPLETIONS[method].Options, f"method={method!r}"
        )
        self.options.check(self.settings)
        self.features: Features | None = None
        self.completion: Completion | None = None
        self.bounds: Bounds | None = None
        self.known, self.remembered = Known.none(), Remembered.of()
        self.calibration_rows: Observations | None = None
        self.rows_used: dict[str, int] = {}
        self.fingerprint = ""
        self.card: dict[str, Any] = {}

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """The paper's configuration (METHOD section 4) with its slips repaired; `changes` are further options."""
        return cls(**(TowerOptions.published() | changes))

    def fit(
        self,
        observations: Observations | Any,
        features: Features,
        *,
        calibration: Observations | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from observations, from a table or frame of them (see `Observations.named`), or from batches of either.

        Of more than a million rows, tables learn from the distinct ones, in memory for those (see `gathering`).
        Calibration rows choose nothing: they are taken off first (`calibration_share`, by job) unless given. With
        tables, predictions learn from them too, once bounds are made without. Where some rows were `chosen`, it is all
        the others that calibrate. Where rows are few (`Settings.calibration`) none are taken off: see `cross`.
        Raises ObservationsError when there is nothing to train on, UnknownEntity for rows outside the tables.
        """
        settings, kind = self.settings, COMPLETIONS[self.method]
        apart, merges = calibration is None, kind is Tables
        observations, held = gather(observations, features, settings, apart=apart, merges=merges)
        calibration = held if apart else calibration
        kept: Observations | None = None
        crosses = calibration is None and settings.crosses(len(observations), self.options.crosses)
        if calibration is None and not crosses:
            share = settings.calibration_share if observations.chosen is None else 1 - 1e-6
            parts = split(
                observations, train=1 - share, calibration=share, by=settings.split_by, seed=settings.seed
            )
            calibration, observations = observations[parts.calibration], observations[parts.train]
            kept = calibration
            if self.options.rehearses_apart:
                enough = enough_of(kept, MOST_CALIBRATE, by=settings.split_by, seed=settings.seed)
                calibration, observations = kept[enough], joined(observations, kept[~enough])
        if calibration is not None:
            features.check(calibration)
            if calibration.censored is not None:  # a bound can only be judged by times that are known
                observations = joined(observations, calibration[calibration.censored])
                calibration = calibration[calibration.measured]
            kept = calibration if kept is None else kept[kept.measured]
        shown = Remembered.of(observations, *([] if calibration is None else [calibration]))
        observations = kind.usable(observations, self.options)
        completion, left_out = kind.fit(observations, features, settings, self.options, progress, calibration)
        with one_blas_thread(settings.threads):
            self.bounds = Bounds.fit(completion, left_out, calibration, features, settings)
        self.features, self.completion, self.remembered = features, completion, shown
        self.known = Known.of(observations, features)
        calibrated = left_out.rows if calibration is None else calibration
        self.calibration_rows = calibrated if kept is None else kept
        self.rows_used = {"training": int(observations.times.sum()), "calibration": len(calibrated)}
        self.fingerprint = fingerprint(observations, calibrated)
        return self

    def update(self, observations: Observations, features: Features | None = None) -> Self:
        """Learn workloads and platforms that no training row had, from a handful of observations of each.

        Rows that it learned before, in training or in an update, are left out; where none is left nothing changes.
        `features` are needed where the newcomers are not in the model's own tables: those tables with rows added
        at the end. Raises NotFitted, FeaturesError where they do not begin so, and what the method raises.
        """
        completion, bounds, old = self._fitted()
        features = features or old
        features.check_longer(old)
        features.check(observations)
        more = len(features.workloads) - len(old.workloads), len(features.platforms) - len(old.platforms)
        observations = observations[~self.remembered(observations)]
        if not len(observations):
            return self
        known = self.known.grown(*more)
        kept: Any = self.calibration_rows
        self.completion, self.known, rehearsed = completion.updated(observations, features, known, kept)
        self.bounds, self.features = bounds.with_newcomers(rehearsed, features, self.known), features
        self.remembered = self.remembered.with_rows(observations)
        return self

    def predict(self, queries: Asked) -> NDArray[np.float64]:
        """(M,) expected execution time in ns.

        Questions are what `Queries.named` takes. Raises NotFitted, UnknownEntity, ObservationsError for no question.
        """
        completion, _, features = self._fitted()
        queries = self._asked(queries, features)
        return np.asarray(np.exp(completion.log_ns(queries)))

    def bound(self, queries: Asked, eps: float, *, method: str = "chosen") -> NDArray[np.float64]:
        """(M,) ns that the time stays below with probability ≥ 1 − ε; inf where calibration is too small.

        method: "chosen" (the candidate of least margin), "plain" (split conformal on the prediction) or "naive"
        (the quantile head nearest to 1 − ε). Raises NotFitted, UnknownEntity, PitotError for an ε outside (0, 1), and
        UncalibratedDegree for a number of co-runners without calibration rows.
        """
        check_eps(eps)
        completion, bounds, features = self._fitted()
        queries = self._asked(queries, features)
        return np.asarray(np.exp(bounds(completion, queries, self.known, eps, method)))

    def spread(self, queries: Asked) -> NDArray[np.float64]:
        """(M,) how far times lie from their predictions, in ln units: 0.03 is about 3 %.

        It is what a standard deviation would be if residuals were normal, from rows the predictions had not seen.
        """
        completion, bounds, features = self._fitted()
        queries = self._asked(queries, features)
        return bounds.spread(queries, completion.deviation(queries))

    def explain(self, queries: Asked, *, nearest: int = 3) -> Explanation:
        """Start-up, work and interference parts of each prediction in ns, and what behaves alike."""
        completion, _, features = self._fitted()
        queries = self._asked(queries, features)
        return explain(completion, queries, features, self.known, nearest)

    def alone(self) -> NDArray[np.float64]:
        """(P, W) predicted ln ns without co-runners, of every cell of the feature tables."""
        return np.asarray(self._fitted()[0].alone(), np.float64)

    def interference_norms(self) -> NDArray[np.float64]:
        """(P,) how strongly one co-runner can act on each platform; zeros without interference."""
        return np.asarray(self._fitted()[0].interference_norms(), np.float64)

    def pools(self) -> dict[int, PoolSize]:
        """By number of co-runners: calibration rows and the smallest ε with a finite bound."""
        return self._fitted()[1].sizes()

    def chosen(self, eps: float) -> dict[int, str]:
        """By number of co-runners: the name of the candidate that gives the bound at ε."""
        return self._fitted()[1].chosen(eps)

    def knows(self, queries: Asked) -> NDArray[np.bool_]:
        """(M,) whether everything a query names was observed in training; what only ran beside others was not."""
        found = queries if isinstance(queries, Queries) else Queries.named(queries, self._fitted()[2])
        return self.known(found)

    @property
    def seen_workloads(self) -> NDArray[np.bool_]:
        """(W,) which workloads were observed."""
        return self.known.workloads

    @property
    def seen_platforms(self) -> NDArray[np.bool_]:
        """(P,) which platforms were observed."""
        return self.known.platforms

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every option by name, as scikit-learn's estimators give them; `Pitot(**get_params())` has the same."""
        parts = (self.settings, self.options)
        options = {field.name: getattr(part, field.name) for part in parts for field in fields(part)}
        return {"method": self.method} | options

    def _default(self) -> dict[str, Any]:
        return type(self)(self.method).get_params() | {"method": type(self)().method}

    def __repr__(self) -> str:
        if self.completion is None or self.bounds is None:
            return self._changed()
        kinds = ", ".join(f"{n} co-runners ({pool.rows:,} rows)" for n, pool in self.bounds.sizes().items())
        return (
            f"<{self._changed()}, fitted on {self.rows_used.get('training', 0):,} rows of {self.known.workloads.sum()} "
            f"workloads on {self.known.platforms.sum()} platforms; bounds for {kinds or 'nothing'}>"
        )

    def save(self, path: str | Path) -> None:
        """Write one .npz with a JSON header, whole or not at all. Raises NotFitted."""
        completion, bounds, features = self._fitted()
        rows = self.calibration_rows
        assert rows is not None
        parts = {"completion": completion.state(), "bounds": bounds_state.state(bounds)}
        arrays = {name: array for part in parts.values() for name, array in part.arrays.items()}
        arrays |= {"feature_workloads": features.workloads, "feature_platforms": features.platforms}
        arrays |= (
            self.known.arrays() | row_arrays(rows, "calibration") | {"remembered": self.remembered.packed()}
        )
        header = {name: part.header for name, part in parts.items()} | {
            "settings": self.get_params(), "workload_names": features.workload_names,
            "platform_names": features.platform_names, "rows_used": self.rows_used,
            "fingerprint": self.fingerprint, "card": self.card,
        }  # fmt: skip
        modelfile.save(Path(path), header, arrays, DTYPES | completion.DTYPES)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ModelFileError for anything else."""
        header = modelfile.load_header(Path(path))
        try:
            model = cls(**header["settings"])
            arrays = modelfile.load_arrays(Path(path), DTYPES | COMPLETIONS[model.method].DTYPES)
            model._restore(header, arrays)
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError, PitotError) as problem:
            if isinstance(problem, ModelFileError) and problem.path:
                raise
            raise ModelFileError(f"it is a damaged model file ({problem})", Path(path)) from None
        return model

    def _restore(self, header: dict[str, Any], arrays: dict[str, Array]) -> None:
        names = tuple(header["workload_names"]), tuple(header["platform_names"])
        features = Features(arrays["feature_workloads"], arrays["feature_platforms"], *names)
        sizes = len(features.platforms), len(features.workloads)
        state = State(header["completion"], arrays)
        kind = COMPLETIONS[self.method]
        completion = kind.restored(state, features, self.settings, self.options)
        self.bounds = bounds_state.restored(State(header["bounds"], arrays), completion, features)
        self.known = Known.restored(arrays, *sizes)
        if any(self.known.new_of_side(side).any() and side not in self.bounds.newcomers for side in SIDES):
            raise ModelFileError("the model has newcomers without bounds of their own")
        self.calibration_rows = rows_of(arrays, "calibration")
        self.remembered = Remembered.unpacked(arrays.get("remembered", np.zeros(0, np.uint64)))
        features.check(self.calibration_rows)
        self.features, self.completion = features, completion
        self.rows_used = {str(role): int(count) for role, count in header["rows_used"].items()}
        self.fingerprint, self.card = str(header["fingerprint"]), dict(header["card"])

    def _asked(self, queries: Any, features: Features) -> Queries:
        """Questions as row numbers, about known workloads and platforms alone."""
        found = queries if isinstance(queries, Queries) else Queries.named(queries, features)
        self.known.require(found, features)
        return found

    def _fitted(self) -> tuple[Completion, Bounds, Features]:
        if self.completion is None or self.bounds is None or self.features is None:
            raise NotFitted
        return self.completion, self.bounds, self.features
