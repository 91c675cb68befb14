"""What a placement would have come to: the user's own question, put to jobs that were measured and held out.

Only sets that were measured can be chosen, so every hosted workload has a measured time, and no model judges itself.
Draws share rows, so what is measured is an estimate and not a theorem.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.decide.assignment import copies_of, unit_of
from harness.decide.deadlines import POLICIES, Deadlines
from harness.decide.demands import Demand
from harness.decide.packing import Packing, exact
from harness.decide.place import Request, deadlines_of, most_together
from harness.decide.truth import held_out_rows
from harness.errors import ModelError
from harness.output import Column
from harness.spelling import several
from pitot_core import Observations, Pitot, split

Array = NDArray[Any]
DRAWS = 30
LEAST_OPTIONS = 200
EPS_GRID = (0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005)
SECONDS = 2.0  # for one draw's integer program, which takes some hundredths
CHECK_COLUMNS = [
    Column("policy", "policy", meaning="oracle (knows the measured times), bound, mean, alone or share"),
    Column("eps", "ε", True, "of its bounds; null where it has none"),
    Column("hosted", "hosted", True, "workloads, mean over draws"),
    Column("of_oracle", "of the oracle", True, "hosted, as a share of what the oracle hosts"),
    Column("violations", "missed", True, "share of the hosted whose measured time exceeded the deadline"),
    Column("over_bound", "above bound", True, "share of the hosted whose measured time exceeded its bound"),
    Column("any", "draws with any", True, "share of draws in which somebody missed its deadline"),
]


@dataclass(frozen=True)
class Measured:
    """N sets of a question that were measured: jobs whose members are demands, on the question's places.

    place (N,), members (N, k) and measured_ns (N, k); members are −1 and times 0 where there is none
    """

    place: Array
    members: Array
    measured_ns: Array

    def __len__(self) -> int:
        return len(self.place)


@dataclass(frozen=True)
class Outcome:
    """By draw: hosted weight, how many were hosted, how many of them exceeded their deadline, and their bound."""

    weight: Array
    hosted: Array
    missed: Array
    over: Array

    @property
    def violations(self) -> float:
        return float(np.mean(self.missed / np.maximum(self.hosted, 1)))


def measured_sets(deadlines: Deadlines, rows: Observations, most: int) -> Measured:
    """The sets among ``rows``, whose numbers are those of the model's tables; repeated jobs by their mean."""
    together = np.sort(np.column_stack([rows.workload, rows.co_runners]), axis=1)
    jobs, job = np.unique(np.column_stack([rows.platform, together]), axis=0, return_inverse=True)
    job = job.reshape(-1)
    span = int(max(rows.workload.max(initial=0), deadlines.workload.max(initial=0))) + 1
    member, which = np.unique(job * span + rows.workload, return_inverse=True)
    which = which.reshape(-1)
    mean_ns = np.exp(np.bincount(which, rows.log_ns) / np.bincount(which))
    times = dict(zip(member.tolist(), mean_ns.tolist(), strict=True))
    here = {int(number): i for i, number in enumerate(deadlines.places.number)}
    asked: dict[int, list[int]] = {}
    for demand, workload in enumerate(deadlines.workload.tolist()):
        asked.setdefault(workload, []).append(demand)
    copies = copies_of(deadlines)
    found: dict[tuple[int, tuple[int, ...]], list[float]] = {}
    for number, (platform, *names) in enumerate(jobs.tolist()):
        present = [name for name in names if name >= 0]
        if platform not in here or len(present) > most or not all(name in asked for name in present):
            continue
        measured = [times.get(number * span + name) for name in present]
        if None in measured:
            continue
        for chosen in itertools.product(*(asked[name] for name in present)):
            ordered = sorted(zip(chosen, measured, strict=True), key=lambda one: one[0])
            members = tuple(demand for demand, _ in ordered)
            enough = all(members.count(one) <= copies[one] for one in members)
            if enough and deadlines.allowed[here[platform], list(members)].all():
                found[here[platform], members] = [float(t or 0) for _, t in ordered]
    keys = sorted(found, key=lambda one: one[0])
    return Measured(
        np.array([place for place, _ in keys], np.int64),
        np.array([[*members, *[-1] * (most - len(members))] for _, members in keys], np.int64).reshape(
            -1, most
        ),
        np.array([[*found[key], *[0.0] * (most - len(key[1]))] for key in keys]).reshape(-1, most),
    )


class Replay:
    """A question on measured sets: places them by any policy, in draws of half the demands and half the devices.

    ``draws`` are pairs of masks, over devices and over demands.
    """

    def __init__(
        self, deadlines: Deadlines, measured: Measured, draws: Sequence[tuple[Array, Array]]
    ) -> None:
        self.deadlines, self.measured, self.draws = deadlines, measured, draws
        self.device = deadlines.places.device[measured.place]
        present = measured.members >= 0
        limit = np.append(deadlines.deadline_ns, np.inf)[measured.members]
        self.ratio = measured.measured_ns / limit
        self.alone = (
            np.where(present, deadlines.alone_ns[measured.place[:, None], measured.members], 0) / limit
        )
        self.mean = self._asked(deadlines.means) / limit
        self.limit = limit
        self._bounds: dict[float, Array] = {}

    def _asked(self, ask: Callable[[Array, Array], Array]) -> Array:
        """(N, k) answers of the model, sets of one size in one batch."""
        answers, counts = np.zeros(self.measured.members.shape), (self.measured.members >= 0).sum(axis=1)
        for size in np.unique(counts):
            rows = np.flatnonzero(counts == size)
            answers[rows, :size] = ask(self.measured.place[rows], self.measured.members[rows, :size])
        return answers

    def meets(self, policy: str, eps: float = 0.05) -> NDArray[np.bool_]:
        """(N,) which sets a policy would allow."""
        if policy == "oracle":
            return np.asarray((self.ratio <= 1).all(axis=1))
        if policy == "mean":
            return np.asarray((self.mean <= 1).all(axis=1))
        if policy == "alone":
            return np.asarray((self.alone <= 1).all(axis=1))
        if policy == "share":
            return np.asarray(self.alone.sum(axis=1) <= 1)
        return np.asarray((self.bounds(eps) <= 1).all(axis=1))

    def bounds(self, eps: float) -> Array:
        """(N, k) bounds at ε beside the others, as shares of the deadlines."""
        if eps not in self._bounds:
            self._bounds[eps] = self._asked(lambda p, m: self.deadlines.bounds(p, m, eps)) / self.limit
        return self._bounds[eps]

    def outcome(self, policy: str, eps: float, advance: Callable[[], None] = lambda: None) -> Outcome:
        """Place every draw by this policy, and compare with what was measured."""
        allowed = self.meets(policy, eps)
        share = np.minimum(self.ratio if policy == "oracle" else self.mean, 1).sum(axis=1)
        weights = np.append([demand.weight for demand in self.deadlines.demands], 0.0)
        unit, copies = unit_of(weights[:-1]), copies_of(self.deadlines)
        devices = len(self.deadlines.places.devices)
        value = weights[self.measured.members].sum(axis=1)
        value = value - unit / (4 * devices) - unit / (16 * max(int(copies.sum()), 1)) * share
        found = []
        for here, asked in self.draws:
            wanted = np.append(asked, True)[self.measured.members].all(axis=1)
            rows = np.flatnonzero(allowed & here[self.device] & wanted)
            packing = Packing(self.device[rows], self.measured.members[rows], value[rows], copies)
            chosen = rows[exact(packing, seconds=SECONDS)[0]]
            members = self.measured.members[chosen]
            there = members >= 0
            late = (self.ratio[chosen] > 1) & there
            over = (self.ratio[chosen] > self.bounds(eps)[chosen]) & there
            found.append((weights[members].sum(), there.sum(), late.sum(), over.sum()))
            advance()
        return Outcome(*np.array(found, float).T)


def check(
    model: Pitot, demands: Sequence[Demand], request: Request, root: Path, at: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """What each policy hosts and misses on a dataset's held-out jobs. Raises UsageError, DatasetError, ModelError."""
    replay = replay_of(model, demands, request, held_out_rows(model, root))
    return check_rows(replay, request.eps, _counter(at, DRAWS * (1 + len(POLICIES))))


def with_violations(
    model: Pitot,
    demands: Sequence[Demand],
    request: Request,
    root: Path,
    violations: float,
    at: Callable[[int, int], None],
) -> tuple[Request, str]:
    """The request with the largest ε that misses few enough on half A of the held-out jobs; and half B's verdict."""
    a, b = two_halves(held_out_rows(model, root), request.seed)
    chooses, tells = (replay_of(model, demands, request, rows) for rows in (a, b))
    advance = _counter(at, DRAWS * (len(EPS_GRID) + 2))
    eps = largest_eps(chooses, violations, advance)
    oracle, found = tells.outcome("oracle", eps, advance), tells.outcome("bound", eps, advance)
    share = found.weight.sum() / max(oracle.weight.sum(), 1e-12)
    return replace(request, eps=eps), (
        f"ε = {eps:g} was chosen on half of the held-out jobs; on the other half {found.violations:.2%} of the hosted "
        f"missed their deadline (asked: {violations:.2%}) and {share:.1%} of what the oracle hosts was hosted; "
        "an estimate, since draws share jobs"
    )


def replay_of(model: Pitot, demands: Sequence[Demand], request: Request, rows: Observations) -> Replay:
    """The question on these rows, in draws of half the demands and half the devices. Raises ModelError for few sets."""
    most = most_together(model, replace(request, policy="bound"))
    deadlines = deadlines_of(model, demands, replace(request, policy="bound"))
    draws = halves(len(deadlines.places.devices), len(demands), request.seed)
    measured = measured_sets(deadlines, rows, most)
    if len(measured) < LEAST_OPTIONS:
        raise ModelError(
            f"only {several(len(measured), 'held-out job is', 'held-out jobs are')} of these workloads on these "
            f"devices, and a replay needs {LEAST_OPTIONS}; ask about more workloads, or train with a larger "
            "--test-share."
        )
    return Replay(deadlines, measured, draws)


def _counter(at: Callable[[int, int], None], total: int) -> Callable[[], None]:
    done = itertools.count(1)
    return lambda: at(min(next(done), total), total)


def halves(devices: int, demands: int, seed: int, draws: int = DRAWS) -> list[tuple[Array, Array]]:
    """Random halves of the devices and of the demands, as masks."""
    rng = np.random.default_rng(seed)

    def half(n: int) -> Array:
        mask = np.zeros(n, bool)
        mask[rng.permutation(n)[: -(-n // 2)]] = True
        return mask

    return [(half(devices), half(demands)) for _ in range(draws)]


def two_halves(rows: Observations, seed: int) -> tuple[Observations, Observations]:
    """Held-out rows divided once more by job: A chooses, B tells what the choice is worth."""
    parts = split(rows, train=0.5, test=0.5, by="job", seed=seed)
    return rows[parts.train], rows[parts.test]


def check_rows(
    replay: Replay, eps: float, advance: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """A row per policy, the oracle first."""
    rows = []
    oracle = replay.outcome("oracle", eps, advance)
    for policy in ("oracle", *POLICIES):
        one = oracle if policy == "oracle" else replay.outcome(policy, eps, advance)
        rows.append(
            {
                "policy": policy,
                "eps": eps if policy == "bound" else None,
                "hosted": float(one.hosted.mean()),
                "of_oracle": float(one.weight.sum() / max(oracle.weight.sum(), 1e-12)),
                "violations": one.violations,
                "over_bound": float(one.over.sum() / max(one.hosted.sum(), 1)) if policy == "bound" else None,
                "any": float((one.missed > 0).mean()),
            }
        )
    return rows


def largest_eps(replay: Replay, violations: float, advance: Callable[[], None] = lambda: None) -> float:
    """The largest ε of EPS_GRID whose placements missed at most this share of deadlines. Raises ModelError."""
    least = np.inf
    for eps in _supported(replay):
        rate = replay.outcome("bound", eps, advance).violations
        if rate <= violations:
            return eps
        least = min(least, rate)
    raise ModelError(
        f"no ε kept the missed deadlines at {violations:g} on held-out jobs, the least was {least:.2g}; "
        "allow more with --violations, or collect more and train again."
    )


def _supported(replay: Replay) -> Iterator[float]:
    smallest = replay.deadlines.model.pools()[0].smallest_eps
    return (eps for eps in EPS_GRID if eps >= smallest)
