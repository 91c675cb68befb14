"""Predictions of rows by fits that had not seen them: what spreads, candidates and CV+ bounds are made from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.splits import folds
from pitot_core.tables.equation import Equation
from pitot_core.tables.rows import Rows
from pitot_core.tables.stages import solve_stages, solve_without
from pitot_core.tables.sweeps import Sweeps

Array = NDArray[Any]
FOLDS = 5
SPARSE = 0.5  # rows per cell below which a fold has a say in who behaves alike


@dataclass(frozen=True)
class Parts:
    """The tables of K fits, each without a fold: alone (K, P, W), suffers and presses (K, s, P, W), all float32."""

    alone: Array
    suffers: Array
    presses: Array

    @classmethod
    def none(cls, types: int, shape: tuple[int, int]) -> Self:
        beside = np.zeros((0, types, *shape), np.float32)
        return cls(np.zeros((0, *shape), np.float32), beside, beside)

    @classmethod
    def of(cls, fits: list[Equation]) -> Self:
        return cls(
            np.stack([fit.alone for fit in fits]).astype(np.float32),
            np.stack([fit.suffers for fit in fits]),
            np.stack([fit.presses for fit in fits]),
        )

    def __len__(self) -> int:
        return len(self.alone)

    def __call__(self, queries: Queries, slope: float) -> NDArray[np.float64]:
        """(K, M) log Ĉ of each fit in ln ns."""
        tables = zip(self.alone.astype(np.float64), self.suffers, self.presses, strict=True)
        found = [Equation(*one, slope)(queries) for one in tables]
        return np.stack(found) if found else np.zeros((0, len(queries)))


def fit_from_nothing(sweeps: Sweeps, rows: Observations, kernels: tuple[Array, Array]) -> Equation:
    """What these rows say, baseline, behaviour and all, solved in tables that know nothing yet."""
    baseline = Baseline.fit(rows, *sweeps.shape)
    solve_stages(sweeps, Rows.of(rows, *sweeps.shape), baseline, kernels)
    return sweeps.equation(baseline)


def left_out_fits(
    rows: Observations, sweeps: Sweeps, baseline: Baseline, kernels: tuple[Array, Array], settings: Settings,
    tell: Callable[[], None], *, anew: bool,
) -> tuple[list[Equation], NDArray[np.int64]]:  # fmt: skip
    """A fit without each fold, and the fold (N,) of every row.

    `anew` solves each from nothing. Otherwise it starts from the tables of all rows and keeps their baseline (see
    `stages.solve_without`). Folds are worked at side by side; the result is the same on any number of threads.
    """
    sparse = len(rows) < SPARSE * sweeps.shape[0] * sweeps.shape[1]
    fold = folds(rows, FOLDS, by=settings.split_by, seed=settings.seed)

    def fit(held: int) -> Equation:
        others = rows[fold != held]
        if not len(others):
            others = rows
        if anew:
            twin = Sweeps(sweeps.shape, sweeps.types, sweeps.slope, sweeps.hyper)
            return fit_from_nothing(twin, others, kernels)
        twin = sweeps.copy()
        solve_without(twin, twin.start(Rows.of(others, *sweeps.shape), baseline), kernels, sparse=sparse)
        return twin.equation(baseline)

    found = []
    with ThreadPoolExecutor(settings.threads) as pool:
        for made in pool.map(fit, range(FOLDS)):
            found.append(made)
            tell()
    return found, fold
