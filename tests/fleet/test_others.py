"""Alone means alone: what else used the processors while a job was measured is told, and the job measured again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.fleet import agent
from tests.devices import member, run, session

SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


def made_up(monkeypatch: pytest.MonkeyPatch, seconds: float, idle: int, own: int, cpus: int = 2) -> None:
    """From the first look to the second so many jiffies were idle and ours, of all the rest others had."""
    tick = os.sysconf("SC_CLK_TCK")
    rest = round(cpus * seconds * tick) - idle - own
    looks = iter(
        [
            (0, [100, 0, 0, 700, 0], 50, 3),
            (round(seconds * 1e9), [100 + own + rest, 0, 0, 700 + idle, 0], 50 + own, 3),
        ]
    )
    monkeypatch.setattr(agent.Others, "look", staticmethod(lambda: next(looks)))
    monkeypatch.setattr(agent, "processors", lambda: cpus)


@pytest.mark.parametrize(
    ("idle", "own", "load"), [(100, 100, 0.0), (60, 100, 0.4), (0, 100, 1.0), (100, 0, 1.0)]
)
def test_what_is_neither_idle_nor_of_the_job_was_used_by_others(
    monkeypatch: pytest.MonkeyPatch, idle: int, own: int, load: float
) -> None:
    made_up(monkeypatch, 1.0, idle, own)
    found, error = agent.Others().load()
    assert (found, error) == (pytest.approx(load), pytest.approx(0.05))


def test_nothing_is_said_where_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "cpu_times", lambda: [0, 0, 0, 0, 0])
    assert agent.Others().load() == (None, 0.0)


def test_what_the_agent_started_is_its_own_and_the_same_program_of_somebody_else_is_not() -> None:
    # What ends at once leaves a process that is nobody's child here.
    orphan = (
        f"import subprocess as s, sys; print(s.Popen([sys.executable, '-c', {SPIN!r}], stdout=s.DEVNULL).pid)"
    )

    def own(pid: int) -> int:
        """How many jiffies count as ours while a process uses thirty."""
        others, until, deadline = agent.Others(), agent.jiffies_of(pid) + 30, time.monotonic() + 15
        while agent.jiffies_of(pid) < until:
            assert Path(f"/proc/{pid}/fd").exists() and time.monotonic() < deadline
            time.sleep(0.05)
        return others.look()[2] - others.before[2]

    with subprocess.Popen([sys.executable, "-c", SPIN]) as child:
        assert own(child.pid) >= 30
        child.kill()
    pid = int(subprocess.check_output([sys.executable, "-c", orphan]))
    try:
        assert own(pid) < 15
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_disturbed_job_is_measured_again_and_the_least_disturbed_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = iter([0.9, 0.05, 0.9, 0.8, 0.7, 0.6, 0.9])
    monkeypatch.setattr(agent.Others, "load", lambda self: (next(loads), 0.0))
    monkeypatch.setattr(agent.Watch, "__init__", lambda self, root, lock: None)
    measured = agent.Agent.__new__(agent.Agent)
    measured.again = float(agent.MOST_AGAIN)

    def together(job: agent.Message, place: Path) -> list[agent.Member]:
        made = agent.Member.__new__(agent.Member)
        made.result, made.failure, made.disturbed = {}, None, ""
        made.beside(agent.Others())
        return [made]

    monkeypatch.setattr(measured, "together", together)
    kept = [measured.undisturbed({}, tmp_path)[0] for _ in range(3)]
    # Two for the first; the second job had two more in hand and found none quiet; the third none.
    assert [one.result["other_load"] for one in kept] == [0.05, 0.7, 0.6]
    assert [one.disturbed for one in kept] == [
        "",
        "others used 0.70 processors meanwhile",
        "others used 0.60 processors meanwhile",
    ]


def test_other_load_reaches_the_result(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        [found] = run(opened, member("w", {"burn_s": 0.001})).members
    assert found.other_load is not None
    assert found.other_load >= 0


def test_the_yardstick_is_the_mean_of_the_processors_without_what_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed, pinned, clock = os.sched_getaffinity(0), [], [0]
    took = {1: [20_000, 24_000, 900_000, 22_000, 22_000], 3: [30_000, 30_000, 30_000, 30_000, 30_000]}

    def work() -> int:
        [processor] = pinned[-1]
        clock[0] += took[processor].pop(0)
        return 0

    monkeypatch.setattr(agent, "YARDSTICK_NS", 100_000)
    monkeypatch.setattr(agent, "now_ns", lambda: clock[0])
    monkeypatch.setattr(agent, "fixed_work", work)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 1})
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, processors: pinned.append(processors))
    assert agent.yardstick_ns() == 26_000  # 22 and 30 µs: one of 900 µs was interrupted
    assert pinned == [{1}, {3}, {3, 1}]
    monkeypatch.undo()
    assert agent.yardstick_ns() > 0
    assert os.sched_getaffinity(0) == allowed


def test_the_yardstick_reaches_the_result_before_and_after(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        found = run(opened, member("w", {"burn_s": 0.001}))
    assert found.state_after is not None
    for state in (found.state_before, found.state_after):
        assert state.yardstick_ns
        assert 10**3 < state.yardstick_ns < 10**8
