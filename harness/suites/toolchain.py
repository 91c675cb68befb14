"""The C compiler and the archiver: `ziglang`, a package that is installed with harness."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from harness.errors import SuiteError
from harness.processes import run_to_end

# What ziglang calls a device's processor; programs for it need a C library of 2018 or later there.
TARGETS = {"x86_64": "x86_64-linux-gnu.2.28", "aarch64": "aarch64-linux-gnu.2.28"}


def compiler() -> str:
    """Its name and version. Raises SuiteError where it is not installed."""
    try:
        return f"ziglang {metadata.version('ziglang')}"
    except metadata.PackageNotFoundError:
        raise SuiteError(
            "no C compiler to build the suites with; install it with: pip install ziglang"
        ) from None


def compile_c(what: str, arguments: Sequence[str], sources: Sequence[str], target: Path, cwd: Path) -> None:
    """Make `target` from `sources`, named relative to `cwd`. Raises SuiteError with the first error."""
    _run(what, ["cc", *arguments, *sources, "-o", str(target)], target, cwd)


def archive(what: str, objects: Sequence[Path], target: Path, cwd: Path) -> None:
    """Put `objects` into a static library, with no times or owners in it."""
    names = [str(path.relative_to(cwd)) for path in objects]
    _run(what, ["ar", "rcsD", str(target), *names], target, cwd)


def _run(what: str, arguments: Sequence[str], target: Path, cwd: Path) -> None:
    command = [sys.executable, "-m", "ziglang", *arguments]
    done = run_to_end(command, cwd=cwd)
    if done.returncode != 0 or not target.exists():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        first = next((line for line in lines if "error:" in line), lines[0] if lines else "no message")
        raise SuiteError(f"{what} does not compile: {first}; correct the source.")
