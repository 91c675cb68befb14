"""What comes before measuring: built modules and checked outputs."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.errors import UnknownName
from harness.output import Column
from harness.progress import bar
from harness.suites.build import Built, build, hash_if_there
from harness.suites.catalogue import load_suites, select
from harness.suites.execute import MEMORY_BYTES
from harness.suites.suite import Suite
from harness.suites.verified import LIMIT_S, judge

STARTUP = "startup/none/empty"
BUILD_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name"),
    Column("bytes", "bytes", True, "size of the module"),
    Column("sha256", "sha256", meaning="of the module; the first 16 digits in the table for people"),
    Column("compiled", "compiled", meaning="whether it was compiled now"),
    Column(
        "output",
        "output",
        meaning="as expected, ran (the suite does not say what it prints), or what is wrong",
    ),
]


def build_and_verify(
    names: Sequence[str],
    root: Path | None,
    console: Console,
    *,
    force: bool = False,
    limit_s: float = LIMIT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> list[dict[str, Any]]:
    """Build what is named, or every suite but the optional ones, and check what each module prints.

    A row per workload. A module found right once is not run again while it, its files, its arguments and what is
    expected stay the same; `force` runs all. Each may run for `limit_s` seconds and have `memory_bytes` of memory.
    """
    suites = choose_suites(names, root)
    built = build_shown(suites, console, force=force)
    recipes = {r.workload: (suite, w, r) for suite in suites for w, r in suite.pairs()}

    with bar(console, f"running each, {limit_s:g} s at most", len(built)) as progress:

        def row(one: Built) -> dict[str, Any]:
            suite, workload, recipe = recipes[one.workload]
            output = judge(suite, workload, recipe, force=force, limit_s=limit_s, memory_bytes=memory_bytes)
            progress.advance(one.workload)
            return {
                "workload": one.workload, "bytes": one.bytes, "sha256": one.sha256, "compiled": one.compiled,
                "output": output,
            }  # fmt: skip

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(row, built))


def refused_rows(refused: Mapping[Path, str]) -> list[dict[str, Any]]:
    """Rows like those of `build_and_verify` for modules that were not imported: what is wrong with each."""
    return [
        {
            "workload": path.name, "bytes": path.stat().st_size, "sha256": hash_if_there(path) or "",
            "compiled": False, "output": f"not imported: {reason}",
        }
        for path, reason in refused.items()
    ]  # fmt: skip


def build_shown(
    suites: list[Suite], console: Console, *, force: bool = False, checks: bool = True
) -> list[Built]:
    """Build under a bar whose time counts from the first module on, so that what comes before spoils no estimate."""
    total, lock = sum(len(suite.recipes) for suite in suites), threading.Lock()
    begun = False
    with bar(console, "building", total) as progress:

        def advance(one: Built) -> None:
            nonlocal begun
            with lock:
                if not begun:
                    progress.restart()
                    begun = True
                progress.advance(one.workload)

        return build(suites, force=force, checks=checks, progress=advance, say=console.print)


def choose_suites(names: Sequence[str], root: Path | None) -> list[Suite]:
    """The suites that `names` are, or whose workloads they name, each with these workloads only.

    Without names: every suite but the optional ones.
    """
    suites = load_suites(root)
    workloads = {w.name: w for suite in suites.values() for w in suite.workloads}
    for name in names:
        if "/" not in name and "*" not in name and name not in suites:
            raise UnknownName("suite", name, suites)
    chosen = {workload.name for workload in select(workloads, names, heavy=True)}
    return [part for suite in suites.values() if (part := suite.only(chosen)).workloads]
