"""The tables that a fit leaves: Eq. 9 as plain arrays, what they answer, and how they are kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.baseline import Baseline
from pitot_core.completion import State
from pitot_core.errors import ModelFileError
from pitot_core.features import Features
from pitot_core.observations import Observations, Queries
from pitot_core.remembered import row_arrays, rows_of
from pitot_core.tables.equation import Equation
from pitot_core.tables.hyperparameters import Hyperparameters, TableOptions
from pitot_core.tables.left_out import Parts
from pitot_core.tables.sweeps import Sums

Array = NDArray[Any]


@dataclass(frozen=True)
class Solution:
    """What is solved, and what is needed to learn more.

    options, hyper             what was chosen, by a person and by the data
    fitted                     (P, W) of the fit: features are standardised on those
    arrived                    rows of workloads and platforms that came after the fit
    baseline                   log C̄
    work (P, W)                F
    suffers, presses (s, P, W) S and G of each type
    deviations (1+2s, P, W)    posterior standard deviation of F, each S and each G, without the rows that calibrate
    sums                       what all rows say of each table, for further rows
    without                    the fits without a fold each, where rows are few; or else the one without the rows that
                               calibrate
    """

    options: TableOptions
    hyper: Hyperparameters
    fitted: tuple[int, int]
    arrived: Observations
    baseline: Baseline
    work: Array
    suffers: Array
    presses: Array
    deviations: Array
    sums: Sums
    without: Parts

    @property
    def shape(self) -> tuple[int, int]:
        """(P, W)."""
        return self.work.shape[0], self.work.shape[1]

    @cached_property
    def equation(self) -> Equation:
        return Equation(
            self.baseline.table() + self.work, self.suffers, self.presses, self.options.negative_slope
        )

    def log_ns(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns."""
        return self.equation(queries)

    def deviation(self, queries: Queries, own: Array | None = None) -> NDArray[np.float64]:
        """(M,) posterior standard deviation of log Ĉ in ln units, tables taken for independent of each other.

        own (M,) are the precisions of rows that are to be thought away, one from each question.
        """
        cell = queries.platform.astype(np.int64) * self.shape[1] + queries.workload
        flat = self.deviations.reshape(len(self.deviations), -1).astype(np.float64)
        variance = flat[0].take(cell) ** 2
        if own is not None:
            variance = 1.0 / np.maximum(1.0 / variance - own, 1.0 / self.hyper.work_variance)
        n_co, types = queries.n_co_runners, len(self.suffers)
        for n in np.unique(n_co[n_co > 0]) if types else ():
            at = np.flatnonzero(n_co == n)
            row = queries.platform[at].astype(np.int64) * self.shape[1]
            beside = queries.co_runners[at, :n]
            for t, load in enumerate(self.equation.loads(row, beside)):
                variance[at] += (self.equation.alpha(load) * flat[1 + t].take(cell[at])) ** 2
                tilt = self.suffers[t].reshape(-1).take(cell[at]) * np.where(
                    load > 0, 1.0, self.equation.slope
                )
                for column in range(n):
                    variance[at] += (tilt * flat[1 + types + t].take(row + beside[:, column])) ** 2
        return np.asarray(np.sqrt(variance))

    def interference_norms(self) -> Array:
        """(P,) root mean square over workloads of what one co-runner adds to the log time."""
        found = np.zeros(self.shape[0])
        alpha = self.equation.alpha(self.presses)
        for platform in range(self.shape[0]):
            added = self.suffers[:, platform].T @ alpha[:, platform]
            found[platform] = np.sqrt(np.mean(added**2, dtype=np.float64))
        return found

    def state(self) -> State:
        header = {"fitted": self.fitted, "hyper": asdict(self.hyper)}
        arrays = {
            "baseline_startup": self.baseline.startup, "baseline_platform": self.baseline.platform,
            "baseline_workload": self.baseline.workload, "table_work": self.work, "table_suffers": self.suffers,
            "table_presses": self.presses, "deviations": self.deviations, "sums_precision": self.sums.precision,
            "sums_moment": self.sums.moment, "part_alone": self.without.alone,
            "part_suffers": self.without.suffers, "part_presses": self.without.presses,
        } | row_arrays(self.arrived, "arrived")  # fmt: skip
        return State(header, arrays)

    @classmethod
    def restored(cls, state: State, features: Features, options: TableOptions) -> Self:
        arrays, shape = state.arrays, (len(features.platforms), len(features.workloads))
        types = options.interference_types
        fitted = tuple(int(size) for size in state.header["fitted"])
        if len(fitted) != 2 or not all(0 < a <= b for a, b in zip(fitted, shape, strict=True)):
            raise ModelFileError(f"a fit of {fitted} platforms and workloads is not one of {shape}")
        check_shape("baseline_startup", arrays["baseline_startup"], shape[:1])
        check_shape("baseline_platform", arrays["baseline_platform"], shape[:1])
        check_shape("baseline_workload", arrays["baseline_workload"], shape[1:])
        check_shape("table_work", arrays["table_work"], shape)
        for name in ("table_suffers", "table_presses"):
            check_shape(name, arrays[name], (types, *shape))
        for name in ("deviations", "sums_precision", "sums_moment"):
            check_shape(name, arrays[name], (1 + 2 * types, *shape))
        without = Parts(*(arrays[f"part_{name}"] for name in ("alone", "suffers", "presses")))
        check_shape("part_alone", without.alone, (None, *shape))
        for name in ("part_suffers", "part_presses"):
            check_shape(name, arrays[name], (len(without), types, *shape))
        arrived = rows_of(arrays, "arrived")
        features.check(arrived)
        baseline = Baseline(*(arrays[f"baseline_{part}"] for part in ("startup", "platform", "workload")))
        return cls(
            options, Hyperparameters(**state.header["hyper"]), (fitted[0], fitted[1]), arrived, baseline,
            arrays["table_work"], arrays["table_suffers"], arrays["table_presses"], arrays["deviations"],
            Sums(arrays["sums_precision"], arrays["sums_moment"]), without,
        )  # fmt: skip
