"""Which jobs a collection has, and in which order. The same settings and modules give the same plan anywhere."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import msgspec

from harness.dataset.entry_rows import MIXED
from harness.dataset.info import Settings
from harness.dataset.records import Job, Pin, Purpose
from harness.dataset.store import Dataset
from harness.measure.placebo import KINDS
from harness.output import Column
from harness.spelling import noun
from harness.suites.suite import Workload, identity

RULE = "steady"  # what was measured by another rule is another job
PLACEBO = 2.5  # as much longer a placebo is measured, for at most a second: its ratio is to be known well


PLAN_COLUMNS = [
    Column("device", "device", meaning="where"),
    Column("engine", "engine", meaning="under which engine"),
    Column("alone", "alone", True, "jobs of one workload"),
    Column("together", "together", True, "jobs of several workloads"),
    Column("hours", "hours, about", True, "h: jobs alone to their limit, others for `--co-run`"),
]


@dataclass(frozen=True)
class Plan:
    jobs: tuple[Job, ...]
    settings: Settings

    def hours(self) -> float:
        """An estimate: a tenth of a second per member to start, then the co-run's window, or the limit alone."""
        return sum(0.1 * job.degree + self._longest_s(job) for job in self.jobs) / 3600

    def left(self, done: Container[str]) -> dict[str, list[Job]]:
        """What each device has still to do, in the plan's order; a device whose jobs are done is not named."""
        found: dict[str, list[Job]] = {}
        for job in self.jobs:
            if job.id not in done:
                found.setdefault(job.device, []).append(job)
        return found

    def _longest_s(self, job: Job) -> float:
        return job.co_run_s if job.degree > 1 or job.purpose == "placebo" else job.limit_s


def plan_rows(plan: Plan) -> list[dict[str, Any]]:
    """A row per platform: jobs alone and together, and about how many hours."""
    by_platform: dict[str, list[Job]] = {}
    for job in plan.jobs:
        by_platform.setdefault(job.platform, []).append(job)
    rows = []
    for jobs in by_platform.values():
        degrees = Counter(min(job.degree, 2) for job in jobs)
        hours = Plan(tuple(jobs), plan.settings).hours()
        rows.append(
            {
                "device": jobs[0].device,
                "engine": jobs[0].engine,
                "alone": degrees[1],
                "together": degrees[2],
                "hours": hours,
            }
        )
    return rows


def make_plan(
    platforms: Sequence[tuple[str, str]],
    workloads: Sequence[Workload],
    startup: Workload,
    settings: Settings,
    takes: Callable[[str, Workload], bool] = lambda engine, workload: True,
    placebos: Sequence[Workload] = (),
    processors: Mapping[str, int] = MappingProxyType({}),
) -> Plan:
    """All jobs for the platforms, given as (engine, device), of the workloads that each engine takes.

    Per device: everything in seeded random order with engines interleaved, so that heat and drift do not look like an
    engine. In the beginning every other job is a start-up, an anchor or a placebo until each platform had its own, so
    that a collection of any length has both these and what it is for; in the end the anchors come again.
    ``processors`` tells how many each device has, where there are ``placebos`` that need two.
    """
    maker = JobMaker({w.name: identity(w) for w in (*workloads, startup, *placebos)}, settings)
    devices = list(dict.fromkeys(device for _, device in platforms))
    jobs: list[Job] = []
    for device in devices:
        engines = [engine for engine, where in platforms if where == device]
        first: list[Job] = []
        middle: list[Job] = []
        last: list[Job] = []
        for engine in engines:
            job = partial(maker, device, engine)
            names = [w.name for w in workloads if takes(engine, w)]
            if takes(engine, startup):
                first.append(job([startup.name], "startup", 0))
            middle += [job([name], "measure", 0) for name in names]
            if settings.cold:
                middle += [job([name], "cold", 0) for name in names]
            known = {w.name for w in placebos if takes(engine, w)}
            for turn in range(settings.placebos):
                part = middle if turn else first
                part += [
                    job(kind.together, "placebo", turn, pin=kind.pin)
                    for kind in KINDS
                    if known.issuperset(kind.together)
                    and (kind.pin != "each" or processors.get(device, 1) >= 2)
                ]
            for degree, rounds in sorted(settings.rounds.items()):
                for turn in range(rounds):
                    sets = co_runner_sets(names, degree, f"{settings.seed}/{engine}:{device}/{degree}/{turn}")
                    middle += [job(together, "measure", turn) for together in sets]
            for anchor in anchors(names, settings):
                first.append(job([anchor], "anchor", 0))
                last.append(job([anchor], "anchor", 1))
        for part in (first, middle, last):
            random.Random(f"{settings.seed}/{device}").shuffle(part)
        by_turns = zip_longest(first, middle)
        jobs += [one for pair in by_turns for one in pair if one] + last
    unique = {job.id: job for job in jobs}  # a set drawn twice in a round is one job
    return Plan(tuple(unique.values()), settings)


def co_runner_sets(names: Sequence[str], degree: int, seed: str) -> list[tuple[str, ...]]:
    """Sets of ``degree`` different workloads: the list shuffled ``degree`` times and zipped.

    Each workload is in exactly ``degree`` sets, once in each column. A column that puts a workload beside itself
    is drawn again (about e^(degree-1) draws; one always exists). Fewer workloads than ``degree`` give no set.
    """
    if len(names) < degree:
        return []
    draw = random.Random(seed)
    rows: list[tuple[str, ...]] = [()] * len(names)
    steps = [(last, (last + 1).bit_length()) for last in range(len(names) - 1, 0, -1)]
    for _ in range(degree):
        column = draw.sample(list(names), len(names))
        while any(name in row for name, row in zip(column, rows, strict=True)):
            _shuffle(column, steps, draw.getrandbits)
        rows = [(*row, name) for name, row in zip(column, rows, strict=True)]
    return rows


def _shuffle(names: list[str], steps: Sequence[tuple[int, int]], bits: Callable[[int], int]) -> None:
    """Fisher and Yates, with the draws of Python's own: plans are the same whatever a later Python draws.

    ``steps`` are each place but the first, from the last, and how many bits number the places up to it.
    """
    for last, width in steps:
        while (other := bits(width)) > last:
            pass
        names[last], names[other] = names[other], names[last]


def anchors(names: Sequence[str], settings: Settings) -> list[str]:
    """The workloads repeated at start and end to see drift."""
    count = min(settings.anchors, len(names))
    return sorted(random.Random(f"{settings.seed}/anchors").sample(sorted(names), count))


class JobMaker:
    """Makes jobs of workloads, with ``hashes`` of what each executes (`identity`).

    What defines a job is the platform, the workloads by name and content, and the settings.
    """

    def __init__(self, hashes: Mapping[str, str], settings: Settings) -> None:
        self._settings = settings
        self._members = {name: json.dumps([name, digest]) for name, digest in hashes.items()}
        self._limits: dict[
            Purpose, tuple[int, float, str]
        ] = {}  # repeats, co_run_s, and how they are written

    def __call__(
        self,
        device: str,
        engine: str,
        together: Sequence[str],
        purpose: Purpose = "measure",
        position: int = 0,
        *,
        pin: Pin | None = None,
    ) -> Job:
        if purpose not in self._limits:
            self._limits[purpose] = self._limits_of(purpose)
        repeats, co_run_s, limits = self._limits[purpose]
        members = ", ".join([self._members[name] for name in together])
        precision = None if purpose in ("placebo", "cold") else self._settings.precision
        rest = "".join(f", {json.dumps(part)}" for part in (pin, precision) if part) + "]"
        parts = f'["{engine}", "{device}", [{members}], "{purpose}", {position}, {limits}, "{RULE}"{rest}'
        return Job(
            id=_digest(parts.encode())[:32],
            device=device,
            engine=engine,
            workloads=tuple(together),
            purpose=purpose,
            position=position,
            repeats=repeats,
            limit_s=self._settings.limit_s,
            co_run_s=co_run_s,
            pin=pin,
            precision=precision,
        )

    def _limits_of(self, purpose: Purpose) -> tuple[int, float, str]:
        of = self._settings
        repeats, co_run_s = of.repeats, min(of.co_run_s, of.limit_s)
        if purpose == "cold":
            repeats = of.cold
        if purpose == "placebo":
            repeats, co_run_s = 5, min(PLACEBO * co_run_s, 1.0, of.limit_s)
        limits = json.dumps([repeats, of.limit_s, co_run_s, of.memory_bytes, of.seed])
        return repeats, co_run_s, limits


def resumed(plan: Plan, workloads: Sequence[Workload], dataset: Dataset) -> tuple[Plan, str]:
    """The plan with the identities that the dataset already has for its jobs, and a sentence where some do not count.

    Until schema version 2 the identity of a job had what its workloads are, without their names or the rule of
    measuring. Such a job is taken for the planned one where it has its names and the rule makes no difference: every
    execution was a new process. What a resident engine executed before version 2 is measured anew.
    """
    known = dataset.attempts().keys()
    if not known - {job.id for job in plan.jobs}:
        return plan, ""
    hashes = {w.name: identity(w) for w in workloads}
    former = {job.id: _former_identity(plan.settings, job, hashes) for job in plan.jobs}
    then = {
        regime: dataset.snapshot().members(known & set(former.values()), regime)
        for regime in ("process", MIXED)
    }
    taken = {job.id for job in plan.jobs if then["process"].get(former[job.id]) == set(job.workloads)}
    anew = [
        job
        for job in plan.jobs
        if then[MIXED].get(former[job.id]) == set(job.workloads) and job.id not in known
    ]
    jobs = (msgspec.structs.replace(job, id=former[job.id]) if job.id in taken else job for job in plan.jobs)
    told = (
        f"{len(anew):,} of the jobs in {dataset.root} {noun(len(anew), 'was', 'were')} measured by the rule of before "
        "schema version 2: such jobs are measured anew, and their old rows stay"
    )
    return replace(plan, jobs=tuple(jobs)), told if anew else ""


def _former_identity(settings: Settings, job: Job, hashes: Mapping[str, str]) -> str:
    limits = [settings.repeats, settings.limit_s, settings.co_run_s, settings.memory_bytes, settings.seed]
    what = [hashes[name] for name in job.workloads]
    parts = [job.engine, job.device, what, job.purpose, job.position, limits]
    return _digest(json.dumps(parts).encode())[:32]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
