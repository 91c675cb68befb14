"""What comes before measuring: built modules, checked outputs, counted opcodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.build import build, verify
from harness.counting import count_workload
from harness.errors import ModuleError, UnknownName
from harness.opcodes import check_module
from harness.opcodes import count as count_module
from harness.progress import bar
from harness.suites import Suite, load_suites, load_workloads, select

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


def counts_table(names: Sequence[str], root: Path | None, console: Console) -> list[dict[str, Any]]:
    """A row per workload and opcode, most frequent first. A name that ends in .wasm is a file."""
    files = [Path(name) for name in names if name.endswith(".wasm")]
    patterns = [name for name in names if not name.endswith(".wasm")]
    counted: list[tuple[str, dict[str, int]]] = []
    for path in files:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModuleError(f"{path} cannot be read: {error.strerror}.") from error
        check_module(data, str(path))
        counted.append((str(path), count_module(data, argv=[path.name]).opcodes))
    if patterns or not files:
        workloads = select(load_workloads(root), patterns)
        with bar(console, "counting", len(workloads)) as progress:
            for workload in workloads:
                counted.append((workload.name, count_workload(workload).opcodes))
                progress.advance(workload.name)
    return [
        {"workload": name, "opcode": opcode, "count": count}
        for name, opcodes in counted
        for opcode, count in sorted(opcodes.items(), key=lambda pair: -pair[1])
    ]
