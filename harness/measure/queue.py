"""The jobs of one device: which are left, which it was sent, and what is sent with them."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from harness.dataset.info import Settings
from harness.dataset.records import Job, JobResult
from harness.engines import ENGINES
from harness.engines.maker import NotMade, NotMadeNow
from harness.fleet.artefacts import given, made_here
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached
from harness.fleet.session import Session
from harness.measure.endings import Unfit, refused
from harness.measure.job_spec import NO_GATE, job_spec, longest_s
from harness.measure.listener import Order
from harness.measure.stop import Stop

AT_ONCE = 2  # jobs that a device has: the one that it runs, and the next
# Jobs whose files are sent together, since nothing is measured meanwhile; of all where their order is not known before.
TOGETHER, TOGETHER_BYTES = 16, 16 << 20


class Queue:
    """The next job is sent while one is measured, so that the device need not wait for it.

    From then on until its result comes it is in ``sent`` and not in ``left``. Nothing may disturb what is measured, so
    a job for which something has to be made, or sent beside itself, waits until nothing runs.
    """

    def __init__(
        self,
        dataset: str,
        settings: Settings,
        reached: Reached,
        payloads: Mapping[str, Payload],
        jobs: Sequence[Job],
        stop: Stop,
        order: Order | None,
    ) -> None:
        self._dataset, self._settings, self._payloads = dataset, settings, payloads
        self._device, self._versions = reached.device, reached.versions
        self._machine = str(reached.facts.get("machine", ""))
        self._stop, self._order = stop, order
        self.left = deque(jobs)
        self.sent: deque[Job] = deque()
        self.there: set[tuple[str, str]] = set()  # engines and workloads of which the device has all files
        self.chosen: Job | None = None  # of those left: the next one to be sent

    def next(self) -> Job | None:
        """The job of those left that is to be sent next; None where no more are to be run."""
        if not self.chosen and self.left and self._stop.take_job():
            if self._order:
                self._order.next(self._device.name, self.left)
            self.chosen = self.left[0]
        return self.chosen

    def send(self, session: Session, job: Job) -> JobResult | None:
        """Send a job and the files that it needs; its result where it cannot be run at all."""
        engine = ENGINES[job.engine]
        members: list[dict[str, Any]] = []
        contents: dict[str, Callable[[], bytes]] = {}
        for name in job.workloads:
            payload = self._payloads[name]
            try:
                more, artefacts = given(engine, self._device, payload.workload, self._machine)
            except NotMadeNow as reason:
                raise Unfit(str(reason)) from reason
            except NotMade as reason:
                self.chosen = None
                return refused(job, name, str(reason))
            members.append(payload.spec | more)
            contents |= payload.contents | artefacts
        if not _pairs(job) <= self.there:
            session.push(contents | self._wanted_soon())
            self.there |= _pairs(job)
        spec = job_spec(job, engine, self._versions[job.engine], members, self._settings, self._device.cpus)
        session.send_job(self._dataset, spec)
        self.left.remove(job)
        self.sent.append(job)
        self.chosen = None
        return None

    def _wanted_soon(self) -> dict[str, Callable[[], bytes]]:
        """The files of the next jobs, but for what would have to be compiled here."""
        contents: dict[str, Callable[[], bytes]] = {}
        soon = self.left if self._order else islice(self.left, TOGETHER)
        known, size = {name for _, name in self.there}, 0
        wanted = dict.fromkeys(pair for job in soon for pair in sorted(_pairs(job)))
        for engine, name in (pair for pair in wanted if pair not in self.there):
            payload = self._payloads[name]
            with contextlib.suppress(NotMade, NotMadeNow):
                if made_here(ENGINES[engine], self._device):
                    continue
                given(ENGINES[engine], self._device, payload.workload, self._machine)
                if name not in known:
                    if size + payload.size_bytes > TOGETHER_BYTES:
                        continue
                    size += payload.size_bytes
                    known.add(name)
                contents |= payload.contents
                self.there.add((engine, name))
        return contents

    def send_ahead(self, session: Session) -> None:
        """Send the job after the one that runs, where that needs nothing but to be told."""
        if len(self.sent) >= AT_ONCE or self._settings.gate != NO_GATE:
            return
        job = self.next()
        if job and job.purpose != "cold" and _pairs(job) <= self.there:
            self.send(session, job)

    def result(self, session: Session, job: Job) -> JobResult | None:
        """Wait for the result of the first job that was sent; None where it was cancelled."""
        self._stop.running(session, True)
        try:
            result = session.result(job.id, longest_s(job, self._settings), self._stop.asked.is_set)
        finally:
            self._stop.running(session, False)
        if result:
            self.sent.remove(job)
            self.left.appendleft(job)
        for dropped in [one for one in self.sent if one.id in session.dropped]:
            self.sent.remove(dropped)
            self.left.appendleft(dropped)
        return result

    def put_last(self, job: Job) -> None:
        """Let a job that is left be the last one."""
        self.left.remove(job)
        self.left.append(job)
        self.chosen = None

    def begin_anew(self) -> None:
        """Of what was sent nothing is known any more, as when a link is lost."""
        self.left.extendleft(reversed(self.sent))
        self.sent.clear()
        self.there.clear()
        self.chosen = None


def _pairs(job: Job) -> set[tuple[str, str]]:
    return {(job.engine, name) for name in job.workloads}
