"""The loop that every Python runner shares. It runs on the device: standard library only, Python 3.8+.

A runner is the resident process of one workload in one job. The agent writes one JSON object a line to its
stdin and reads one a line from its stdout:

    {"cmd": "load", "module": PATH, "argv": [...], "stdin": PATH, "preopens": [[GUEST, PATH]], "artefacts": DIR,
     "version": V, "memory_bytes": N, "stdout": PATH,
     "artefact": null or {"path": PATH, "compile_ns": N, "cached": B}}
                    ->  {"event": "loaded", "compile_ns": N, "load_ns": N, "cached": B}
                        (compile_ns is null where each execution compiles anew; an artefact is what the controller
                         compiled, with the time that took there)
    {"cmd": "first"} -> {"event": "first", "times": PAIRS, "instantiate_ns": N or null, ..., "exit_code": N}
                        (the one execution whose output is kept, in ``stdout``)
    {"cmd": "run", "at_ns": T, "after": PATH, "until_ns": T, "least": N, "most_ns": T, "stop": PATH, "room": N,
     "look_ns": N or null}
                    ->  {"event": "looping", "start_ns": N}, {"event": "enough", "untold": N}, and
                        {"event": "ran", "times": PAIRS, "user_ns": N, "sys_ns": N, "max_rss_kb": N,
                         "exit_code": N, "last": B}

A run begins at ``at_ns``, and not before the file ``after`` exists. It has enough when it is past ``until_ns`` with at
least ``least`` executions, says so, and ends when the file ``stop`` exists (at once where ``stop`` is null), in any
case at ``most_ns``. With ``look_ns`` it tells what it has once it has run so long, and again each time it has run half
as long again, so that the agent sees when it knows enough.

Warming up, alone and together, every execution is recorded in this one way: two readings of the clock around it, kept
in an array that was there before. Nothing is said meanwhile; only an execution of TELL_NS or more, which is not
disturbed by that, is told at once, so that a run that is killed has lost no more than what it was just executing.
PAIRS is base64 of 64-bit integers, start and end of each execution, on the monotonic clock that all processes of the
device share. A trap is {"event": "trap", "reason": TEXT} and ends the runner; so does everything it cannot do, as
{"event": "fail", "reason": TEXT}, or as "unfit" where that is the device's trouble: a full disk, a file that is gone.
The agent ends a runner by killing it.
"""

from __future__ import annotations

import array
import base64
import errno
import gc
import json
import os
import re
import resource
import sys
import time
from typing import Any, Callable

SPIN_NS = 2_000_000
TELL_NS = 100_000_000  # an execution of this length is told when it ends
POLL_NS = 3_000_000  # how often it is looked whether the run is to end
COLLECT_NS = 50_000_000  # how often garbage is collected: between executions, so that it is no part of any
# What an operating system says, and an engine repeats, where it is not the module that failed.
DEVICE_TROUBLE = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error|Too many open files"
    r"|os error (5|12|23|24|28|30|122)\b"
)
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


def serve(engine: Any) -> None:
    """Answer the agent until it kills us.

    ``engine`` has load(command) -> dict and execute(stdout) -> exit code; perhaps ready(), called before each
    execution and not timed; settle(code) -> exit code, for a code that is not 0, not timed either; ``who``, whose
    processor time counts (by default its own); and ``instantiated_ns``, when the last execution had its instance.
    Raise Trap or Fail from any; what else goes wrong ends the runner, which the agent calls a crash.
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
                stdout = command["stdout"]
                gc.freeze()  # what was made so far is not looked at again and again
                gc.disable()
            elif command["cmd"] == "first":
                first(engine, stdout, say)
            elif command["cmd"] == "run":
                Run(engine, command, say).run()
    except (Trap, Fail) as told:
        kind = "unfit" if DEVICE_TROUBLE.search(str(told)) else "trap" if isinstance(told, Trap) else "fail"
        say(event=kind, reason=str(told)[:500])
    except (Unfit, MemoryError) as unfit:
        say(event="unfit", reason=str(unfit)[:500] or "its memory ran out")
    except OSError as error:
        if error.errno == errno.EFBIG:  # the module wrote more than it may
            raise
        place = "%s: " % error.filename if error.filename else ""
        say(event="unfit", reason=(place + (error.strerror or type(error).__name__))[:500])


def first(engine: Any, stdout: str, say: Callable[..., None]) -> None:
    """The execution whose output is kept."""
    run = Run(engine, {"room": 1}, say)
    start = now_ns()
    code = engine.execute(stdout)
    run.add(start, now_ns())
    instantiated = getattr(engine, "instantiated_ns", None)
    run.tell("first", run.settled(code), instantiate_ns=instantiated and instantiated - start)


def write_whole(path: str, data: bytes) -> None:
    """The file is there with all its bytes or not at all, whoever else writes it."""
    partial = "{}.{}".format(path, os.getpid())
    with open(partial, "wb") as file:
        file.write(data)
    os.replace(partial, path)


class Run:
    """Executions one after another, recorded."""

    def __init__(self, engine: Any, command: dict[str, Any], say: Callable[..., None]) -> None:
        self.engine, self.command, self.say = engine, command, say
        self.times = array.array("q", bytes(16 * command["room"]))  # start and end of each
        self.filled = self.told = 0
        self.who = getattr(engine, "who", resource.RUSAGE_SELF)
        self.used = resource.getrusage(self.who)

    def settled(self, code: int) -> int:
        return int(self.engine.settle(code)) if code and hasattr(self.engine, "settle") else code

    def add(self, start: int, end: int) -> None:
        self.times[0], self.times[1], self.filled = start, end, 2

    def tell(self, event: str, exit_code: int, **more: Any) -> None:
        """Say what was recorded since the last time."""
        before, self.used = self.used, resource.getrusage(self.who)
        pairs = base64.b64encode(self.times[self.told : self.filled].tobytes()).decode()
        self.told = self.filled
        self.say(
            event=event,
            times=pairs,
            user_ns=round((self.used.ru_utime - before.ru_utime) * 1e9),
            sys_ns=round((self.used.ru_stime - before.ru_stime) * 1e9),
            max_rss_kb=self.used.ru_maxrss,
            exit_code=exit_code,
            **more,
        )

    def run(self) -> None:
        command = self.command
        wait_until(command["at_ns"])
        while command["after"] and not os.path.exists(command["after"]):
            time.sleep(0.0001)
        self.say(event="looping", start_ns=now_ns())
        try:
            look = command.get("look_ns")
            code = self.loop(
                command["until_ns"], 2 * command["least"], command["most_ns"], command["stop"], look
            )
        except (Trap, Fail):
            self.tell("ran", 0, last=True)
            raise
        self.tell("ran", code, last=True)

    def loop(self, until: int, least: int, most: int, stop: str | None, look_ns: int | None) -> int:
        """Execute to the end of the run; the exit code of the last execution."""
        times, room, nowhere, clock = self.times, len(self.times), os.devnull, time.monotonic_ns
        execute, ready = self.engine.execute, getattr(self.engine, "ready", bool)
        first_code, look, enough, at, collected = None, 0, False, 0, clock()
        began, tell_at = collected, collected + (look_ns or 0)
        while True:
            ready()
            start = clock()
            code = execute(nowhere)
            end = clock()
            if at < room:  # what comes after a full array is load only
                times[at] = start
                times[at + 1] = end
                self.filled = at = at + 2
            if code:
                code = self.settled(code)
            if first_code is None:
                first_code = code
            if look_ns and end >= tell_at:
                self.tell("ran", code, last=False)
                look_ns += look_ns // 2
                tell_at = began + look_ns
            elif end - start >= TELL_NS:
                self.tell("ran", code, last=False)
            if code != first_code or end >= most:
                return int(code)
            if not enough and end >= until and (at >= least or at == room):
                if stop is None:
                    return int(code)
                enough = True
                self.say(event="enough", untold=(at - self.told) // 2)
            if end >= look and stop:
                if os.access(stop, os.F_OK):  # a third of what asking by an exception costs
                    return int(code)
                look = end + POLL_NS
            if end - collected >= COLLECT_NS:
                gc.collect()
                collected = clock()
