"""Choosing one set for each device so that no workload is hosted more often than asked: how good a choice can be.

max Σ value·x  with  Σ x ≤ 1 over the sets of each device,  Σ multiplicity·x ≤ copies of each demand,  x ∈ {0, 1}.
The relaxation (x ≥ 0) is solved by column generation: a small linear program, then the sets whose value exceeds its
prices, until none does. Its prices bound the value from above at every step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MOST_ROUNDS = 200
COLUMNS = 5  # of each device, that join the linear program in a round
TOLERANCE = 1e-7  # of the prices that the solver gives


@dataclass(frozen=True)
class Packing:
    """N sets to choose from.

    device   (N,) numbers, not decreasing; a device takes one set at most
    members  (N, k) numbers of demands, −1 where there is none
    value    (N,) what choosing it is worth
    copies   (W,) how often each demand may be hosted
    """

    device: Array
    members: Array
    value: Array
    copies: Array

    def __len__(self) -> int:
        return len(self.device)

    def rows(self, columns: Array) -> Any:
        """The constraints' matrix for some sets: a row per device, then a row per demand."""
        from scipy.sparse import csr_matrix

        members = self.members[columns]
        which, position = np.nonzero(members >= 0)
        devices = int(self.device.max(initial=-1)) + 1
        row = np.concatenate([self.device[columns], devices + members[which, position]])
        column = np.concatenate([np.arange(len(columns)), which])
        shape = (devices + len(self.copies), len(columns))
        return csr_matrix((np.ones(len(row)), (row, column)), shape)

    def limits(self) -> Array:
        devices = int(self.device.max(initial=-1)) + 1
        return np.concatenate([np.ones(devices), self.copies])


@dataclass(frozen=True)
class Relaxed:
    """A solution of the relaxation: ``x`` of the sets ``columns``, and a bound that no choice's value exceeds."""

    columns: Array
    x: Array
    bound: float


def relax(packing: Packing, *, seconds: float = np.inf) -> Relaxed:
    """Solve the relaxation; where time runs out, the bound still holds, only less tightly."""
    from scipy.optimize import linprog

    if not len(packing):
        return Relaxed(np.zeros(0, np.int64), np.zeros(0), 0.0)
    until = time.monotonic() + seconds
    limits = packing.limits()
    edges = np.flatnonzero(np.diff(packing.device, prepend=-1))
    columns = _best(packing, packing.value, edges)
    bound = np.inf
    for _ in range(MOST_ROUNDS):
        solved = linprog(
            -packing.value[columns],
            A_ub=packing.rows(columns),
            b_ub=limits,
            bounds=(0, None),
            method="highs-ds",
        )
        prices = -solved.ineqlin.marginals
        gain = (
            packing.value
            - prices[packing.device]
            - _sums(prices[len(limits) - len(packing.copies) :], packing)
        )
        most = np.maximum.reduceat(gain, edges)
        bound = min(bound, float(prices @ limits + np.maximum(most, 0).sum()))
        more = np.setdiff1d(_best(packing, gain, edges), columns)
        if not len(more) or time.monotonic() > until:
            break
        columns = np.sort(np.concatenate([columns, more]))
    used = solved.x > 1e-9
    return Relaxed(columns[used], solved.x[used], bound)


def exact(packing: Packing, *, seconds: float) -> tuple[Array, bool]:
    """The best choice, and whether it is proven within ``seconds``; for up to a few thousand sets."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    if not len(packing):
        return np.zeros(0, np.int64), True
    every = np.arange(len(packing))
    solved = milp(
        -packing.value,
        integrality=np.ones(len(packing)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(packing.rows(every), ub=packing.limits()),
        options={"time_limit": max(seconds, 0.01), "mip_rel_gap": 0},
    )
    if solved.x is None:
        return np.zeros(0, np.int64), False
    return np.flatnonzero(solved.x > 0.5), bool(solved.status == 0)


def _sums(of: Array, packing: Packing) -> Array:
    """(N,) Σ over the members of each set."""
    padded = np.append(of, 0.0)  # −1: nobody
    total: Array = padded[packing.members].sum(axis=1)
    return total


def _best(packing: Packing, score: Array, edges: Array) -> Array:
    """The COLUMNS sets of each device with the highest scores above 0."""
    found = []
    for start, end in zip(edges.tolist(), [*edges.tolist()[1:], len(score)], strict=True):
        part = score[start:end]
        best = np.argpartition(-part, COLUMNS)[:COLUMNS] if len(part) > COLUMNS else np.arange(len(part))
        found.append(start + best[part[best] > TOLERANCE])
    return np.sort(np.concatenate(found))
