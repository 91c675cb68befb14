"""`harness count`: the programs that were asked for, as a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.counting import (
    Program,
    count_program,
    describe,
    opcode_rows,
    program_of,
    program_of_file,
    workload_rows,
)
from harness.dataset import Dataset
from harness.opcodes.tables import CATEGORIES
from harness.progress import bar
from harness.show import Column, Form
from harness.suites import Workload, load_workloads, select


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for; a name that ends in .wasm is a file."""

    names: Sequence[str]
    args: Sequence[str]
    stdin: Path | None
    directories: Sequence[str]
    benchmarks: Path | None
    opcodes: bool
    verify: bool
    slowdown: bool
    fresh: bool


def count_all(wanted: Wanted, output: Path | None, console: Console) -> list[dict[str, Any]]:
    """A row per program, or per program and opcode. Workloads go into the dataset too where one is named."""
    files = [
        program_of_file(Path(name), wanted.args, wanted.stdin, wanted.directories)
        for name in wanted.names
        if name.endswith(".wasm")
    ]
    patterns = [name for name in wanted.names if not name.endswith(".wasm")]
    workloads = select(load_workloads(wanted.benchmarks), patterns) if patterns or not files else []
    dataset = Dataset.open_or_create(output) if output else None
    rows = []
    with bar(console, "counting", len(files) + len(workloads)) as progress:
        programs: list[Program | Workload] = [*files, *workloads]
        for one in programs:
            with _program(one) as program:
                counts = count_program(program, use_cache=not wanted.fresh)
                if wanted.opcodes:
                    rows += opcode_rows(program.name, counts)
                else:
                    rows.append(describe(program, counts, slowdown=wanted.slowdown, check=wanted.verify))
            progress.advance(one.name)
    if dataset:
        known = {row["workload"]: row for row in dataset.workloads().to_pylist()}
        dataset.put_workloads(workload_rows(workloads, known))
    return rows


def count_columns(wanted: Wanted, form: Form) -> list[Column]:
    if wanted.opcodes:
        names = ("workload", "opcode", "byte", "class")
        return [*(Column(name, name) for name in names), Column("count", "count", True)]
    columns = [Column("workload", "workload"), Column("total", "total", True)]
    columns += [Column(name, name, True) for name in CATEGORIES if name != "other"]
    columns += [Column("wall_ns", "time", True), Column("ended", "ended")]
    columns += [Column("slowdown", "slowdown", True)] * wanted.slowdown
    columns += [Column("interpreter", "interpreter")] * wanted.verify
    return columns + [Column("opcodes", "opcodes")] * (form is Form.json)


@contextlib.contextmanager
def _program(one: Program | Workload) -> Iterator[Program]:
    if isinstance(one, Program):
        yield one
    else:
        with program_of(one) as program:
            yield program
