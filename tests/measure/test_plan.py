"""The plan: what is measured, in which order, and under which identity."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.dataset.info import Settings
from harness.dataset.store import Dataset
from harness.measure.plan import co_runner_sets, make_plan, resumed
from harness.suites.suite import Workload, identity
from tests.dataset.test_store import entry

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
    assert set(purposes[:12:2]) == {"startup", "anchor"}
    assert set(purposes[1:12:2]) == {"measure"}  # what is cut off early has some of what it is for
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


def test_a_job_is_another_one_wherever_any_of_what_defines_it_differs(workloads: list[Workload]) -> None:
    """The promise of a resumed collection: what was measured under other settings is not taken for this."""
    settings = Settings(rounds={}, anchors=0)

    def ids(settings: Settings, chosen: list[Workload], platform: tuple[str, str] = ("e", "d")) -> set[str]:
        return {job.id for job in make_plan([platform], chosen, workloads[0], settings).jobs}

    same = ids(settings, workloads[1:3])
    assert ids(settings, workloads[1:3]) == same
    for other in (
        {"memory_bytes": 1 << 20}, {"repeats": 51}, {"limit_s": 31.0}, {"co_run_s": 29.0}, {"seed": 1},
    ):  # fmt: skip
        assert not ids(msgspec.structs.replace(settings, **other), workloads[1:3]) & same, other
    assert not ids(settings, workloads[1:3], ("f", "d")) & same
    assert not ids(settings, workloads[1:3], ("e", "c")) & same
    renamed = [replace(one, name=f"mine/{one.name}") for one in workloads[1:3]]
    assert len(ids(settings, renamed) & same) == 1  # only the empty module's start-up is the same


def test_an_identity_is_the_hash_of_what_defines_the_job_written_as_json(workloads: list[Workload]) -> None:
    settings = Settings(seed=3, repeats=7, limit_s=20.0, cold=4)
    hashes = {one.name: identity(one) for one in workloads}
    for job in make_plan(PLATFORMS, workloads[1:], workloads[0], settings).jobs:
        limits = [4 if job.purpose == "cold" else 7, 20.0, 1.0, 1 << 30, 3]
        members = [[name, hashes[name]] for name in job.workloads]
        parts = [job.engine, job.device, members, job.purpose, job.position, limits, "steady"]
        assert job.id == hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def test_two_workloads_of_one_content_are_two_and_each_is_measured(workloads: list[Workload]) -> None:
    twin = replace(workloads[1], name="mine/small/w1", argv=workloads[1].argv)
    plan = make_plan([("e", "d")], [workloads[1], twin], workloads[0], Settings(rounds={}, anchors=0))
    assert {job.workloads for job in plan.jobs if job.purpose == "measure"} == {
        (workloads[1].name,),
        (twin.name,),
    }


def test_a_dataset_from_before_names_counted_still_resumes_and_only_under_its_own_names(
    workloads: list[Workload], tmp_path: Path
) -> None:
    twin = replace(workloads[1], name="mine/small/w1")
    settings = Settings(rounds={}, anchors=0)
    plan = make_plan([("e", "d")], [workloads[1], workloads[2], twin], workloads[0], settings)
    hashes = {one.name: identity(one) for one in (workloads[1], workloads[2], twin)}
    limits = [settings.repeats, settings.limit_s, settings.co_run_s, settings.memory_bytes, settings.seed]
    dataset = Dataset.create(tmp_path / "old")
    with dataset.journal("d") as journal:
        for name, regime in (
            (workloads[1].name, "process"),
            (workloads[2].name, None),
        ):  # as version 1 named them
            parts = ["e", "d", [hashes[name]], "measure", 0, limits]
            former = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
            one = entry(0, name)
            job = msgspec.structs.replace(one.job, id=former, device="d", engine="e")
            members = [msgspec.structs.replace(one.result.members[0], regime=regime)]
            result = msgspec.structs.replace(one.result, job=former, members=members)
            journal.append(msgspec.structs.replace(one, job=job, result=result))
    again, told = resumed(plan, [*workloads, twin], dataset)
    assert told == (
        f"1 of the jobs in {dataset.root} was measured by the rule of before schema version 2: such jobs are "
        "measured anew, and their old rows stay"
    )
    done = dataset.finished()
    left = sorted(job.workloads[0] for job in again.jobs if job.id not in done and job.purpose == "measure")
    assert left == sorted([twin.name, workloads[2].name])  # the latter was measured in a resident engine
    assert [job.workloads for job in again.jobs] == [job.workloads for job in plan.jobs]
