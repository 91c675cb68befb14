"""How many times as long one platform, engine or device takes as another, from whatever was measured.

Means over what happened to be measured on each would compare different workloads. So the times alone are first
completed by a two-way fit of their logs, workload i on platform j, with its start-up (`pitot_core.baseline`):

    log t_ij = logaddexp(u_j, p_j + w_i) + r_ij,

and the level of a platform is the mean over all workloads of what was measured or, where nothing was, of the fit: the
log of a geometric mean over the same workloads for everybody. Engines and devices come from a second two-way fit,
level_j = e_engine(j) + d_device(j). Both fits are robust (Huber): a time that is far off counts as if it were a little
off. Intervals come from drawing the workloads anew, with everything that was measured of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr, stdtrit

from pitot_core import Observations
from pitot_core.baseline import Baseline

Array = NDArray[Any]
DRAWS = 400
SWEEPS = 12
HUBER = 2.0  # times the residuals' scale
MAD = 1.4826  # a normal standard deviation over its median absolute deviation
LEAST = 1e-4  # ln units
RIDGE = 0.01  # rows that would say the opposite
INTERVAL = 0.95


@dataclass(frozen=True)
class Factors:
    """Times of K platforms, engines or devices as multiples of the fastest of them.

    log     (K,) ln of their level; NaN for what cannot be compared with the others
    draws   (B, K) the same for workloads drawn anew
    counts  (K,) workloads measured on each
    """

    names: list[str]
    log: Array
    draws: Array
    counts: Array

    @cached_property
    def fastest(self) -> int:
        return int(np.nanargmin(self.log))

    @cached_property
    def ratio(self) -> Array:
        """(K,) time over the time of the fastest."""
        return np.asarray(np.exp(self.log - self.log[self.fastest]))

    @cached_property
    def interval(self) -> Array:
        """(2, K) ends of the 95 % interval of `ratio`; NaN where fewer than two workloads tell, and of the fastest."""
        return self.interval_against(self.fastest)

    def interval_against(self, other: int) -> Array:
        """(2, K) the same of the time over that of `other`."""
        apart = self.draws - self.draws[:, [other]]
        least = np.minimum(self.counts, self.counts[other])
        found = np.full((2, len(self.names)), np.nan)
        for k in np.flatnonzero((least > 1) & ~np.isnan(self.log)).tolist():
            if k != other:
                found[:, k] = np.exp(np.quantile(apart[:, k], ends(int(least[k]))))
        return found

    @cached_property
    def order(self) -> list[int]:
        """What can be compared, the fastest first."""
        found: list[int] = np.argsort(self.log, kind="stable").tolist()
        return found[: int(np.count_nonzero(~np.isnan(self.log)))]


@dataclass(frozen=True)
class Fit:
    """The fits of one matrix of times (P, W): by platform, by engine and by device, and what they rest on.

    compared  (P,) whether a platform shares workloads, directly or through others, with the most of them
    used      (P, W) the times that count
    """

    platforms: Factors
    engines: Factors
    devices: Factors
    compared: NDArray[np.bool_]
    used: NDArray[np.bool_]


def fit(times: Array, limits: Array, platforms: list[str], seed: int = 0) -> Fit | None:
    """From mean times alone (P, W) in ns and, where there is none, the limit that was exceeded; NaN for neither.

    None where nothing can be compared. A workload measured on one platform only compares nothing and is left out.
    """
    known = ~np.isnan(times)
    known &= known.sum(axis=0) > 1
    compared = _largest_component(known)
    known &= compared[:, None]
    if compared.sum() < 2:
        return None
    here, columns = np.flatnonzero(compared), np.flatnonzero(known.any(axis=0))
    chosen = np.ix_(here, columns)
    levels = _Levels(
        np.where(known, times, np.nan)[chosen], np.where(np.isnan(times), limits, np.nan)[chosen], seed
    )
    split = [name.partition(":") for name in platforms]
    log, draws = np.full(len(platforms), np.nan), np.full((DRAWS, len(platforms)), np.nan)
    log[here], draws[:, here] = levels.point, levels.draws

    def parts(place: int) -> tuple[list[str], Array]:
        names = sorted({split[p][place] for p in here})
        return names, np.array([names.index(split[p][place]) for p in here])

    (engines, engine), (devices, device) = parts(0), parts(2)
    apart = np.hstack([np.eye(len(engines))[engine], np.eye(len(devices))[device]])
    solved = _projection(apart, levels.point)
    point, drawn = solved @ levels.point, levels.draws @ solved.T

    def factors(names: list[str], of: Array, first: int) -> Factors:
        counts = np.array([np.count_nonzero(known[here][of == k].any(axis=0)) for k in range(len(names))])
        some = slice(first, first + len(names))
        return Factors(names, point[some], drawn[:, some], counts)

    by_engine, by_device = factors(engines, engine, 0), factors(devices, device, len(engines))
    return Fit(Factors(platforms, log, draws, known.sum(axis=1)), by_engine, by_device, compared, known)


def ends(workloads: int) -> list[float]:
    """The two shares whose quantiles of drawn means make a 95 % interval from so many workloads.

    Moved outward as Student's t demands of few (Hesterberg's expanded percentiles).
    """
    t = stdtrit(workloads - 1, (1 + INTERVAL) / 2)
    low = float(ndtr(-np.sqrt(workloads / (workloads - 1)) * t))
    return [low, 1 - low]


class _Levels:
    """The level (P,) of each platform, and levels (B, P) for workloads drawn anew, in ln ns.

    A workload that is drawn counts as often as it is drawn, in the mean and in the fit of u_j and p_j; the latter by
    one step from the solution, with the curvature of all rows and each w_i eliminated. Without enough rows that show a
    start-up there is none (by BIC).
    """

    def __init__(self, times: Array, limits: Array, seed: int) -> None:
        self.known = ~np.isnan(times)
        self.logs = np.where(self.known, np.log(np.where(self.known, times, 1.0)), 0.0)
        bases = [_baseline(times, limits, startup) for startup in (True, False)]
        count, extra = int(self.known.sum()), len(times)
        losses = [count * np.log(self._loss(base)) for base in bases]
        starts = losses[0] + extra * np.log(count) < losses[1]
        base = bases[0 if starts else 1]
        self.theta = np.concatenate([base.startup, base.platform])
        self.workload, self.starts = base.workload.copy(), starts
        every = np.ones((1, times.shape[1]))
        for _ in range(SWEEPS):
            self._linearise()
            step, work = self._steps(every)
            self.theta, self.workload = self.theta + step[0], self.workload + work[0]
        self._linearise()
        self.point = self._levels(every)[0]
        draw = np.random.default_rng(seed)
        even = np.full(times.shape[1], 1 / times.shape[1])
        self.draws = self._levels(draw.multinomial(times.shape[1], even, DRAWS).astype(float))

    def _loss(self, base: Baseline) -> float:
        """Mean of Huber's loss of the residuals at a common scale, as of a square."""
        left = np.abs(np.where(self.known, self.logs - base.table(), 0.0))[self.known]
        near = HUBER * max(MAD * float(np.median(left)), LEAST)
        return float(np.mean(np.where(left <= near, left**2, near * (2 * left - near)))) + LEAST**2

    def _linearise(self) -> None:
        size = len(self.known)
        base = Baseline(self.theta[:size], self.theta[size:], self.workload)
        self.fitted = base.table()
        left = np.where(self.known, self.logs - self.fitted, 0.0)
        scale = max(MAD * float(np.median(np.abs(left[self.known]))), LEAST)
        v = self.known * np.minimum(1.0, HUBER * scale / np.maximum(np.abs(left), LEAST / 2))
        a = np.exp(base.startup[:, None] - self.fitted)  # share of start-up in each time
        self.slope, b = np.vstack([a, 1.0 - a]), 1.0 - a  # d log t / d (u, p); b also d log t / d w
        self.weight, self.pull = v, v * left
        self.cross = np.vstack([v * a * b, v * b * b])
        self.own = (v * b * b).sum(axis=0) + RIDGE
        curve = np.zeros((2 * size, 2 * size))
        here = np.arange(size)
        for first, x in ((0, a), (size, b)):
            for second, y in ((0, a), (size, b)):
                curve[first + here, second + here] = (v * x * y).sum(axis=1)
        curve -= (self.cross / self.own) @ self.cross.T
        curve[np.arange(2 * size), np.arange(2 * size)] += RIDGE
        self.moved = (b * self.pull).sum(axis=0) / self.own
        score = np.vstack([a * self.pull, b * self.pull]) - self.cross * self.moved
        if not self.starts:
            curve[:size], curve[:, :size], score[:size] = 0.0, 0.0, 0.0
            curve[here, here] = 1.0
        self.step = np.linalg.solve(curve, score)  # (2P, W): what each workload adds

    def _steps(self, count: Array) -> tuple[Array, Array]:
        """Steps (B, 2P) of u and p, and (B, W) of w, with workloads counted so often (B, W)."""
        step = count @ self.step.T
        return step, self.moved - (step @ self.cross) / self.own

    def _levels(self, count: Array) -> Array:
        size = len(self.known)
        step, work = self._steps(count)
        free = 1.0 - self.weight
        a, b = self.slope[:size] * free, self.slope[size:] * free
        total = count @ (self.fitted + self.pull).T + (count * work) @ b.T
        total += step[:, :size] * (count @ a.T) + step[:, size:] * (count @ b.T)
        return np.asarray(total / count.shape[1])


def _baseline(times: Array, limits: Array, startup: bool) -> Baseline:
    known, cut = ~np.isnan(times), ~np.isnan(limits)
    (j, i), (cut_j, cut_i) = np.nonzero(known), np.nonzero(cut)
    log_ns = np.log(np.concatenate([times[known], limits[cut]]))
    censored = np.arange(len(log_ns)) >= len(j)
    rows = Observations.of(np.append(j, cut_j), np.append(i, cut_i), None, log_ns=log_ns, censored=censored)
    return Baseline.fit(rows, *times.shape, startup=startup)


def _projection(design: Array, values: Array) -> Array:
    """(K, P) what turns values (P,) into the effects of a design (P, K) of several sets of groups, robustly."""
    weight = np.ones(len(values))
    for _ in range(SWEEPS):
        solved = np.linalg.pinv(design * np.sqrt(weight)[:, None], rcond=1e-9) * np.sqrt(weight)
        left = np.abs(values - design @ (solved @ values))
        scale = max(MAD * float(np.median(left)), LEAST)
        weight = np.minimum(1.0, HUBER * scale / np.maximum(left, LEAST / 2))
    return solved


def _largest_component(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(P,) the platforms of the component with the most times, when those that share a workload are joined."""
    n_platforms, n_workloads = known.shape
    platform, workload = np.nonzero(known)
    if not len(platform):
        return np.zeros(n_platforms, bool)
    size = n_platforms + n_workloads
    # Older versions of SciPy find components by indices of 32 bits alone.
    ends = platform.astype(np.int32), (n_platforms + workload).astype(np.int32)
    graph = coo_array((np.ones(len(platform)), ends), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    count = np.bincount(label[platform], minlength=size)
    return np.asarray((label[:n_platforms] == np.argmax(count)) & known.any(axis=1))
