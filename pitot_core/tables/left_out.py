"""Predictions of rows by fits that had not seen them: what spreads, candidates and CV+ bounds are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.keys import mixed, shares
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.splits import folds
from pitot_core.steps import one_by_one
from pitot_core.tables.equation import Equation
from pitot_core.tables.rows import Rows
from pitot_core.tables.stages import solve_stages, solve_without
from pitot_core.tables.sweeps import Sweeps

Array = NDArray[Any]
Found = TypeVar("Found")
FOLDS = 5
LOTS = 500_000  # rows of which not every fold is predicted
ENOUGH = 200_000
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


def held_out(rows: Observations, settings: Settings) -> tuple[NDArray[np.int8], list[int]]:
    """The fold (N,) of every row, a job in one, and the folds to be predicted by a fit without them.

    They are all five; or of very many rows one, which has so many as tell enough.
    """
    if len(rows) <= LOTS:
        return folds(rows, FOLDS, by=settings.split_by, seed=settings.seed).astype(np.int8), list(
            range(FOLDS)
        )
    unit = rows.job if settings.split_by == "job" else np.arange(len(rows))
    drawn = shares(mixed(unit, np.full(len(rows), settings.seed))) < ENOUGH / len(rows)
    return np.where(drawn, 0, 1).astype(np.int8), [0]


def left_out_fit(
    data: Rows, sweeps: Sweeps, baseline: Baseline, kernels: tuple[Array, Array]
) -> Callable[[int], Equation]:
    """What fits without a fold, from the tables of all rows; the baseline stays (see `stages.solve_without`)."""
    sparse = data.total < SPARSE * sweeps.shape[0] * sweeps.shape[1]

    def fit(fold: int) -> Equation:
        twin = sweeps.copy()
        solve_without(twin, twin.start(data.without(fold), baseline), kernels, sparse=sparse)
        return twin.equation(baseline)

    return fit


def fit_anew(
    rows: Observations, fold: NDArray[np.int8], sweeps: Sweeps, kernels: tuple[Array, Array]
) -> Callable[[int], Equation]:
    """The same from nothing, baseline and all."""

    def fit(out: int) -> Equation:
        others = rows[fold != out]
        twin = Sweeps(sweeps.shape, sweeps.types, sweeps.slope, sweeps.hyper)
        return fit_from_nothing(twin, others if len(others) else rows, kernels)

    return fit


def at_once(
    fit: Callable[[int], Equation], held: list[int], also: Callable[[], Found], tell: Callable[[], None]
) -> tuple[list[Equation], Found]:
    """The fits without these folds, and what `also` gives, beside each other; the same on any number of threads.

    One fold of very many rows, and then `also`, each have all threads for themselves.
    """
    if len(held) == 1:
        fits = [fit(held[0])]
        tell()
        return fits, also()
    works: list[Callable[[], Any]] = [also, *(partial(fit, fold) for fold in held)]  # the longest first
    found = one_by_one(lambda work: work(), works, worth=True)
    other, fits = next(found), []
    for made in found:
        fits.append(made)
        tell()
    return fits, other


def drawn(rows: Observations, at: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Of row numbers at most so many, each as often as the row was seen, evenly over all."""
    count = rows.times[at]
    upto = np.cumsum(count, dtype=np.float64)
    total = upto[-1] if len(upto) else 0.0
    places = (np.arange(min(int(total), most)) + 0.5) * (total / max(min(int(total), most), 1))
    return at[np.searchsorted(upto, places, side="right")]
