"""What a time is made of before any feature is looked at (Eq. 2, and the start-up term that corrects it).

log-linear   log C̄_ij = p̄_j + w̄_i
start-up     log C̄_ij = logaddexp(u_j, p̄_j + w̄_i): a platform's start-up time plus a workload's work

Fitted on training rows only, by Gauss–Newton steps with a little ridge, so that a workload or platform
without an isolated row stays near its fellows. Rows with co-runners help where isolated rows are few: they
count with a small weight after their mean slowdown is taken off. A row that says only that a time is above a limit
pulls while the fit is below it.

Rows enter as sums per cell. In a step, u_j and p̄_j meet no other platform, so that they are eliminated (a 2 × 2
matrix each) and what is left to solve is W × W.

U_j + P_j W_i in time units stays the same when c goes into every W_i and c P_j out of every U_j; so
how much is called start-up is a convention, which the ridge decides, while the sum is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import Observations

Vector = NDArray[Any]
CO_RUN_WEIGHT = 0.3
NO_START_UP = -1e3  # e^-1000 ns: a start-up that never shows


@dataclass(frozen=True)
class Baseline:
    """startup (P,), platform (P,) and workload (W,), all in ln ns; a log-linear baseline has no start-up."""

    startup: Vector
    platform: Vector
    workload: Vector

    def work(self, platform: NDArray[np.int32], workload: NDArray[np.int32]) -> Vector:
        """(M,) ln ns of the work alone, p̄_j + w̄_i."""
        return np.asarray(self.platform[platform] + self.workload[workload])

    def __call__(self, platform: NDArray[np.int32], workload: NDArray[np.int32]) -> Vector:
        """(M,) log C̄_ij in ln ns."""
        return np.asarray(np.logaddexp(self.startup[platform], self.work(platform, workload)))

    def table(self) -> NDArray[np.float64]:
        """(P, W) log C̄ of every cell."""
        return np.asarray(
            np.logaddexp(self.startup[:, None], self.platform[:, None] + self.workload[None, :])
        )

    @classmethod
    def constant(cls, observations: Observations, n_platforms: int, n_workloads: int) -> Self:
        """The mean of all rows everywhere: what is left when the residual objective is switched off."""
        mean = float(observations.log_ns.mean())
        return cls(np.full(n_platforms, NO_START_UP), np.full(n_platforms, mean), np.zeros(n_workloads))

    @classmethod
    def fit(
        cls,
        observations: Observations,
        n_platforms: int,
        n_workloads: int,
        *,
        startup: bool = True,
        ridge: float = 0.002,
        start: Baseline | None = None,
    ) -> Self:
        """Least squares of the log; `start` is a nearby solution that saves most of the steps."""
        cells = _Cells.of(observations, n_platforms, n_workloads)
        if start is None:
            p, w = cells.log_linear(cells.mean, ridge)
            u = np.full(n_platforms, NO_START_UP)
            if startup:
                u = cells.fastest()
                share = np.minimum(u[:, None] - cells.mean, -0.1)  # of start-up, in ln units
                p, w = cells.log_linear(cells.mean + np.log1p(-np.exp(share)), ridge)
        else:
            u, p, w = start.startup.copy(), start.platform.copy(), start.workload.copy()
        if startup:
            u, p, w = cells.gauss_newton(u, p, w, ridge)
        elif start is not None:
            p, w = cells.log_linear(cells.mean, ridge)
        return cls(u, p, w)


@dataclass(frozen=True)
class _Cells:
    """What rows say of each cell (P, W): weight, mean ln ns, and where times were cut off, weight and limit."""

    weight: Vector
    mean: Vector
    cut_weight: Vector
    limit: Vector
    isolated: NDArray[np.bool_]

    @classmethod
    def of(cls, observations: Observations, n_platforms: int, n_workloads: int) -> Self:
        """Isolated rows at full weight; rows with co-runners, less their mean slowdown, at a small one."""
        n_co, shape = observations.n_co_runners, (n_platforms, n_workloads)
        y = observations.log_ns.copy()
        cell = observations.platform.astype(np.int64) * n_workloads + observations.workload
        measured, isolated = observations.measured, n_co == 0
        alone = measured & isolated
        if alone.any():
            y = _without_slowdown(y, cell, n_co, measured, observations.times, n_platforms * n_workloads)
        weight = np.where(isolated | ~alone.any(), 1.0, CO_RUN_WEIGHT) * observations.times
        size = n_platforms * n_workloads
        total = np.bincount(cell[measured], weight[measured], size)
        moment = np.bincount(cell[measured], (weight * y)[measured], size)
        mean = np.divide(moment, total, out=np.zeros(size), where=total > 0)
        limit = np.zeros(size)
        np.maximum.at(limit, cell[~measured], y[~measured])
        cut = np.bincount(cell[~measured], weight[~measured], size)
        seen = np.bincount(cell[alone], minlength=size) > 0
        return cls(
            total.reshape(shape),
            mean.reshape(shape),
            cut.reshape(shape),
            limit.reshape(shape),
            seen.reshape(shape),
        )

    def fastest(self) -> Vector:
        """(P,) just below the fastest isolated cell of each platform: where start-up is seen."""
        seen = self.isolated if self.isolated.any() else self.weight > 0
        fastest = np.where(seen, self.mean, np.inf).min(axis=1)
        found = np.isfinite(fastest)
        fastest[~found] = np.median(fastest[found]) if found.any() else 0.0
        return np.asarray(fastest - 0.2)

    def log_linear(self, y: Vector, ridge: float) -> tuple[Vector, Vector]:
        """Alternating means, solved exactly: p̄ carries the level, w̄ has mean zero under the ridge."""
        weight = self.weight if self.weight.any() else self.cut_weight
        y = y if self.weight.any() else np.where(weight > 0, self.limit, 0.0)
        centre = float(np.average(y, weights=weight))
        moment = weight * (y - centre)
        rows, columns = weight.sum(axis=1) + ridge, weight.sum(axis=0) + ridge
        scaled = weight / rows[:, None]
        left = np.diag(columns) - scaled.T @ weight
        w = np.linalg.solve(left, moment.sum(axis=0) - scaled.T @ moment.sum(axis=1))
        return (moment.sum(axis=1) - weight @ w) / rows + centre, w

    def gauss_newton(self, u: Vector, p: Vector, w: Vector, ridge: float) -> tuple[Vector, Vector, Vector]:
        """Levenberg–Marquardt on Σ weight (logaddexp(u_j, p_j + w_i) − y)², with a ridge about each median."""
        anchors = float(np.median(u)), float(np.median(p)), float(np.median(w))
        prior, damping = 0.1 * ridge, 1e-3

        def cost(u: Vector, p: Vector, w: Vector) -> tuple[float, Vector]:
            total = np.logaddexp(u[:, None], p[:, None] + w)
            below = np.maximum(self.limit - total, 0.0)
            ridges = sum(np.sum((x - anchor) ** 2) for x, anchor in zip((u, p, w), anchors, strict=True))
            square = np.sum(self.weight * (total - self.mean) ** 2) + np.sum(self.cut_weight * below**2)
            return float(square + prior * ridges), total

        now, total = cost(u, p, w)
        for _ in range(30):
            step = self._step(u, p, w, total, anchors, prior, damping)
            scale = min(1.0, 3.0 / max(*(float(np.abs(part).max()) for part in step), 1e-12))
            trial = (u + scale * step[0], p + scale * step[1], w + scale * step[2])
            after, there = cost(*trial)
            if after <= now:
                (u, p, w), total = trial, there
                damping = max(damping * 0.2, 1e-9)
                if now - after < 1e-5 * now:
                    break
                now = after
            else:
                damping *= 10.0
                if damping > 1e6:
                    break
        return u, p, w

    def _step(
        self, u: Vector, p: Vector, w: Vector, total: Vector, anchors: tuple[float, float, float], prior: float,
        damping: float,
    ) -> tuple[Vector, Vector, Vector]:  # fmt: skip
        """The damped Gauss–Newton step of u, p and w, where log C̄ is `total` (P, W)."""
        a = np.exp(p[:, None] + w - total)  # d log C̄ / d(p_j + w_i); the start-up has 1 − a
        pulls = np.where(total < self.limit, self.cut_weight, 0.0)
        weight = self.weight + pulls
        moment = self.weight * (self.mean - total) + pulls * (self.limit - total)
        aa, ab, bb = weight * a * a, weight * a * (1 - a), weight * (1 - a) ** 2
        right_u = np.sum(moment * (1 - a), axis=1) - prior * (u - anchors[0])
        right_p = np.sum(moment * a, axis=1) - prior * (p - anchors[1])
        right_w = np.sum(moment * a, axis=0) - prior * (w - anchors[2])
        uu, pp, ww = bb.sum(axis=1), aa.sum(axis=1), aa.sum(axis=0)
        for diagonal in (uu, pp, ww):
            diagonal += prior + damping * (diagonal + 0.1)
        up = ab.sum(axis=1)
        determinant = uu * pp - up * up
        to_u = (pp[:, None] * ab - up[:, None] * aa) / determinant[
            :, None
        ]  # the 2 × 2 inverses times their columns
        to_p = (uu[:, None] * aa - up[:, None] * ab) / determinant[:, None]
        left = np.diag(ww) - to_u.T @ ab - to_p.T @ aa
        step_w = np.linalg.solve(left, right_w - to_u.T @ right_u - to_p.T @ right_p)
        rest_u, rest_p = right_u - ab @ step_w, right_p - aa @ step_w
        return (
            (pp * rest_u - up * rest_p) / determinant,
            (uu * rest_p - up * rest_u) / determinant,
            step_w,
        )


def _without_slowdown(
    y: Vector, cell: NDArray[np.int64], n_co: NDArray[np.int64], measured: NDArray[np.bool_], times: Vector, size: int
) -> Vector:  # fmt: skip
    """Rows with co-runners less the median of what these add, by their number, where a cell was also seen alone."""
    alone = measured & (n_co == 0)
    count = np.bincount(cell[alone], times[alone], minlength=size)
    mean = np.bincount(cell[alone], (times * y)[alone], size) / np.maximum(count, 1)
    for n in np.unique(n_co[n_co > 0]):
        rows = n_co == n
        paired = np.flatnonzero(rows & measured & (count[cell] > 0))
        if len(paired):
            y[rows] -= _median(y[paired] - mean[cell[paired]], times[paired])
    return y


def _median(values: Vector, times: Vector) -> float:
    """The median of values that stand for so many each."""
    if np.all(times == 1):
        return float(np.median(values))
    order = np.argsort(values)
    upto = np.cumsum(times[order], dtype=np.float64)
    low, high = (np.searchsorted(upto, upto[-1] / 2, side=side) for side in ("left", "right"))
    return float(values[order[[low, min(high, len(order) - 1)]]].mean())
