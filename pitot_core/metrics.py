"""How good predictions and bounds are, in the paper's definitions and in those of its code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mape(predicted_ns: ArrayLike, measured_ns: ArrayLike) -> float:
    """Mean of |Ĉ − C*| / C*."""
    predicted, measured = _pair(predicted_ns, measured_ns)
    return float(np.mean(np.abs(predicted - measured) / measured))


def mape_reference(predicted_ns: ArrayLike, measured_ns: ArrayLike) -> float:
    """Mean of |C*/Ĉ − 1|: what the published code calls MAPE."""
    predicted, measured = _pair(predicted_ns, measured_ns)
    return float(np.mean(np.abs(measured / predicted - 1.0)))


def margin(bound_ns: ArrayLike, measured_ns: ArrayLike) -> float:
    """Eq. 11: mean of max(C̃ − C*, 0) / C*; infinite when any bound is."""
    bound, measured = _pair(bound_ns, measured_ns)
    return float(np.mean(np.maximum(bound - measured, 0.0) / measured))


def width_reference(bound_ns: ArrayLike, measured_ns: ArrayLike) -> float:
    """Mean of |C*/C̃ − 1| over all rows: what the published code calls the width."""
    bound, measured = _pair(bound_ns, measured_ns)
    return float(np.mean(np.abs(measured / bound - 1.0)))


@dataclass(frozen=True)
class Coverage:
    """Share of rows whose time stayed below its bound, with its (Clopper–Pearson) binomial interval.

    independent is how many independent rows say as much as these: fewer than `rows` where those of a job agree.
    """

    share: float
    low: float
    high: float
    covered: int
    rows: int
    independent: float


def coverage(
    bound_ns: ArrayLike, measured_ns: ArrayLike, *, confidence: float = 0.99, job: ArrayLike | None = None
) -> Coverage:
    """Share of rows with C* ≤ C̃ and its Clopper–Pearson interval at the given confidence.

    With job numbers, the interval is that of as many independent rows as have the variance that the shares of jobs
    show (Kish's design effect): rows measured together are late together.
    """
    bound, measured = _pair(bound_ns, measured_ns)
    held = measured <= bound
    covered, rows = int(np.count_nonzero(held)), len(measured)
    if not rows:
        return Coverage(math.nan, 0.0, 1.0, 0, 0, 0.0)
    effect = 1.0 if job is None else _design_effect(held, np.asarray(job))
    independent = rows / effect
    low, high = binomial_interval(round(covered / effect), max(1, round(independent)), confidence=confidence)
    share = covered / rows
    return Coverage(share, min(low, share), max(high, share), covered, rows, independent)


def _design_effect(held: NDArray[np.bool_], job: NDArray[Any]) -> float:
    """How many times the variance of a mean over rows is larger than if they were independent; at least 1."""
    _, number = np.unique(job, return_inverse=True)
    size = np.bincount(number.reshape(-1))
    share = float(held.mean())
    jobs, single = len(size), float(share * (1.0 - share) / len(held))
    if jobs < 2 or single == 0.0:
        return 1.0
    off = np.bincount(number.reshape(-1), held - share)
    clustered = jobs / (jobs - 1) * float(off @ off) / len(held) ** 2
    return float(max(1.0, clustered / single))


def binomial_interval(successes: int, trials: int, *, confidence: float = 0.99) -> tuple[float, float]:
    """Clopper–Pearson interval of a proportion, by bisection on the exact binomial tail."""
    if trials == 0:
        return 0.0, 1.0
    tail = (1.0 - confidence) / 2.0
    upper = _upper_tail(successes, trials)
    low = 0.0 if successes == 0 else _solve(upper, tail)
    more = _upper_tail(successes + 1, trials)
    high = 1.0 if successes == trials else _solve(more, 1.0 - tail)
    return low, high


def _upper_tail(least: int, trials: int) -> Callable[[float], float]:
    """P(X ≥ least) of a binomial, for any p; whichever side has fewer terms is summed, in logarithms."""
    above = 2 * least > trials
    k = np.arange(least, trials + 1) if above else np.arange(least)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    log_ways = log_factorial[trials] - log_factorial[k] - log_factorial[trials - k]

    def tail(p: float) -> float:
        if p <= 0.0 or p >= 1.0:
            return float(p >= 1.0 or least <= 0)
        total = float(np.exp(log_ways + k * math.log(p) + (trials - k) * math.log1p(-p)).sum())
        return total if above else 1.0 - total

    return tail


def _solve(increasing: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if increasing(middle) < target else (low, middle)
    return 0.5 * (low + high)


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{a.shape} predictions but {b.shape} measurements")
    return a, b
