"""The agent as a subprocess of the controller: the device ``local``."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import harness.fleet.agent
from harness.fleet.transport import MAX_LINE_BYTES, LinkLost

WRITE_S = 30.0


class LocalTransport:
    """Starts the agent in a session of its own, so that Ctrl-C at the terminal does not reach it."""

    def __init__(self, root: Path, controller: str, python: str = sys.executable) -> None:
        self._process = subprocess.Popen(
            [python, harness.fleet.agent.__file__, "--root", str(root), "--controller", controller],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        os.set_blocking(self._process.stdin.fileno(), False)
        self._to_agent, self._from_agent = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._buffer = bytearray()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: bytes) -> None:
        data = memoryview(line + b"\n")
        deadline = time.monotonic() + WRITE_S
        try:
            while data:
                try:
                    data = data[os.write(self._to_agent, data) :]
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise LinkLost(f"the agent took nothing for {WRITE_S:g} s") from None
                    ready(self._to_agent, select.POLLOUT, 1.0)
        except OSError as error:
            raise LinkLost(self._last_words()) from error

    def receive(self, timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > MAX_LINE_BYTES:
                raise LinkLost(f"the agent sent a line of more than {MAX_LINE_BYTES} bytes")
            if not ready(self._from_agent, select.POLLIN, max(0.0, deadline - time.monotonic())):
                return None
            data = os.read(self._from_agent, 1 << 20)
            if not data:
                raise LinkLost(self._last_words())
            self._buffer += data

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return  # it finishes its job and ends by itself
        if self._process.stderr:
            self._process.stderr.close()

    def _last_words(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the agent closed its channel"
        text = self._process.stderr.read(4096).decode(errors="replace") if self._process.stderr else ""
        last = text.strip().rpartition("\n")[2]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"the agent {how}{': ' + last if last else ''}"


def ready(fd: int, what: int, within_s: float) -> bool:
    """Whether a file can be read or written in time; its number may be any, which `select` does not take."""
    poll = select.poll()
    poll.register(fd, what)
    return bool(poll.poll(within_s * 1000))
