"""The next job is there while one is measured: its runners wait, disturb nothing, and leave nothing."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

from tests.devices import FAKE, job_spec, member, push, session
from tests.fleet.test_agent import MS, alive, children, measured, wait_for

LONG = 60_000 * MS
SLEEPER = {"sleep_s": 0.02}


def send(agent, *jobs) -> None:
    """Jobs of one sleeper each: their names and what changes."""
    spec, module = member("sleeper", SLEEPER)
    push(agent, module)
    for name, changes in jobs:
        agent.send_job("mine", job_spec(spec, id=name, **changes))


def test_the_next_job_has_its_runner_before_the_running_one_ends(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        send(agent, ("a", {"window_ns": 500 * MS, "warm_least_ns": 200 * MS}), ("b", {}))
        pid = agent._transport.pid
        wait_for(lambda: len(children(pid)) == 2)
        ahead = max(children(pid))
        a = agent.result("a", 60)
        assert alive(ahead)
        b = agent.result("b", 60)
        assert [found.members[0].status for found in (a, b)] == ["ok", "ok"]
        assert children(pid) == []
        assert list((tmp_path / "scratch").iterdir()) == []


def test_nothing_counts_before_what_is_started_ahead_has_started(tmp_path: Path) -> None:
    entry, told = tmp_path / "slow_start.py", tmp_path / "started"
    entry.write_text(
        "import os, time\ntime.sleep(0.6)\nimport runner, fake_run\n"
        f"open({str(told)!r}, 'a').write(str(time.monotonic_ns()) + ' ')\nrunner.serve(fake_run.Fake())\n"
    )
    slow = replace(FAKE, files=(*FAKE.files, str(entry)), entry=entry.name)
    spec, module = member("sleeper", SLEEPER)
    with session(tmp_path / "agent") as agent:
        push(agent, module, engine=slow)
        agent.send_job("mine", job_spec(spec, id="a"))
        agent.send_job("mine", job_spec(spec, id="b", engine=slow))
        a = agent.result("a", 60)
        first, *again = map(int, told.read_text().split())
        assert agent.result("b", 60).members[0].status == "ok"
        assert again == [] and told.read_text().split() == [str(first)]
    assert min(sample.start_ns for sample in measured(a.members[0])) > first


def test_what_was_not_begun_is_dropped_and_what_runs_is_finished(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        send(agent, ("a", {"window_ns": 1500 * MS}), ("b", {}), ("c", {}))
        wait_for(lambda: children(agent._transport.pid))
        a = agent.result("a", 60, ending=lambda: True)
        assert (a.members[0].status, agent.dropped) == ("ok", {"b", "c"})
        assert agent.result("b", 60) is None
        assert agent.state().load_1m is not None
        assert [result.job for result in agent.spooled("mine")] == ["a"]
        assert children(agent._transport.pid) == []


def test_cancelling_ends_what_runs_and_what_would_come_next(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        send(agent, ("a", {"window_ns": LONG, "limit_ns": LONG}), ("b", {}))
        pid = agent._transport.pid
        wait_for(lambda: len(children(pid)) == 2)
        threading.Timer(0.3, agent.cancel).start()
        assert agent.result("a", 60) is None
        assert agent.spooled("mine") == []
        assert children(pid) == []
        assert list((tmp_path / "scratch").iterdir()) == []


def test_a_runner_that_somebody_kills_while_it_waits_fails_no_job(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        send(agent, ("a", {"window_ns": 600 * MS, "warm_least_ns": 200 * MS}), ("b", {}))
        wait_for(lambda: len(children(agent._transport.pid)) == 2)
        os.kill(max(children(agent._transport.pid)), signal.SIGKILL)
        found = [agent.result(name, 60).members[0].status for name in ("a", "b")]
    assert found == ["ok", "ok"]


def test_without_its_controller_an_agent_begins_no_further_job(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        send(agent, ("a", {"window_ns": 300 * MS}), ("b", {}))
        wait_for(lambda: children(agent._transport.pid))
    with session(tmp_path) as again:
        assert [result.job for result in again.spooled("mine")] == ["a"]
