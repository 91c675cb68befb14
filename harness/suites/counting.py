"""`harness count`: opcode counts of workloads and of any module, as a table and as rows of workloads.parquet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.dataset.store import Dataset
from harness.errors import ModuleError, UnknownName, UsageError
from harness.opcodes import Counts, count, verify
from harness.opcodes.instruction_set import CATEGORIES, CODES, OPCODES
from harness.output import Column, Form
from harness.progress import bar
from harness.suites.catalogue import load_workloads, select
from harness.suites.counted_program import (
    Program,
    count_program,
    count_workload,
    plain_wall_ns,
    program_of,
    program_of_file,
)
from harness.suites.suite import Workload, identity

VERIFY_LIMIT_S = 60.0


def describe(program: Program, counts: Counts, *, slowdown: bool, check: bool) -> dict[str, Any]:
    """A row per program: totals by class, how it ended, what counting cost, whether the interpreter agrees."""
    row: dict[str, Any] = {"workload": program.name, "total": counts.total}
    row |= {name: counts.by_category().get(name, 0) for name in CATEGORIES}
    row |= {"wall_ns": counts.wall_ns, "ended": counts.trap or f"exit code {counts.exit_code}"}
    if slowdown:
        row["slowdown"] = count(program.module, **program.options()).wall_ns / plain_wall_ns(program)
    if check:
        row["interpreter"] = verify(program.module, timeout_s=VERIFY_LIMIT_S, **program.options()).told
    return row | {"opcodes": counts.opcodes}


def opcode_rows(name: str, counts: Counts) -> list[dict[str, Any]]:
    """A row per opcode that was executed, most frequent first."""
    return [
        {
            "workload": name,
            "opcode": opcode,
            "byte": _byte(CODES[opcode]),
            "class": OPCODES[CODES[opcode]].category,
            "count": times,
        }
        for opcode, times in sorted(counts.opcodes.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def workload_rows(
    workloads: Iterable[Workload],
    known: Mapping[str, Mapping[str, Any]],
    progress: Callable[[str], None] = lambda name: None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows for workloads.parquet, and by name the workloads that cannot be counted, each with the reason.

    ``known`` rows (by name) of the same program are kept and not counted again.
    """
    rows: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for workload in workloads:
        row = dict(known.get(workload.name) or {})
        same = row.get("identity_sha256") == identity(workload)
        if not same or row.get("opcodes") is None or row.get("memory_bytes") is None:
            try:
                counts = count_workload(workload)
            except ModuleError as error:
                refused[workload.name] = str(error)
                continue
            finally:
                progress(workload.name)
            row = {
                "workload": workload.name,
                "module_sha256": workload.module_sha256,
                "identity_sha256": identity(workload),
                "module_bytes": workload.module.stat().st_size,
                "argv": list(workload.argv),
                "opcodes": list(counts.opcodes.items()),
                "memory_bytes": counts.memory_bytes,
            }
        else:
            progress(workload.name)
        rows.append(row)
    return rows, refused


def _byte(code: int) -> str:
    """The opcode as it stands in a module: one byte, or a prefix and a number."""
    return f"0x{code:02X}" if code < 0x100 else f"0x{code >> 16:02X} {code & 0xFFFF}"


COUNT_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name, or the path of the module"),
    Column("total", "total", True, "opcodes executed"),
    *(Column(name, name, True, f"of them {name}") for name in CATEGORIES if name != "other"),
    Column("wall_ns", "time", True, "ns that counting took"),
    Column("ended", "ended", meaning="exit code, the trap, or why it was not counted"),
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
    limit_s: float | None = None


def count_all(wanted: Wanted, output: Path | None, console: Console) -> list[dict[str, Any]]:
    """A row per program, or per program and opcode. Workloads go into the dataset too where one is named.

    A program that cannot be counted has a row without a total, which says why, unless it is the only one: then
    ModuleError is raised.
    """
    files = [
        program_of_file(Path(name), wanted.args, wanted.stdin, wanted.directories)
        for name in wanted.names
        if name.lower().endswith(".wasm")
    ]
    if not files and (wanted.args or wanted.stdin or wanted.directories):
        raise UsageError(
            "--arg, --stdin and --dir are for .wasm files; leave them out, a workload has its own in suite.toml."
        )
    patterns = [name for name in wanted.names if not name.lower().endswith(".wasm")]
    workloads = _workloads(wanted, patterns) if patterns or not files else []
    dataset = Dataset.open_or_create(output) if output else None
    rows = []
    counted = []
    with bar(console, "counting", len(files) + len(workloads)) as progress:
        programs: list[Program | Workload] = [*files, *workloads]
        for one in programs:
            try:
                rows += _rows_of(one, wanted)
                counted.append(one)
            except ModuleError as error:
                if len(programs) == 1:
                    raise ModuleError(f"{one.name}: {error}") from error
                rows.append({"workload": one.name, "total": None, "ended": f"not counted: {error}"})
            progress.advance(one.name)
    if dataset:
        known = {row["workload"]: row for row in dataset.workloads().to_pylist()}
        dataset.put_workloads(workload_rows([one for one in counted if isinstance(one, Workload)], known)[0])
    return rows


def _workloads(wanted: Wanted, patterns: Sequence[str]) -> list[Workload]:
    try:
        return select(load_workloads(wanted.benchmarks), patterns)
    except UnknownName as error:
        if Path(error.name).is_dir():
            raise UsageError(
                f"{error.name} is a directory and no workload; name the .wasm files in it."
            ) from error
        if os.path.lexists(error.name):
            raise UsageError(
                f"{error.name} is no workload, and as a module its name must end in .wasm; rename it, or name another."
            ) from error
        raise


def _rows_of(one: Program | Workload, wanted: Wanted) -> list[dict[str, Any]]:
    with _program(one) as program:
        counts = count_program(program, use_cache=not wanted.fresh, limit_s=wanted.limit_s)
        if wanted.opcodes:
            return opcode_rows(program.name, counts)
        return [describe(program, counts, slowdown=wanted.slowdown, check=wanted.verify)]


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
