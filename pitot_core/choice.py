"""Which candidate makes the bounds of a pool: the one of least margin among those that are fair.

Margins alone reward a bound that gives up on the rows it is least sure of: covering nine tenths of all rows is cheapest
where the most uncertain tenth is covered six times in ten. So a scale candidate may only be chosen where, on rows
held out for this choice, its coverage in every tenth of the predicted spread and on every device with enough rows is
within TOLERANCES of 1 − ε, at all of EPS together, so that a smaller ε never changes the candidate. Where none is,
the one whose worst coverage is least bad is taken. Tenths whose shares are allotted (see `allotment`) keep to those.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.conformal import order

Array = NDArray[Any]
EPS = (0.1, 0.05, 0.01)
TOLERANCES = (0.025, 0.04)  # of coverage: in a tenth of spread, on a device; never more than 2ε
ENOUGH = 100  # rows of a device below which its coverage says nothing
TENTHS = 10
MOST_ABOVE = 50.0  # ln units between a time and its bound


def fairest(
    bounds: Array, log_ns: Array, spread: Array, device: NDArray[np.int64], *, allotted: bool = False
) -> int:
    """The number of the chosen candidate.

    bounds (C, E, N) are those of every candidate at EPS in ln ns, log_ns (N,) the measured times, spread (N,) σ. Where
    every tenth of spread is `allotted` its share, only devices are looked at.
    """
    of_tenths, of_devices = TOLERANCES
    count = np.bincount(device)
    groups = [(np.where(count[device] >= ENOUGH, device, -1), of_devices)]
    if not allotted:
        groups.append((spread.argsort().argsort() * TENTHS // max(len(spread), 1), of_tenths))
    least = np.inf
    worst, margins = np.zeros(len(bounds)), np.zeros(len(bounds))
    for c, of_candidate in enumerate(bounds):
        for eps, bound in zip(EPS, of_candidate, strict=True):
            covered = log_ns <= bound
            margins[c] += np.log(np.mean(margin(bound - log_ns)) + 1e-9)
            for group, tolerance in groups:
                kept = group >= 0
                if kept.any():
                    rows = np.bincount(group[kept])
                    share = np.bincount(group[kept], covered[kept]) / np.maximum(rows, 1)
                    gap = 1.0 - eps - share[rows > 0].min()
                    worst[c] = max(worst[c], gap / min(tolerance, 2 * eps))
        least = min(least, worst[c])
    fair = worst <= max(1.0, least)
    return int(np.argmin(np.where(fair, margins, np.inf)))


def margin(above: Array) -> NDArray[np.float64]:
    """By what share of it a bound is above the time (Eq. 11), from how far that is in ln ns; 0 below."""
    return np.asarray(np.maximum(np.expm1(np.minimum(above, MOST_ABOVE)), 0.0))


def least_margins(locations: Array, log_ns: Array, grid: NDArray[np.float64]) -> NDArray[np.int64]:
    """(G,) at each ε of the grid, the location (C, N) that shifted to hold has the least margin (Eq. 11)."""
    if not len(log_ns):
        return np.zeros(len(grid), np.int64)
    score = log_ns - locations
    ordered = np.sort(score, axis=1)
    chosen = []
    for eps in grid:
        gamma = ordered[:, min(order(len(log_ns), eps), len(log_ns)) - 1]
        chosen.append(np.argmin(margin(gamma[:, None] - score).mean(axis=1)))
    return np.array(chosen, np.int64)
