"""The loop that every Python runner shares. It runs on the device: standard library only, Python 3.8+.

A runner is the resident process of one workload in one job. The agent writes one JSON object a line to its
stdin and reads one a line from its stdout:

    {"cmd": "load", "module": PATH, "argv": [...], "stdin": PATH, "preopens": [[GUEST, PATH]], "artefacts": DIR,
     "version": V, "memory_bytes": N, "artefact": null or {"path": PATH, "compile_ns": N, "cached": B}}
                                   ->  {"event": "loaded", "compile_ns": N, "load_ns": N, "cached": B}
                                       (compile_ns is null where each execution compiles anew; an artefact is
                                        what the controller compiled, with the time that took there)
    {"cmd": "warm", "stdout": PATH} ->  {"event": "warm", "sample": [...], "exit_code": N}
    {"cmd": "loop", "at_ns": T, "after": PATH, "record": PATH, "report": N, "keep_running": B}
                                   ->  {"event": "looping", "start_ns": N}, then N times
                                       {"event": "sample", "sample": [...], "exit_code": N}, then {"event": "done"}

The loop starts at T, and not before the file ``after`` exists. Until the file ``record`` exists it is load only. With
``keep_running`` it goes on after the N samples and reports sums instead, about every 50 ms:
{"event": "more", "count": N, "wall_ns": SUM, "until_ns": T, "exit_code": N}.

A sample is [start_ns, wall_ns, user_ns, sys_ns, max_rss_kb], clocks monotonic and shared by all processes of the
device. A trap is {"event": "trap", "reason": TEXT} and ends the runner; so does everything it cannot do, as
{"event": "fail", "reason": TEXT}, or as "unfit" where that is the device's trouble: a full disk, a file that is gone.
The agent ends a loop by killing the process.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import time
from typing import Any, Callable

SPIN_NS = 2_000_000
CHUNK_NS = 50_000_000
EMPTY_MODULE = (  # one page of memory and a _start that does nothing
    b"\0asm\1\0\0\0" b"\1\4\1\x60\0\0" b"\3\2\1\0" b"\5\3\1\0\1"
    b"\7\x13\2\6memory\2\0\6_start\0\0" b"\n\4\1\2\0\x0b"
)  # fmt: skip


class Trap(Exception):
    """The module trapped; the text is the engine's."""


class Fail(Exception):
    """The engine refused the module or could not be used."""


class Unfit(Exception):
    """Something on the device keeps the module from being measured, through no fault of the module or the engine."""


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def wait_until(at_ns: int) -> None:
    """Sleep, then spin the last two milliseconds, so that all members of a job start together."""
    while True:
        left = at_ns - now_ns()
        if left <= 0:
            return
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)


def sample(engine: Any, stdout: str) -> tuple[list[int], int]:
    """One timed execution: ([start_ns, wall_ns, user_ns, sys_ns, max_rss_kb], exit_code).

    An engine that runs in a process of its own has ``timed(stdout)``, which gives the same.
    """
    if hasattr(engine, "timed"):
        taken: tuple[list[int], int] = engine.timed(stdout)
        return taken
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = now_ns()
    exit_code = engine.execute(stdout)
    wall = now_ns() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    return [
        start,
        wall,
        round((after.ru_utime - before.ru_utime) * 1e9),
        round((after.ru_stime - before.ru_stime) * 1e9),
        after.ru_maxrss,
    ], exit_code


def serve(engine: Any) -> None:
    """Answer the agent until it kills us. ``engine`` has load(command) -> dict and execute(stdout) -> exit code.

    Raise Trap or Fail from either; what else goes wrong ends the runner, which the agent calls a crash.
    """
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not reach the channel

    def say(**message: Any) -> None:
        channel.write(json.dumps(message, separators=(",", ":")) + "\n")

    try:
        say(event="started")
        for line in sys.stdin:
            command = json.loads(line)
            if command["cmd"] == "load":
                say(event="loaded", **engine.load(command))
            elif command["cmd"] == "warm":
                taken, exit_code = sample(engine, command["stdout"])
                say(event="warm", sample=taken, exit_code=exit_code)
            elif command["cmd"] == "loop":
                loop(engine, command, say)
    except Trap as trap:
        say(event="trap", reason=str(trap)[:500])
    except Fail as fail:
        say(event="fail", reason=str(fail)[:500])
    except (Unfit, MemoryError) as unfit:
        say(event="unfit", reason=str(unfit)[:500] or "its memory ran out")
    except OSError as error:
        if error.errno == errno.EFBIG:  # the module wrote more than it may
            raise
        say(event="unfit", reason=str(error)[:500])


def write_whole(path: str, data: bytes) -> None:
    """The file is there with all its bytes or not at all, whoever else writes it."""
    partial = "{}.{}".format(path, os.getpid())
    with open(partial, "wb") as file:
        file.write(data)
    os.replace(partial, path)


def loop(engine: Any, command: dict[str, Any], say: Callable[..., None]) -> None:
    wait_until(command["at_ns"])
    while command["after"] and not os.path.exists(command["after"]):
        time.sleep(0.0001)
    say(event="looping", start_ns=now_ns())
    while command["record"] and not os.path.exists(command["record"]):
        sample(engine, os.devnull)
    for _ in range(command["report"]):
        taken, exit_code = sample(engine, os.devnull)
        say(event="sample", sample=taken, exit_code=exit_code)
    say(event="done")
    while command["keep_running"]:
        count, total_ns, since_ns = 0, 0, now_ns()
        while count == 0 or taken[0] + taken[1] - since_ns < CHUNK_NS:
            taken, exit_code = sample(engine, os.devnull)
            count, total_ns = count + 1, total_ns + taken[1]
        say(event="more", count=count, wall_ns=total_ns, until_ns=taken[0] + taken[1], exit_code=exit_code)
