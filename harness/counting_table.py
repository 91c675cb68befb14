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
from harness.opcodes.instruction_set import CATEGORIES
from harness.progress import bar
from harness.show import Column, Form
from harness.suites import Workload, load_workloads, select

COUNT_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name, or the path of the module"),
    Column("total", "total", True, "opcodes executed"),
    *(Column(name, name, True, f"of them {name}") for name in CATEGORIES if name != "other"),
    Column("wall_ns", "time", True, "ns that counting took"),
    Column("ended", "ended", meaning="exit code, or the trap"),
    Column("slowdown", "slowdown", True, "time while counted over time while not; with --slowdown"),
    Column("interpreter", "interpreter", meaning="whether the interpreter agrees; with --verify"),
    Column("opcodes", "opcodes", meaning="count of each opcode by name; with --json"),
]
OPCODE_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name, or the path of the module"),
    Column("opcode", "opcode", meaning="name in the text format"),
    Column("byte", "byte", meaning="encoding, with the number behind the prefix"),
    Column("class", "class", meaning="int, float, memory, control…"),
    Column("count", "count", True, "times executed"),
]


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
        return OPCODE_COLUMNS
    left_out = {
        "slowdown": not wanted.slowdown,
        "interpreter": not wanted.verify,
        "opcodes": form is not Form.json,
    }
    return [column for column in COUNT_COLUMNS if not left_out.get(column.key)]


@contextlib.contextmanager
def _program(one: Program | Workload) -> Iterator[Program]:
    if isinstance(one, Program):
        yield one
    else:
        with program_of(one) as program:
            yield program
