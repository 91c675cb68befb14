"""Placing one workload after the other, where there are too many sets to list."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.decide.deadlines import Deadlines

Array = NDArray[Any]
ORDERS = 20


def place_greedily(
    deadlines: Deadlines, copies: Array, most: int, rng: np.random.Generator, seconds: float
) -> list[tuple[int, tuple[int, ...]]]:
    """(platform, members) of each device in use: of ORDERS orders, every other one random, the one that hosts most.

    The demands that fewest places can host alone come first. Each goes where it fits best: to a device in use
    before an empty one, then where the least slack is left. Every resident is judged anew each time.
    """
    weight = np.array([demand.weight for demand in deadlines.demands])
    place, item = np.nonzero(deadlines.allowed)
    fits = np.zeros(deadlines.allowed.shape, bool)
    fits[place, item] = deadlines.judge(place, item[:, None]).meets
    rarest = np.argsort(fits.sum(axis=0), kind="stable")
    until = time.monotonic() + seconds
    best = -1.0
    found: list[tuple[int, tuple[int, ...]]] = []
    for order in range(ORDERS):
        sequence = rarest if order % 2 == 0 else rng.permutation(len(copies))
        if order and order % 2 == 0:  # nearly the same order again: neighbours change places
            sequence = rarest[np.argsort(np.arange(len(rarest)) + rng.uniform(0, 3, len(rarest)))]
        residents = _fill(deadlines, np.repeat(sequence, copies[sequence]), fits, most)
        hosted = sum(weight[list(members)].sum() for _, members in residents)
        if hosted > best:
            best, found = hosted, residents
        if time.monotonic() > until:
            break
    return found


def _fill(deadlines: Deadlines, sequence: Array, fits: Array, most: int) -> list[tuple[int, tuple[int, ...]]]:
    device_of = deadlines.places.device
    living: dict[int, tuple[int, tuple[int, ...]]] = {}  # device: platform and members
    for demand in sequence.tolist():
        candidates = []
        for platform in np.flatnonzero(fits[:, demand]).tolist():
            device = int(device_of[platform])
            at, members = living.get(device, (platform, ()))
            if at == platform and len(members) < most:
                candidates.append((platform, device, tuple(sorted((*members, demand)))))
        slack = _slack(deadlines, candidates)
        ranked = [
            (len(members) == 1, slack[i], i)
            for i, (_, _, members) in enumerate(candidates)
            if slack[i] is not None
        ]
        if ranked:
            platform, device, members = candidates[min(ranked)[-1]]
            living[device] = (platform, members)
    return list(living.values())


def _slack(deadlines: Deadlines, candidates: list[tuple[int, int, tuple[int, ...]]]) -> list[float | None]:
    """Of each candidate, None where somebody would miss its deadline; candidates of one size are asked together."""
    slack: list[float | None] = [None] * len(candidates)
    for size in {len(members) for _, _, members in candidates}:
        rows = [i for i, one in enumerate(candidates) if len(one[2]) == size]
        place = np.array([candidates[i][0] for i in rows])
        judged = deadlines.judge(place, np.array([candidates[i][2] for i in rows]))
        for i, meets, left in zip(rows, judged.meets.tolist(), judged.slack.tolist(), strict=True):
            slack[i] = left if meets else None
    return slack
