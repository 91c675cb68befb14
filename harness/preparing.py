"""What comes before measuring: built modules, checked outputs, counted opcodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.build import build, verify
from harness.errors import UnknownName
from harness.progress import bar
from harness.suites import Suite, load_suites

STARTUP = "startup/none/empty"


def build_and_verify(
    names: Sequence[str], root: Path | None, console: Console, *, force: bool = False
) -> list[dict[str, Any]]:
    """Build the named suites, or all, and run every module once. A row per workload."""
    suites = choose_suites(names, root)
    with bar(console, "building", sum(len(suite.recipes) for suite in suites)) as progress:
        built = build(suites, force=force, progress=lambda one: progress.advance(one.workload))
    workloads = {w.name: w for suite in suites for w in suite.workloads}
    rows = []
    with bar(console, "checking outputs", len(built)) as progress:
        for one in built:
            wrong = verify(workloads[one.workload])
            fixed = workloads[one.workload].expect.stdout_sha256 is not None
            rows.append(
                {"workload": one.workload, "bytes": one.bytes, "sha256": one.sha256, "compiled": one.compiled,
                 "output": wrong or ("as expected" if fixed else "not fixed")}
            )  # fmt: skip
            progress.advance(one.workload)
    return rows


def choose_suites(names: Sequence[str], root: Path | None) -> list[Suite]:
    suites = load_suites(root)
    for name in names:
        if name not in suites:
            raise UnknownName("suite", name, suites)
    return [suite for name, suite in suites.items() if not names or name in names]
