"""The completion by tables: Eq. 9 with every table solved under a Gaussian-process prior.

    log Ĉ_ijK = log C̄_ij + F_ji + Σ_t S⁽ᵗ⁾_ji α(Σ_{k∈K} G⁽ᵗ⁾_jk)

`Tables.fit` reads from top to bottom: distinct rows (`rows`), the start-up baseline (`pitot_core.baseline`), what is
alike beforehand (`kernels`), the stages (`sweeps`) and in them one table at a time (`solve`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.completion import LeftOut, State
from pitot_core.features import Features
from pitot_core.known import Known
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.steps import Progress, Step, one_blas_thread
from pitot_core.tables.hyperparameters import Hyperparameters, TableOptions
from pitot_core.tables.kernels import prior_kernels
from pitot_core.tables.left_out import Parts, at_once, drawn, fit_anew, held_out, left_out_fit
from pitot_core.tables.noise import found_hyper
from pitot_core.tables.rows import Rows
from pitot_core.tables.solution import Solution
from pitot_core.tables.stages import STAGES, solve_stages, solve_with
from pitot_core.tables.sweeps import Sums, Sweeps
from pitot_core.tables.update import updated

Array = NDArray[Any]
MOST_LEFT_OUT = 1_000_000  # rows that the spread is made from


@dataclass(frozen=True)
class Tables:
    """A solved model. Nothing changes it: `updated` gives another."""

    Options: ClassVar[type[TableOptions]] = TableOptions
    DTYPES: ClassVar[dict[str, str]] = {
        "table_*": "f4", "part_*": "f4", "deviations": "f2", "sums_*": "f4", "arrived_platform": "i4",
        "arrived_workload": "i4", "arrived_co_runners": "i4", "arrived_job": "i8", "arrived_censored": "b1",
    }  # fmt: skip

    solution: Solution

    @classmethod
    def usable(cls, rows: Observations, options: TableOptions) -> Observations:
        """All rows."""
        return rows

    @classmethod
    def fit(
        cls,
        rows: Observations,
        features: Features,
        settings: Settings,
        options: TableOptions,
        progress: Progress | None,
        further: Observations | None = None,
    ) -> tuple[Self, LeftOut]:
        """Solve all rows, predict each fifth of them from the others, and then solve again with further rows."""
        hyper, shape = Hyperparameters(), (len(features.platforms), len(features.workloads))
        fold, held = held_out(rows, settings)
        total = sum(STAGES) + len(held)
        done = 0

        def tell() -> None:
            nonlocal done
            if progress is not None:
                progress(Step("training", done, total, 0.0))
            done += 1

        tell()
        with one_blas_thread(settings.threads):
            kernels = prior_kernels(features, options, hyper, shape)
            sweeps = Sweeps(shape, options.interference_types, options.negative_slope, hyper)
            sweeps.hyper = hyper = found_hyper(rows, sweeps, kernels, settings)
            measured, rows = rows, rows.at_usual_pace(hyper.pace)
            baseline = Baseline.fit(rows, *shape)
            data = Rows.of(rows, *shape, fold)
            residuals = solve_stages(sweeps, data, baseline, kernels, tell=tell)
            sweeps.weigh(residuals, noisy=True)
            sums = sweeps.sums(residuals)
            del residuals
            deviations, judged = sweeps.deviations(sums), sweeps.equation(baseline)
            out = drawn(rows, np.flatnonzero(np.isin(fold, held) & rows.measured), MOST_LEFT_OUT)
            unseen, part = rows[out], fold[out].astype(np.int64)
            weights = sweeps.weight(unseen, unseen.log_ns - judged(unseen))
            more = further.at_usual_pace(hyper.pace) if further is not None and len(further) else None
            few = settings.crosses(len(rows), True)

            def with_further() -> tuple[Sweeps, Sums]:
                """The tables of all rows, and what these say of them."""
                if more is None:
                    return sweeps, sums
                last = sweeps.copy() if len(held) > 1 else sweeps  # folds begin from those meanwhile
                residuals = last.start(data.with_all_of(Rows.of(more, *shape)), baseline)
                solve_with(last, residuals, kernels)
                last.weigh(residuals, noisy=True)
                return last, last.sums(residuals)

            if few:
                without = fit_anew(rows, fold, sweeps, kernels)
            else:
                without = left_out_fit(data, sweeps, baseline, kernels)
            fits, (last, sums) = at_once(without, held, with_further, tell)
            kept = [judged] if more is not None else fits if few else []
            parts = Parts.of(kept) if kept else Parts.none(options.interference_types, shape)
            made = Solution(
                options, hyper, shape, rows[:0], baseline, *last.values(), deviations, sums, parts
            )  # fmt: skip
            left_out = np.empty(len(out))
            for fitted, fit in zip(held, fits, strict=True):
                left_out[part == fitted] = fit(unseen[part == fitted])
        return cls(made), LeftOut(measured[out], left_out, None, part, made.deviation(unseen, weights))

    @classmethod
    def solved(cls, rows: Observations, features: Features, hyper: Hyperparameters | None = None) -> Self:
        """The tables alone, without predictions of what was left out, on one thread.

        It takes a third of the time of `fit`, or a sixth with hyperparameters that were found before.
        """
        options, found = TableOptions(), hyper
        hyper = found or Hyperparameters()
        shape = len(features.platforms), len(features.workloads)
        with one_blas_thread():
            sweeps = Sweeps(shape, options.interference_types, options.negative_slope, hyper)
            kernels = prior_kernels(features, options, hyper, shape)
            if found is None:
                sweeps.hyper = hyper = found_hyper(rows, sweeps, kernels, Settings(threads=1))
            rows = rows.at_usual_pace(hyper.pace)
            baseline = Baseline.fit(rows, *shape)
            residuals = solve_stages(sweeps, Rows.of(rows, *shape), baseline, kernels)
            sweeps.weigh(residuals, noisy=True)
            sums = sweeps.sums(residuals)
            deviations, parts = sweeps.deviations(sums), Parts.none(options.interference_types, shape)
        return cls(
            Solution(options, hyper, shape, rows[:0], baseline, *sweeps.values(), deviations, sums, parts)
        )

    def log_ns(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns."""
        return self.solution.log_ns(queries)

    def judged_ns(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns by the fit without the further rows, where there were such."""
        if len(self.solution.without) == 1:
            return np.asarray(self.by_part(queries)[0])
        return self.log_ns(queries)

    def quantiles(self, queries: Queries) -> None:
        """None: the tables have no quantile heads."""

    @property
    def levels(self) -> tuple[float, ...]:
        return ()

    @property
    def parts(self) -> int:
        return len(self.solution.without) if len(self.solution.without) > 1 else 0

    def by_part(self, queries: Queries) -> NDArray[np.float64]:
        """(K, M) log Ĉ of the fits without a fold, in ln ns."""
        return self.solution.without(queries, self.solution.options.negative_slope)

    def deviation(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) posterior standard deviation of log Ĉ in ln units."""
        return self.solution.deviation(queries)

    def alone(self) -> Array:
        return self.solution.equation.alone

    def startup_share(self, queries: Queries) -> Array:
        baseline = self.solution.baseline
        return np.asarray(
            np.exp(baseline.startup[queries.platform] - baseline(queries.platform, queries.workload))
        )

    def interference_norms(self) -> Array:
        """(P,) root mean square over workloads of what one co-runner adds to the log time."""
        return self.solution.interference_norms()

    def updated(
        self, rows: Observations, features: Features, known: Known, rehearsal: Observations
    ) -> tuple[Self, Known, dict[str, LeftOut]]:
        """Learn newcomers (see `arrivals`), and from further rows of what is known by solving all tables again.

        Where every row is of a newcomer, everything known stays as it is, to the bit. Rows of newcomers are kept, so
        that a later update that has more of them learns from all. Raises ObservationsError where a newcomer appears
        only as a co-runner or beside nothing known.
        """
        rows = rows.at_usual_pace(self.solution.hyper.pace)
        solution, known, rehearsed = updated(self.solution, rows, features, known, rehearsal)
        return type(self)(solution), known, rehearsed

    def state(self) -> State:
        return self.solution.state()

    @classmethod
    def restored(cls, state: State, features: Features, settings: Settings, options: TableOptions) -> Self:
        return cls(Solution.restored(state, features, options))
