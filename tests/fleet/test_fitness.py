"""A result counts only where the device was fit to give it: the device's trouble is never the workload's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.dataset.records import JobResult
from harness.fleet.agent import Failure, Member, Unfit, Watch, summarise
from harness.fleet.local import LocalTransport
from harness.fleet.session import Session
from tests.cluster import processes
from tests.devices import FAKE, job_spec, member, push, run, session
from tests.fleet.test_agent import MS, alive, children, wait_for


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 4 MB and 200 files."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "tmpfs", str(place)]
    if not shutil.which("mount"):
        pytest.skip("no mount; apt-get install mount")
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def started(agent: Session, script: dict[str, object], **changes: object) -> list[int]:
    """Begin a job; the processes of its runner."""
    spec, module = member("w", script)
    push(agent, module)
    agent._send(op="run", dataset="d", job=job_spec(spec, **changes))
    wait_for(lambda: children(agent._transport.pid))
    time.sleep(0.5)  # until it executes
    return children(agent._transport.pid)


def ended(agent: Session) -> JobResult:
    return agent._result(agent._next_while_working(time.monotonic() + 60, lambda: False))


def cause(result: JobResult) -> str:
    """Of a result that the device was not fit for; nothing of what it measured is kept."""
    assert {(found.status, len(found.samples)) for found in result.members} == {("device_unfit", 0)}
    return result.members[0].reason


def fill(place: Path) -> Path:
    junk = place / "junk"
    with open(junk, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return junk


def fill_inodes(place: Path) -> Path:
    junk = place / "junk"
    junk.mkdir()
    try:
        for number in range(1000):
            (junk / str(number)).touch()
    except OSError:
        pass
    return junk


@pytest.mark.parametrize(
    ("filling", "told"), [(fill, "kB are free"), (fill_inodes, "more files can be made")]
)
def test_a_full_disk_is_the_devices_trouble_and_over_when_there_is_room(
    small_disk: Path, filling, told
) -> None:
    with session(small_disk / "cache") as agent:
        assert run(agent, member("w", {})).members[0].status == "ok"
        junk = filling(small_disk)
        assert told in cause(run(agent, member("w", {})))
        shutil.rmtree(junk) if junk.is_dir() else junk.unlink()
        assert run(agent, member("w", {})).members[0].status == "ok"


def test_a_disk_that_is_full_only_while_a_job_runs_spoils_its_result(small_disk: Path) -> None:
    with session(small_disk / "cache") as agent:
        started(agent, {"sleep_s": 0.05}, limit_ns=3000 * MS, window_ns=1500 * MS, least=25)
        junk = fill(small_disk)
        time.sleep(0.6)
        junk.unlink()
        assert "its disk is full" in cause(ended(agent))


def test_a_disk_that_can_only_be_read_is_told(small_disk: Path) -> None:
    with session(small_disk / "cache") as agent:
        scratch = small_disk / "cache" / "scratch"
        assert run(agent, member("w", {})).members[0].status == "ok"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(scratch)], check=True)
        told = cause(run(agent, member("w", {})))
        subprocess.run(["umount", "-l", str(scratch)], check=True)
    assert told == f"nothing can be written in {scratch}: Read-only file system"


def test_a_cache_that_disappears_is_told_and_made_anew_by_the_next_agent(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with session(root) as agent:
        push(agent, member("w", {})[1])
        shutil.rmtree(root)
        assert f"its cache {root} is gone" in cause(run(agent, member("w", {})))
    with session(root) as agent:
        assert run(agent, member("w", {})).members[0].status == "ok"


@pytest.mark.parametrize("who", ["agent", "runner", "both"])
def test_a_pause_makes_neither_a_timeout_nor_a_time(who: str, tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        runners = started(agent, {"sleep_s": 0.02}, limit_ns=4000 * MS, window_ns=1000 * MS, least=40)
        stopped = {"agent": [agent._transport.pid], "runner": runners}.get(
            who, [*runners, agent._transport.pid]
        )
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        assert "stopped" in cause(ended(agent))


def test_a_runner_that_stays_stopped_is_told_when_its_limit_is_over(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [runner] = started(agent, {"sleep_s": 0.02}, limit_ns=1000 * MS, window_ns=800 * MS, least=99)
        os.kill(runner, signal.SIGSTOP)
        assert "stopped" in cause(ended(agent))
        assert not alive(runner)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_runner_that_somebody_kills_did_not_crash(by: signal.Signals, tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [runner] = started(agent, {"sleep_s": 0.02}, limit_ns=4000 * MS, window_ns=2000 * MS, least=99)
        os.kill(runner, by)
        assert f"killed by {by.name}" in cause(ended(agent))


def test_a_long_sleep_of_the_machine_shows_in_its_clocks(tmp_path: Path) -> None:
    """Judged without a machine that can be suspended: the clocks are told to have gone apart."""
    root = tmp_path / "cache"
    (root / "scratch").mkdir(parents=True)
    with open(root / "agent.lock", "w") as lock:
        fine = {"members": [{"status": "ok", "samples": [[0, 10, 0, 0, 0, True]]}], "note": ""}
        watch = Watch(root, lock.fileno())
        watch.judge(fine, 5000 * MS, root / "scratch")
        watch.clocks["boot"] -= 8 * 3600 * 1000 * MS
        watch.clocks["wall"] -= 8 * 3600 * 1000 * MS
        with pytest.raises(Unfit, match=r"suspended for 28800\.\d s"):
            watch.judge(fine, 5000 * MS, root / "scratch")
        watch.begin()
        watch.slept(250 * MS, 6000 * MS)
        with pytest.raises(Unfit, match=r"stood still for 5\.8 s"):
            watch.judge(fine, 5000 * MS, root / "scratch")
        watch.begin()
        long = {
            "members": [{"status": "ok", "samples": [[0, 8 * 3600 * 1000 * MS, 0, 0, 0, True]]}],
            "note": "",
        }
        with pytest.raises(Unfit, match="under a limit of 5 s"):
            watch.judge(long, 5000 * MS, root / "scratch")
        watch.begin()
        watch.clocks["wall"] -= 3600 * 1000 * MS  # somebody set the clock: times are not taken from that one
        watch.judge(fine, 5000 * MS, root / "scratch")
        assert fine["note"] == "its clock of the wall was set by +3600 s while the job ran"


@pytest.mark.parametrize("left", [b"", b"{"], ids=["emptied", "cut"])
@pytest.mark.parametrize("where", ["store/{module}", "store/{input}", "runners/*/fake_run.py"])
def test_a_damaged_file_is_found_and_removed_and_sent_again(where: str, left: bytes, tmp_path: Path) -> None:
    content = b"{given"
    spec, module = member("w", {"read": "in"}, files={"in": (digest := sha256(content))})
    with session(tmp_path) as agent:
        push(agent, content)
        assert run(agent, (spec, module), limit_ns=9000 * MS).members[0].status == "ok"
        [path] = tmp_path.glob(where.format(module=spec["module"], input=digest))
        path.write_bytes(left)
        assert f"its copy of {path} was damaged" in cause(run(agent, (spec, module)))
        agent.forget()  # as the controller does
        push(agent, content)
        assert run(agent, (spec, module), limit_ns=9000 * MS).members[0].status == "ok"


def test_a_file_that_was_damaged_while_nobody_looked_is_asked_for_again(tmp_path: Path) -> None:
    spec, module = member("w", {})
    with session(tmp_path) as agent:
        run(agent, (spec, module))
    (tmp_path / "store" / spec["module"]).write_bytes(b"")
    with session(tmp_path) as agent:
        assert run(agent, (spec, module)).members[0].status == "ok"


def test_what_cannot_be_started_is_refused_and_the_agent_lives(tmp_path: Path) -> None:
    spec, module = member("w", {})
    with session(tmp_path) as agent:
        push(agent, module)
        assert "no processors [4000]" in cause(agent.run("d", job_spec(spec, cpus=[4000]), 60))
        gone = FAKE.spec("1.0") | {"program": "a-program-that-is-gone"}
        told = cause(agent.run("d", job_spec(spec) | {"engine": gone}, 60))
        assert told == "no a-program-that-is-gone on this device"
        agent._send(op="run", dataset="d", job=["nonsense"])
        agent._send(op="no such thing")
        agent._transport.send(b"{ no json")
        for _ in range(3):
            assert b'"error"' in agent._transport.receive(10)
        assert run(agent, (spec, module)).members[0].status == "ok"


def test_a_detection_that_hangs_leaves_no_process(tmp_path: Path) -> None:
    hanging = tmp_path / "hang.py"
    hanging.write_text(
        "import subprocess, time\nsubprocess.Popen(['sleep', '3333.1'], start_new_session=True)\ntime.sleep(99)\n"
    )
    code = "import harness.fleet.agent as a; a.DETECT_S = 1.0; a.main()"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nshift\nexec {sys.executable} -c '{code}' \"$@\"\n")
    python.chmod(0o755)
    data = hanging.read_bytes()
    agent = Session(LocalTransport(tmp_path / "cache", "tests", str(python)), "local")
    agent.push({sha256(data): lambda: data})
    spec = FAKE.spec() | {"files": {"hang.py": sha256(data)}, "entry": "hang.py"}
    [told] = agent.detect({"hang": spec}).values()
    assert "timed out" in told["absent"]
    assert not [pid for pid, command in processes() if command.startswith("sleep 3333.1")]
    agent.close()


def test_a_process_that_a_module_leaves_is_ended_with_its_job(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        assert run(agent, member("w", {"spawn": 3333.2})).members[0].status == "ok"
        assert not [pid for pid, command in processes() if command.startswith("sleep 3333.2")]


def test_nothing_lives_on_when_the_agent_is_killed_and_the_next_one_sweeps(tmp_path: Path) -> None:
    def left() -> list[int]:
        return [pid for pid, command in processes() if command.startswith("sleep 3333.3")]

    with session(tmp_path) as agent:
        started(agent, {"spawn": 3333.3, "sleep_s": 60}, limit_ns=60_000 * MS)
        wait_for(left)
        os.kill(agent._transport.pid, signal.SIGKILL)
        wait_for(lambda: not left())
    assert list((tmp_path / "scratch").iterdir())
    (tmp_path / "store" / ("0" * 64)).with_suffix(".part").write_bytes(b"half")
    with session(tmp_path):
        pass
    assert [*(tmp_path / "scratch").iterdir(), *(tmp_path / "store").glob("*.part")] == []


def test_an_unreadable_result_is_set_aside_once_and_its_device_goes_on(tmp_path: Path) -> None:
    spool = tmp_path / "spool" / "d"
    fine = {"job": "fine", "started_unix_ns": 1, "state_before": {}, "members": []}
    entries = {
        "torn": b'{"job": "torn", "mem',
        "empty": b"",
        "deep": b"[" * 100_000,
        "others": json.dumps(fine).encode(),
        "newer": json.dumps(fine | {"job": "newer", "members": [{"status": "a new one"}]}).encode(),
        "name": json.dumps(
            fine | {"job": "name", "members": [{"workload": "w" * 300, "status": "ok", "reason": "", "samples": []}]}
        ).encode(),
        "fine": json.dumps(fine).encode(),
    }  # fmt: skip
    spool.mkdir(parents=True)
    for name, data in entries.items():
        (spool / f"{name}.json").write_bytes(data)
    said: list[str] = []
    with session(tmp_path) as agent:
        assert [result.job for result in agent.spooled("d", said.append)] == ["fine"]
    assert len(said) == 6
    assert all("cannot be read and is set aside there; the job is done again" in text for text in said)
    with session(tmp_path) as agent:
        assert [result.job for result in agent.spooled("d", said.append)] == ["fine"]
    assert len(said) == 6
    aside = tmp_path / "aside"
    assert {path.stem for path in aside.glob("*.json")} == set(entries) - {"fine"}
    assert "300" in (aside / "name.reason").read_text() or "200" in (aside / "name.reason").read_text()


def test_a_runner_gets_none_of_the_controllers_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    nothing = {"exit_code": 0, "stdout_sha256": sha256(b"")}
    with session(tmp_path) as agent:
        [found] = run(agent, member("w", {"environment": "A_TOKEN"}, expect=nothing)).members
    assert (found.status, found.reason) == ("ok", "")


def test_a_module_cannot_fill_a_disk_with_one_file(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        [fits] = run(agent, member("w", {"bytes": 256 << 20})).members
        [found] = run(agent, member("w", {"bytes": (256 << 20) + 1})).members
    assert fits.status == "ok"
    assert found.status == "crash"
    assert "File too large" in found.reason


def test_a_sample_that_outlives_a_co_runner_is_not_covered() -> None:
    """One member failed at 450; that it ran is known until 310, where its last whole execution ended."""
    long, failed = (Member.__new__(Member) for _ in range(2))
    for one, times in ((long, [(100, 100), (200, 100), (300, 120)]), (failed, [(100, 110), (210, 100)])):
        one.spec, one.result, one.unsteady, one.disturbed = {"workload": "w"}, {"status": "ok"}, "", ""
        one.starts, one.walls = (array("q", column) for column in zip(*times, strict=True))
        one.chunks, one.warm_until_ns, one.loop_start_ns, one.limit_at_ns = [(0, 0.0, 0.0, 0)], 100, 100, 0
        one.running, one.enough, one.failure = one is long, False, None
    failed.failure = Failure("trap", "unreachable")
    summarise([long, failed], 450, {"keep": 200, "regime": "steady", "least": 3, "limit_ns": 1000})
    assert [taken[5] for taken in long.result["samples"]] == [True, True, False]
    assert failed.result["status"] == "trap"
