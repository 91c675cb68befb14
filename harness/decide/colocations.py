"""Which sets of demands may live together on which place, grown from single ones upward."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.decide.deadlines import Deadlines, Judged
from harness.errors import UsageError
from harness.spelling import several

Array = NDArray[Any]
MOST_SETS = 300_000
MOST_JOINED = 10_000_000


@dataclass(frozen=True)
class Colocations:
    """N pairs of a place and the demands that may live there together, sorted by ``key``.

    place     (N,) numbers of platforms
    members   (N, most) numbers of demands, sorted, −1 where there is none
    judged    (N,) what is known of each
    complete  whether these are all that there are
    """

    place: Array
    members: Array
    judged: Judged
    demands: int
    complete: bool

    @property
    def key(self) -> Array:
        return keys(self.place, self.members, self.demands)

    def __len__(self) -> int:
        return len(self.place)

    @property
    def count(self) -> Array:
        """(N,) how many live there."""
        return np.asarray((self.members >= 0).sum(axis=1))

    def within(self, most: int) -> Colocations:
        """Those of at most so many demands."""
        rows = np.flatnonzero(self.count <= most)
        members = self.members[rows, -most:]
        return Colocations(self.place[rows], members, self.judged[rows], self.demands, self.complete)


def keys(place: Array, members: Array, demands: int) -> Array:
    """A number per place and sorted set; the first digit is the place, then the members, −1 first."""
    number = np.asarray(place, np.int64)
    for column in range(members.shape[1]):
        number = number * (demands + 1) + (members[:, column] + 1)
    return number


def grow(
    deadlines: Deadlines,
    copies: Array,
    most: int,
    *,
    seconds: float = np.inf,
    level: Callable[[int], None] | None = None,
) -> Colocations:
    """All sets of up to ``most`` demands, each at most ``copies`` times, that meet their deadlines on some place.

    A set is asked for only if all its subsets meet theirs (Apriori), a level in one batch. What the model says is
    not monotone to the last digit, so a set may be missed that would meet its deadlines although a subset does
    not. Ends with the level reached after MOST_SETS sets or ``seconds``.
    """
    demands, places = len(copies), len(deadlines.places.platforms)
    if places * (demands + 1) ** most >= 2**63:
        raise UsageError(
            f"{several(demands, 'workload')} on {several(places, 'platform')} are too many for one placement; "
            "ask for fewer at a time."
        )
    until = time.monotonic() + seconds
    place, item = np.nonzero(deadlines.allowed)
    found = _level(deadlines, place, item[:, None])
    levels, complete = [found], True
    for size in range(2, most + 1):
        if level:
            level(size)
        joined = _joined(*found[:2], copies, demands)
        known = sum(len(one[0]) for one in levels)
        if joined is None or known + len(joined[0]) > MOST_SETS or time.monotonic() > until:
            complete = False
            break
        found = _level(deadlines, *joined)
        levels.append(found)
    return _collected(levels, most, demands, complete)


def _level(deadlines: Deadlines, place: Array, members: Array) -> tuple[Array, Array, Judged]:
    """Those that meet their deadlines, in the order of place and members."""
    judged = deadlines.judge(place, members)
    rows = np.flatnonzero(judged.meets)
    return place[rows], members[rows], judged[rows]


def _joined(place: Array, members: Array, copies: Array, demands: int) -> tuple[Array, Array] | None:
    """Sets one larger, all of whose subsets are among the given ones (sorted by place, then members).

    None where there are too many to look at.
    """
    n, size = members.shape
    prefix = keys(place, members[:, :-1], demands)
    partners = np.searchsorted(prefix, prefix, side="right") - np.arange(n)  # itself and those after it
    if partners.sum() > MOST_JOINED:
        return None
    first = np.repeat(np.arange(n), partners)
    second = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners - np.arange(n), partners)
    joined = np.column_stack([members[first], members[second, -1]])
    where = place[first]
    times = (joined == joined[:, -1:]).sum(axis=1)
    kept = times <= copies[joined[:, -1]]
    known = keys(place, members, demands)
    for left_out in range(size - 1):  # leaving out either of the last two gives the two sets that were joined
        subset = keys(where, np.delete(joined, left_out, axis=1), demands)
        kept &= np.isin(subset, known)
    return where[kept], joined[kept]


def _collected(
    levels: list[tuple[Array, Array, Judged]], most: int, demands: int, complete: bool
) -> Colocations:
    place = np.concatenate([one[0] for one in levels])
    members = np.concatenate(
        [np.pad(one[1], ((0, 0), (most - one[1].shape[1], 0)), constant_values=-1) for one in levels]
    )
    judged = [one[2] for one in levels]
    together = Judged(
        *(
            np.concatenate([getattr(j, name) for j in judged])
            for name in ("meets", "share", "time_ns", "slack")
        )
    )
    order = np.argsort(keys(place, members, demands), kind="stable")
    return Colocations(place[order], members[order], together[order], demands, complete)
