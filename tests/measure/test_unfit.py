"""What a collection does with a device that is not fit, and how failed rows are done again."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.reach import has_processor, reach_all
from harness.measure import workers
from harness.measure.plan import make_plan
from harness.measure.stop import Stop
from harness.measure.workers import Outcome, collect
from tests.devices import FAKE
from tests.measure.storm import Log
from tests.measure.test_retries import SETTINGS, collect_scripts, make_workloads_of

pytestmark = pytest.mark.usefixtures("_fake_engine")


@pytest.fixture
def _fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "fake", FAKE)
    monkeypatch.setattr(workers, "PATIENCE_S", 1.0)


def device(tmp_path: Path, name: str = "local", cache: str = "cache", **more: object) -> Device:
    return Device(transport="local", name=name, cache=str(tmp_path / cache), engines=["fake"], **more)


def all_rows(root: Path) -> Counter[tuple[str, str]]:
    """Workload and status of every row that is on disk, superseded ones too."""
    found: Counter[tuple[str, str]] = Counter()
    for part in sorted((root / "observations").glob("*.parquet")):
        table = pq.read_table(part, columns=["workload", "status"])
        found.update(zip(table["workload"].to_pylist(), table["status"].to_pylist(), strict=True))
    return found


def test_what_a_device_was_not_fit_for_is_left_and_done_by_the_next_run(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.touch()
    scripts = [{"kill_agent": True, "while": str(trouble)}, {}, {}]
    rows, outcome = collect_scripts(tmp_path, *scripts)
    assert rows["fake/small/w1"]["status"] == "device_unfit"
    assert outcome == Outcome(left=1)
    trouble.unlink()
    rows, outcome = collect_scripts(tmp_path, *scripts)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert outcome == Outcome()
    assert all_rows(tmp_path / "data")["fake/small/w1", "device_unfit"] == 1  # superseded, not deleted


def test_a_device_that_stays_unfit_is_set_aside_with_the_cause(tmp_path: Path) -> None:
    scripts = [{"unfit": "the memory of the device is gone"}] * 5
    rows, outcome = collect_scripts(tmp_path, *scripts, startup=scripts[0])
    assert outcome.left == 6
    assert outcome.set_aside == {"local": "the memory of the device is gone"}
    assert {(row["status"], row["reason"]) for row in rows.values()} == {
        ("device_unfit", "the memory of the device is gone")
    }


def test_failed_rows_are_done_again_when_asked_for_and_never_deleted(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.touch()
    scripts = [{"die": "signal", "while": str(trouble)}, {"trap": "unreachable", "while": str(trouble)}, {}]
    collect_scripts(tmp_path, *scripts)
    trouble.unlink()
    rows, _ = collect_scripts(tmp_path, *scripts)
    assert (rows["fake/small/w1"]["status"], rows["fake/small/w2"]["status"]) == ("crash", "trap")  # final
    rows, outcome = collect_scripts(tmp_path, *scripts, retry=["crash"])
    assert (rows["fake/small/w1"]["status"], rows["fake/small/w2"]["status"]) == ("ok", "trap")
    assert outcome == Outcome()
    rows, _ = collect_scripts(tmp_path, *scripts, retry=["trap", "crash"])
    assert rows["fake/small/w2"]["status"] == "ok"
    assert all_rows(tmp_path / "data") == Counter(
        [
            ("fake/small/w1", "crash"),
            ("fake/small/w2", "trap"),
            *((f"fake/small/w{n}", "ok") for n in range(4)),
        ]
    )


def test_one_directory_under_two_names_is_one_device(tmp_path: Path) -> None:
    reached, failed = reach_all(
        [device(tmp_path, "a"), device(tmp_path, "b"), device(tmp_path, "c", "own")], Console()
    )
    for one in reached:
        one.session.close()
    assert [one.device.name for one in reached] == ["c"]  # which of the others came first is chance
    assert {error.device: error.reason.partition(",")[0] for error in failed} == {
        "a": "it keeps its files in the same directory as b",
        "b": "it keeps its files in the same directory as a",
    }


def test_processors_that_a_device_has_not_are_named_before_anything_is_measured(tmp_path: Path) -> None:
    reached, failed = reach_all([device(tmp_path, cpus=[0, 4000])], Console())
    assert reached == []
    assert "`cpus:` names processor 4000, and it has 0" in str(failed[0])
    assert [has_processor("0-3,8", n) for n in (0, 3, 4, 8)] == [True, True, False, True]
    assert has_processor("", 5)


def test_the_limit_of_open_files_is_raised_for_many_devices() -> None:
    code = (
        "import resource; from harness.fleet.reach import allow_open_files; "
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, hard)); allow_open_files(24); "
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [int(word) for word in told.split()] == [128 + 12 * 24, hard]


class Stubborn:
    """A session whose link is broken, and which another Ctrl-C interrupts just while it cancels."""

    def __init__(self, stop: Stop) -> None:
        self.stop, self.cancels = stop, 0

    def cancel(self) -> None:
        self.cancels += 1
        if self.cancels < 4:
            self.stop.ask()
        raise OSError("the link is broken")


def test_any_number_of_interrupts_in_each_other_ask_without_waiting_or_raising() -> None:
    stop = Stop()
    session = Stubborn(stop)
    stop.running(session, True)
    with stop._lock:  # as where the signal comes while a worker holds it
        stop.ask()
        assert session.cancels == 0
        stop.ask()
    assert session.cancels == 4
    later = Stubborn(stop)
    later.cancels = 9
    with pytest.raises(OSError):
        stop.running(later, True)  # it began its job between the two: it is cancelled too
    assert later.cancels == 10


def test_a_result_without_a_time_is_not_taken_and_shuts_no_device_out(tmp_path: Path) -> None:
    """As a newer or broken agent may have spooled it."""
    startup, *scripts = make_workloads_of(tmp_path, [{}, {}])
    plan = make_plan([("fake", "local")], scripts, startup, SETTINGS)
    dataset = Dataset.create(tmp_path / "data")
    spool = tmp_path / "cache" / "spool" / dataset.info.id
    spool.mkdir(parents=True)
    for job in plan.jobs:
        members = [{"workload": name, "status": "ok", "reason": "", "samples": []} for name in job.workloads]
        result = msgspec.json.encode(
            {"job": job.id, "started_unix_ns": 1, "state_before": {}, "members": members}
        )
        (spool / f"{job.id}.json").write_bytes(result)
    reached, _ = reach_all([device(tmp_path)], Console())
    with dataset.locked():
        dataset.begin(SETTINGS, "test", plan.jobs)
        outcome = collect(dataset, plan, reached, [startup, *scripts], Log(), Stop())
    assert outcome == Outcome()
    assert set(dataset.observations(["status"])["status"].to_pylist()) == {"ok"}
    assert len(list((tmp_path / "cache" / "aside").glob("*.json"))) == len(plan.jobs)
