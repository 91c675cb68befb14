"""Starts a command as a process and times it. Device side: Python 3.8+, Linux, beside runner.py.

The process is made by posix_spawn: nothing of this one is copied first and thrown away by the new program, so what is
timed is the starting of the program, as any shell or hyperfine would start it. All that a process is given is settled
before: its files are open, and limits and fences are those of this process, which it inherits.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from typing import Any

import runner

PR_SET_PDEATHSIG = 1
WORDS_BYTES = 16 << 10  # how much of an engine's last words is looked at
DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores them


class Output:
    """A file that a process writes to, emptied for the next one."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def empty(self) -> None:
        if os.fstat(self.fd).st_size:  # most write nothing, and to ask is cheaper than to change a file
            os.ftruncate(self.fd, 0)

    def read(self) -> bytes:
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)

    def rewrite(self, data: bytes) -> None:
        self.empty()
        while data:
            data = data[os.write(self.fd, data) :]

    def tail(self) -> str:
        size = os.fstat(self.fd).st_size
        return os.pread(self.fd, WORDS_BYTES, max(0, size - WORDS_BYTES)).decode("utf-8", "replace")


class Spawned:
    """A command that can be run again and again, each time as a new process, in the current directory."""

    def __init__(self, program: str, command: list[str], environment: dict[str, str], stdin: str) -> None:
        self.program, self.command, self.environment = program, command, environment
        self.stdin = os.open(stdin, os.O_RDONLY | os.O_CLOEXEC)

    def files(self, stdout: int, stderr: int) -> list[tuple[int, int, int]]:
        """What `run` gives a process as its three files."""
        dup = os.POSIX_SPAWN_DUP2
        return [(dup, self.stdin, 0), (dup, stdout, 1), (dup, stderr, 2)]

    def rewind(self) -> None:
        os.lseek(self.stdin, 0, os.SEEK_SET)

    def run(self, files: list[tuple[int, int, int]]) -> int:
        """Start it and wait for its end: the wait status.

        Raises OSError where it cannot be started, Unfit where somebody stops it: its time would hold the pause.
        """
        pid = os.posix_spawn(
            self.program, self.command, self.environment, file_actions=files, setsigdef=DEFAULT_SIGNALS
        )
        status = os.waitpid(pid, os.WUNTRACED)[1]
        if os.WIFSTOPPED(status):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise runner.Unfit("%s was stopped by %s" % (self.command[0], name_of(os.WSTOPSIG(status))))
        return status


def name_of(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), "signal %d" % number)


def end_with_parent() -> None:
    """When the agent dies, end this process and what it has started, which the kernel would leave running."""

    def end(*_: object) -> None:
        os.killpg(os.getpgrp(), signal.SIGKILL)

    if os.getpgrp() != os.getpid():
        return  # not started by an agent
    parent = os.getppid()
    signal.signal(signal.SIGTERM, end)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the agent is gone")


def fill(words: list[str], values: dict[str, Any], several: dict[str, list[str]] | None = None) -> list[str]:
    """Put values in the place of ``{name}``; a word that is one of ``several`` becomes all of its words."""
    filled = []
    for word in words:
        if several and word[1:-1] in several and word == "{%s}" % word[1:-1]:
            filled += several[word[1:-1]]
        else:
            filled.append(re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), word))
    return filled


def last_line(text: str) -> str:
    return (text.strip().rpartition("\n")[2] or "it says nothing")[:300]


def complaint(text: str) -> str:
    """The first line that names what is wrong, or the last line."""
    found = re.search(r"(?im)^.*?((?:undefined reference|error:|error ).*)$", text)
    return found.group(1)[:300] if found else last_line(text)
