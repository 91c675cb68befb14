"""How a pool of equal processors is shared between the jobs present: first come, fair, shortest first, by size class.

A policy knows arrival order and predicted sizes only. `Policy.shares` gives each job present, in order of arrival, its
share of one processor, from 0 to 1; the shares add up to at most the number of processors.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError

Shares = Callable[[Sequence[float], Sequence[int]], list[float]]
NAMED = ("fifo", "ps", "srpt", "2d")
T_GRID = (0.7, 0.4, 0.2, 0.1, 0.05)  # as shares of the C² of all sizes
W_GRID = (0.0, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Policy:
    """``edges`` are the largest sizes of its classes but the last; ``shares`` of (predicted work left, classes)."""

    name: str
    edges: tuple[float, ...]
    shares: Shares

    @property
    def queues(self) -> int:
        return len(self.edges) + 1

    def class_of(self, size: float) -> int:
        return bisect_left(self.edges, size)


def policy(name: str, processors: int, sizes: Sequence[float]) -> Policy:
    """fifo, ps, srpt, 2d or wfq:T,W, with classes from these predicted sizes. Raises UsageError."""
    if name == "fifo":
        return Policy(name, (), _fifo(processors))
    if name == "ps":
        return Policy(name, (), _fair(processors))
    if name == "srpt":
        return Policy(name, (), _shortest(processors))
    if name == "2d":  # first come first served in a class whose C² is at most 1, where that beats sharing
        return Policy(name, size_classes(sizes, 1.0), _classes(processors, None))
    if name.startswith("wfq:"):
        try:
            threshold, decay = (float(word) for word in name.removeprefix("wfq:").split(","))
        except ValueError:
            threshold = decay = -1.0
        if threshold > 0 and math.isfinite(threshold) and 0 <= decay < 100:
            edges = size_classes(sizes, threshold * squared_variation(sizes))
            weights = [math.exp(-i * decay) for i in range(len(edges) + 1)]
            return Policy(name, edges, _classes(processors, weights))
    raise UsageError(
        f"--policy {name} must be {', '.join(NAMED)} or wfq:T,W with T above 0 and W from 0, such as wfq:0.4,1."
    )


def grid() -> list[str]:
    """The weighted queues that a search looks at."""
    return [f"wfq:{t:g},{w:g}" for t in T_GRID for w in W_GRID]


def squared_variation(sizes: Sequence[float]) -> float:
    """C², variance over squared mean."""
    mean = sum(sizes) / len(sizes)
    return sum((size - mean) ** 2 for size in sizes) / len(sizes) / mean**2


def size_classes(sizes: Sequence[float], most: float) -> tuple[float, ...]:
    """Edges that divide sizes, from the smallest up, into classes as large as C² ≤ ``most`` allows; by running sums."""
    edges: list[float] = []
    count, total, squares, last = 0, 0.0, 0.0, 0.0
    for size in sorted(sizes):
        count, total, squares = count + 1, total + size, squares + size * size
        if count > 1 and size > last and count * squares / (total * total) - 1 > most:
            edges.append(last)
            count, total, squares = 1, size, size * size
        last = size
    return tuple(edges)


def _fifo(processors: int) -> Shares:
    def shares(left: Sequence[float], classes: Sequence[int]) -> list[float]:
        n = len(left)
        return [1.0] * n if n <= processors else [1.0] * processors + [0.0] * (n - processors)

    return shares


def _fair(processors: int) -> Shares:
    def shares(left: Sequence[float], classes: Sequence[int]) -> list[float]:
        n = len(left)
        return [min(1.0, processors / n)] * n

    return shares


def _shortest(processors: int) -> Shares:
    def shares(left: Sequence[float], classes: Sequence[int]) -> list[float]:
        n = len(left)
        if n <= processors:
            return [1.0] * n
        given = [0.0] * n
        for i in sorted(range(n), key=left.__getitem__)[:processors]:
            given[i] = 1.0
        return given

    return shares


def _classes(processors: int, weights: Sequence[float] | None) -> Shares:
    """Between classes by weight (None: how many of its jobs are present), in a class first come first served.

    No class takes more than one processor a job; what it cannot take goes to the others by their weights.
    """

    def shares(left: Sequence[float], classes: Sequence[int]) -> list[float]:
        n = len(left)
        if n <= processors:
            return [1.0] * n
        counts: dict[int, int] = {}
        for one in classes:
            counts[one] = counts.get(one, 0) + 1
        free, open_classes = float(processors), dict(counts)
        capacity: dict[int, float] = {}
        while open_classes:
            total = sum(weights[c] for c in open_classes) if weights else sum(open_classes.values())
            if total <= 0.0:  # weights too small to tell: the smallest class first
                total, scale = 1.0, {min(open_classes): 1.0}
            else:
                scale = {c: weights[c] if weights else m for c, m in open_classes.items()}
            full = [c for c, m in open_classes.items() if free * scale.get(c, 0.0) / total >= m]
            if not full:
                capacity |= {c: free * scale.get(c, 0.0) / total for c in open_classes}
                break
            for c in full:
                capacity[c] = float(open_classes.pop(c))
                free -= capacity[c]
        given = []
        for one in classes:
            here = capacity[one]
            share = 1.0 if here >= 1.0 else max(here, 0.0)
            capacity[one] = here - share
            given.append(share)
        return given

    return shares
