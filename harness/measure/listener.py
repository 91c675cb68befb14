"""Who hears how a collection goes: the interface, and the one that tells a person."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console

from harness.dataset.records import Entry, Job
from harness.measure.pace import Pace
from harness.output import duration
from harness.progress import Bar, bar
from harness.spelling import noun, several


class Listener(Protocol):
    """Who wants to know how a collection goes. Called from the workers' threads.

    ``planned`` is told all jobs of the plan, and by device those that are left to do.
    """

    def said(self, text: str) -> None: ...
    def planned(self, jobs: int, left: Mapping[str, int]) -> None: ...
    def finished(self, entry: Entry) -> None: ...


class CollectionProgress:
    """A collection's listener: the bar, what devices say, and the failures by reason."""

    def __init__(self, console: Console, budget_s: float | None = None) -> None:
        self._console, self._budget_s = console, budget_s
        self._stack = contextlib.ExitStack()
        self._bar: Bar | None = None
        self._pace: Pace | None = None
        self.statuses: Counter[str] = Counter()

    def said(self, text: str) -> None:
        self._console.print(text)

    def planned(self, jobs: int, left: Mapping[str, int]) -> None:
        self._pace = Pace(left, self._budget_s)
        already_done = jobs - sum(left.values())
        if already_done:
            self.said(
                f"{already_done:,} of {several(jobs, 'job')} {noun(already_done, 'is', 'are')} already in the dataset"
            )
        self._bar = self._stack.enter_context(bar(self._console, "measuring", jobs))
        self._bar.skip(already_done)
        self._bar.pace(self._pace.left_s)

    def finished(self, entry: Entry) -> None:
        job, members = entry.job, entry.result.members
        if self._pace:
            self._pace.finished(job.device)
        self.statuses.update(member.status for member in members)
        for member in members:
            if member.status not in ("ok", "co_runner_failed"):
                self.said(f"{job.platform}: {member.workload}: {member.status}: {member.reason}")
        if self._bar:
            samples = [sample.wall_ns for sample in members[0].samples]
            took = f" {duration(sum(samples) / len(samples))}" if samples else ""
            self._bar.advance(f"{job.platform} {' + '.join(job.workloads)}{took}")

    def __enter__(self) -> CollectionProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Order(Protocol):
    """Puts the job that a device is to do next in front, and says why. Called from the workers' threads."""

    def next(self, device: str, left: deque[Job]) -> None: ...
    def why(self, job: Job) -> str: ...
    def finished(self, entry: Entry) -> None: ...
