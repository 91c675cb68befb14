"""What a prediction is made of, in time units, and which known workloads and platforms behave alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.learned import Learned
from pitot_core.observations import Queries

Array = NDArray[Any]


@dataclass(frozen=True)
class Explanation:
    """Parts of M predictions in ns; startup_ns + work_ns + interference_ns = total_ns.

    interference_ns is what the co-runners add (negative where they seem to help). Start-up is defined only up to a
    constant share of work (see `baseline`). nearest_workloads and nearest_platforms name, for every row, the known
    ones whose predicted times keep the most even ratio to its own over the other side, nearest first.
    """

    startup_ns: Array
    work_ns: Array
    interference_ns: Array
    total_ns: Array
    nearest_workloads: list[tuple[str, ...]]
    nearest_platforms: list[tuple[str, ...]]


def explain(
    learned: Learned,
    queries: Queries,
    head: int,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    seen: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    nearest: int,
) -> Explanation:
    """names and seen are those of (workloads, platforms)."""
    forecast = learned.forecast
    total = np.exp(forecast(queries)[:, head])
    table = forecast.alone[..., head]
    alone = np.exp(table[queries.platform, queries.workload])
    base = learned.base()[:, queries.platform, queries.workload]
    startup = alone * np.exp(learned.startup[:, queries.platform] - base).mean(axis=0)
    return Explanation(
        startup,
        alone - startup,
        total - alone,
        total,
        _nearest(table.T[:, seen[1]], queries.workload, names[0], seen[0], nearest),
        _nearest(table[:, seen[0]], queries.platform, names[1], seen[1], nearest),
    )


def _nearest(
    profile: Array, asked: Array, names: tuple[str, ...], seen: NDArray[np.bool_], count: int
) -> list[tuple[str, ...]]:
    """By the standard deviation of the difference of log-time profiles (n, m)."""
    centred = profile - profile.mean(axis=1, keepdims=True)
    found: dict[int, tuple[str, ...]] = {}
    for entity in np.unique(asked):
        distance = np.mean((centred - centred[entity]) ** 2, axis=1)
        distance[entity] = np.inf
        distance[~seen] = np.inf
        order = np.argsort(distance)[:count]
        found[int(entity)] = tuple(names[i] for i in order if np.isfinite(distance[i]))
    return [found[int(entity)] for entity in asked]
