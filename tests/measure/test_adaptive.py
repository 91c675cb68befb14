"""An adaptive collection: who goes next, what is fair, when it ends, and that it goes on where it ended."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.dataset.info import Settings
from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.errors import DatasetError
from harness.fleet.devices import Device
from harness.fleet.reach import reach
from harness.measure import adaptive
from harness.measure.adaptive import Adaptive, beyond, design, marked
from harness.measure.course import Expected, course_lines, read_progress
from harness.measure.plan import Plan, make_plan
from harness.measure.stop import Stop
from harness.measure.workers import Outcome, collect
from harness.suites.suite import Workload
from tests.devices import FAKE
from tests.measure.storm import Log

SETTINGS = Settings(
    repeats=2, limit_s=1.0, co_run_s=0.02, rounds={2: 1}, anchors=0, placebos=0, precision=0.5
)


@dataclass
class Judged:
    mape: float = 0.04
    low: float = 0.03
    high: float = 0.05
    jobs: int = 12


@dataclass
class Advised:
    """Whose number is highest comes first."""

    jobs: Sequence[Job]
    error: Judged | None
    memory: int = 0

    @property
    def nats(self) -> Any:
        return np.full(len(self.jobs), 0.5)

    @property
    def seconds(self) -> Any:
        return np.full(len(self.jobs), 2.0)

    def drawn(self, seed: int) -> Any:
        return np.argsort([-int(job.workloads[0].rpartition("w")[2]) for job in self.jobs], kind="stable")


def advise(
    dataset: Dataset, jobs: Sequence[Job], *, judged: bool = True, memory: int | None = None
) -> Advised:
    if len(dataset.finished()) < 6:
        raise DatasetError("too little; measure more.")
    return Advised(jobs, Judged(), (memory or 0) + 1)


def workloads_in(folder: Path, count: int) -> list[Workload]:
    made = []
    for number in range(count):
        module = folder / f"m{number}"
        module.write_text(json.dumps({"number": number}))
        made.append(Workload(f"fake/small/w{number}", "fake", module, (f"w{number}",)))
    return made


def planned(folder: Path, count: int, engines: Sequence[str] = ("fake",)) -> Plan:
    made = workloads_in(folder, count + 1)
    return marked(make_plan([(name, "local") for name in engines], made[1:], made[0], SETTINGS))


def measure(folder: Path, until: float | None, most: int | None = None) -> tuple[Dataset, Outcome, bool]:
    plan, made = planned(folder, 16), workloads_in(folder, 17)
    device = reach(
        Device(transport="local", name="local", cache=str(folder / "cache"), engines=["fake"]), print
    )
    dataset, stop = Dataset.open_or_create(folder / "data"), Stop(most)
    with dataset.locked():
        dataset.begin(SETTINGS, "test", plan.jobs)
        with Adaptive(dataset, plan, advise, until, stop, Log()) as order:
            outcome = collect(dataset, plan, [device], made, Log(), stop, order=order)
    return dataset, outcome, order.enough


def test_a_fifth_of_the_plan_is_a_fair_sample_and_the_same_one_each_time(tmp_path: Path) -> None:
    plan = planned(tmp_path, 150, ("fake", "other"))
    kinds = Counter(job.drawn for job in plan.jobs if job.purpose == "measure")
    assert 0.14 < kinds["random"] / kinds.total() < 0.26
    assert [job.drawn for job in marked(plan).jobs] == [job.drawn for job in plan.jobs]
    assert all(job.drawn is None for job in plan.jobs if job.purpose != "measure")


def test_first_every_workload_is_touched_and_engines_take_turns(tmp_path: Path) -> None:
    plan = planned(tmp_path, 40, ("fake", "other"))
    first = design(plan.jobs, 0)
    chosen = {job.workloads[0] for job in plan.jobs if job.drawn == "chosen" and job.degree == 1}
    assert Counter(job.workloads[0] for job in first) == Counter(dict.fromkeys(chosen, 1))
    engines = Counter(job.engine for job in first)
    assert abs(engines["fake"] - engines["other"]) <= 4


def test_of_a_plan_that_is_done_one_more_round_is_told(tmp_path: Path) -> None:
    made = workloads_in(tmp_path, 9)

    def make(settings: Settings) -> Plan:
        return make_plan([("fake", "local")], made[1:], made[0], settings)

    plan = make(SETTINGS)
    ids = {job.id for job in plan.jobs}
    assert beyond(plan, ids - {plan.jobs[-1].id}, make) == (plan, "")
    more, told = beyond(plan, ids, make)
    new = [job for job in more.jobs if job.id not in ids]
    assert told == "all of this plan is done; what follows is what --rounds 2 would measure besides"
    assert {job.degree for job in new} == {2}
    alone = make(msgspec.structs.replace(SETTINGS, rounds={}))
    assert "--degrees 2" in beyond(alone, ids, make)[1]


def test_each_fifth_job_is_the_next_of_the_fair_sample(tmp_path: Path) -> None:
    plan = planned(tmp_path, 30)
    order = Adaptive(Dataset.create(tmp_path / "data"), plan, advise, None, Stop(), Log())
    left = deque(job for job in plan.jobs if job.purpose == "measure")
    fair = [job.id for job in left if job.drawn == "random"]
    taken = []
    for _ in range(15):
        order.next("local", left)
        taken.append(left.popleft())
    order.expected = {taken[0].id: Expected("fake:local", taken[0].workloads, 1.25, 0.5)}
    assert [order.why(taken[place]) for place in (0, 1, 4)] == [
        "teaches 1.2 nats in about 0.5 s",
        "among the first, which touch every workload",
        "drawn at random, to test and calibrate",
    ]
    assert order.why(msgspec.structs.replace(taken[0], purpose="anchor")) == ""
    assert [job.drawn for job in taken] == (["chosen"] * 4 + ["random"]) * 3
    assert [job.id for job in taken[4::5]] == fair[:3]


def test_it_follows_the_advice_stops_when_enough_is_known_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "fake", FAKE)
    monkeypatch.setattr(adaptive, "PAUSE_S", 0.02)
    monkeypatch.setattr(adaptive, "FEWEST_NEW", 3)
    monkeypatch.setattr(adaptive, "background", partial(ThreadPool, 1))  # a process takes seconds to start
    dataset, outcome, enough = measure(tmp_path, until=0.01, most=8)
    assert (outcome.stopped, enough) == (False, False)
    begun = dataset.finished()
    assert len(begun) == 8
    dataset, outcome, enough = measure(tmp_path, until=0.06)
    assert enough
    assert outcome.left > 0
    assert begun < dataset.finished()
    table = dataset.observations(["job", "drawn", "purpose", "precision"]).to_pylist()
    assert {row["drawn"] for row in table if row["purpose"] == "measure"} == {"random", "chosen"}
    assert {row["precision"] for row in table} == {0.5}
    told = read_progress(dataset)
    assert told[-1].mape == 0.04
    assert {(one.nats, one.seconds) for one in told[-1].next} == {(0.5, 2.0)}
    assert course_lines(dataset)[-1].startswith("next fake/small/w")
    assert course_lines(dataset)[-1].endswith(" on fake:local (teaches 0.5 nats in about 2 s)")
    assert [one.hours for one in told] == sorted(one.hours for one in told)
