"""Solving all tables of Eq. 9 in turn.

    y = log C* − log C̄ = F_ji + Σ_t S⁽ᵗ⁾_ji α(Σ_{k∈K} G⁽ᵗ⁾_jk) + noise,   t = 1 … s,   α = leaky ReLU

Given the others, every table is a Gaussian-process regression (`solve`). A sweep solves F, then G and S of each type.
Rows are weighted anew in each sweep by w = 1/(σ² √(1 + (e/δ)²)), which makes the loss square near zero and absolute
beyond; σ² grows with how noisy a platform's rows are. A row that only says "above this limit" pulls while
its prediction is below it, and has no weight otherwise.

A row with n co-runners has n cells of G in one residual. They are parted by Jensen's inequality:
(e − c Σ_k d_k)² ≤ (1/n) Σ_k (e − n c d_k)², so each cell sees a coefficient n c at weight w/n, and every sweep still
lowers the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.observations import Observations
from pitot_core.tables.equation import Equation
from pitot_core.tables.hyperparameters import Hyperparameters
from pitot_core.tables.rows import Group, Rows
from pitot_core.tables.solve import FLOAT, Table

Array = NDArray[Any]
FIRST_PRESSING = (
    0.1  # where a further type starts: the first one's G about its platform means, of this deviation
)
RESIDUAL_FLOOR = 0.002
BLIND = 10.0  # times δ: a residual whose weight is a tenth
ROWS_TO_KNOW_A_PLATFORM = 30.0


@dataclass(frozen=True)
class Sums:
    """What all rows of a fit say of every table, F, then S⁽¹⁾ … S⁽ˢ⁾, then G⁽¹⁾ … G⁽ˢ⁾: (1 + 2s, P, W) each."""

    precision: Array
    moment: Array


@dataclass
class Residual:
    """One group's rows while the tables move.

    e (n,) log C* − prediction; weight (n,); load: for each type Σ_k G (n,), float32
    """

    group: Group
    e: Array
    load: list[Array]
    weight: Array


class Sweeps:
    """The tables of one fit: F, and S and G of each type, all (P, W)."""

    def __init__(self, shape: tuple[int, int], types: int, slope: float, hyper: Hyperparameters) -> None:
        self.shape, self.types, self.slope, self.hyper = shape, types, slope, hyper
        self.work = Table(shape)
        self.suffers = [Table(shape, 1.0 if t == 0 else 0.0) for t in range(types)]
        self.presses = [Table(shape, hyper.pressing if t == 0 else 0.0) for t in range(types)]
        self.active = min(types, 1)
        self.before: Sums | None = None
        self.loudness = np.ones((2, shape[0]))

    # Rows

    def start(self, rows: Rows, baseline: Baseline) -> list[Residual]:
        """What the tables leave of each row."""
        base = baseline.table().ravel() + self.work.f.ravel()
        found = []
        for group in rows.groups:
            e = group.log_ns - base[group.cell]
            load = [self._load(group, t) for t in range(self.types)] if len(group.beside) else []
            for t in range(self.active if load else 0):
                e -= self.suffers[t].f.ravel()[group.cell] * self._alpha(load[t])
            found.append(Residual(group, e, load, np.ones(len(group))))
        return found

    def weigh(self, residuals: list[Residual], *, noisy: bool, blind: bool = False) -> None:
        """Weights of all rows by their residuals; `noisy` tells platforms apart by how noisy their rows are.

        `blind` is for before anything is solved, when residuals say nothing of noise: equal, small weights.
        """
        for beside in (False, True):
            some = [r for r in residuals if bool(len(r.group.beside)) == beside]
            if noisy and some:
                self.loudness[int(beside)] = self._loudness(some) ** self.hyper.quiet
            for r in some:
                e = np.full_like(r.e, BLIND * self.hyper.scale) if blind else r.e
                r.weight = r.group.count * self._weight(r.group.cell // self.shape[1], beside, e)
                r.weight[r.group.censored & (r.e <= 0.0)] = 0.0

    def weight(self, rows: Observations, e: Array) -> Array:
        """(N,) weight of each row with residual e."""
        found, beside = np.empty(len(rows)), rows.n_co_runners > 0
        for which in (False, True):
            at = np.flatnonzero(beside == which)
            found[at] = self._weight(rows.platform[at], which, e[at])
        return found

    def _weight(self, platform: Array, beside: bool, e: Array) -> Array:
        variance = self.hyper.noise_beside if beside else self.hyper.noise
        loud = variance * self.loudness[int(beside)][platform]
        return np.asarray(1.0 / (loud * np.sqrt(1.0 + (e / self.hyper.scale) ** 2)))

    def _loudness(self, some: list[Residual]) -> Array:
        """(P,) mean residual of each platform's rows over that of all, held to 1 where rows are few."""
        n, n_workloads = self.shape
        total, count = np.zeros(n), np.zeros(n)
        for r in some:
            platform = r.group.cell // n_workloads
            seen = np.where(r.group.censored, 0.0, r.group.count)
            total += np.bincount(platform, (np.abs(r.e) + RESIDUAL_FLOOR) * seen, n)
            count += np.bincount(platform, seen, n)
        mean = total.sum() / max(count.sum(), 1.0)
        held = (total + ROWS_TO_KNOW_A_PLATFORM * mean) / (count + ROWS_TO_KNOW_A_PLATFORM)
        return np.asarray(held / mean if mean > 0.0 else np.ones(n))

    # Solving

    def run(
        self, residuals: list[Residual], sweeps: int, *, noisy: bool = True, first: bool = False,
        tell: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """So many sweeps over all active tables; `first` where nothing is solved yet."""
        for sweep in range(sweeps):
            self.weigh(residuals, noisy=noisy, blind=first and sweep == 0)
            self._sweep(residuals)
            if tell is not None:
                tell()

    def _sweep(self, residuals: list[Residual]) -> None:
        self.solve_work(residuals)
        for t in range(self.active):
            self.solve_presses(residuals, t)
            self.solve_suffers(residuals, t)

    def awake(self, residuals: list[Residual]) -> None:
        """Let the further types in: their S is solved first, on what the first type's G is about its mean."""
        if self.types < 2 or self.active != 1 or not any(r.load for r in residuals):
            return
        first = self.presses[0].f
        about = first - first.mean(axis=1, keepdims=True)
        deviation = float(about.std())
        if deviation <= 0.0:
            return
        for t in range(1, self.types):
            self.presses[t].f = about * FLOAT(FIRST_PRESSING / deviation)
            for r in residuals:
                if r.load:
                    r.load[t] = self._load(r.group, t)
            self.active = t + 1
            self.solve_suffers(residuals, t)
            self.solve_presses(residuals, t)
            self.solve_suffers(residuals, t)

    def solve_work(self, residuals: list[Residual]) -> None:
        precision, moment = self.sums_work(residuals)
        before = self.work.f.ravel()
        self.work.solve(precision, moment)
        change = self.work.f.ravel() - before
        for r in residuals:
            r.e -= change[r.group.cell]

    def solve_suffers(self, residuals: list[Residual], t: int) -> None:
        table = self.suffers[t]
        precision, moment = self.sums_suffers(residuals, t)
        before = table.f.ravel()
        table.solve(precision, moment)
        change = table.f.ravel() - before
        for r in residuals:
            if r.load:
                r.e -= change[r.group.cell] * self._alpha(r.load[t])

    def solve_presses(self, residuals: list[Residual], t: int) -> None:
        table = self.presses[t]
        precision, moment = self.sums_presses(residuals, t)
        table.solve(precision, moment)
        for r in residuals:
            if r.load:
                after = self._load(r.group, t)
                suffers = self.suffers[t].f.ravel()[r.group.cell]
                r.e -= suffers * (self._alpha(after) - self._alpha(r.load[t]))
                r.load[t] = after

    # What rows say of a table: precision and moment per cell

    def sums_work(self, residuals: list[Residual]) -> tuple[Array, Array]:
        precision, moment = self._known(0)
        f = self.work.f.ravel()
        for r in residuals:
            _add(precision, r.group.cell, r.weight)
            _add(moment, r.group.cell, r.weight * (r.e + f[r.group.cell]))
        return precision, moment

    def sums_suffers(self, residuals: list[Residual], t: int) -> tuple[Array, Array]:
        precision, moment = self._known(1 + t)
        f = self.suffers[t].f.ravel()
        for r in residuals:
            if r.load:
                slope = self._alpha(r.load[t])
                weighted = r.weight * slope
                _add(precision, r.group.cell, weighted * slope)
                _add(moment, r.group.cell, weighted * (r.e + slope * f[r.group.cell]))
        return precision, moment

    def sums_presses(self, residuals: list[Residual], t: int) -> tuple[Array, Array]:
        precision, moment = self._known(1 + self.types + t)
        f, suffers = self.presses[t].f.ravel(), self.suffers[t].f.ravel()
        for r in residuals:
            if r.load:
                slope = suffers[r.group.cell] * np.where(r.load[t] > 0, 1.0, self.slope)
                weighted = r.weight * slope
                own = weighted * slope * len(r.group.beside)
                pull = weighted * r.e
                for k in r.group.beside:
                    _add(precision, k, own)
                    _add(moment, k, pull + own * f[k])
        return precision, moment

    def sums(self, residuals: list[Residual]) -> Sums:
        """Of all tables as they stand, with what was known before."""
        found = [self.sums_work(residuals)]
        found += [self.sums_suffers(residuals, t) for t in range(self.types)]
        found += [self.sums_presses(residuals, t) for t in range(self.types)]
        return Sums(
            np.stack([part[0] for part in found]).astype(FLOAT),
            np.stack([part[1] for part in found]).astype(FLOAT),
        )

    def _known(self, table: int) -> tuple[Array, Array]:
        """Sums to add rows to: nothing, or what an earlier fit left."""
        if self.before is None:
            return np.zeros(self.shape), np.zeros(self.shape)
        return (
            self.before.precision[table].astype(np.float64),
            self.before.moment[table].astype(np.float64),
        )

    def place(self, work: Array, suffers: Array, presses: Array) -> None:
        """Begin from tables that were solved before."""
        for table, f in zip(self.tables, [work, *suffers, *presses], strict=True):
            table.f = np.array(f, FLOAT)
        self.active = self.types

    def values(self) -> tuple[Array, Array, Array]:
        """F (P, W), S and G (s, P, W)."""
        none = np.zeros((0, *self.shape), FLOAT)
        suffers, presses = (
            np.stack([table.f for table in tables]) if tables else none
            for tables in (self.suffers, self.presses)
        )
        return self.work.f, suffers, presses

    def equation(self, baseline: Baseline) -> Equation:
        """What the tables answer."""
        work, suffers, presses = self.values()
        return Equation(baseline.table() + work, suffers, presses, self.slope)

    def deviations(self, sums: Sums) -> Array:
        """(1 + 2s, P, W) posterior standard deviations."""
        found = [np.sqrt(t.variance(p)) for t, p in zip(self.tables, sums.precision, strict=True)]
        return np.stack(found).astype(np.float16)

    @property
    def tables(self) -> list[Table]:
        return [self.work, *self.suffers, *self.presses]

    def copy(self) -> Sweeps:
        """The same priors, from where the tables are."""
        twin = copy(self)
        twin.loudness = self.loudness.copy()
        twin.work = self.work.copy()
        twin.suffers = [table.copy() for table in self.suffers]
        twin.presses = [table.copy() for table in self.presses]
        return twin

    def _load(self, group: Group, t: int) -> Array:
        g = self.presses[t].f.ravel()
        load = g[group.beside[0]]
        for k in group.beside[1:]:
            load += g[k]
        return np.asarray(load)

    def _alpha(self, load: Array) -> Array:
        return np.asarray(np.where(load > 0, load, FLOAT(self.slope) * load))


def _add(total: Array, cell: Array, value: Array) -> None:
    total += np.bincount(cell, value, total.size).reshape(total.shape)
