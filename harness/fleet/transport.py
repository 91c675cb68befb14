"""The interface of a transport: lines of bytes to and from one agent."""

from __future__ import annotations

import getpass
import os
from typing import Protocol

MAX_LINE_BYTES = 64 << 20


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


def user() -> str:
    """Who runs this program; the number where it has no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return str(os.getuid())
