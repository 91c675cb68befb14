"""What a prediction is made of, in time units, and which known workloads and platforms behave alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.completion import Completion
from pitot_core.features import Features
from pitot_core.known import Known
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
    completion: Completion, queries: Queries, features: Features, known: Known, nearest: int
) -> Explanation:
    """`nearest` is how many workloads and platforms that behave alike are named for every row."""
    total = np.exp(completion.log_ns(queries))
    table = completion.alone()
    alone = np.exp(table[queries.platform, queries.workload])
    startup = alone * completion.startup_share(queries)
    like_workloads = _nearest(
        table.T[:, known.platforms], queries.workload, features.workload_names, known.workloads, nearest
    )
    like_platforms = _nearest(
        table[:, known.workloads], queries.platform, features.platform_names, known.platforms, nearest
    )
    return Explanation(startup, alone - startup, total - alone, total, like_workloads, like_platforms)


def _nearest(
    profile: Array, asked: Array, names: tuple[str, ...], known: NDArray[np.bool_], count: int
) -> list[tuple[str, ...]]:
    """By the standard deviation of the difference of log-time profiles (n, m)."""
    centred = profile - profile.mean(axis=1, keepdims=True)
    found: dict[int, tuple[str, ...]] = {}
    for entity in np.unique(asked):
        distance = np.mean((centred - centred[entity]) ** 2, axis=1)
        distance[entity] = np.inf
        distance[~known] = np.inf
        order = np.argsort(distance)[:count]
        found[int(entity)] = tuple(names[i] for i in order if np.isfinite(distance[i]))
    return [found[int(entity)] for entity in asked]
