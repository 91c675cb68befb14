"""Which demands live on which device: the best assignment found, and what none can exceed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness.decide.colocations import Colocations, grow, keys
from harness.decide.deadlines import Deadlines
from harness.decide.greedy import place_greedily
from harness.decide.packing import TOLERANCE, Packing, exact, relax
from harness.decide.rounding import Choice, Family, round_off

Array = NDArray[Any]
Goal = Literal["hosted", "devices", "time"]
GOALS: tuple[Goal, ...] = get_args(Goal)
SETTLED = 3_000  # up to so many sets, an integer program closes what gap is left


@dataclass(frozen=True)
class Residents:
    """Who lives on one device: the number of its platform, and of the demands there."""

    place: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """Residents of every device in use.

    at_most is what no placement can exceed in hosted weight; complete: all sets were known.
    """

    residents: tuple[Residents, ...]
    at_most: float
    hosted: int
    weight: float
    time_ns: float
    complete: bool = True

    @property
    def optimal(self) -> bool:
        return self.weight >= self.at_most - 1e-9


def assign(
    deadlines: Deadlines,
    most: int,
    goal: Goal = "hosted",
    *,
    seconds: float = 10.0,
    seed: int = 0,
    told: Callable[[int], None] | None = None,
) -> Placement:
    """The best placement found within about ``seconds``; ``told`` hears the size of the sets being grown."""
    copies = copies_of(deadlines)
    started = time.monotonic()
    known = grow(deadlines, copies, most, seconds=seconds / 2, level=told)
    left = seconds - (time.monotonic() - started)
    found = choose(deadlines, known, goal, seconds=left, seed=seed)
    if known.complete:
        return found
    left = max(0.5, seconds - (time.monotonic() - started))
    rng = np.random.default_rng(seed)
    other = [Residents(*one) for one in place_greedily(deadlines, copies, most, rng, left)]
    best = max((found, settled(deadlines, other, 0.0)), key=lambda one: one.weight)
    return replace(best, at_most=roughly_most(deadlines, most), complete=False)


def copies_of(deadlines: Deadlines) -> Array:
    return np.array([demand.copies for demand in deadlines.demands], np.int64)


def choose(
    deadlines: Deadlines, known: Colocations, goal: Goal, *, seconds: float = 10.0, seed: int = 0
) -> Placement:
    """One of the known sets for each device: relax, round off, and settle what gap is left where sets are few."""
    packing = packing_of(deadlines, known, goal)
    started = time.monotonic()
    relaxed = relax(packing, seconds=seconds / 2)
    weights = np.array([demand.weight for demand in deadlines.demands])
    at_most = most_weight(relaxed.bound, weights, packing.copies)
    until = started + seconds
    near = TOLERANCE * (len(deadlines.places.devices) + 1)

    def enough(choice: Choice) -> bool:
        reached = choice.value >= relaxed.bound - near
        if len(packing) >= SETTLED:  # the last tie-break is not worth the time
            hosted = (packing.copies - choice.left) @ weights
            reached = reached or (
                hosted >= at_most - 1e-9 and choice.value >= relaxed.bound - 1e-2 * unit_of(weights)
            )
        return reached or time.monotonic() > until

    chosen = np.zeros(0, np.int64)
    if len(packing):
        family = Family(packing, known.place, known.key, lambda p, m: keys(p, m, known.demands))
        chosen = round_off(family, relaxed, np.random.default_rng(seed), enough)
        if len(packing) < SETTLED and packing.value[chosen].sum() < relaxed.bound - near:
            settled_, proven = exact(packing, seconds=until - time.monotonic())
            if packing.value[settled_].sum() > packing.value[chosen].sum():
                chosen = settled_
            if proven:
                at_most = _weight(packing, chosen, weights)
    if packing.value[chosen].sum() >= relaxed.bound - near:
        at_most = _weight(packing, chosen, weights)
    residents = [
        Residents(int(known.place[row]), tuple(known.members[row][known.members[row] >= 0].tolist()))
        for row in chosen
    ]
    return settled(deadlines, residents, at_most)


def packing_of(deadlines: Deadlines, known: Colocations, goal: Goal) -> Packing:
    """Hosted weight comes first; fewer devices and less time only decide between placements that host the same.

    Time is the sum over residents of expected time / deadline. ``hosted`` and ``devices`` prefer few devices,
    ``devices`` strictly; ``time`` prefers little time.
    """
    weights = np.append([demand.weight for demand in deadlines.demands], 0.0)
    copies = copies_of(deadlines)
    least, devices, workloads = (
        unit_of(weights[:-1]),
        len(deadlines.places.devices),
        max(int(copies.sum()), 1),
    )
    per_device, per_share = {
        "hosted": (least / (4 * devices), least / (16 * workloads)),
        "devices": (least / (4 * devices), least / (16 * workloads * devices)),
        "time": (least / (16 * devices * workloads), least / (4 * workloads)),
    }[goal]
    value = weights[known.members].sum(axis=1) - per_device - per_share * known.judged.share
    return Packing(deadlines.places.device[known.place], known.members, value, copies)


def unit_of(weights: Array) -> float:
    """What all weights are multiples of, so that no two placements of other weights differ by less.

    Where that is less than a twentieth of the least weight, the least weight: tie-breaks may then outweigh less.
    """
    parts = [Fraction(weight).limit_denominator(1000) for weight in weights.tolist()]
    denominator = math.lcm(*(part.denominator for part in parts))
    unit = math.gcd(*(int(part * denominator) for part in parts)) / denominator
    least = float(weights.min())
    whole = np.allclose(weights / unit, np.round(weights / unit)) if unit else False
    return unit if whole and unit >= least / 20 else least


def most_weight(bound: float, weights: Array, copies: Array) -> float:
    """What hosted weight cannot exceed when no value exceeds ``bound``: tie-breaks take at most 5/16 of a unit."""
    unit = unit_of(weights)
    most = bound + 5 / 16 * unit
    if np.allclose(weights / unit, np.round(weights / unit)):
        most = float(np.floor(most / unit + 1e-6)) * unit
    return min(most, float(weights @ copies))


def roughly_most(deadlines: Deadlines, most: int) -> float:
    """What nothing exceeds in weight: those that fit somewhere alone, as many as all devices take at most."""
    place, demand = np.nonzero(deadlines.allowed)
    fits = np.unique(demand[deadlines.judge(place, demand[:, None]).meets])
    weights = np.array([one.weight for one in deadlines.demands])
    each = np.sort(np.repeat(weights[fits], copies_of(deadlines)[fits]))[::-1]
    return float(each[: most * len(deadlines.places.devices)].sum())


def settled(deadlines: Deadlines, residents: Sequence[Residents], at_most: float) -> Placement:
    """The placement of these residents, each judged once more: whoever would not meet its deadline is a fault."""
    time_ns, hosted, weight = 0.0, 0, 0.0
    for one in residents:
        judged = deadlines.judge(np.array([one.place]), np.array([one.members]))
        assert judged.meets[0], "a set was chosen that does not meet its deadlines"
        time_ns += float(judged.time_ns[0])
        hosted += len(one.members)
        weight += sum(deadlines.demands[i].weight for i in one.members)
    ordered = sorted(residents, key=lambda one: one.place)
    return Placement(tuple(ordered), at_most, hosted, weight, time_ns)


def _weight(packing: Packing, chosen: Array, weights: Array) -> float:
    padded = np.append(weights, 0.0)
    return float(padded[packing.members[chosen]].sum())
