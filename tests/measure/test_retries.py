"""What is tried again, how often, and what ends as a row with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.dataset.info import Gate, Settings
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.errors import UsageError
from harness.fleet.devices import Device
from harness.fleet.reach import reach
from harness.measure.collection import share
from harness.measure.plan import make_plan
from harness.measure.stop import Stop
from harness.measure.workers import Outcome, collect
from harness.suites.suite import Workload
from tests.devices import FAKE
from tests.measure.storm import Log

SETTINGS = Settings(repeats=2, limit_s=1.0, co_run_s=0.05, rounds={}, anchors=0)


@pytest.fixture(autouse=True)
def _fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "fake", FAKE)


def collect_scripts(
    tmp_path: Path,
    *scripts: dict[str, object],
    settings: Settings = SETTINGS,
    stop: Stop | None = None,
    startup: dict[str, object] | None = None,
    retry: Sequence[str] = (),
) -> tuple[dict[str, dict[str, object]], Outcome]:
    """Measure fake workloads; the row of each, by its number, and how it ended."""
    workloads = make_workloads_of(tmp_path, [startup or {}, *scripts])
    plan = make_plan([("fake", "local")], workloads[1:], workloads[0], settings)
    device = reach(
        Device(transport="local", name="local", cache=str(tmp_path / "cache"), engines=["fake"]), print
    )
    dataset = Dataset.open_or_create(tmp_path / "data")
    with dataset.locked():
        dataset.begin(settings, "test", plan.jobs)
        outcome = collect(dataset, plan, [device], workloads, Log(), stop or Stop(), retry)
    rows = dataset.observations(["workload", "status", "reason", "attempts", "note"]).to_pylist()
    return {row["workload"]: row for row in rows}, outcome


class Defective:
    """An order of jobs that fails, in a way nobody foresaw, for one device."""

    def next(self, device: str, left: object) -> None:
        if device == "b":
            raise KeyError("canonicaldomains")

    def why(self, job: object) -> str:
        return ""

    def finished(self, entry: object) -> None:
        pass


def test_a_defect_in_one_devices_worker_is_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    workloads = make_workloads_of(tmp_path, [{}, {}])
    plan = make_plan([("fake", "a"), ("fake", "b")], workloads[1:], workloads[0], SETTINGS)
    devices = [
        reach(Device(transport="local", name=name, cache=str(tmp_path / name), engines=["fake"]), print)
        for name in "ab"
    ]
    dataset, log = Dataset.create(tmp_path / "data"), Log()
    with dataset.locked():
        dataset.begin(SETTINGS, "test", plan.jobs)
        outcome = collect(dataset, plan, devices, workloads, log, Stop(), order=Defective())
    assert {row["device"] for row in dataset.observations(["device"]).to_pylist()} == {"a"}
    reason = outcome.set_aside.pop("b")
    assert (outcome.set_aside, outcome.left) == ({}, sum(job.device == "b" for job in plan.jobs))
    told, _, report = reason.partition("; please report it with ")
    assert told == "a defect of harness (KeyError: 'canonicaldomains')"
    assert "Traceback" in Path(report).read_text()
    Path(report).unlink()


def make_workloads_of(folder: Path, scripts: Sequence[dict[str, object]]) -> list[Workload]:
    workloads = []
    for number, script in enumerate(scripts):
        module = folder / f"m{number}"
        module.write_text(json.dumps(script))
        workloads.append(Workload(f"fake/small/w{number}", "fake", module, (f"w{number}",)))
    return workloads


def test_a_crash_is_repeated_once_and_then_a_row(tmp_path: Path) -> None:
    rows, outcome = collect_scripts(tmp_path, {"die": "signal"}, {})
    crash, fine = rows["fake/small/w1"], rows["fake/small/w2"]
    assert (crash["status"], crash["reason"], crash["attempts"]) == (
        "crash",
        "the runner was killed by SIGSEGV",
        2,
    )
    assert (fine["status"], fine["attempts"]) == ("ok", 1)
    assert outcome == Outcome()


def test_traps_and_timeouts_are_what_the_workload_does_and_not_repeated(tmp_path: Path) -> None:
    rows, _ = collect_scripts(tmp_path, {"trap": "unreachable"}, {"sleep_s": 9})
    assert [(rows[f"fake/small/w{n}"]["status"], rows[f"fake/small/w{n}"]["attempts"]) for n in (1, 2)] == [
        ("trap", 1),
        ("timeout", 1),
    ]


def test_a_job_that_kills_the_agent_each_time_is_unfit_and_left_and_the_others_go_on(tmp_path: Path) -> None:
    rows, outcome = collect_scripts(tmp_path, {"kill_agent": True}, {}, {})
    poison = rows["fake/small/w1"]
    assert (poison["status"], poison["reason"], poison["attempts"]) == (
        "device_unfit",
        "the agent was killed by signal 9",
        3,
    )
    assert [rows[f"fake/small/w{n}"]["status"] for n in (0, 2, 3)] == ["ok"] * 3
    assert outcome == Outcome(left=1)


def test_no_more_jobs_are_started_than_asked_for(tmp_path: Path) -> None:
    rows, outcome = collect_scripts(tmp_path, {}, {}, {}, {}, stop=Stop(most_jobs=2))
    assert (len(rows), outcome.left) == (2, 3)
    rows, outcome = collect_scripts(tmp_path, {}, {}, {}, {})
    assert (len(rows), outcome.left) == (5, 0)


def test_a_gate_that_cannot_be_passed_is_waited_for_and_told(tmp_path: Path) -> None:
    gated = Settings(
        repeats=2, limit_s=1.0, co_run_s=0.05, rounds={}, anchors=0, gate=Gate(busy=-1.0, limit_s=1.0)
    )
    rows, _ = collect_scripts(tmp_path, settings=gated)
    assert "not cool and idle after" in str(rows["fake/small/w0"]["note"])
    assert rows["fake/small/w0"]["status"] == "ok"


def test_shards_divide_the_devices() -> None:
    devices = [Device(transport="local", name=name) for name in "abcde"]
    parts = [share(devices, (number, 3)) for number in (1, 2, 3)]
    assert sorted(device.name for part in parts for device in part) == list("abcde")
    with pytest.raises(UsageError, match="shard 6/6 has no device: there are only 5"):
        share(devices, (6, 6))
