"""How long a job is going to take: by its rule, and by what jobs of its platform took besides.

The rule is of executions, whose length the model predicts. What a job takes besides (starting runners, warming up
until times are steady, stopping) is up to the engine, and compiling happens where no job had the workload before. Both
are learned from when the jobs of a device began one after another: engines differ tenfold in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import mean, median
from typing import Any, Self

import pyarrow as pa

from harness.dataset.records import Job
from harness.dataset.store import Dataset

START_S = 0.15  # to start a runner, compile, and stop it, where nothing is known
WARM_UP = 10  # executions, see fleet/agent.py
LEAST_S = 0.1  # of warming up, and of samples where a job ends when its means are known
NEWEST = 5000  # rows that are looked at, the newest ones
FEWEST = 3  # jobs of a platform that tell what it takes
PAUSE_S = 10.0  # a job that took so much longer than its rule says was not all that happened
RULE = ("time_ns", "repeats", "limit_s", "co_run_s")  # without one of them a job tells nothing
COLUMNS = [
    "job", "purpose", "platform", "device", "workload", "n_co_runners", "time_ns", "compile_ns", "cached",
    "repeats", "limit_s", "co_run_s", "precision", "started_at",
]  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """Of each platform that is known, seconds that a job of one workload takes besides, and each one more, and that
    compiling takes; and of which platforms and workloads nothing has to be compiled any more."""

    besides: Mapping[str, float] = field(default_factory=dict)
    compiling: Mapping[str, float] = field(default_factory=dict)
    compiled: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """As the newest jobs of a dataset had it; nothing is known of imported ones."""
        newest: pa.Table | None = None
        compiled: set[tuple[str, str]] = set()
        for part in dataset.parts(COLUMNS):
            compiled.update(zip(part["platform"].to_pylist(), part["workload"].to_pylist(), strict=True))
            told = part.filter(part["started_at"].is_valid())
            newest = told if newest is None else pa.concat_tables([newest, told])
            if len(newest) > NEWEST:
                newest = newest.sort_by([("started_at", "descending")]).slice(0, NEWEST)
        jobs = _jobs(newest.sort_by("started_at").to_pylist() if newest is not None else [])
        besides: dict[str, list[float]] = {}
        compiling: dict[str, list[float]] = {}
        for job, took in jobs:
            compiling.setdefault(job.platform, []).extend(job.compiled_s)
            if took is not None:
                left_s = took.total_seconds() - executing_s(job.rule, job.longest_s) - sum(job.compiled_s)
                if took.total_seconds() > 0.0 and left_s < PAUSE_S:
                    besides.setdefault(job.platform, []).append(max(left_s, 0.0) / job.rule.degree)
        return cls(_of_each(mean, besides), _of_each(median, compiling), frozenset(compiled))

    def expected_s(self, job: Job, execution_s: float) -> float:
        """Of a job whose longest execution takes so long."""
        besides_s = self.besides.get(job.platform, START_S) * job.degree
        anew = sum((job.platform, name) not in self.compiled for name in set(job.workloads))
        return besides_s + anew * self.compiling.get(job.platform, 0.0) + executing_s(job, execution_s)


def executing_s(job: Job, execution_s: float) -> float:
    """How long a job executes whose longest execution takes so long: warming up, and measuring."""
    execution_s = min(execution_s, job.limit_s)
    warm_s = min(max(min(LEAST_S, job.co_run_s), WARM_UP * execution_s), max(0.2 * job.limit_s, execution_s))
    executions = job.repeats if job.degree == 1 else min(5, job.repeats)
    least_s = job.co_run_s
    if job.precision:
        executions, least_s = min(5, executions), min(LEAST_S, least_s)
    return warm_s + min(max(least_s, executions * execution_s), job.limit_s)


@dataclass(frozen=True)
class _Done:
    """A job, its longest execution, and what compiling took of it, of each workload that was compiled."""

    rule: Job
    longest_s: float
    compiled_s: list[float]

    @property
    def platform(self) -> str:
        return self.rule.platform


def _jobs(rows: Iterable[Mapping[str, Any]]) -> list[tuple[_Done, timedelta | None]]:
    """The measurements that rows in the order of their beginnings tell of, with the time until the device's next job
    began."""
    by_device: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        by_device.setdefault(row["device"], {}).setdefault(row["job"], []).append(row)
    found: list[tuple[_Done, timedelta | None]] = []
    for jobs in by_device.values():
        members = list(jobs.values())
        for mine, following in zip(members, [*members[1:], None], strict=True):
            first = mine[0]
            if first["purpose"] != "measure" or any(row[name] is None for row in mine for name in RULE):
                continue
            engine = first["platform"].partition(":")[0]
            rule = Job(
                first["job"], first["device"], engine, tuple(row["workload"] for row in mine), "measure", 0,
                first["repeats"], first["limit_s"], first["co_run_s"], None, first["precision"],
            )  # fmt: skip
            compiled = [(row["compile_ns"] or 0) / 1e9 for row in mine if row["cached"] is False]
            took = following[0]["started_at"] - first["started_at"] if following else None
            found.append((_Done(rule, max(row["time_ns"] for row in mine) / 1e9, compiled), took))
    return found


def _of_each(middle: Callable[[list[float]], float], told: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: middle(some) for name, some in told.items() if len(some) >= FEWEST}
