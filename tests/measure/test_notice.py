"""What a collection tells onlookers while it runs, and what is left of that when it is over."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.dataset.now import Now, read_now
from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.reach import reach
from harness.measure import notice
from harness.measure.board import Board
from harness.measure.lanes import lanes
from harness.measure.plan import Plan
from harness.measure.stop import Stop
from harness.measure.workers import collect
from tests.devices import FAKE
from tests.perf.bench_collect import SETTINGS, Clock, make_workload


def test_onlookers_see_the_job_of_the_moment_and_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "fake", FAKE)
    monkeypatch.setattr(notice, "AT_ONCE_S", 0.0)
    workload = make_workload(tmp_path, {"sleep_s": 0.01})
    device = reach(
        Device(transport="local", name="pi", cache=str(tmp_path / "cache"), engines=["fake"]), print
    )
    jobs = tuple(Job(f"j{n}", "pi", "fake", (workload.name,), "measure", 0, 5, 3.0, 0.4) for n in range(2))
    dataset = Dataset.create(tmp_path / "lab")
    dataset.begin(SETTINGS, "1", jobs)
    seen: list[Now] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            if (now := read_now(dataset.root)) and now not in seen:
                seen.append(now)

    onlooker = threading.Thread(target=look)
    onlooker.start()
    collect(dataset, Plan(jobs, SETTINGS), [device], [workload], Clock(), Stop())
    over.set()
    onlooker.join()
    assert ("measuring", "fake:pi", (workload.name,)) in {
        (one.state, one.platform, one.workloads) for now in seen for one in now.devices
    }
    assert all(now.running for now in seen[:-1])
    last = read_now(dataset.root)
    assert last and not last.running and [one.state for one in last.devices] == ["ended"]
    board = Board(dataset)
    board.look()
    [row] = lanes(board)
    assert (row["state"], row["done"], row["left"], row["platform"]) == ("ended", 2, 0, None)


def test_what_cannot_be_written_or_read_is_nothing(tmp_path: Path) -> None:
    lab = Dataset.create(tmp_path / "lab")
    with lab.locked():
        lab.root.rename(tmp_path / "moved")
        notice.Notice(lab, []).put_up(running=False)
        assert not lab.root.exists()
        lab.root.write_text("in the way")
        notice.Notice(lab, []).put_up(running=False)
    assert read_now(tmp_path) is None
    (tmp_path / "now.json").write_text("{")
    assert read_now(tmp_path) is None
