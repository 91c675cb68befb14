"""Where a collection comes from: its label and tags, the command line, and the commit it was begun at."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.dataset.info import Origin
from harness.errors import UsageError
from harness.processes import run_to_end

LONGEST = 200  # letters of a label or of a tag's text
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,50}")
_PATIENCE_S = 10.0


def origin_of(label: str, tags: Sequence[str]) -> Origin:
    """``tags`` are written NAME=TEXT. Raises UsageError."""
    found = {}
    for tag in tags:
        name, equals, text = tag.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise UsageError(f"--tag {tag} must be NAME=TEXT, such as commit=1a2b3c.")
        found[name] = _line(f"--tag {name}", text)
    program = Path(sys.argv[0]).name if sys.argv else ""
    return Origin(_line("--label", label), found, (program, *sys.argv[1:]), commit())


def _line(option: str, text: str) -> str:
    if len(text) > LONGEST or not text.isprintable():
        raise UsageError(f"{option} must be one line of at most {LONGEST} printable letters.")
    return text.strip()


def commit(folder: Path | None = None) -> str:
    """The commit of the git repository around a folder (this one by default), ``-dirty`` where files differ from it.

    Empty where there is no repository, or git does not tell.
    """
    head = _git(folder, "rev-parse", "--verify", "HEAD")
    if not head:
        return ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


def _git(folder: Path | None, *words: str) -> str:
    try:
        ran = run_to_end(["git", *words], cwd=folder, within_s=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
