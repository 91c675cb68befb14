"""Which jobs a device is sent, when, and with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.dataset.info import Gate, Settings
from harness.dataset.records import Job, JobResult, State
from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached
from harness.measure import queue
from harness.measure.queue import Queue
from harness.measure.stop import Stop
from harness.suites.suite import Workload
from tests.devices import FAKE


class Told:
    """A session that only notes what it is given."""

    def __init__(self) -> None:
        self.pushed: list[int] = []
        self.jobs: list[str] = []
        self.dropped: set[str] = set()

    def push(self, contents: dict[str, Any]) -> None:
        self.pushed.append(len(contents))

    def send_job(self, dataset: str, spec: dict[str, Any]) -> None:
        self.jobs.append(spec["id"])

    def result(self, job: str, within_s: float, ending: Any) -> JobResult | None:
        return None if job in self.dropped else JobResult(job, 1, State(), [])


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setitem(ENGINES, "fake", FAKE)
    return Told()


def make(
    folder: Path,
    session: Told,
    count: int = 4,
    purposes: dict[int, str] | None = None,
    order: Any = None,
    **settings: Any,
) -> Queue:
    """Jobs j0, j1... each of a workload of its own."""
    payloads, jobs = {}, []
    for number in range(count):
        module = folder / f"w{number}"
        module.write_bytes(b"\0asm\1\0\0\0" + bytes([0, 2, 1, number]))
        payloads[module.name] = Payload(Workload(module.name, "fake", module, (module.name,)))
        purpose: Any = (purposes or {}).get(number, "measure")
        jobs.append(Job(f"j{number}", "d", "fake", (module.name,), purpose, number, 5, 1.0, 1.0))
    device = Device(transport="local", name="d")
    reached = Reached(device, session, {}, {"fake": "1.0"}, {})  # type: ignore[arg-type]
    return Queue("data", Settings(**settings), reached, payloads, jobs, Stop(), order)


def begin(made: Queue, session: Any) -> Job:
    job = made.next()
    assert job
    made.send(session, job)
    made.send_ahead(session)
    return job


class LastFirst:
    """An order in which the last job left is always the next one."""

    def next(self, device: str, left: Any) -> None:
        left.rotate(1)


def names(jobs: Any) -> list[str]:
    return [job.id for job in jobs]


def test_one_job_runs_and_the_next_is_there(tmp_path: Path, session: Any) -> None:
    made = make(tmp_path, session)
    job = begin(made, session)
    made.send_ahead(session)
    assert (session.jobs, names(made.sent), names(made.left)) == (["j0", "j1"], ["j0", "j1"], ["j2", "j3"])
    assert made.result(session, job)
    assert (names(made.sent), names(made.left)) == (["j1"], ["j0", "j2", "j3"])


def test_files_are_sent_when_nothing_runs_those_of_the_next_jobs_too(
    tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "TOGETHER", 2)
    made = make(tmp_path, session)
    job = begin(made, session)
    assert (session.pushed, session.jobs) == ([2], ["j0", "j1"])
    made.result(session, job)
    made.left.remove(job)  # it is finished
    made.send_ahead(session)
    assert (session.jobs, made.chosen and made.chosen.id) == (["j0", "j1"], "j2")  # its files are not there
    made.result(session, made.sent[0])
    assert names(made.sent) == []
    assert begin(made, session).id == "j2"
    assert session.pushed == [2, 1]


@pytest.mark.parametrize(
    ("purposes", "settings"),
    [({1: "cold"}, {}), ({}, {"gate": Gate(busy=0.1, limit_s=5.0)})],
    ids=["cold", "gate"],
)
def test_what_must_find_the_device_idle_is_not_sent_ahead(
    purposes: dict[int, str], settings: dict[str, Any], tmp_path: Path, session: Any
) -> None:
    begin(make(tmp_path, session, purposes=purposes, **settings), session)
    assert session.jobs == ["j0"]


def test_what_was_dropped_or_sent_through_a_lost_link_is_left(tmp_path: Path, session: Any) -> None:
    made = make(tmp_path, session)
    job = begin(made, session)
    session.dropped = {"j1"}
    assert made.result(session, job)
    assert (names(made.sent), names(made.left)) == ([], ["j1", "j0", "j2", "j3"])
    begin(made, session)
    assert len(made.sent) == 2
    made.begin_anew()
    assert (names(made.sent), sorted(names(made.left)), made.there) == ([], ["j0", "j1", "j2", "j3"], set())


def test_where_an_order_decides_the_files_of_any_job_are_there(
    tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "TOGETHER", 1)
    made = make(tmp_path, session, count=4, order=LastFirst())
    begin(made, session)
    assert (session.jobs, session.pushed) == (["j3", "j2"], [4])


def test_no_more_is_sent_together_than_is_soon_sent(
    tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "TOGETHER_BYTES", 12 * 2)  # modules have 12 bytes
    made = make(tmp_path, session, count=5, order=LastFirst())
    begin(made, session)
    assert session.pushed[0] == 2
