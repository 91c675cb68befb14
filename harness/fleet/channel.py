"""An agent behind a program's stdin and stdout: a local one, or one that a command such as ``ssh`` leads to."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from threading import Thread

from harness.fleet.transport import MAX_LINE_BYTES, LinkLost

WRITE_S = 30.0
LAST_WORDS_BYTES = 1 << 16


class Lines(ABC):
    """Lines to and from an agent over a channel of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def send(self, line: bytes) -> None:
        self.send_bytes(line + b"\n")

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
            data = self._piece(max(0.0, deadline - time.monotonic()))
            if data is None:
                return None
            self._buffer += data

    @abstractmethod
    def send_bytes(self, content: bytes) -> None:
        """Send content as it is. Raises LinkLost."""

    @abstractmethod
    def _piece(self, within_s: float) -> bytes | None:
        """Some bytes that came, or None when none came in time. Raises LinkLost where none will."""


class Pipe(Lines):
    """A program in a session of its own, so that Ctrl-C at the terminal does not reach it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
        assert self._process.stdin and self._process.stdout
        os.set_blocking(self._process.stdin.fileno(), False)
        self._to_agent, self._from_agent = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._said: deque[bytes] = deque()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send_bytes(self, content: bytes) -> None:
        data = memoryview(content)
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
            raise LinkLost(self.ended()) from error

    def _piece(self, within_s: float) -> bytes | None:
        if not ready(self._from_agent, select.POLLIN, within_s):
            return None
        data = os.read(self._from_agent, 1 << 20)
        if not data:
            raise LinkLost(self.ended())
        return data

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it finishes its job and ends by itself
            self._process.wait(timeout=5)

    def kill(self) -> None:
        """End the program at once, without waiting for what it leads to."""
        self._process.kill()
        self.close()

    def exit_code(self) -> int | None:
        """How the program ended; None while it lives on after its output has ended."""
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return None

    def said(self) -> str:
        """The last that it wrote to stderr."""
        self._listener.join(1.0)
        return b"".join(self._said).decode(errors="replace").strip()

    def ended(self) -> str:
        """What became of it, in words."""
        code = self.exit_code()
        if code is None:
            return "the agent closed its channel"
        last = self.said().rpartition("\n")[2][:300]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"the agent {how}{': ' + last if last else ''}"

    def _listen(self) -> None:
        """Keep the end of stderr, so that a program that writes much there is not held up."""
        assert self._process.stderr
        size = 0
        with self._process.stderr as stream, contextlib.suppress(OSError, ValueError):
            while data := os.read(stream.fileno(), 1 << 12):
                self._said.append(data)
                size += len(data)
                while size > LAST_WORDS_BYTES:
                    size -= len(self._said.popleft())


def ready(fd: int, what: int, within_s: float) -> bool:
    """Whether a file can be read or written in time; its number may be any, which `select` does not take."""
    poll = select.poll()
    poll.register(fd, what)
    return bool(poll.poll(within_s * 1000))
