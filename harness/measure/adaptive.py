"""Which job a device does next in an adaptive collection: what teaches most, and a fair share drawn at random.

The plan is the same as of any collection, and a part of it, drawn by the seed, is `random`: those jobs are taken in
random order, one in five, so that they are a fair sample of the plan. All others are `chosen`: first a design that
touches every workload on every device, then what the tables say (see `harness.learn.teaching`). The tables are solved
in a process of their own, again and again, on what is measured by then; devices take the next job by the last
answer and never wait for one.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, Protocol

import msgspec
from numpy.typing import NDArray

from harness.dataset.info import Settings
from harness.dataset.records import Drawn, Entry, Job
from harness.dataset.store import Dataset
from harness.errors import DatasetError, why
from harness.measure.course import Expected, Progress, keep_progress, read_progress, sentence, spent_s
from harness.measure.listener import Listener
from harness.measure.plan import Plan
from harness.measure.stop import Stop

RANDOM = 0.2  # of the plan, and of the jobs that are done
EVERY = round(1 / RANDOM)
# Where nothing else is asked for a job ends when its means are known so well (from one job to the next a time moves by
# as much), and where a device is too noisy for that, after so many executions and seconds: another job teaches more.
USUAL = Settings(precision=0.02, repeats=5, co_run_s=0.25)
PAUSE_S = 1.0  # between two answers at least
REST = 5  # times as long as an answer took: the processors may be those that are measured
FEWEST_NEW = 10  # jobs before it is first asked what teaches most
TOLD = 1.25  # the error is told again after so many times the hours
LONGEST = 3  # times its limit, of a job with all that it takes besides
SHOWN = 5  # jobs that are told to come next


class Judged(Protocol):
    """How wrong the model is so far, with its interval, all as shares."""

    @property
    def mape(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def jobs(self) -> int: ...


class Advice(Protocol):
    """What is known of jobs, in their order."""

    @property
    def error(self) -> Judged | None: ...
    @property
    def nats(self) -> NDArray[Any]: ...
    @property
    def seconds(self) -> NDArray[Any]: ...

    @property
    def memory(self) -> Any: ...

    def drawn(self, seed: int) -> Any: ...


class Adviser(Protocol):
    """Says what jobs would teach after what a dataset holds; the error too where it is to be ``judged``.

    ``memory`` is what it left for itself the last time, None at first.
    """

    def __call__(self, dataset: Dataset, jobs: Sequence[Job], *, judged: bool, memory: Any) -> Advice: ...


def drawn(job: Job, seed: int) -> Drawn:
    """Whether a job belongs to the fair sample of its plan: the same answer in every collection with this seed."""
    digest = hashlib.sha256(f"{seed}/{job.id}".encode()).digest()
    return "random" if int.from_bytes(digest[:8], "big") < RANDOM * 2**64 else "chosen"


def marked(plan: Plan) -> Plan:
    """The plan with every measurement marked as it will come to be measured."""
    jobs = (
        msgspec.structs.replace(job, drawn=drawn(job, plan.settings.seed))
        if job.purpose == "measure"
        else job
        for job in plan.jobs
    )
    return Plan(tuple(jobs), plan.settings)


def beyond(plan: Plan, done: Container[str], make: Callable[[Settings], Plan]) -> tuple[Plan, str]:
    """The plan where any of it is left, or else one with a further round of co-runner sets, and how to ask for that."""
    if any(job.id not in done for job in plan.jobs if job.purpose == "measure"):
        return plan, ""
    rounds = {degree: count + 1 for degree, count in plan.settings.rounds.items()} or {2: 1}
    asked = f"--rounds {max(rounds.values())}" if plan.settings.rounds else "--degrees 2"
    told = f"all of this plan is done; what follows is what {asked} would measure besides"
    return make(msgspec.structs.replace(plan.settings, rounds=rounds)), told


def design(jobs: Sequence[Job], seed: int) -> list[Job]:
    """The chosen jobs alone such that each workload is there once per device, its engines taking turns."""
    by_device: dict[str, dict[str, list[Job]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        if job.drawn == "chosen" and job.degree == 1:
            by_device[job.device][job.workloads[0]].append(job)
    found = []
    for device, by_workload in by_device.items():
        draw, used = random.Random(f"{seed}/{device}/design"), Counter[str]()
        for workload in draw.sample(sorted(by_workload), len(by_workload)):
            job = min(by_workload[workload], key=lambda one: (used[one.engine], draw.random()))
            used[job.engine] += 1
            found.append(job)
    return found


class Adaptive:
    """Orders the jobs of all devices; a worker asks it for its next one. Use as a context.

    With ``until`` the collection ends when the error, a share, is below that with its whole interval (``enough``).
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        adviser: Adviser,
        until: float | None,
        stop: Stop,
        listener: Listener,
    ) -> None:
        self.dataset, self.plan, self.adviser, self.until = dataset, plan, adviser, until
        self.stop, self.listener, self.enough = stop, listener, False
        self.rank = {job.id: place for place, job in enumerate(design(plan.jobs, plan.settings.seed))}
        self.expected: dict[str, Expected] = {}  # by the last advice
        self.taken: Counter[str] = Counter()  # by device
        self.done, self.spent_s, self.told_at_s = 0, 0.0, 0.0
        self.started: dict[str, float] = {}
        told_s = max((told.hours * 3600 for told in read_progress(dataset)), default=0.0)
        self.before_s = max(told_s, spent_s(dataset, LONGEST * plan.settings.limit_s))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._advise, name="adviser")

    def __enter__(self) -> Adaptive:
        self._pool = background()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._pool.terminate()
        self._pool.join()

    def next(self, device: str, left: deque[Job]) -> None:
        """Put what this device should do next in front of what it has left. Called from the workers' threads."""
        now = time.monotonic()
        self.spent_s += now - self.started.get(device, now)
        self.started[device] = now
        if left[0].purpose != "measure":
            return  # the start-up, anchors and placebos that every collection begins with
        self.taken[device] += 1
        kind: Drawn = "random" if self.taken[device] % EVERY == 0 else "chosen"
        mine = [job for job in left if job.drawn == kind]
        if not mine:
            return
        rank, last = self.rank, len(self.plan.jobs)
        job = mine[0] if kind == "random" else min(mine, key=lambda one: rank.get(one.id, last))
        left.remove(job)
        left.appendleft(job)

    def why(self, job: Job) -> str:
        """Why this job is measured now; empty for what every collection measures."""
        if job.purpose != "measure":
            return ""
        if job.drawn == "random":
            return "drawn at random, to test and calibrate"
        expected = self.expected.get(job.id)
        return expected.gain if expected else "among the first, which touch every workload"

    def finished(self, entry: Entry) -> None:
        self.done += 1

    def _advise(self) -> None:
        begun = len(self.dataset.finished())
        seed, asked_at, took_s, memory = 0, -1.0 if begun >= FEWEST_NEW else 0.0, 0.0, None
        while not self._over.wait(max(PAUSE_S, REST * took_s)) and not self.stop.asked.is_set():
            if asked_at >= 0 and self.done < max(FEWEST_NEW, 1.1 * asked_at):
                continue
            asked_at, seed = float(self.done), seed + 1
            done = self.dataset.finished()
            jobs = [job for job in self.plan.jobs if job.purpose == "measure" and job.id not in done]
            if not jobs:
                return
            try:
                task = (self.adviser, self.dataset.root, jobs, seed, self._is_due(), memory)
                asked_s = time.monotonic()
                asked = self._pool.apply_async(_ranked, task)
                while not asked.ready() and not self._over.is_set():
                    asked.wait(0.1)
                if self._over.is_set():
                    return
                took_s = time.monotonic() - asked_s
                order, error, nats, seconds, memory = asked.get()
            except DatasetError:  # too little is measured as yet
                continue
            except Exception as problem:  # the collection goes on without
                self.listener.said(f"what teaches most now could not be found out: {problem!r}")
                return
            self.rank = {jobs[number].id: place for place, number in enumerate(order)}
            self.expected = {
                job.id: Expected(job.platform, job.workloads, *told)
                for job, *told in zip(jobs, nats, seconds, strict=True)
            }
            if error:
                soon = tuple(
                    self.expected[jobs[number].id] for number in order if jobs[number].drawn != "random"
                )
                self._judged(error, begun + self.done, soon[:SHOWN])

    def _is_due(self) -> bool:
        """Whether the error is to be told: it takes several times as long as what comes next."""
        return self.until is not None or self.before_s + self.spent_s >= self.told_at_s * TOLD

    def _judged(self, error: Judged, jobs_done: int, soon: tuple[Expected, ...]) -> None:
        spent_s = self.before_s + self.spent_s
        if spent_s < self.told_at_s * TOLD and not self._reached(error):
            return
        self.told_at_s = spent_s
        told = Progress(spent_s / 3600, jobs_done, error.mape, error.low, error.high, error.jobs, soon)
        try:
            keep_progress(self.dataset, told)
        except OSError as problem:  # a full disk; the error still ends the collection
            self.listener.said(f"how the error fell cannot be kept: {why(problem)}")
        self.listener.said(f"{sentence(told)}{''.join(f'; next {one}' for one in soon[:1])}")
        if self._reached(error):
            self.listener.said("enough is known: the error is below that asked for, with its interval")
            self.enough = True
            self.stop.asked.set()

    def _reached(self, error: Judged) -> bool:
        return self.until is not None and error.high < self.until


def _ranked(
    adviser: Adviser, root: Path, jobs: Sequence[Job], seed: int, judged: bool, memory: Any
) -> tuple[list[int], Judged | None, list[float], list[float], Any]:
    """In the adviser's process: the numbers of the jobs, the next one first, the error so far if it is asked for, what
    each job teaches and takes, and what is to be remembered."""
    advice = adviser(Dataset.open(root), jobs, judged=judged, memory=memory)
    order, nats, seconds = advice.drawn(seed).tolist(), advice.nats.tolist(), advice.seconds.tolist()
    return order, advice.error, nats, seconds, advice.memory


def background() -> Pool:
    """A process that takes little of the processors from others: devices may be this machine."""
    return multiprocessing.get_context("spawn").Pool(1, _modest)


def _modest() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the collection's own affair
    os.nice(19)
