"""A program that is run to its end leaves nothing behind, however it or we end."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.processes import killed_by, run_to_end
from tests.conftest import ROOT

# A program that starts another, tells its number, and waits for it for longer than any test.
STARTS = "sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait"


def started(note: Path) -> int:
    deadline = time.monotonic() + 20
    while not note.exists():
        assert time.monotonic() < deadline, "it did not start"
        time.sleep(0.01)
    return int(note.read_text())


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + 20
    while runs(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.01)


def test_what_a_program_started_ends_with_its_time(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_to_end(["sh", "-c", STARTS.format(tmp_path / "pid")], within_s=0.5)
    wait_until_ended(started(tmp_path / "pid"))


def test_a_program_ends_with_this_process(tmp_path: Path) -> None:
    words = ["sh", "-c", f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 300"]
    code = f"from harness.processes import run_to_end; run_to_end({words!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as ours:
        pid = started(tmp_path / "pid")
        ours.kill()
    wait_until_ended(pid)


def test_ctrl_c_at_the_terminal_does_not_reach_it() -> None:
    done = run_to_end([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"])
    assert (done.stdout, os.getsid(0) == os.getpid()) == ("True\n", False)


def test_input_and_output_pass_through_whatever_bytes_they_are() -> None:
    done = run_to_end(["sh", "-c", r"cat; printf 'x\377' >&2; exit 3"], told="one\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "one\n", "x\N{REPLACEMENT CHARACTER}")


def test_who_ended_a_program_is_told_apart_from_how_it_failed() -> None:
    ended = {name: killed_by(run_to_end(["sh", "-c", f"kill -{name} $$"])) for name in ("KILL", "SEGV")}
    assert (ended, killed_by(run_to_end(["false"]))) == ({"KILL": "SIGKILL", "SEGV": ""}, "")


def test_all_that_is_run_for_its_answer_is_run_here() -> None:
    """But what a device runs by itself, and the user's own command, which has the terminal's stderr."""
    apart = {"harness/fleet/agent.py", "harness/measure/when_done.py"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "harness").rglob("*.py")
        if str(path.relative_to(ROOT)) not in apart
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr)
        in {("subprocess", n) for n in ("run", "call", "check_output", "check_call")}
    ]
    assert wrong == []
