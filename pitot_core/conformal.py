"""Bounds that hold: split conformal prediction by number of co-runners (METHOD section 5).

A candidate c gives every row a location μ_c and a scale σ_c (σ = 1 where there is none). On n calibration
rows of one pool the scores s = (log C* − μ_c) / σ_c are sorted once; then for any ε

    γ = the ⌈(n+1)(1−ε)⌉-th smallest score,   C̃ = exp(μ_c + γ σ_c),   Pr(C* > C̃) ≤ ε,

and C̃ is infinite where ⌈(n+1)(1−ε)⌉ > n. Which candidate serves a pool and an ε is decided by the margin
(Eq. 11) on other rows than those, so that the guarantee survives the choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import PitotError, UncalibratedDegree

Array = NDArray[np.float64]


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
class Pool:
    """One number of co-runners.

    scores        (C, n) sorted scores of each candidate on calibration rows
    choice_score  (C, m) scores and
    choice_scale  (C, m) scales on the rows that choose between candidates; m may be 0
    """

    scores: Array
    choice_score: Array
    choice_scale: Array

    def gamma(self, candidate: int, eps: float) -> float:
        """The correction γ, infinite where the pool is too small for ε."""
        n = self.scores.shape[1]
        k = order(n, eps)
        return float(self.scores[candidate, k - 1]) if k <= n else math.inf

    def choose(self, eps: float) -> int:
        """The candidate with the smallest margin on the choice rows; the first where there are none."""
        if (
            self.scores.shape[0] == 1
            or not self.choice_score.shape[1]
            or not math.isfinite(self.gamma(0, eps))
        ):
            return 0
        return int(np.argmin([self.margin(c, eps) for c in range(len(self.scores))]))

    def margin(self, candidate: int, eps: float) -> float:
        """Eq. 11 on the choice rows."""
        above = (self.gamma(candidate, eps) - self.choice_score[candidate]) * self.choice_scale[candidate]
        return float(np.mean(np.maximum(np.expm1(np.minimum(above, 50.0)), 0.0)))


@dataclass
class Calibration:
    """Pools by number of co-runners."""

    pools: dict[int, Pool] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        log_ns: Array,
        location: Array,
        scale: Array,
        n_co_runners: NDArray[np.int64],
        choosing: NDArray[np.bool_],
    ) -> Calibration:
        """From calibration rows: location and scale (C, n), and which rows only choose between candidates."""
        score = (log_ns - location) / scale
        pools = {}
        for n in np.unique(n_co_runners):
            rows, chooses = (n_co_runners == n) & ~choosing, (n_co_runners == n) & choosing
            if rows.any():
                pools[int(n)] = Pool(np.sort(score[:, rows], axis=1), score[:, chooses], scale[:, chooses])
        return cls(pools)

    def sizes(self) -> dict[int, PoolSize]:
        return {
            n: PoolSize(n, pool.scores.shape[1], 1.0 / (pool.scores.shape[1] + 1))
            for n, pool in sorted(self.pools.items())
        }

    def bound(self, location: Array, scale: Array, n_co_runners: NDArray[np.int64], eps: float) -> Array:
        """(M,) log C̃; location and scale (C, M). Raises UncalibratedDegree for a degree without a pool."""
        check_eps(eps)
        bound = np.empty(location.shape[1])
        for n in np.unique(n_co_runners):
            pool = self.pools.get(int(n))
            if pool is None:
                raise UncalibratedDegree(int(n), tuple(sorted(self.pools)))
            rows = n_co_runners == n
            candidate = pool.choose(eps)
            bound[rows] = location[candidate, rows] + pool.gamma(candidate, eps) * scale[candidate, rows]
        return bound
