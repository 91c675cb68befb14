"""The notice that a collection puts up for onlookers: which device is at which job, and since when."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

from harness.dataset.now import Doing, Now, State, write_now
from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.fleet.session import Session

EVERY_S = 2.0
AT_ONCE_S = 0.5  # when a device has begun another job


class Activity:
    """What the worker of one device is at. It is told by the worker, and looked at from another thread."""

    def __init__(self, device: str, session: Session | None) -> None:
        self._device, self._session = device, session
        self._state: State = "waiting"
        self._since, self._said = time.time(), ""
        self._job: Job | None = None
        self._why = ""
        self._heard: float | None = None

    def is_at(
        self, state: State, job: Job | None = None, session: Session | None = None, why: str = ""
    ) -> None:
        self._state, self._since, self._job, self._why = state, time.time(), job, why
        self._session = session or self._session

    def said(self, text: str) -> None:
        self._said = text[:500]

    def doing(self) -> Doing:
        job = self._job
        if self._session:
            self._heard = self._session.heard
        return Doing(
            self._device, self._state, self._since, self._heard, job.platform if job else "",
            job.workloads if job else (), self._said, self._why,
        )  # fmt: skip


class Notice:
    def __init__(self, dataset: Dataset, activities: Sequence[Activity]) -> None:
        self._dataset, self._activities = dataset, activities
        self._told: list[tuple[object, ...]] = []
        self._at = 0.0

    def put_up(self, *, running: bool = True) -> None:
        """Write it where that is due. A disk that is full, or a dataset gone, is for those to tell who keep results."""
        now = time.time()
        age = now - self._at
        if running and 0 <= age < AT_ONCE_S:
            return
        doing = tuple(one.doing() for one in self._activities)
        told: list[tuple[object, ...]] = [(one.state, one.since, one.said) for one in doing]
        if running and 0 <= age < EVERY_S and told == self._told:
            return
        with contextlib.suppress(OSError, DatasetError):
            self._dataset.check_place()
            write_now(self._dataset.root, Now(now, os.getpid(), doing, running))
        self._told, self._at = told, now
