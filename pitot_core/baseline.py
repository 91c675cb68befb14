"""What a time is made of before any feature is looked at (Eq. 2, and the start-up term that corrects it).

log-linear   log C̄_ij = p̄_j + w̄_i
start-up     log C̄_ij = logaddexp(u_j, p̄_j + w̄_i): a platform's start-up time plus a workload's work

Fitted on training rows only, by Gauss–Newton steps with a little ridge, so that a workload or platform
without an isolated row stays near its fellows. Rows with co-runners help where isolated rows are few: they
count with a small weight after their mean slowdown is taken off.

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
        j, i, y, weight = _rows(observations)
        if start is None:
            p, w = _log_linear(j, i, y, weight, n_platforms, n_workloads, ridge)
            u = np.full(n_platforms, NO_START_UP)
            if startup:
                u = _fastest(j, y, weight, n_platforms)
                p, w = _log_linear(j, i, y + np.log1p(-np.exp(np.minimum(u[j] - y, -0.1))), weight,
                                   n_platforms, n_workloads, ridge)  # fmt: skip
        else:
            u, p, w = start.startup.copy(), start.platform.copy(), start.workload.copy()
        if startup:
            u, p, w = _gauss_newton(j, i, y, weight, u, p, w, ridge)
        elif start is not None:
            p, w = _log_linear(j, i, y, weight, n_platforms, n_workloads, ridge)
        return cls(u, p, w)


def _rows(observations: Observations) -> tuple[NDArray[np.int64], NDArray[np.int64], Vector, Vector]:
    """Isolated rows at full weight; rows with co-runners, less their mean slowdown, at a small one."""
    n_co = observations.n_co_runners
    y = observations.log_ns.copy()
    j, i = observations.platform.astype(np.int64), observations.workload.astype(np.int64)
    isolated = n_co == 0
    weight = np.where(isolated, 1.0, CO_RUN_WEIGHT)
    if not isolated.any():
        return j, i, y, np.ones_like(weight)
    if not isolated.all():
        cell = j * (int(i.max()) + 1) + i
        alone = np.zeros(int(cell.max()) + 1)
        count = np.bincount(cell[isolated], minlength=len(alone))
        np.add.at(alone, cell[isolated], y[isolated])
        known = count > 0
        alone[known] /= count[known]
        for n in np.unique(n_co[~isolated]):
            rows = n_co == n
            paired = rows & known[cell]
            if paired.any():
                y[rows] -= np.median(y[paired] - alone[cell[paired]])
    return j, i, y, weight


def _fastest(j: NDArray[np.int64], y: Vector, weight: Vector, n_platforms: int) -> Vector:
    """Just below the fastest isolated row of each platform: where start-up is seen."""
    fastest = np.full(n_platforms, np.inf)
    rows = weight == weight.max()
    np.minimum.at(fastest, j[rows], y[rows])
    found = np.isfinite(fastest)
    fastest[~found] = np.median(fastest[found])
    return fastest - 0.2


def _log_linear(
    j: NDArray[np.int64],
    i: NDArray[np.int64],
    y: Vector,
    weight: Vector,
    n_platforms: int,
    n_workloads: int,
    ridge: float,
) -> tuple[Vector, Vector]:
    """Alternating means, solved exactly: p̄ carries the level, w̄ has mean zero under the ridge."""
    centre = float(np.average(y, weights=weight))
    matrix, right = _normal(j, i, weight, weight * (y - centre), n_platforms, n_workloads)
    solution = np.linalg.solve(matrix + ridge * np.eye(len(matrix)), right)
    return solution[:n_platforms] + centre, solution[n_platforms:]


def _normal(
    j: NDArray[np.int64],
    i: NDArray[np.int64],
    weight: Vector,
    moment: Vector,
    n_platforms: int,
    n_workloads: int,
) -> tuple[Vector, Vector]:
    """Normal equations of y ≈ p_j + w_i."""
    cross = np.bincount(j * n_workloads + i, weight, n_platforms * n_workloads).reshape(
        n_platforms, n_workloads
    )
    matrix = np.block([[np.diag(cross.sum(axis=1)), cross], [cross.T, np.diag(cross.sum(axis=0))]])
    right = np.concatenate([np.bincount(j, moment, n_platforms), np.bincount(i, moment, n_workloads)])
    return matrix, right


def _gauss_newton(
    j: NDArray[np.int64],
    i: NDArray[np.int64],
    y: Vector,
    weight: Vector,
    u: Vector,
    p: Vector,
    w: Vector,
    ridge: float,
) -> tuple[Vector, Vector, Vector]:
    """Levenberg–Marquardt on Σ weight (logaddexp(u_j, p_j + w_i) − y)², with a ridge about each median."""
    n_platforms, n_workloads = len(p), len(w)
    size = 2 * n_platforms + n_workloads
    cell = j * n_workloads + i
    anchor_u, anchor_p, anchor_w = float(np.median(u)), float(np.median(p)), float(np.median(w))
    damping = 1e-3

    def cost(u: Vector, p: Vector, w: Vector) -> float:
        residual = np.logaddexp(u[j], p[j] + w[i]) - y
        prior = np.sum((u - anchor_u) ** 2) + np.sum((p - anchor_p) ** 2) + np.sum((w - anchor_w) ** 2)
        return float(np.sum(weight * residual**2) + 0.1 * ridge * prior)

    now = cost(u, p, w)
    for _ in range(30):
        work = p[j] + w[i]
        total = np.logaddexp(u[j], work)
        a = np.exp(work - total)  # d log C̄ / d(p_j + w_i); the start-up has 1 − a
        e = y - total
        waa, wab, wbb = weight * a * a, weight * a * (1 - a), weight * (1 - a) ** 2
        aa = np.bincount(cell, waa, n_platforms * n_workloads).reshape(n_platforms, n_workloads)
        ab = np.bincount(cell, wab, n_platforms * n_workloads).reshape(n_platforms, n_workloads)
        matrix = np.zeros((size, size))
        P, U, W = slice(0, n_platforms), slice(n_platforms, 2 * n_platforms), slice(2 * n_platforms, size)
        np.fill_diagonal(matrix[P, P], aa.sum(axis=1))
        np.fill_diagonal(matrix[U, U], np.bincount(j, wbb, n_platforms))
        np.fill_diagonal(matrix[P, U], ab.sum(axis=1))
        np.fill_diagonal(matrix[U, P], ab.sum(axis=1))
        np.fill_diagonal(matrix[W, W], aa.sum(axis=0))
        matrix[P, W], matrix[W, P] = aa, aa.T
        matrix[U, W], matrix[W, U] = ab, ab.T
        prior = 0.1 * ridge
        moment = weight * a * e
        right = np.concatenate(
            [
                np.bincount(j, moment, n_platforms) - prior * (p - anchor_p),
                np.bincount(j, weight * (1 - a) * e, n_platforms) - prior * (u - anchor_u),
                np.bincount(i, moment, n_workloads) - prior * (w - anchor_w),
            ]
        )
        diagonal = np.einsum("kk->k", matrix)
        diagonal += prior + damping * (diagonal + 0.1)
        step = np.linalg.solve(matrix, right)
        step *= min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))
        trial = (u + step[U], p + step[P], w + step[W])
        after = cost(*trial)
        if after <= now:
            u, p, w = trial
            damping = max(damping * 0.2, 1e-9)
            if now - after < 1e-5 * now:
                break
            now = after
        else:
            damping *= 10.0
            if damping > 1e6:
                break
    return u, p, w
