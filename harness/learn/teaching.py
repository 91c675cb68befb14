"""What measuring a job would teach, and what it would cost: by the tables solved for what is measured so far.

The tables are Gaussian, so the variance of a prediction is known before the job is done. A row with variance v and
noise σ² tells ½ ln(1 + v/σ²) nats of its cell (Lindley 1956); a job tells the sum over its members, for the seconds
that it takes. Jobs of one kind know much of each other, and who takes the best ones of a list measures the same thing
many times over; so it is a random sample, with chances ∝ nats^POWER / seconds^DEAR. Seconds count for less than nats:
what is dear is asked about too, and a choice of quick jobs alone leaves it unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.learn.arrays import Planned, load_training
from harness.learn.costs import Costs
from harness.output import Column
from pitot_core import MAX_CO_RUNNERS, Features, Observations, PitotError, Queries, folds
from pitot_core.tables import Tables
from pitot_core.tables.hyperparameters import Hyperparameters

Array = NDArray[np.float64]
FOLDS = 5
FEWEST = 10  # jobs drawn at random below which no error is told
AGAIN = 1.5  # times the rows
ROWS = 20  # of the table
# Of nats and of seconds in the chance to be taken, replayed where jobs end when they are known
# (tests/perf/bench_adaptive.py); a job together is taken so often where one alone that teaches as much is taken once.
POWER, DEAR, TOGETHER = 2.0, 1.6, 0.8

NEXT_COLUMNS = [
    Column("platform", "platform", meaning="engine:device"),
    Column("workloads", "workloads", meaning="measured together, separated by spaces"),
    Column(
        "deviation",
        "uncertain by",
        True,
        "standard deviation of the prediction, as a share, mean of the members",
    ),
    Column("nats", "teaches", True, "information that is expected of it, nats"),
    Column("seconds", "takes", True, "expected, s"),
    Column(
        "gain",
        "nats/s",
        True,
        "the one over the other; the chance to be taken goes by nats² / seconds^1.6, for jobs together 0.8 of it",
    ),
]


@dataclass(frozen=True)
class Error:
    """Mean |predicted − measured| / measured over the plan, by jobs drawn at random, and its 95 % interval."""

    mape: float
    low: float
    high: float
    jobs: int


@dataclass(frozen=True)
class Memory:
    """What one advice leaves for the next: the hyperparameters of so many rows, which take long to find."""

    rows: int
    hyper: Hyperparameters


@dataclass(frozen=True)
class Advice:
    """What the tables say of jobs that may come next: (M,) each in the order of the jobs that were asked about."""

    nats: Array
    seconds: Array
    deviation: Array
    together: NDArray[np.bool_]
    error: Error | None
    memory: Memory | None = None

    @property
    def gain(self) -> Array:
        """(M,) nats per second."""
        return self.nats / self.seconds

    @property
    def chance(self) -> Array:
        """(M,) of being taken next, in proportion."""
        told = np.maximum(self.nats, 1e-12) ** POWER / self.seconds**DEAR
        return np.where(self.together, TOGETHER, 1.0) * told

    def drawn(self, seed: int) -> NDArray[np.int64]:
        """(M,) the numbers of all jobs in a random order, the next one each time by its chance."""
        noise = np.random.default_rng(seed).gumbel(size=len(self.nats))
        return np.argsort(-(np.log(self.chance) + noise))

    @property
    def hours(self) -> float:
        return float(self.seconds.sum() / 3600)


def advise(
    dataset: Dataset, jobs: Sequence[Job], *, judged: bool = True, memory: Memory | None = None
) -> Advice:
    """What each of these jobs would teach after what the dataset holds, and how wrong the model is so far.

    With the `memory` of an earlier advice hyperparameters are only found anew where there are AGAIN times the rows.
    Raises DatasetError where nothing is measured yet, or nothing that can be learned from.
    """
    platforms = frozenset(job.platform for job in jobs)
    workloads = frozenset(name for job in jobs for name in job.workloads)
    rows, features = load_training(dataset, also=Planned(platforms, workloads))
    try:
        remembered = memory if memory and len(rows) < AGAIN * memory.rows else None
        tables = Tables.solved(rows, features, remembered.hyper if remembered else None)
        hyper = tables.solution.hyper
        error = judge(rows, features, dataset.plan(), hyper) if judged else None
    except PitotError as problem:
        raise DatasetError(
            f"{dataset.root} cannot be learned from yet: {problem}; collect more."
        ) from problem
    queries, job = asked(jobs, features)
    deviation = tables.deviation(queries)
    nats = information(queries, deviation, hyper, job, len(jobs))
    longest = np.zeros(len(jobs))
    np.maximum.at(longest, job, np.exp(tables.log_ns(queries)) / 1e9)
    costs = Costs.of(dataset)
    seconds = np.array([costs.expected_s(one, float(s)) for one, s in zip(jobs, longest, strict=True)])
    members = np.maximum(np.bincount(job, minlength=len(jobs)), 1)
    mean_deviation = np.asarray(np.bincount(job, deviation, len(jobs)) / members, np.float64)
    together = np.array([one.degree > 1 for one in jobs], bool)
    left = remembered or Memory(len(rows), hyper)
    return Advice(nats, seconds, mean_deviation, together, error, left)


def information(
    queries: Queries, deviation: Array, hyper: Hyperparameters, job: NDArray[np.int64], jobs: int
) -> Array:
    """(jobs,) nats that each job tells: of its members (M,) Σ ½ ln(1 + v/σ²)."""
    noise = np.where(queries.n_co_runners > 0, hyper.noise_beside, hyper.noise)
    return np.bincount(job, 0.5 * np.log1p(deviation**2 / noise), jobs).astype(np.float64)


def asked(jobs: Sequence[Job], features: Features) -> tuple[Queries, NDArray[np.int64]]:
    """A question for each member of each job, and the number of its job."""
    platform = {name: i for i, name in enumerate(features.platform_names)}
    workload = {name: i for i, name in enumerate(features.workload_names)}
    where, what, beside, job = [], [], [], []
    for number, one in enumerate(jobs):
        members = [workload[name] for name in one.workloads]
        for index, member in enumerate(members):
            others = members[:index] + members[index + 1 :]
            where.append(platform[one.platform])
            what.append(member)
            beside.append(others + [-1] * (MAX_CO_RUNNERS - len(others)))
            job.append(number)
    return Queries.of(where, what, np.array(beside, np.int32).reshape(-1, MAX_CO_RUNNERS)), np.array(
        job, np.int64
    )


def judge(
    rows: Observations, features: Features, plan: Sequence[Job], hyper: Hyperparameters | None = None
) -> Error | None:
    """How wrong predictions are on the jobs that were drawn at random, by tables that had not seen them.

    The few numbers of `hyper` may be found from all rows: that is not to know the times of those left out.
    Each fifth of those jobs is left out in turn. A device whose jobs are short has done more of its share, so each
    counts for as many jobs as are planned on it. None where there are too few to tell.
    """
    fair = rows.fair & rows.measured
    jobs = np.unique(rows.job[fair])
    if len(jobs) < FEWEST:
        return None
    fold = np.full(len(rows), -1)
    fold[fair] = folds(rows[fair], FOLDS)
    off = np.zeros(len(rows))
    for held in range(FOLDS):
        mine = fold == held
        others = ~np.isin(rows.job, rows.job[mine])
        if mine.any() and others.any():
            off[mine] = np.abs(
                np.expm1(Tables.solved(rows[others], features, hyper).log_ns(rows[mine]) - rows.log_ns[mine])
            )
    names = np.array([name.partition(":")[2] for name in features.platform_names])[rows.platform[fair]]
    planned, measured = Counter(job.device for job in plan), Counter(names.tolist())
    weight = np.array([max(planned[name], 1) / measured[name] for name in names.tolist()])
    _, job = np.unique(rows.job[fair], return_inverse=True)
    heavy = np.bincount(job, weight)
    mean = float(weight @ off[fair] / weight.sum())
    away = np.bincount(job, weight * (off[fair] - mean))
    half = 1.96 * float(np.sqrt(away @ away * len(heavy) / (len(heavy) - 1)) / heavy.sum())
    return Error(mean, max(0.0, mean - half), mean + half, len(heavy))


def next_rows(jobs: Sequence[Job], advice: Advice, most: int = ROWS) -> list[dict[str, Any]]:
    """The table of what to measure next, the likeliest first, without what is drawn at random."""
    fair = np.array([job.drawn == "random" for job in jobs], bool)
    best = np.argsort(np.where(fair, 0.0, -advice.chance), kind="stable")[: min(most, len(jobs) - fair.sum())]
    return [
        {
            "platform": jobs[i].platform,
            "workloads": " ".join(jobs[i].workloads),
            "deviation": float(advice.deviation[i]),
            "nats": float(advice.nats[i]),
            "seconds": float(advice.seconds[i]),
            "gain": float(advice.gain[i]),
        }
        for i in best.tolist()
    ]


def measured_next(
    dataset: Dataset | None, jobs: Sequence[Job], first: Sequence[Job]
) -> tuple[list[dict[str, Any]], float]:
    """The table of what to measure next of these jobs, and how many seconds all of them are expected to take.

    Of platforms and workloads that the dataset does not describe yet nothing is expected: their jobs come as in
    `first`, which touches each, and are taken for jobs of short executions. Half of the table is left to the others.
    """
    known = described(dataset, jobs) if dataset else []
    rows, seconds = [], 0.0
    if dataset and known:
        try:
            advice = advise(dataset, known, judged=False)
            rows, seconds = next_rows(known, advice), float(advice.seconds.sum())
        except DatasetError:
            known = []  # nothing yet that can be learned from
    told = {job.id for job in known}
    empty = dict.fromkeys(("deviation", "nats", "seconds", "gain"))
    new = [
        {"platform": job.platform, "workloads": " ".join(job.workloads)} | empty
        for job in first
        if job.id not in told
    ]
    new = new[: max(ROWS // 2, ROWS - len(rows))]
    costs = Costs.of(dataset) if dataset else Costs()
    seconds += sum(costs.expected_s(job, 0.0) for job in jobs if job.id not in told)
    return [*new, *rows[: ROWS - len(new)]], seconds


def described(dataset: Dataset, jobs: Sequence[Job]) -> list[Job]:
    """Those of the jobs whose platform and workloads have a row in the dataset, and so features."""
    platforms = set(dataset.platforms()["platform"].to_pylist())
    workloads = set(dataset.workloads()["workload"].to_pylist())
    return [job for job in jobs if job.platform in platforms and workloads.issuperset(job.workloads)]
