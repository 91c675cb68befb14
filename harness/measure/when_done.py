"""`harness collect --when-done`: a command of the user's that is told how the collection ended."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.errors import UsageError
from harness.files import real


def command_of(text: str) -> list[str]:
    """The words of a command, by a shell's rules of quoting; no shell runs it. Raises UsageError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"--when-done {text}: {error}; write it as one command with its arguments."
        ) from None
    if not words or not shutil.which(words[0]):
        raise UsageError(
            f"--when-done {text}: there is no program {words[0] if words else ''!r}; name one that is on the PATH."
        )
    return words


class WhenDone:
    """Runs the command at the end of its block, however that ended. With no command it does nothing.

    ``trouble`` says why the command failed, and is printed; it is empty where it did not. Raises UsageError at once
    where there is no such program.
    """

    def __init__(self, text: str | None, dataset: Path, console: Console) -> None:
        self._words = None if text is None else command_of(text)
        self._console, self._started = console, time.monotonic()
        self._told = {"HARNESS_DATASET": str(real(dataset)), "HARNESS_OUTCOME": "error"}
        self.trouble = ""

    def ended(self, rows: Sequence[Mapping[str, Any]], complete: bool) -> None:
        """``rows`` are those of `status`."""
        self._told["HARNESS_OUTCOME"] = "complete" if complete else "incomplete"
        for name in ("left", "failed"):
            self._told[f"HARNESS_{name.upper()}"] = str(sum(row.get(name, 0) for row in rows))

    def __enter__(self) -> WhenDone:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        if self._words is None:
            return
        self._told["HARNESS_MESSAGE"] = "" if error is None else str(error)
        self._told["HARNESS_SECONDS"] = f"{time.monotonic() - self._started:.0f}"
        self.trouble = _run(self._words, self._told)
        if self.trouble:
            self._console.print(self.trouble)


def _run(words: Sequence[str], told: Mapping[str, str]) -> str:
    """Run it with its output on stderr; why it failed, empty where it did not."""
    environment = {**os.environ, **{name: text.replace("\0", "") for name, text in told.items()}}
    try:
        ran = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=_stderr(), check=False)
    except OSError as error:
        return f"--when-done {words[0]} could not be run: {error.strerror or error}"
    return f"--when-done {words[0]} ended with exit code {ran.returncode}" if ran.returncode else ""


def _stderr() -> int:
    """Results stay alone on stdout."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return subprocess.DEVNULL
