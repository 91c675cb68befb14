"""Energy and counters: read from a made-up powercap tree and from the kernel, and nothing where refused."""

from __future__ import annotations

import array
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.dataset.entry_rows import rows
from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.fleet import agent
from harness.report.energy import energy

TASK_CLOCK = {"task_clock": (1, 1)}  # a software event that every kernel has: ns on a processor


def zone(root: Path, name: str, what: str, uj: int, most: int = 1_000_000) -> None:
    (root / name).mkdir(exist_ok=True)
    for file, text in (("name", what), ("energy_uj", uj), ("max_energy_range_uj", most)):
        (root / name / file).write_text(f"{text}\n")


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages, one of which is about to begin anew, and parts of them, which would count twice."""
    zone(tmp_path, "intel-rapl:0", "package-0", 100)
    zone(tmp_path, "intel-rapl:1", "package-1", 999_990)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:2", "psys", 7)
    monkeypatch.setattr(agent, "POWERCAP", tmp_path)
    return tmp_path


def member(walls_ns: list[int], **changes: Any) -> Any:
    told = {"walls": array.array("q", walls_ns), "process": SimpleNamespace(pid=0), "failure": None, "running": False,
            "loop_start_ns": 1000, "last_end_ns": lambda: 3000, "result": {}}  # fmt: skip
    return SimpleNamespace(**(told | changes))


def test_energy_is_that_of_all_packages_over_the_time_for_one_execution(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000_000]
    monkeypatch.setattr(agent, "now_ns", lambda: now[0])
    monkeypatch.setattr(agent, "EVENTS", {})
    one = member([10**9])  # of the warm-up, which does not count
    meters = agent.Meters([one])
    zone(powercap, "intel-rapl:0", "package-0", 600_100)
    zone(powercap, "intel-rapl:1", "package-1", 399_990)  # from 999,990 over its end: 400,000
    now[0] += 500_000_000
    one.walls += array.array("q", [90_000_000, 110_000_000])
    meters.tell()
    assert one.result == {"energy_j": pytest.approx(1.0 * 0.1 / 0.5)}


def test_beside_others_and_where_it_cannot_be_read_there_is_none(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "EVENTS", {})
    pair = [member([]), member([])]
    meters = agent.Meters(pair)
    for one in pair:
        one.walls.append(5)
    meters.tell()
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert agent.energy_uj() is None
    monkeypatch.setattr(agent, "POWERCAP", powercap / "nothing")
    assert agent.energy_uj() is None
    assert [one.result for one in pair] == [{}, {}]


def test_the_kernel_counts_for_a_process_and_what_it_starts() -> None:
    """Half of the work is done in a process that it starts after the counting began."""
    burn = "while time.process_time() < 0.15: pass"
    script = (
        "import subprocess, sys, time; input()\n"
        f"{burn}\nsubprocess.run([sys.executable, '-c', 'import time\\n{burn}'])\nprint(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        time.sleep(0.1)
        counters = agent.Counters(process.pid, TASK_CLOCK)
        if not counters.opened:
            process.kill()
            pytest.skip(
                "no perf_event_open; sysctl kernel.perf_event_paranoid=2, outside of a strict container"
            )
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.read(1)
        found = counters.take()
        process.kill()
    assert found["task_clock"] > 0.25e9
    assert counters.opened == {}


def test_an_event_that_is_not_there_is_left_out() -> None:
    assert agent.Counters(0, {"nothing": (0, 12345)}).take() == {}


def test_it_reaches_the_rows_and_the_report(tmp_path: Path) -> None:
    job = Job("j", "pi", "e", ("s/a",), "measure", 0, 1, 1.0, 1.0)
    result = MemberResult(
        "s/a",
        "ok",
        "",
        [Sample(1, 10**9, 0, 0, 0, True)],
        energy_j=2.5,
        instructions=4e9,
        cycles=2e9,
        cache_misses=8e6,
    )
    entry = Entry(job, JobResult("j", 1, State(), [result]), "1", "1")
    dataset = Dataset.create(tmp_path / "lab")
    with dataset.journal("pi") as journal:
        journal.append(entry)
    dataset.compact()
    [row] = dataset.observations(["energy_j", "instructions", "cycles", "cache_misses"]).to_pylist()
    assert row == {"energy_j": 2.5, "instructions": 4e9, "cycles": 2e9, "cache_misses": 8e6}
    assert rows(entry)[0]["energy_j"] == 2.5
    [section] = energy(dataset)
    for cell in ("2.5", "2", "e:pi"):
        assert f">{cell}</td>" in section.body
    assert energy(Dataset.create(tmp_path / "none")) == []
