"""How far the times of a row may lie from its prediction, before any calibration.

    σ_ijK = exp( c_|K| + p_|K| (B_ji + Σ_{k∈K} D_jk + ½ log v_ijK) )      beside others
    σ_ij  = exp( c₀ + p₀ (A_ji + LENT B_ji + ½ log v_ij) )                alone

v is the standard deviation that the method itself claims (1 where it claims none). Most cells are measured alone once
or never, but beside several others, and what varies there varies alone too: so B is fitted first and lent to A.
A, B and D are tables under the same kind of Gaussian-process prior as the tables of times (see `tables.solve`): cells
are as uncertain as those of workloads and platforms that are alike, by features and by how they behave. They are fitted
to |log C* − log Ĉ| of rows that the predictions had not seen: first to its logarithm, then by scoring steps of an
exponential likelihood (target log σ + |e|/σ − 1), for which the mean of |e| counts and not what is typical. Times
below their prediction count BELOW of what they are off by, since no bound is exceeded there. For bounds only the shape
of σ matters: calibration stretches it until a share 1 − ε of the rows lies below (see `conformal`).
p is 1 in the fit; afterwards p and c are set so that σ is as large as the residuals are (see `levelled`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.features import Features
from pitot_core.observations import MAX_CO_RUNNERS, Observations, Queries
from pitot_core.splits import folds
from pitot_core.steps import side_by_side
from pitot_core.tables.hyperparameters import Hyperparameters, TableOptions
from pitot_core.tables.kernels import behaviour, prior_kernels, unit
from pitot_core.tables.solve import Factor, Table

Array = NDArray[Any]
DEGREES = MAX_CO_RUNNERS + 1
FOLDS = 5
FLOOR = 0.003  # ln units: a residual of nothing still counts as a third of a percent
BELOW = 0.15  # of a residual below zero
NOISE = 1.2  # variance of log |e| about log σ
OWN, BESIDE = 0.6, 0.2  # prior variance of A and B, and of D
SHARED, APART = 1.0, 0.3  # of a kernel: what all have in common, what each has alone
ROUNDS = (2, 3)  # on logarithms, then by scoring
ROUNDS_WITHOUT = 2  # of scoring, when rows are taken away
LENT = 0.6  # of what the rows beside others say of a cell, to the same cell alone
CLAIM = 0.5  # power of the standard deviation that the method claims
LOOSE = 5.0  # times the tolerance of a solve: a hundredth of what log σ is about its level
MOST_PULL = 4.0  # by which one row may seem larger than σ
MEAN_OF_NORMAL = math.sqrt(math.pi / 2.0)  # times the mean of |z| gives the standard deviation of a normal z
LEAST = 1e-6
OFTEN_ENOUGH = 0.9995  # of the rows have a smaller σ: what is larger was seen too seldom to be believed
UNLIMITED = 1e3
ENOUGH_TO_LEVEL = 500  # rows of a number of co-runners


@dataclass(frozen=True)
class Alike:
    """Factors of the kernels over platforms (P, P) and over workloads (W, W)."""

    platform: Factor
    workload: Factor

    @classmethod
    def of(cls, log_ns: Array, features: Features) -> Self:
        """By features, and by the predicted ln ns (P, W) alone less the means of its rows and columns."""
        hyper = Hyperparameters()
        about = log_ns - log_ns.mean(axis=1, keepdims=True)
        about = about - about.mean(axis=0, keepdims=True)
        platform, workload = prior_kernels(features, TableOptions(), hyper, log_ns.shape)
        platform = unit(
            platform + hyper.behaviour_platform * behaviour(about, hyper.behaviour_platform_length)
        )
        workload = unit(
            workload + hyper.behaviour_workload * behaviour(about.T, hyper.behaviour_workload_length)
        )
        return cls(*(Factor(unit(k + SHARED + APART * np.eye(len(k)))) for k in (platform, workload)))

    def table(self, amplitude: float) -> Table:
        """An empty table under this prior."""
        made = Table((len(self.platform), len(self.workload)))
        made.prior(self.platform, self.workload, amplitude)
        return made


@dataclass(frozen=True)
class Spread:
    """(4,) degree c, power p, most (σ is never above it); (P, W) float32 alone A + LENT B, suffers B, presses D."""

    degree: Array
    power: Array
    alone: Array
    suffers: Array
    presses: Array
    most: Array

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))

    @classmethod
    def fit(
        cls, rows: Observations, residual: Array, deviation: Array | None, alike: Alike, by: str, seed: int
    ) -> tuple[Self, Array]:
        """From rows and (N,) log C* − log Ĉ of predictions that had not seen them, with their claimed deviation.

        With the σ (N,) of every row by a fit without its fifth, which is of whole jobs where `by` is "job".
        """
        n_co, claim = rows.n_co_runners, np.ones(len(rows)) if deviation is None else deviation**CLAIM
        size = (np.where(residual > 0.0, residual, -BELOW * residual) + FLOOR) / claim
        whole = [_Tables(alike, beside=True), _Tables(alike, beside=False)]
        degree = _means(n_co, np.log(size))
        fold = folds(rows, FOLDS, by=by, seed=seed)
        own = np.empty(len(rows))
        kinds = [k for k in zip(whole, (n_co > 0, n_co == 0), strict=True) if k[1].any()]

        for tables, these in kinds:  # one after another: alone needs the other, and they share factors
            if not tables.beside:
                lent = np.exp(LENT * whole[0](rows[these]))
                claim[these] *= lent
                size[these] /= lent
                degree[0] = np.log(size[these]).mean()
            tables.fit(rows[these], size[these], degree, *ROUNDS)

        def fit_without(part: tuple[tuple[_Tables, Array], int]) -> None:
            (tables, these), held = part
            mine, others = np.flatnonzero(these & (fold == held)), np.flatnonzero(these & (fold != held))
            if len(mine) and len(others):
                without, level = tables.copy(), degree.copy()
                without.fit(rows[others], size[others], level, 0, ROUNDS_WITHOUT)
                own[mine] = np.exp(level[n_co[mine]] + without(rows[mine]))
            else:
                own[mine] = np.exp(degree[n_co[mine]])

        side_by_side(fit_without, list(itertools.product(kinds, range(FOLDS))), worth=True)
        suffers, presses = whole[0].own.f, whole[0].presses.f
        alone = whole[1].own.f + np.float32(LENT) * suffers
        fitted = cls(degree, np.ones(DEGREES), alone, suffers, presses, np.full(DEGREES, UNLIMITED))
        return fitted.levelled(n_co, own * claim, residual)

    def levelled(self, n_co: NDArray[np.int64], own: Array, residual: Array) -> tuple[Self, Array]:
        """With σ raised to a power and times a factor, per number of co-runners, such that it is what it claims to be.

        own (N,) are spreads of rows from fits that had not seen them. The mean of |residual| in each tenth of them,
        times √(π/2), is what σ should be there. Gives also `own` corrected so.
        """
        slope, level = np.ones(DEGREES), np.zeros(DEGREES)
        for n in range(DEGREES):
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
        own = np.exp(level[n_co] + slope[n_co] * np.log(own))
        most = np.full(DEGREES, UNLIMITED)
        for n in np.unique(n_co):
            most[n] = np.quantile(own[n_co == n], OFTEN_ENOUGH)
        levelled = replace(self, degree=slope * self.degree + level, power=slope, most=most)
        return levelled, np.minimum(own, most[n_co])

    def __call__(self, queries: Queries, deviation: Array | None = None) -> NDArray[np.float64]:
        """(M,) σ in ln units, from the deviation (M,) that the method claims, where it does."""
        j, n_co = queries.platform, queries.n_co_runners
        log = np.where(n_co > 0, self.suffers[j, queries.workload], self.alone[j, queries.workload]).astype(
            float
        )
        for column in range(MAX_CO_RUNNERS):
            k = queries.co_runners[:, column]
            log += np.where(k >= 0, self.presses[j, k], 0.0)
        if deviation is not None:
            log += CLAIM * np.log(deviation)
        return np.asarray(np.minimum(np.exp(self.degree[n_co] + self.power[n_co] * log), self.most[n_co]))

    def check(self, n_platforms: int, n_workloads: int) -> None:
        """Raise ModelFileError where arrays from a file do not fit the tables."""
        check_shape("spread_degree", self.degree, (DEGREES,))
        check_shape("spread_power", self.power, (DEGREES,))
        check_shape("spread_most", self.most, (DEGREES,))
        for name in ("alone", "suffers", "presses"):
            check_shape(f"spread_{name}", getattr(self, name), (n_platforms, n_workloads))

    def grown(self, n_platforms: int, n_workloads: int) -> Self:
        """For longer tables: what is new is as uncertain as its fellows are on (geometric) average."""
        platforms, workloads = (
            n - had for n, had in zip((n_platforms, n_workloads), self.alone.shape, strict=True)
        )

        def longer(table: Array) -> Array:
            table = np.vstack([table, np.tile(table.mean(axis=0), (platforms, 1))])
            return np.hstack([table, np.tile(table.mean(axis=1)[:, None], (1, workloads))])

        return replace(
            self, alone=longer(self.alone), suffers=longer(self.suffers), presses=longer(self.presses)
        )

    def anew(self, side: str, numbers: Array, fellows: NDArray[np.bool_]) -> Self:
        """With some workloads or platforms as uncertain as their fellows (mask) are on average, but for their claims.

        Newcomers have too few rows to say more, and known ones that are rehearsed as newcomers must not know more.
        """
        others = fellows.copy()
        others[numbers] = False
        if not others.any():
            return self
        tables = []
        for table in (self.alone, self.suffers, self.presses):
            table = table.copy()
            if side == "platform":
                table[numbers] = table[others].mean(axis=0)
            else:
                table[:, numbers] = table[:, others].mean(axis=1)[:, None]
            tables.append(table)
        return replace(self, alone=tables[0], suffers=tables[1], presses=tables[2])


class _Tables:
    """log σ less its level: one table over (platform, workload), and beside others one over (platform, co-runner)."""

    def __init__(self, alike: Alike, *, beside: bool) -> None:
        self.own, self.presses, self.beside = alike.table(OWN), alike.table(BESIDE), beside

    def copy(self) -> _Tables:
        twin = object.__new__(_Tables)
        twin.own, twin.presses, twin.beside = self.own.copy(), self.presses.copy(), self.beside
        return twin

    def __call__(self, rows: Queries) -> Array:
        return self._at(*_cells(rows, self.own.f.shape[1]))

    def _at(self, cell: Array, pressing: list[tuple[Array, Array]]) -> Array:
        log = self.own.f.ravel()[cell].astype(np.float64)
        for at, k in pressing:
            log[at] += self.presses.f.ravel()[k]
        return log

    def fit(self, rows: Observations, size: Array, degree: Array, logs: int, scorings: int) -> None:
        """Rounds on the logarithm of size (N,), then of scoring; degree (4,) is set to the level of each number."""
        shape, n_co = self.own.f.shape, rows.n_co_runners
        cell, pressing = _cells(rows, shape[1])
        count = np.bincount(cell, minlength=self.own.f.size).reshape(shape) / NOISE
        held = np.zeros(self.own.f.size)
        for at, k in pressing:
            held += np.bincount(k, n_co[at], held.size) / NOISE
        for turn in range(logs + scorings):
            log = degree[n_co] + self._at(cell, pressing)
            if turn < logs:
                left = np.log(size) - log
            else:
                ratio = size / np.exp(log)
                left = np.minimum(ratio / ratio.mean() - 1.0, MOST_PULL)
            shift = _means(n_co, left)
            present = np.unique(n_co)
            degree[present] += shift[present]
            left -= shift[n_co]
            before = self.own.f.ravel()[cell]
            moment = np.bincount(cell, left + before, count.size).reshape(shape) / NOISE
            self.own.solve(count, moment, LOOSE)
            if not self.beside:
                continue
            left += before - self.own.f.ravel()[cell]
            # Parted among co-runners by Jensen's inequality, as in `sweeps`.
            flat, moment = self.presses.f.ravel(), np.zeros(held.size)
            for at, k in pressing:
                moment += np.bincount(k, left[at] + n_co[at] * flat[k], held.size) / NOISE
            self.presses.solve(held.reshape(shape), moment.reshape(shape), LOOSE)


def _cells(rows: Queries, n_workloads: int) -> tuple[Array, list[tuple[Array, Array]]]:
    """Numbers of the cells j·W + i, and for each column of co-runners which rows have one, and j·W + k."""
    row = rows.platform.astype(np.int64) * n_workloads
    at = [np.flatnonzero(rows.co_runners[:, column] >= 0) for column in range(MAX_CO_RUNNERS)]
    return row + rows.workload, [
        (some, row[some] + rows.co_runners[some, column]) for column, some in enumerate(at) if len(some)
    ]


def _means(group: NDArray[np.int64], values: Array) -> Array:
    """(4,) mean of each number of co-runners; of one without rows, that of the nearest below it that has some."""
    count = np.bincount(group, minlength=DEGREES)
    mean = np.bincount(group, values, DEGREES) / np.maximum(count, 1)
    present = np.flatnonzero(count)
    if not len(present):
        return mean
    nearest = np.clip(np.searchsorted(present, np.arange(len(mean)), side="right") - 1, 0, None)
    return np.asarray(mean[present[nearest]])
