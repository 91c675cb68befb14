"""How far the times of a row may lie from its prediction, before any calibration.

    σ_ijK = exp( c_|K| + a_j + b_i + d_ij + Σ_{k∈K} e_k )

is fitted by ridge regression to log(|log C* − log Ĉ| + FLOOR) of rows that the predictions had not seen. Only its shape
matters: calibration stretches it until a share 1 − ε of the rows lies below (see `conformal`). So that no cell pretends
to know its spread from two rows, a cell's own term d_ij is held closest to zero, then the co-runners', then the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.observations import MAX_CO_RUNNERS, Observations, Queries

Array = NDArray[Any]
FLOOR = 0.003  # ln units: a residual of nothing still counts as a third of a percent
RIDGE_SIDE, RIDGE_BESIDE, RIDGE_CELL = 4.0, 8.0, 12.0  # rows that would say the opposite
SWEEPS = 12


@dataclass(frozen=True)
class Spread:
    """degree (4,), platform (P,), workload (W,), beside (W,) and cell (P, W), all in log units of σ."""

    degree: Array
    platform: Array
    workload: Array
    beside: Array
    cell: Array

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        return ("degree", "platform", "workload", "beside", "cell")

    @classmethod
    def flat(cls, n_platforms: int, n_workloads: int) -> Self:
        """The same spread for every row."""
        return cls(
            np.full(MAX_CO_RUNNERS + 1, np.log(0.03)), np.zeros(n_platforms), np.zeros(n_workloads),
            np.zeros(n_workloads), np.zeros((n_platforms, n_workloads)),
        )  # fmt: skip

    @classmethod
    def fit(cls, rows: Observations, residual: Array, n_platforms: int, n_workloads: int) -> Self:
        """From rows and (N,) log C* − log Ĉ of predictions that had not seen them."""
        target = np.log(np.abs(residual) + FLOOR)
        n_co = rows.n_co_runners
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
        return cls(
            degree, terms["platform"], terms["workload"], beside,
            terms["cell"].reshape(n_platforms, n_workloads),
        )  # fmt: skip

    def __call__(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) σ in ln units."""
        j, i = queries.platform, queries.workload
        log = self.degree[queries.n_co_runners] + self.platform[j] + self.workload[i] + self.cell[j, i]
        beside = np.append(self.beside, 0.0)  # the last is −1: no co-runner
        for column in range(MAX_CO_RUNNERS):
            log += beside[queries.co_runners[:, column]]
        return np.asarray(np.exp(log))

    def check(self, n_platforms: int, n_workloads: int) -> None:
        """Raise ModelFileError where arrays from a file do not fit the tables."""
        check_shape("spread_degree", self.degree, (MAX_CO_RUNNERS + 1,))
        check_shape("spread_platform", self.platform, (n_platforms,))
        check_shape("spread_workload", self.workload, (n_workloads,))
        check_shape("spread_beside", self.beside, (n_workloads,))
        check_shape("spread_cell", self.cell, (n_platforms, n_workloads))

    def grown(self, n_workloads: int, n_platforms: int) -> Spread:
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
