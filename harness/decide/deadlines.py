"""Which workloads meet their deadlines together: what a model says of many sets at once, by one of four policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness.decide.demands import Demand
from harness.decide.room import Room
from pitot_core import MAX_CO_RUNNERS, Pitot, Queries

Array = NDArray[Any]
Policy = Literal["bound", "mean", "alone", "share"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
MOST = MAX_CO_RUNNERS + 1
CHUNK = 100_000  # queries in one call of the model, which bounds memory


@dataclass(frozen=True)
class Places:
    """Where workloads may run: P platforms, sorted by device. Each device runs under one of its engines.

    platforms  names engine:device
    number     (P,) row numbers in the model
    device     (P,) numbers into ``devices``, not decreasing
    """

    platforms: tuple[str, ...]
    number: Array
    device: Array
    devices: tuple[str, ...]


def places_of(platforms: Sequence[tuple[str, int]]) -> Places:
    """From pairs of a name engine:device and its row number in the model."""
    ordered = sorted(platforms, key=lambda one: (one[0].partition(":")[2], one[0]))
    on = [name.partition(":")[2] for name, _ in ordered]
    devices = tuple(dict.fromkeys(on))
    numbers = {name: i for i, name in enumerate(devices)}
    return Places(
        tuple(name for name, _ in ordered),
        np.array([number for _, number in ordered], np.int32),
        np.array([numbers[name] for name in on], np.int64),
        devices,
    )


@dataclass(frozen=True)
class Judged:
    """What is known of N sets of up to k workloads.

    meets    (N,) whether every member meets its deadline
    share    (N,) sum over members of expected time / deadline, each at most 1
    time_ns  (N,) sum of expected times
    slack    (N,) least over members of ln(deadline / what the policy compares with it); −inf where it does not apply
    """

    meets: NDArray[np.bool_]
    share: NDArray[np.float64]
    time_ns: NDArray[np.float64]
    slack: NDArray[np.float64]

    def __getitem__(self, rows: Any) -> Judged:
        return Judged(self.meets[rows], self.share[rows], self.time_ns[rows], self.slack[rows])


class Deadlines:
    """Asks a model whether demands meet their deadlines on places, alone and beside each other.

    ``bound`` compares the bound at ε beside the company with the deadline, ``mean`` the expected time beside it,
    ``alone`` the expected time alone (company ignored), ``share`` asks that the expected times alone, each as a
    share of its deadline, add up to at most 1. With ``room`` nobody meets a deadline where memory is too small.
    """

    def __init__(
        self,
        model: Pitot,
        demands: Sequence[Demand],
        workload: Array,
        places: Places,
        policy: Policy,
        eps: float,
        room: Room | None = None,
    ) -> None:
        self.room = room
        self.model, self.demands, self.places, self.policy, self.eps = model, demands, places, policy, eps
        self.workload = np.asarray(workload, np.int32)
        self.deadline_ns = np.array([demand.deadline_ns for demand in demands])
        here = {name: i for i, name in enumerate(places.devices)}
        self.allowed = np.ones((len(places.platforms), len(demands)), bool)
        for i, demand in enumerate(demands):
            if demand.devices:
                on = [here[name] for name in demand.devices if name in here]
                self.allowed[:, i] = np.isin(places.device, on)
        place, item = np.divmod(np.arange(self.allowed.size), len(demands))
        shape = self.allowed.shape
        self.alone_ns = self.means(place, item[:, None]).reshape(shape)
        self.alone_bound_ns = self.bounds(place, item[:, None]).reshape(shape)

    def judge(self, place: Array, members: Array) -> Judged:
        """Of N sets: ``place`` (N,), ``members`` (N, k) numbers of demands, all present."""
        limit = self.deadline_ns[members]
        alone = members.shape[1] == 1
        mean = self.alone_ns[place[:, None], members] if alone else self.means(place, members)
        if self.policy == "bound":
            compared = self.alone_bound_ns[place[:, None], members] if alone else self.bounds(place, members)
        elif self.policy == "mean":
            compared = mean
        else:
            compared = self.alone_ns[place[:, None], members]
        if self.policy == "share":
            ratio = (compared / limit).sum(axis=1)
        else:
            ratio = (compared / limit).max(axis=1, initial=0.0)
        meets = (ratio <= 1) & self.allowed[place[:, None], members].all(axis=1)
        if self.room:
            meets &= self.room.holds(place, members)
        with np.errstate(over="ignore"):  # a limit next to nothing
            share = np.minimum(mean / limit, 1).sum(axis=1)
        with np.errstate(divide="ignore"):
            slack = -np.log(ratio)
        return Judged(meets, share, mean.sum(axis=1), slack)

    def members(self, place: int, members: Sequence[int]) -> tuple[Array, Array]:
        """Expected time and bound of each member beside the others, ns."""
        where, who = np.array([place]), np.array([list(members)])
        return self.means(where, who)[0], self.bounds(where, who)[0]

    def means(self, place: Array, members: Array) -> Array:
        return self._ask(place, members, self.model.predict)

    def bounds(self, place: Array, members: Array, eps: float | None = None) -> Array:
        return self._ask(place, members, lambda queries: self.model.bound(queries, eps or self.eps))

    def _ask(self, place: Array, members: Array, ask: Any) -> Array:
        """(N, k) answers: of each member beside the others."""
        n, k = members.shape
        answers = np.empty((n, k))
        step = max(1, CHUNK // k)
        for start in range(0, n, step):
            some = slice(start, start + step)
            answers[some] = ask(self._queries(place[some], members[some])).reshape(-1, k)
        return answers

    def _queries(self, place: Array, members: Array) -> Queries:
        n, k = members.shape
        names = self.workload[members]
        beside = np.full((n, k, MAX_CO_RUNNERS), -1, np.int32)
        for i in range(k):
            beside[:, i, : k - 1] = np.delete(names, i, axis=1)
        platform = np.repeat(self.places.number[place], k)
        return Queries(platform, names.reshape(-1), beside.reshape(-1, MAX_CO_RUNNERS))
