"""The agent, as a real process: what it measures, how jobs fail, and what survives."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from harness.dataset.records import MemberResult, Sample
from harness.fleet.session import Refused
from harness.fleet.transport import LinkLost
from tests.devices import job_spec, member, push, run, session

MS = 1_000_000


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def measured(found: MemberResult) -> list[Sample]:
    return [sample for sample in found.samples if not sample.warm]


def test_sleeping_takes_time_but_no_cpu(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [found] = run(agent, member("sleeper", {"sleep_s": 0.05})).members
    assert found.status == "ok"
    assert len(measured(found)) >= 5
    assert all(
        sample.wall_ns >= 50 * MS and sample.user_ns + sample.sys_ns < 25 * MS for sample in found.samples
    )


def test_burning_is_measured_as_cpu_time(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [found] = run(agent, member("burner", {"burn_s": 0.06})).members
    spent = [sample.user_ns + sample.sys_ns for sample in found.samples]
    assert spent
    assert min(spent) >= 40 * MS  # 60, less the coarseness of the kernel's accounting
    assert all(sample.wall_ns >= 60 * MS for sample in found.samples)


@pytest.mark.parametrize(
    ("script", "changes", "status", "reason"),
    [
        ({"trap": "integer divide by zero"}, {}, "trap", "integer divide by zero"),
        ({"later": {"trap": "unreachable"}}, {}, "trap", "unreachable"),
        ({"refuse": "bulk memory"}, {}, "refused", "does not compile: bulk memory"),
        ({"die": "signal"}, {}, "crash", "the runner was killed by SIGSEGV"),
        ({"die": "exit"}, {}, "crash", "the runner ended with exit code 1: the engine broke"),
        ({"sleep_s": 60}, {}, "timeout", "the first execution took longer than the limit of 0.5 s"),
        ({"exit_code": 3}, {}, "wrong_output", "exit code 3 instead of 0"),
        ({"later": {"exit_code": 3}}, {}, "wrong_output", "exit code 3 after 0 in the first execution"),
        (
            {"stdout": "5"},
            {"expect": {"exit_code": 0, "stdout_sha256": hashlib.sha256(b"4").hexdigest()}},
            "wrong_output",
            "stdout differs from the expected: b'5'",
        ),
    ],
)  # fmt: skip
def test_a_failure_is_a_row_with_its_reason(script, changes, status, reason, tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [found] = run(agent, member("failing", script, **changes), limit_ns=500 * MS).members
        [after] = run(agent, member("next", {})).members
    assert (found.status, found.reason) == (status, reason)
    assert after.status == "ok"


def test_a_workload_without_a_whole_execution_is_censored(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [found] = run(agent, member("slower", {"sleep_s": 0.25}), limit_ns=240 * MS).members
        assert (found.status, found.samples) == ("timeout", [])
        # Each execution sleeps longer: the last one is cut off, and all before it are there.
        slower = {"sleep_s": 0.13, "later": {"sleep_s": 0.3, "later": {"sleep_s": 60}}}
        [found] = run(agent, member("slow", slower), warm_most_ns=0, limit_ns=700 * MS).members
    assert [sample.warm for sample in found.samples] == [True, False, False]
    assert (found.status, found.executions_asked, found.executions) == ("ok", 5, 2)
    assert found.cut_off_ns is not None
    assert 200 * MS < found.cut_off_ns < 700 * MS


def test_covered_samples_lie_within_every_co_runners_loop(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        result = run(
            agent, member("fast", {"burn_s": 0.002}), member("slow", {"burn_s": 0.05}),
            member("sleeper", {"sleep_s": 0.01}),
            window_ns=300 * MS,
        )  # fmt: skip
    assert [found.status for found in result.members] == ["ok"] * 3
    for found in result.members:
        others = [other for other in result.members if other is not found]
        for sample in measured(found):
            within = all(
                other.loop_start_ns <= sample.start_ns
                and sample.start_ns + sample.wall_ns <= other.loop_end_ns
                for other in others
            )
            assert sample.covered == within
        assert sum(sample.covered for sample in found.samples) >= 3
        assert not any(sample.covered for sample in found.samples if sample.warm)


def test_a_workload_with_time_for_one_execution_beside_others_is_covered(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        result = run(
            agent,
            member("long", {"sleep_s": 0.5}),
            member("short", {"sleep_s": 0.01}),
            window_ns=700 * MS,
            limit_ns=800 * MS,
            warm_most_ns=0,
        )
    long, short = result.members
    assert [sample.covered for sample in measured(long)] == [True]
    assert short.status == "ok"


def test_executions_beyond_the_kept_samples_are_summed(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        alone = run(agent, member("a", {"sleep_s": 0.005}), keep=4, window_ns=500 * MS)
        together = run(
            agent,
            member("a", {"sleep_s": 0.005}),
            member("b", {"sleep_s": 0.005}),
            keep=4,
            window_ns=500 * MS,
        )
    for found in (*alone.members, *together.members):
        covered = sum(sample.covered for sample in found.samples)
        assert covered == 4
        assert found.more_count > 20
        assert covered + found.more_count <= found.executions
        assert 5 * MS <= found.more_wall_ns / found.more_count < 50 * MS


def test_a_workload_is_warmed_up_alike_alone_and_together(tmp_path: Path) -> None:
    work = {"count": 20_000}
    with session(tmp_path) as agent:
        alone = run(agent, member("a", work), warm_least_ns=50 * MS)
        together = run(agent, member("a", work), member("sleeper", {"sleep_s": 0.004}), warm_least_ns=50 * MS)
    for found in (*alone.members, *together.members):
        warm = [sample for sample in found.samples if sample.warm]
        assert found.regime == "steady"
        assert found.warm_executions >= max(10, len(warm))
        assert found.warm_ns >= 50 * MS
        assert warm[0].wall_ns == found.warmup_ns
        assert all(sample.start_ns < measured(found)[0].start_ns for sample in warm)


def test_an_execution_without_time_to_repeat_it_is_warm_after_the_first(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [found] = run(agent, member("long", {"sleep_s": 0.2}), warm_most_ns=300 * MS, least=2).members
    assert [sample.warm for sample in found.samples][:2] == [True, False]
    assert re.sub("others used .* meanwhile", "", found.unsteady or "") == ""  # whatever else runs here


def test_a_co_runner_that_fails_spoils_only_its_own_job(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        good, bad = run(
            agent, member("good", {"sleep_s": 0.01}), member("bad", {"trap": "unreachable"})
        ).members
        assert run(agent, member("good", {"sleep_s": 0.01})).members[0].status == "ok"
    assert (bad.status, bad.reason) == ("trap", "unreachable")
    assert (good.status, good.reason) == ("co_runner_failed", "bad: trap, unreachable")


def test_nothing_runs_on_after_a_job(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        run(
            agent,
            member("a", {"sleep_s": 0.01}),
            member("hanging", {"later": {"sleep_s": 60}}),
            limit_ns=300 * MS,
        )
        assert children(agent._transport.pid) == []


def test_a_module_gets_its_input_files_and_no_others(tmp_path: Path) -> None:
    content = b"given"
    spec, module = member(
        "reader", {"read": "data/in.txt"}, files={"data/in.txt": hashlib.sha256(content).hexdigest()},
        expect={"exit_code": 0, "stdout_sha256": hashlib.sha256(content).hexdigest()},
    )  # fmt: skip
    with session(tmp_path) as agent:
        push(agent, content)
        assert run(agent, (spec, module)).members[0].status == "ok"
        escaping = spec | {"files": {"../out.txt": hashlib.sha256(content).hexdigest()}}
        with pytest.raises(Refused, match="outside the module's directory"):
            run(agent, (escaping, module))


def test_bytes_that_do_not_hash_to_their_name_are_refused(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        with pytest.raises(Refused, match="hashes to"):
            agent.push({"0" * 64: lambda: b"something else"})
        with pytest.raises(Refused, match="not a SHA-256"):
            agent.push({"../../escape": lambda: b""})
    assert list((tmp_path / "store").iterdir()) == []


def test_a_job_is_finished_and_spooled_when_the_controller_goes_away(tmp_path: Path) -> None:
    spec, module = member("patient", {"sleep_s": 0.2})
    with session(tmp_path) as agent:
        push(agent, module)
        agent._send(op="run", dataset="mine", job=job_spec(spec, least=3))
        pid = agent._transport.pid
        wait_for(lambda: children(pid))
    with session(tmp_path) as again:  # waits for the first agent, which still measures
        assert not alive(pid)
        [spooled] = again.spooled("mine")
        assert again.spooled("other") == []
        assert (spooled.job, spooled.members[0].status, spooled.members[0].executions) == ("job1", "ok", 3)
        again.ack("mine", "job1")
        assert again.spooled("mine") == []


def test_runners_die_with_their_agent(tmp_path: Path) -> None:
    spec, module = member("endless", {"sleep_s": 60})
    with session(tmp_path) as agent:
        push(agent, module)
        agent._send(op="run", dataset="mine", job=job_spec(spec, limit_ns=60_000 * MS))
        wait_for(lambda: children(agent._transport.pid))
        runners = children(agent._transport.pid)
        os.kill(agent._transport.pid, signal.SIGKILL)
        wait_for(lambda: not any(alive(pid) for pid in runners))
        with pytest.raises(LinkLost, match="was killed by signal 9"):
            agent.spooled("mine")


def test_a_second_agent_waits_and_is_told_who_holds_the_device(tmp_path: Path) -> None:
    holders: list[str] = []
    with session(tmp_path, controller="first") as first:
        with (
            pytest.raises(Exception, match="it is held by first"),
            session(tmp_path, wait_s=0.8, on_busy=holders.append, controller="second"),
        ):
            pass
        assert holders
        assert set(holders) == {f"first (agent {first._transport.pid})"}


def test_cancelling_ends_a_job_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    import threading

    spec, module = member("long", {"sleep_s": 60})
    with session(tmp_path) as agent:
        push(agent, module)
        threading.Timer(0.3, agent.cancel).start()
        started = time.monotonic()
        assert agent.run("mine", job_spec(spec, limit_ns=60_000 * MS), 60) is None
        assert time.monotonic() - started < 10
        assert agent.spooled("mine") == []
        assert children(agent._transport.pid) == []


def test_facts_name_the_machine(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        facts = agent.facts()
    assert facts["machine"] == os.uname().machine
    assert facts["cores"] == os.cpu_count()
    assert facts["memory_bytes"] == pytest.approx(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), rel=0.01
    )
