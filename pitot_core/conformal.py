"""Split conformal prediction: which order statistic of the calibration scores makes a bound hold (METHOD section 5).

With n exchangeable calibration scores, a new score is at most the ⌈(n+1)(1−ε)⌉-th smallest of them with probability
≥ 1 − ε, exactly, whatever their distribution. Where ⌈(n+1)(1−ε)⌉ > n no finite bound can promise that: it is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import PitotError, UncalibratedDegree

Array = NDArray[Any]
EACH = 16  # scores of one newcomer
WORSE = 2.0


def order(n: int, eps: float) -> int:
    """⌈(n+1)(1−ε)⌉, guarded against the rounding of 1−ε."""
    return math.ceil((n + 1) * (1.0 - eps) - 1e-9)


def gamma(ranked: Array, eps: float) -> float:
    """The correction γ: an order statistic of sorted scores, without interpolation; infinite where they are too few."""
    k = order(len(ranked), eps)
    return float(ranked[k - 1]) if k <= len(ranked) else math.inf


def check_eps(eps: float) -> None:
    """Raise PitotError unless 0 < ε < 1."""
    if not 0.0 < eps < 1.0:
        raise PitotError(f"ε = {eps} is not between 0 and 1; 0.05 means a bound that holds 95 times in 100")


@dataclass(frozen=True)
class PoolSize:
    """What a pool can promise: its calibration rows and the smallest ε with a finite bound, 1/(rows+1).

    kind is "split" where the rows were kept apart for calibration: a bound holds with probability ≥ 1 − ε. It is
    "cross" where they also trained, each predicted by a part of the model that had not seen it (CV+): a bound holds
    with probability ≥ 1 − 2ε whatever the distribution, and in practice about 1 − ε (see `cross`).
    """

    co_runners: int
    rows: int
    smallest_eps: float
    kind: str = "split"

    @classmethod
    def of(cls, co_runners: int, rows: int, kind: str = "split") -> PoolSize:
        return cls(co_runners, rows, 1.0 / (rows + 1), kind)


def require(n_co_runners: int, calibrated: Iterable[int]) -> None:
    """Raise UncalibratedDegree unless this number of co-runners is calibrated."""
    have = tuple(sorted(calibrated))
    if n_co_runners not in have:
        raise UncalibratedDegree(n_co_runners, have)


def ranked(scores: Array) -> NDArray[np.float32]:
    """Sorted along the last axis, as they are kept; rounded up, so that no bound is too low by the rounding."""
    rounded = np.asarray(scores, np.float32)
    up = np.nextafter(rounded, np.float32(np.inf))
    return np.asarray(np.sort(np.where(rounded < scores, up, rounded), axis=-1), np.float32)


def evenly(scores: Array, who: NDArray[np.int64]) -> Array:
    """(C, n) scores as scores of which everyone has as many, and one more than there are has the worst.

    Rows of one newcomer are late together, so that newcomers are exchangeable with known ones, and not rows with rows.
    A row of one more is at most the quantile at 1 − ε with probability ≥ 1 − ε if each of K has the weight 1/(K + 1)
    and the rest counts as infinite (Lee, Barber and Willett, Distribution-free inference with hierarchical data, 2023).
    Where K + 1 < 1/ε nothing can be promised. What is taken for infinite is WORSE times the worst, so that even there
    a bound is wide and not missing.
    """
    everyone = np.unique(who)
    if not len(everyone):
        return np.zeros((len(scores), 0))
    parts = []
    for one in everyone:
        mine = np.sort(scores[:, who == one], axis=1)
        parts.append(mine[:, np.ceil(np.arange(1, EACH + 1) / EACH * mine.shape[1]).astype(int) - 1])
    worst = WORSE * np.maximum(np.max(scores, axis=1, keepdims=True), 0.0)
    return np.concatenate([*parts, np.tile(worst, EACH)], axis=1)
