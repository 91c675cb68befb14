"""Bounds that hold: split conformal prediction by number of co-runners (METHOD section 5).

A candidate c gives every row a location μ_c and a scale σ_c (σ = 1 where there is none). On n calibration
rows of one pool the scores s = (log C* − μ_c) / σ_c are sorted once; then for any ε

    γ = the ⌈(n+1)(1−ε)⌉-th smallest score,   C̃ = exp(μ_c + γ σ_c),   Pr(C* > C̃) ≤ ε,

and C̃ is infinite where ⌈(n+1)(1−ε)⌉ > n. Which candidate serves a pool and an ε is decided by the margin
(Eq. 11) on other rows than those, with a γ of their own, so that the guarantee survives the choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import PitotError, UncalibratedDegree

Array = NDArray[Any]
EPS_GRID = np.geomspace(0.001, 0.5, 28)


def order(n: int, eps: float) -> int:
    """⌈(n+1)(1−ε)⌉, guarded against the rounding of 1−ε."""
    return math.ceil((n + 1) * (1.0 - eps) - 1e-9)


def check_eps(eps: float) -> None:
    if not 0.0 < eps < 1.0:
        raise PitotError(f"ε = {eps} is not between 0 and 1; 0.05 means a bound that holds 95 times in 100")


@dataclass(frozen=True)
class PoolSize:
    """What a pool can promise: its calibration rows and the smallest ε with a finite bound, 1/(rows+1)."""

    co_runners: int
    rows: int
    smallest_eps: float


@dataclass(frozen=True)
class Scored:
    """Rows with their candidates: log_ns (N,), n_co_runners (N,), location and scale (C, N)."""

    log_ns: Array
    n_co_runners: NDArray[np.int64]
    location: Array
    scale: Array

    def score(self) -> Array:
        """(C, N) s = (log C* − μ_c) / σ_c."""
        return np.asarray((self.log_ns - self.location) / self.scale)

    def __getitem__(self, rows: NDArray[Any]) -> Scored:
        return Scored(self.log_ns[rows], self.n_co_runners[rows], self.location[:, rows], self.scale[:, rows])


@dataclass(frozen=True)
class Pool:
    """One number of co-runners.

    scores         (C, n) sorted scores of each candidate on calibration rows
    choice_margin  (C, G) margin of each candidate at each ε of EPS_GRID on other rows, which choose between them
    """

    scores: Array
    choice_margin: Array

    def gamma(self, candidate: int, eps: float) -> float:
        """The correction γ, infinite where the pool is too small for ε."""
        n = self.scores.shape[1]
        k = order(n, eps)
        return float(self.scores[candidate, k - 1]) if k <= n else math.inf

    def choose(self, eps: float, allowed: Sequence[int]) -> int:
        """The allowed candidate with the smallest margin at the ε of the grid nearest to this one."""
        at = int(np.argmin(np.abs(np.log(EPS_GRID / eps))))
        return allowed[int(np.argmin(self.choice_margin[list(allowed), at]))]


def choice_margins(choosing: Scored) -> Array:
    """(C, G) Eq. 11 with a γ of these rows' own: calibration rows have no say in the choice."""
    score, n = choosing.score(), len(choosing.log_ns)
    margins = np.zeros((len(score), len(EPS_GRID)), np.float32)
    if not n:
        return margins
    ranked = np.sort(score, axis=1)
    for g, eps in enumerate(EPS_GRID):
        gamma = ranked[:, min(order(n, eps), n) - 1]
        above = np.minimum((gamma[:, None] - score) * choosing.scale, 50.0)
        margins[:, g] = np.maximum(np.expm1(above), 0.0).mean(axis=1)
    return margins


@dataclass
class Calibration:
    """Pools by number of co-runners."""

    pools: dict[int, Pool] = field(default_factory=dict)

    @classmethod
    def of(cls, scored: Scored, choosing: Scored) -> Calibration:
        """From calibration rows, and from other rows that choose between candidates."""
        score, pools = scored.score(), {}
        for n in np.unique(scored.n_co_runners):
            ranked = np.sort(score[:, scored.n_co_runners == n], axis=1).astype(np.float32)
            pools[int(n)] = Pool(ranked, choice_margins(choosing[choosing.n_co_runners == n]))
        return cls(pools)

    def sizes(self) -> dict[int, PoolSize]:
        return {
            n: PoolSize(n, pool.scores.shape[1], 1.0 / (pool.scores.shape[1] + 1))
            for n, pool in sorted(self.pools.items())
        }

    def pick(self, n_co_runners: int, eps: float, allowed: Sequence[int]) -> tuple[int, float]:
        """The candidate that serves a pool at ε, and its γ. Raises UncalibratedDegree without a pool."""
        check_eps(eps)
        pool = self.pools.get(n_co_runners)
        if pool is None or not pool.scores.shape[1]:
            raise UncalibratedDegree(n_co_runners, tuple(sorted(self.pools)))
        candidate = pool.choose(eps, allowed)
        return candidate, pool.gamma(candidate, eps)
