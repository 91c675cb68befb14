"""The controller: a worker per device runs its jobs, and every result is on disk before it counts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec

from harness import __version__
from harness.dataset.info import Settings
from harness.dataset.records import Entry, Job, JobResult, MemberResult, State
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.errors import DeviceError, HarnessError
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached, defect, reach
from harness.fleet.session import Refused, Session
from harness.fleet.transport import LinkLost
from harness.measure.endings import Unfit, measured
from harness.measure.listener import Listener, Order
from harness.measure.notice import Activity, Notice
from harness.measure.plan import Plan
from harness.measure.queue import Queue
from harness.measure.stop import Stop
from harness.suites.suite import Workload

ATTEMPTS = 3
LONGEST_WAIT_S = 10.0  # between two of them
PATIENCE_S = 30.0  # with a device that is there, but not fit: a full disk, a machine that is paused
# Finished jobs of a device: a bound on memory and on what a resumed collection reads again.
COMPACT_EVERY = 1000


@dataclass
class Outcome:
    """How a collection ended: jobs still to do, and the devices that failed with their reasons."""

    left: int = 0
    set_aside: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    enough: bool = False  # is known: what is left need not be done


class Worker:
    """Runs the jobs of one device, one at a time, in the order of the plan."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        reached: Reached,
        payloads: Mapping[str, Payload],
        jobs: Sequence[Job],
        listener: Listener,
        stop: Stop,
        ended: Mapping[str, int] = MappingProxyType({}),
        order: Order | None = None,
    ) -> None:
        self.order, self.ended = order, ended  # how often jobs came to an end before
        self.dataset, self.payloads = dataset, payloads
        self.listener, self.stop = listener, stop
        self.device, self.versions = reached.device, reached.versions
        self.session: Session | None = reached.session
        self.spool_taken = False
        self.journal = dataset.journal(reached.device.name)
        self.queue = Queue(dataset.info.id, settings, reached, payloads, jobs, stop, order)
        self.left = self.queue.left
        self.unfit: list[Job] = []  # those that ended so: still to do, by a later run
        self.attempts: Counter[str] = Counter()
        self.crashed: set[str] = set()
        self.failures, self.failing_since = 0, 0.0  # in a row
        self.kept = 0
        self.kept_when_failed: dict[str, int] = {}
        self.given_up, self.set_aside = False, ""
        self.crash: Exception | None = None
        self.activity = Activity(reached.device.name, reached.session)

    def work(self) -> None:
        try:
            self._work()
        except (OSError, HarnessError) as error:
            # Such as a full disk: nobody's alone, raised in the main thread.
            self.crash = error
            self.stop.asked.set()
        except Exception as error:
            self.set_aside = defect(error)
            self._said(self.set_aside)
        finally:
            self.journal.close()
            self._hang_up()
            self.activity.is_at("set aside" if self.set_aside else "ended")

    def _work(self) -> None:
        queue = self.queue
        while queue.sent or not (self.stop.asked.is_set() or self.given_up):
            job: Job | None = None
            try:
                session = self._connected()
                if not queue.sent and not self.left:
                    session.state()  # when it answers this, it has forgotten what was finished
                    return
                job = queue.sent[0] if queue.sent else queue.next()
                if not job:
                    return
                result = None if queue.sent else queue.send(session, job)
                if not result:
                    self.activity.is_at("measuring", job, session, self.order.why(job) if self.order else "")
                    if not self.failures:
                        queue.send_ahead(session)
                    result = queue.result(session, job)
                if not result:
                    return  # cancelled
                self._keep(session, job, result)
            except Unfit as unfit:
                self._failed(job, str(unfit), PATIENCE_S)
            except (LinkLost, DeviceError, Refused) as error:
                self._hang_up()
                self._failed(job, error.reason if isinstance(error, DeviceError) else str(error))

    def _connected(self) -> Session:
        """A session whose spool has been taken: results that the agent finished while nobody listened."""
        session = self.session or reach(self.device, self.listener.said).session
        self.session = session
        if not self.spool_taken:
            waiting = {job.id: job for job in self.left}
            for result in session.spooled(self.dataset.info.id, self._said):
                job = waiting.pop(result.job, None)
                try:
                    if job:
                        self._keep(session, job, result)
                    else:
                        session.ack(self.dataset.info.id, result.job)
                except Unfit as unfit:
                    self._said(f"{unfit}; job {result.job} is done again")
                except DeviceError as error:
                    session.put_aside(self.dataset.info.id, result.job, error.reason)
                    self._said(f"{error.reason}; that result is set aside there, and the job is done again")
            self.spool_taken = True
        return session

    def _said(self, text: str) -> None:
        self.activity.said(text)
        self.listener.said(f"{self.device.name}: {text}")

    def _keep(self, session: Session, job: Job, result: JobResult) -> None:
        """Journal a result, and only then let the device forget it. Raises Unfit where it is not final."""
        if tuple(member.workload for member in result.members) != job.workloads:
            raise DeviceError(self.device.name, f"sent other workloads than those of job {job.id}")
        if any(not measured(member) for member in result.members if member.status == "ok"):
            raise DeviceError(
                self.device.name, f"sent no time with a workload of job {job.id} that went well"
            )
        unfit = next((member for member in result.members if member.status == "device_unfit"), None)
        crashed = next((member for member in result.members if member.status == "crash"), None)
        if crashed and not unfit and job.id not in self.crashed:
            # Once may be an accident; twice is what the workload does.
            self.listener.said(f"{job.platform}: {crashed.workload}: {crashed.reason}; it is repeated once")
            self.crashed.add(job.id)
            self.attempts[job.id] += 1
            self.left.remove(job)
            self.left.append(job)
        elif not unfit:
            self._finish(job, result, self.attempts[job.id] + 1)
        session.ack(self.dataset.info.id, job.id)
        if unfit:
            session.forget()
            self.queue.there.clear()
            raise Unfit(unfit.reason)
        self.failures = 0
        self.kept += 1

    def _finish(self, job: Job, result: JobResult, attempts: int) -> None:
        version, attempt = self.versions.get(job.engine, ""), self.ended.get(job.id, 0) + 1
        members = [
            ENGINES[job.engine].explained(member, self.payloads[member.workload].workload.module)
            for member in result.members
        ]
        result = msgspec.structs.replace(result, members=members)
        entry = Entry(job, result, version, __version__, attempts, attempt)
        self.journal.append(entry)
        self.dataset.check_place()
        self.left.remove(job)
        self.listener.finished(entry)
        if self.order:
            self.order.finished(entry)
        if self.journal.entries >= COMPACT_EVERY:
            self.journal.close()
            self.dataset.compact(self.device.name)
            self.journal = self.dataset.journal(self.device.name)

    def _failed(self, job: Job | None, reason: str, patience_s: float = 0.0) -> None:
        """Wait and try again, another job first; end with ``device_unfit`` a job that cannot be done here now.

        That is one that failed so often while others were done, or the last one tried when the device is set aside.
        """
        self._said(reason)
        now = time.monotonic()
        if not self.failures:
            self.failing_since = now
        self.failures += 1
        gives_up = self.failures >= ATTEMPTS and now - self.failing_since >= patience_s
        if job and job in self.left:  # it is not where it failed after it was journaled
            self.attempts[job.id] += 1
            others_done = self.kept > self.kept_when_failed.setdefault(job.id, self.kept)
            self.queue.put_last(job)
            often = self.attempts[job.id] >= ATTEMPTS
            if (often and others_done) or (gives_up and (often or patience_s)):
                members = [MemberResult(name, "device_unfit", reason[:1000], []) for name in job.workloads]
                self._finish(job, JobResult(job.id, time.time_ns(), State(), members), self.attempts[job.id])
                self.unfit.append(job)
                if others_done:
                    self.failures = 0
                    return
        if gives_up:
            self.given_up, self.set_aside = True, reason if self.left else ""
            return
        self.activity.is_at("waiting")
        self.stop.asked.wait(min(LONGEST_WAIT_S, 0.2 * 2**self.failures))

    def _hang_up(self) -> None:
        if self.session:
            self.session.close()
        self.session, self.spool_taken = None, False
        self.queue.begin_anew()


def collect(
    dataset: Dataset,
    plan: Plan,
    reached: Sequence[Reached],
    workloads: Sequence[Workload],
    listener: Listener,
    stop: Stop,
    retry: Sequence[str] = (),
    order: Order | None = None,
) -> Outcome:
    """Run what the dataset does not have yet of the plan, and again what ended with a status of ``retry``.

    The caller holds the dataset's lock. A worker per device, its jobs in the plan's order or as `order` decides; a
    device that fails three times in a row is set aside while the others go on. A later call goes on where it ended.
    """
    dataset.compact()
    done, ended = dataset.finished(but=retry), dataset.attempts()
    left = plan.left(done)
    listener.planned(len(plan.jobs), {device: len(jobs) for device, jobs in left.items()})
    needed = {row["workload"]: row["memory_bytes"] for row in dataset.workloads().to_pylist()}
    payloads = {workload.name: Payload(workload, needed.get(workload.name)) for workload in workloads}
    workers = [
        Worker(
            dataset, plan.settings, one, payloads, left.get(one.device.name, ()), listener, stop, ended, order
        )
        for one in reached
    ]
    notice = Notice(dataset, [worker.activity for worker in workers])
    threads = [threading.Thread(target=worker.work, name=worker.device.name) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            notice.put_up()
            thread.join(0.2)  # short, so that signals are handled meanwhile
    notice.put_up(running=False)
    for worker in workers:
        if worker.crash:
            raise worker.crash
    dataset.compact()
    return Outcome(
        left=sum(len(worker.left) + len(worker.unfit) for worker in workers),
        set_aside={worker.device.name: worker.set_aside for worker in workers if worker.set_aside},
        stopped=stop.asked.is_set(),
    )
