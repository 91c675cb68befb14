"""The plan: what is measured, in which order, and under which identity."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from harness.dataset.info import Settings
from harness.measure.plan import co_runner_sets, make_plan
from harness.suites.suite import Workload

PLATFORMS = [("wasmtime-j", "one"), ("node-v8", "one"), ("wasmtime-j", "two")]


@pytest.fixture
def workloads(tmp_path: Path) -> list[Workload]:
    made = []
    for number in range(9):
        module = tmp_path / f"w{number}.wasm"
        module.write_bytes(b"module %d" % number)
        made.append(Workload(f"s/small/w{number}", "s", module, (f"w{number}",)))
    return made


@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("count", [4, 5, 30])
def test_every_workload_is_in_as_many_sets_as_the_degree_and_never_beside_itself(
    degree: int, count: int
) -> None:
    names = [f"w{number}" for number in range(count)]
    for seed in range(20):
        sets = co_runner_sets(names, degree, str(seed))
        assert all(len(set(together)) == degree for together in sets)
        assert Counter(name for together in sets for name in together) == dict.fromkeys(names, degree)


def test_fewer_workloads_than_the_degree_give_no_set() -> None:
    assert co_runner_sets(["a", "b"], 3, "0") == []


def test_a_plan_has_each_job_once_and_every_platform_the_same_ones(workloads: list[Workload]) -> None:
    plan = make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(rounds={2: 1, 3: 2}, anchors=2))
    assert len({job.id for job in plan.jobs}) == len(plan.jobs)
    for engine, device in PLATFORMS:
        mine = [job for job in plan.jobs if (job.engine, job.device) == (engine, device)]
        purposes = Counter((job.purpose, job.degree) for job in mine)
        assert purposes[("startup", 1)] == 1
        assert purposes[("anchor", 1)] == 4
        assert purposes[("measure", 1)] == 8
        assert purposes[("measure", 2)] == 8


def test_anchors_open_and_close_a_device_and_engines_are_interleaved(workloads: list[Workload]) -> None:
    plan = make_plan(PLATFORMS[:2], workloads[1:], workloads[0], Settings(rounds={2: 1}, anchors=2))
    purposes = [job.purpose for job in plan.jobs]
    middle = [job.engine for job in plan.jobs if job.purpose == "measure"]
    assert set(purposes[:6]) == {"startup", "anchor"}
    assert set(purposes[-4:]) == {"anchor"}
    assert middle != sorted(middle)


def test_the_same_settings_give_the_same_plan_whatever_was_random_before(workloads: list[Workload]) -> None:
    random.seed(1)
    first = make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(seed=4))
    random.seed(2)
    assert make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(seed=4)) == first
    assert make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(seed=5)) != first


def test_a_platform_more_does_not_change_the_jobs_of_the_others(workloads: list[Workload]) -> None:
    few = make_plan(PLATFORMS[:1], workloads[1:], workloads[0], Settings())
    more = make_plan(PLATFORMS, workloads[1:], workloads[0], Settings())
    assert {job.id for job in few.jobs} <= {job.id for job in more.jobs}


def test_a_changed_module_or_limit_is_another_job(workloads: list[Workload]) -> None:
    before = make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(rounds={}))
    longer = make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(rounds={}, limit_s=31))
    assert not {job.id for job in before.jobs} & {job.id for job in longer.jobs}
    workloads[1].module.write_bytes(b"another")
    after = make_plan(PLATFORMS, workloads[1:], workloads[0], Settings(rounds={}))
    changed = {job.id for job in before.jobs} - {job.id for job in after.jobs}
    assert {job.workloads for job in before.jobs if job.id in changed} == {(workloads[1].name,)}
