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
from pitot_core.steps import side_by_side
from pitot_core.tables.equation import Equation
from pitot_core.tables.hyperparameters import Hyperparameters
from pitot_core.tables.residual import Residual
from pitot_core.tables.rows import Rows
from pitot_core.tables.solve import FLOAT, Table

Array = NDArray[Any]
FIRST_PRESSING = (
    0.1  # where a further type starts: the first one's G about its platform means, of this deviation
)
RESIDUAL_FLOOR = 0.002
BLIND = 10.0  # times δ: a residual whose weight is a tenth
ROWS_TO_KNOW_A_PLATFORM = 30.0
MANY_ROWS = 300_000  # worth several threads


@dataclass(frozen=True)
class Sums:
    """What all rows of a fit say of every table, F, then S⁽¹⁾ … S⁽ˢ⁾, then G⁽¹⁾ … G⁽ˢ⁾: (1 + 2s, P, W) each."""

    precision: Array
    moment: Array


class Sweeps:
    """The tables of one fit: F, and S and G of each type, all (P, W)."""

    def __init__(self, shape: tuple[int, int], types: int, slope: float, hyper: Hyperparameters) -> None:
        self.shape, self.types, self.slope, self.hyper = shape, types, slope, hyper
        self.work = Table(shape)
        self.suffers = [Table(shape, 1.0 if t == 0 else 0.0) for t in range(types)]
        self.presses = [Table(shape, hyper.pressing if t == 0 else 0.0) for t in range(types)]
        self.active = min(types, 1)
        self.loose = 1.0  # times the tolerance of a solve
        self.before: Sums | None = None
        self.loudness = np.ones((2, shape[0]))

    # Rows

    def start(self, rows: Rows, baseline: Baseline) -> list[Residual]:
        """What the tables leave of each row."""
        base = baseline.table().ravel() + self.work.f.ravel()
        suffers, presses = ([t.f.ravel() for t in tables] for tables in (self.suffers, self.presses))
        found = []
        for group in rows.groups:
            found.append(Residual(group, self.types, self.slope))
            found[-1].start(base, suffers, presses, self.active)
        return found

    def weigh(self, residuals: list[Residual], *, noisy: bool, blind: bool = False) -> None:
        """Weights of all rows by their residuals; `noisy` tells platforms apart by how noisy their rows are.

        `blind` is for before anything is solved, when residuals say nothing of noise: equal, small weights.
        """
        for beside in (False, True):
            some = [r for r in residuals if r.beside == beside]
            if noisy and some:
                self.loudness[int(beside)] = self._loudness(some) ** self.hyper.quiet
            variance = np.repeat(self._variance(beside), self.shape[1]).astype(FLOAT)
            as_if = BLIND * self.hyper.scale if blind else None
            self._each(some, lambda r, v=variance, b=as_if: r.weigh(v, self.hyper.scale, b))  # type: ignore[misc]

    def weight(self, rows: Observations, e: Array) -> Array:
        """(N,) weight of each row with residual e."""
        variance = np.stack([self._variance(False), self._variance(True)])
        beside = (rows.n_co_runners > 0).astype(np.intp)
        return np.asarray(
            1.0 / (variance[beside, rows.platform] * np.sqrt(1.0 + (e / self.hyper.scale) ** 2))
        )

    def _variance(self, beside: bool) -> Array:
        """(P,) of a row."""
        return np.asarray(
            (self.hyper.noise_beside if beside else self.hyper.noise) * self.loudness[int(beside)]
        )

    def _loudness(self, some: list[Residual]) -> Array:
        """(P,) mean residual of each platform's rows over that of all, held to 1 where rows are few."""
        total, count = self._said(some, lambda r, *sums: r.sizes(*sums, RESIDUAL_FLOOR)).sum(axis=2)
        mean = total.sum() / max(count.sum(), 1.0)
        held = (total + ROWS_TO_KNOW_A_PLATFORM * mean) / (count + ROWS_TO_KNOW_A_PLATFORM)
        return np.asarray(held / mean if mean > 0.0 else np.ones(self.shape[0]))

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
                    r.press(self.presses[t].f.ravel(), t)
            self.active = t + 1
            self.solve_suffers(residuals, t)
            self.solve_presses(residuals, t)
            self.solve_suffers(residuals, t)

    def solve_work(self, residuals: list[Residual]) -> None:
        before = self.work.f.ravel()
        precision, moment = self.sums_work(residuals)
        self.work.solve(precision, moment, self.loose)
        change = self.work.f.ravel() - before
        self._each(residuals, lambda r: r.moved_work(change))

    def solve_suffers(self, residuals: list[Residual], t: int) -> None:
        before = self.suffers[t].f.ravel()
        precision, moment = self.sums_suffers(residuals, t)
        self.suffers[t].solve(precision, moment, self.loose)
        change = self.suffers[t].f.ravel() - before
        self._each(residuals, lambda r: r.moved_suffers(change, t))

    def solve_presses(self, residuals: list[Residual], t: int) -> None:
        precision, moment = self.sums_presses(residuals, t)
        self.presses[t].solve(precision, moment, self.loose)
        presses, suffers = self.presses[t].f.ravel(), self.suffers[t].f.ravel()
        self._each(residuals, lambda r: r.moved_presses(presses, suffers, t))

    # What rows say of a table: precision and moment per cell

    def sums_work(self, residuals: list[Residual]) -> Array:
        f = self.work.f.ravel()
        return self._known(0) + self._said(residuals, lambda r, *sums: r.say_work(*sums, f))

    def sums_suffers(self, residuals: list[Residual], t: int) -> Array:
        f = self.suffers[t].f.ravel()
        return self._known(1 + t) + self._said(
            _beside(residuals), lambda r, *sums: r.say_suffers(*sums, f, t)
        )

    def sums_presses(self, residuals: list[Residual], t: int) -> Array:
        f, suffers = self.presses[t].f.ravel(), self.suffers[t].f.ravel()
        said = self._said(_beside(residuals), lambda r, *sums: r.say_presses(*sums, f, suffers, t))
        return self._known(1 + self.types + t) + said

    def _said(self, residuals: list[Residual], say: Callable[..., None]) -> Array:
        """(2, P, W) of all groups of rows, each of which adds to two sums of its own."""

        def of_one(residual: Residual) -> Array:
            sums = np.zeros((2, self.shape[0] * self.shape[1]))
            say(residual, *sums)
            return sums

        found = np.zeros((2, *self.shape))
        for said in self._each(residuals, of_one):
            found += said.reshape(found.shape)
        return found

    def _each(self, residuals: list[Residual], work: Callable[[Residual], Any]) -> list[Any]:
        return side_by_side(work, residuals, worth=sum(len(r.e) for r in residuals) > MANY_ROWS)

    def sums(self, residuals: list[Residual]) -> Sums:
        """Of all tables as they stand, with what was known before."""
        found = [self.sums_work(residuals)]
        found += [self.sums_suffers(residuals, t) for t in range(self.types)]
        found += [self.sums_presses(residuals, t) for t in range(self.types)]
        return Sums(
            np.stack([part[0] for part in found]).astype(FLOAT),
            np.stack([part[1] for part in found]).astype(FLOAT),
        )

    def _known(self, table: int) -> Array:
        """(2, P, W) to add rows to: nothing, or what an earlier fit left."""
        if self.before is None:
            return np.zeros((2, *self.shape))
        return np.stack([self.before.precision[table], self.before.moment[table]]).astype(np.float64)

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


def _beside(residuals: list[Residual]) -> list[Residual]:
    """Those whose rows have co-runners."""
    return [r for r in residuals if r.load]
