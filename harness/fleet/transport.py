"""The interface of a transport: lines of bytes to and from one agent."""

from __future__ import annotations

import getpass
import os
from threading import BoundedSemaphore, Lock
from typing import Protocol

MAX_LINE_BYTES = 64 << 20
AT_ONCE = 8  # connections that are made through one server; sshd turns away some from ten on
_GATES: dict[str, BoundedSemaphore] = {}
_MAKING = Lock()


class LinkLost(Exception):
    """The agent cannot be heard any more; the text says what was seen."""


class Unreachable(Exception):
    """The device cannot be used as it is described, and trying again will not help; the text says what to do."""


class Transport(Protocol):
    def send(self, line: bytes) -> None:
        """Send one line (without its newline). Raises LinkLost."""

    def receive(self, timeout_s: float) -> bytes | None:
        """The next line, or None when none came in time. Raises LinkLost."""

    def close(self) -> None:
        """Hang up. The agent finishes and spools its running job."""


def gate(place: str) -> BoundedSemaphore:
    """What a connection to a server, or through one, is made under: few at a time.

    A server turns away at random those that come while many have not proved yet who they are (MaxStartups of sshd).
    """
    with _MAKING:
        return _GATES.setdefault(place, BoundedSemaphore(AT_ONCE))


def user() -> str:
    """Who runs this program; the number where it has no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return str(os.getuid())
