"""How far the times of a row may lie from its prediction, before any calibration.

    σ_ijK = exp( c_|K| + p_|K| (a_j + b_i + d_ij + Σ_{k∈K} e_k + h_|K| log v_ijK) )

is fitted by ridge regression to log(|log C* − log Ĉ| + FLOOR) of rows that the predictions had not seen; v is the
standard deviation that the method itself claims, where it claims one; of rows alone it is not believed (h₀ = 0), since
kernels of behaviour have seen those rows. For bounds only its shape matters: calibration
stretches it until a share 1 − ε of the rows lies below (see `conformal`). p is 1 in the fit; afterwards p and c are set
so that σ is as large as the residuals are (see `levelled`). So that no cell pretends to know its spread from two rows,
a cell's own term d_ij is held closest to zero, then the co-runners', then the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.observations import MAX_CO_RUNNERS, Observations, Queries

Array = NDArray[Any]
FLOOR = 0.003  # ln units: a residual of nothing still counts as a third of a percent
RIDGE_SIDE, RIDGE_BESIDE, RIDGE_CELL = 4.0, 8.0, 12.0  # rows that would say the opposite
RIDGE_CLAIM = 10.0
SWEEPS = 12
MEAN_OF_NORMAL = math.sqrt(math.pi / 2.0)  # times the mean of |z| gives the standard deviation of a normal z
LEAST = 1e-6
ENOUGH_TO_LEVEL = 500  # rows of a number of co-runners


@dataclass(frozen=True)
class Spread:
    """degree (4,) c, power (4,) p, platform (P,) a, workload (W,) b, beside (W,) e, cell (P, W) d; claim (4,) h."""

    degree: Array
    power: Array
    platform: Array
    workload: Array
    beside: Array
    cell: Array
    claim: Array

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))

    @classmethod
    def fit(
        cls,
        rows: Observations,
        residual: Array,
        n_platforms: int,
        n_workloads: int,
        deviation: Array | None = None,
    ) -> Self:
        """From rows and (N,) log C* − log Ĉ of predictions that had not seen them, with their claimed deviation."""
        target = np.log(np.abs(residual) + FLOOR)
        n_co = rows.n_co_runners
        claim = np.zeros(MAX_CO_RUNNERS + 1)
        if deviation is not None and np.any(n_co > 0):
            beside_others = n_co > 0
            claimed = np.log(deviation)
            apart = (claimed - _means(n_co, claimed)[n_co])[beside_others]
            claim[1:] = apart @ target[beside_others] / (apart @ apart + RIDGE_CLAIM)
            target = target - claim[n_co] * claimed
        cell = rows.platform.astype(np.int64) * n_workloads + rows.workload
        at = [np.flatnonzero(rows.co_runners[:, c] >= 0) for c in range(MAX_CO_RUNNERS)]
        groups = {
            "platform": (rows.platform, n_platforms, RIDGE_SIDE),
            "workload": (rows.workload, n_workloads, RIDGE_SIDE),
            "cell": (cell, n_platforms * n_workloads, RIDGE_CELL),
        }
        counts = {name: np.bincount(where, minlength=size) for name, (where, size, _) in groups.items()}
        terms = {name: np.zeros(size) for name, (_, size, _) in groups.items()}
        beside, degree = np.zeros(n_workloads), _means(n_co, target)
        pressing = sum((np.bincount(rows.co_runners[at[c], c], minlength=n_workloads) for c in range(3)), 0)
        left = target - degree[n_co]
        for _ in range(SWEEPS):
            for name, (where, size, ridge) in groups.items():
                step = np.bincount(where, left, size) - ridge * terms[name]
                step /= counts[name] + ridge
                terms[name] += step
                left -= step[where]
            for column in range(MAX_CO_RUNNERS):
                if len(at[column]):
                    k = rows.co_runners[at[column], column]
                    step = np.bincount(k, left[at[column]], n_workloads) - RIDGE_BESIDE * beside
                    step /= pressing + RIDGE_BESIDE
                    beside += step
                    for other in range(MAX_CO_RUNNERS):
                        left[at[other]] -= step[rows.co_runners[at[other], other]]
            shift = _means(n_co, left)
            degree += shift
            left -= shift[n_co]
        cells = terms["cell"].reshape(n_platforms, n_workloads)
        flat = np.ones(MAX_CO_RUNNERS + 1)
        return cls(degree, flat, terms["platform"], terms["workload"], beside, cells, claim)

    def levelled(self, n_co: NDArray[np.int64], own: Array, residual: Array) -> tuple[Spread, Array]:
        """With σ raised to a power and times a factor, per number of co-runners, such that it is what it claims to be.

        own (N,) are spreads of rows from fits that had not seen them. The mean of |residual| in each tenth of them,
        times √(π/2), is what σ should be there. Gives also `own` corrected so.
        """
        slope, level = np.ones(MAX_CO_RUNNERS + 1), np.zeros(MAX_CO_RUNNERS + 1)
        for n in range(MAX_CO_RUNNERS + 1):
            rows = np.flatnonzero(n_co == n)
            if len(rows) >= ENOUGH_TO_LEVEL:
                tenths = np.array_split(rows[np.argsort(own[rows])], 10)
                claimed = np.log([own[tenth].mean() for tenth in tenths])
                found = np.log([np.abs(residual[tenth]).mean() * MEAN_OF_NORMAL + LEAST for tenth in tenths])
                apart = claimed - claimed.mean()
                slope[n] = np.clip(apart @ found / max(apart @ apart, LEAST), 0.5, 2.0)
                level[n] = found.mean() - slope[n] * claimed.mean()
            elif len(rows):
                level[n] = np.log(np.mean(np.abs(residual[rows]) / own[rows]) * MEAN_OF_NORMAL + LEAST)
        levelled = replace(self, degree=slope * self.degree + level, power=slope)
        return levelled, np.exp(level[n_co] + slope[n_co] * np.log(own))

    def __call__(self, queries: Queries, deviation: Array | None = None) -> NDArray[np.float64]:
        """(M,) σ in ln units, from the deviation (M,) that the method claims, where it does."""
        j, i = queries.platform, queries.workload
        n_co = queries.n_co_runners
        log = self.platform[j] + self.workload[i] + self.cell[j, i]
        beside = np.append(self.beside, 0.0)  # the last is −1: no co-runner
        for column in range(MAX_CO_RUNNERS):
            log += beside[queries.co_runners[:, column]]
        if deviation is not None:
            log += self.claim[n_co] * np.log(deviation)
        return np.asarray(np.exp(self.degree[n_co] + self.power[n_co] * log))

    def check(self, n_platforms: int, n_workloads: int) -> None:
        """Raise ModelFileError where arrays from a file do not fit the tables."""
        check_shape("spread_degree", self.degree, (MAX_CO_RUNNERS + 1,))
        check_shape("spread_power", self.power, (MAX_CO_RUNNERS + 1,))
        check_shape("spread_platform", self.platform, (n_platforms,))
        check_shape("spread_workload", self.workload, (n_workloads,))
        check_shape("spread_beside", self.beside, (n_workloads,))
        check_shape("spread_cell", self.cell, (n_platforms, n_workloads))
        check_shape("spread_claim", self.claim, (MAX_CO_RUNNERS + 1,))

    def grown(self, n_platforms: int, n_workloads: int) -> Spread:
        """For longer tables: what is new is as uncertain as its fellows are on (geometric) average."""
        platforms, workloads = n_platforms - len(self.platform), n_workloads - len(self.workload)

        def longer(array: Array, more: int) -> Array:
            return np.append(array, np.full(more, array.mean() if len(array) else 0.0))

        return replace(
            self,
            platform=longer(self.platform, platforms),
            workload=longer(self.workload, workloads),
            beside=longer(self.beside, workloads),
            cell=np.pad(self.cell, ((0, platforms), (0, workloads))),
        )


def _means(group: NDArray[np.int64], values: Array) -> Array:
    """(4,) mean of each number of co-runners; of one without rows, that of the nearest below it that has some."""
    count = np.bincount(group, minlength=MAX_CO_RUNNERS + 1)
    mean = np.bincount(group, values, MAX_CO_RUNNERS + 1) / np.maximum(count, 1)
    present = np.flatnonzero(count)
    if not len(present):
        return mean
    nearest = np.clip(np.searchsorted(present, np.arange(len(mean)), side="right") - 1, 0, None)
    return np.asarray(mean[present[nearest]])
