"""Commands under any kind of stdout: a process that has imported everything and forks once for each.

`python -m tests.cli.forking` reads a `Case` as a line of JSON and answers with an `Ended` as one.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

PATIENCE_S = 120.0
LONGEST_SILENT_S = 20.0
WROTE = threading.Event()
# As Python opens stdout: strictly, but under LC_ALL=C, where it takes any byte for a letter.
ENCODINGS = {
    "utf-8": ("utf-8", "strict"),
    "latin-1": ("latin-1", "strict"),
    "cp1252": ("cp1252", "strict"),
    "ascii": ("ascii", "strict"),
    "C": ("utf-8", "surrogateescape"),
}
NOT_NEEDED = re.compile(r"\.runners(\.|$)|\.__main__$|\.fleet\.agent$")


@dataclass(frozen=True)
class Case:
    words: list[str]
    encoding: str
    width: int
    sink: str  # tty, pipe, file, closed or full
    folder: str  # where it works
    stop: bool = False  # one that goes on until Ctrl-C


@dataclass(frozen=True)
class Ended:
    code: int
    out: bytes
    err: bytes
    seconds: float


@contextlib.contextmanager
def forking(**env: str) -> Iterator[Forking]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.forking"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | env,
    )  # fmt: skip
    try:
        yield Forking(server)
    finally:
        server.communicate()


class Forking:
    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def __call__(self, case: Case) -> Ended:
        assert self._server.stdin and self._server.stdout
        print(json.dumps(asdict(case)), file=self._server.stdin, flush=True)
        told = json.loads(self._server.stdout.readline())
        return Ended(
            told["code"], *(told[name].encode("latin-1") for name in ("out", "err")), told["seconds"]
        )


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import_all()
    for line in sys.stdin:
        case = Case(**json.loads(line))
        words = [os.fsdecode(word.encode("utf-8", "surrogateescape")) for word in case.words]
        ended = run(replace(case, words=words))
        told = asdict(ended) | {"out": ended.out.decode("latin-1"), "err": ended.err.decode("latin-1")}
        print(json.dumps(told), file=answers, flush=True)


def import_all() -> None:
    import harness
    import pitot_core

    for package in (harness, pitot_core):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not NOT_NEEDED.search(module.name):
                importlib.import_module(module.name)
    import pyarrow.csv
    import pyarrow.json  # noqa: F401

    from harness import cli
    from harness.cli.app import click_command

    for name in ("", *click_command("").commands):
        click_command(name)
    sys.argv = ["harness", "predict", "--help"]  # and what typer and rich import when they are used
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main()
    gc.collect()
    gc.freeze()


def run(case: Case) -> Ended:
    """The command in a process of its own, whose stdout is as the case says; on a terminal, stderr too."""
    out, theirs = None, None
    if case.sink == "tty":
        out, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, case.width, 0, 0))
    elif case.sink == "pipe":
        out, theirs = os.pipe()
    elif case.sink == "file":
        theirs = os.open(Path(case.folder, "stdout"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    elif case.sink == "full":
        theirs = os.open("/dev/full", os.O_WRONLY)
    err, their_err = os.pipe()
    started, process = time.monotonic(), os.fork()
    if process == 0:
        os.setpgid(0, 0)
        for ours in (out, err):
            if ours is not None:
                os.close(ours)
        os._exit(command(case, theirs, their_err))
    for their in (theirs, their_err):
        if their is not None:
            os.close(their)
    try:
        sent = read_all([err] if out is None else [err, out], started + PATIENCE_S)
    except TimeoutError:
        os.killpg(process, signal.SIGKILL)
        sent = {err: b"it never ended"}
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if case.sink == "file":
        sent[-1] = Path(case.folder, "stdout").read_bytes()
    return Ended(code, sent.get(-1 if out is None else out, b""), sent[err], time.monotonic() - started)


def read_all(handles: list[int], until: float) -> dict[int, bytes]:
    """What each is sent until its writers are gone."""
    sent, left = dict.fromkeys(handles, b""), set(handles)
    while left:
        ready = select.select(left, [], [], max(0.0, until - time.monotonic()))[0]
        if not ready:
            raise TimeoutError
        for handle in ready:
            try:
                more = os.read(handle, 65536)
            except OSError:  # the end, on a terminal
                more = b""
            sent[handle] += more
            if not more:
                left.discard(handle)
                os.close(handle)
    return sent


def command(case: Case, out: int | None, err: int) -> int:
    """Run it as Python would when started anew, down to what it does at the end. Returns the exit code."""
    if case.sink == "tty":
        assert out is not None
        os.dup2(out, 0)
        os.dup2(out, 2)
    else:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(err, 2)
    if out is None:
        os.close(1)
    else:
        os.dup2(out, 1)
    os.closerange(3, 1000)
    os.chdir(case.folder)
    os.environ.pop("COLUMNS", None)
    if case.sink != "tty":
        os.environ["COLUMNS"] = str(case.width)
    os.environ["TERM"] = "xterm-256color"
    encoding, errors = ENCODINGS[case.encoding]
    sys.argv = ["harness", *case.words]
    sys.stdin = open(0, encoding=encoding)  # noqa: SIM115
    sys.stdout = None if out is None else opened(1, encoding, errors)  # type: ignore[assignment]
    sys.stderr = opened(2, encoding, "backslashreplace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if case.stop:
        threading.Thread(target=interrupted, daemon=True).start()
    from harness import cli

    code = 0
    try:
        cli.main()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 0 if leave.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        sys.stdout.flush()
    except BaseException:
        print("Exception ignored at exit", file=sys.stderr)
        code = 120
    sys.stderr.flush()
    return code


class Telling(io.FileIO):
    """A stream that says when something came to it."""

    def write(self, data: Any) -> int:
        WROTE.set()
        return super().write(data)


def interrupted() -> None:
    """Ctrl-C once something is shown, however slow the machine is; `watch` shows nothing on stdout."""
    WROTE.wait(LONGEST_SILENT_S)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)


def opened(handle: int, encoding: str, errors: str) -> io.TextIOWrapper:
    raw = (io.FileIO if handle == 2 and sys.argv[1:2] != ["watch"] else Telling)(handle, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=raw.isatty()
    )


if __name__ == "__main__":
    serve()
