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

    scores        (C, n) sorted scores of each candidate on calibration rows
    choice_score  (C, m) scores and
    choice_scale  (C, m) scales on other rows, which choose between candidates; m may be 0
    """

    scores: Array
    choice_score: Array
    choice_scale: Array

    def gamma(self, candidate: int, eps: float) -> float:
        """The correction γ, infinite where the pool is too small for ε."""
        n = self.scores.shape[1]
        k = order(n, eps)
        return float(self.scores[candidate, k - 1]) if k <= n else math.inf

    def choose(self, eps: float, allowed: Sequence[int]) -> int:
        """The allowed candidate with the smallest margin; the first where no row can choose."""
        if len(allowed) == 1 or not self.choice_score.shape[1]:
            return allowed[0]
        return min(allowed, key=lambda candidate: self.margin(candidate, eps))

    def margin(self, candidate: int, eps: float) -> float:
        """Eq. 11 on the choice rows, with a γ of theirs: calibration rows have no say in the choice."""
        score, scale = self.choice_score[candidate], self.choice_scale[candidate]
        k = min(order(len(score), eps), len(score))
        above = (np.partition(score, k - 1)[k - 1] - score) * scale
        return float(np.mean(np.maximum(np.expm1(np.minimum(above, 50.0)), 0.0)))


@dataclass
class Calibration:
    """Pools by number of co-runners."""

    pools: dict[int, Pool] = field(default_factory=dict)

    @classmethod
    def of(cls, scored: Scored, choosing: Scored) -> Calibration:
        """From calibration rows, and from other rows that choose between candidates."""
        score, choice = scored.score(), choosing.score()
        pools = {}
        for n in np.unique(scored.n_co_runners):
            rows, chooses = scored.n_co_runners == n, choosing.n_co_runners == n
            arrays = np.sort(score[:, rows], axis=1), choice[:, chooses], choosing.scale[:, chooses]
            pools[int(n)] = Pool(*(array.astype(np.float32) for array in arrays))
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
