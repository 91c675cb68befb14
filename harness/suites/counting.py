"""`harness count`: opcode counts of workloads and of any module, as a table and as rows of workloads.parquet."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.dataset.store import Dataset
from harness.errors import ModuleError, UsageError
from harness.files import cache_directory
from harness.opcodes import Counts, cached_count, check_module, count, verify
from harness.opcodes.instruction_set import CATEGORIES, CODES, OPCODES
from harness.output import Column, Form
from harness.progress import bar
from harness.suites.catalogue import load_workloads, select
from harness.suites.suite import Workload, identity

VERIFY_LIMIT_S = 60.0


@dataclass(frozen=True)
class Program:
    """What is counted: a module's bytes and what it is run with."""

    name: str
    module: bytes
    argv: tuple[str, ...]
    stdin: bytes = b""
    preopens: Mapping[str, Path] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        return {"argv": self.argv, "stdin": self.stdin, "preopens": self.preopens}


@contextlib.contextmanager
def program_of(workload: Workload) -> Iterator[Program]:
    """A workload with its input files in a directory of its own. Raises SuiteError where it is not built."""
    with tempfile.TemporaryDirectory(prefix="harness-count-") as scratch:
        for file in workload.files:
            target = Path(scratch, file.guest)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.host, target)
        workload.module_sha256  # noqa: B018  (raises where it is not built)
        stdin = workload.stdin.read_bytes() if workload.stdin else b""
        preopens = {".": Path(scratch)} if workload.files else {}
        yield Program(workload.name, workload.module.read_bytes(), workload.argv, stdin, preopens)


def program_of_file(
    path: Path, args: Sequence[str], stdin: Path | None, directories: Sequence[str]
) -> Program:
    """Any .wasm file; ``directories`` are written GUEST=HOST. Raises ModuleError, UsageError."""
    try:
        module = path.read_bytes()
        given = stdin.read_bytes() if stdin else b""
    except OSError as error:
        raise ModuleError(f"{error.filename} cannot be read: {error.strerror}; name another file.") from error
    check_module(module, str(path))
    preopens = {}
    for text in directories:
        guest, equals, host = text.partition("=")
        if not equals or not Path(host).is_dir():
            raise UsageError(f"--dir {text} must be GUEST=HOST, where HOST is a directory.")
        preopens[guest] = Path(host)
    return Program(str(path), module, (path.name, *args), given, preopens)


def count_workload(workload: Workload, *, use_cache: bool = True) -> Counts:
    """Run a workload once and count. Raises ModuleError where it does not end as its suite expects."""
    with program_of(workload) as program:
        counts = count_program(program, use_cache=use_cache)
    expect = workload.expect
    if counts.trap or counts.exit_code != expect.exit_code:
        how = f"trapped: {counts.trap}" if counts.trap else f"ended with exit code {counts.exit_code}"
        raise ModuleError(
            f"{workload.name} {how} while its opcodes were counted; "
            f"check it with `harness build {workload.name} --force`."
        )
    if expect.stdout_sha256 not in (None, counts.stdout_sha256):
        raise ModuleError(
            f"{workload.name} printed something else than expected while its opcodes were counted; "
            f"check it with `harness build {workload.name} --force`."
        )
    return counts


def describe(program: Program, counts: Counts, *, slowdown: bool, check: bool) -> dict[str, Any]:
    """A row per program: totals by class, how it ended, what counting cost, whether the interpreter agrees."""
    row: dict[str, Any] = {"workload": program.name, "total": counts.total}
    row |= {name: counts.by_category().get(name, 0) for name in CATEGORIES}
    row |= {"wall_ns": counts.wall_ns, "ended": counts.trap or f"exit code {counts.exit_code}"}
    if slowdown:
        row["slowdown"] = count(program.module, **program.options()).wall_ns / _plain_wall_ns(program)
    if check:
        verification = verify(program.module, timeout_s=VERIFY_LIMIT_S, **program.options())
        differences = ", ".join(f"{name}: {a} ≠ {b}" for name, (a, b) in verification.differences.items())
        row["interpreter"] = (
            "too long for it"
            if not verification.complete
            else f"differs: {differences}"
            if differences
            else "agrees"
        )
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
) -> list[dict[str, Any]]:
    """Rows for workloads.parquet; ``known`` rows (by name) of the same program are kept and not counted again."""
    rows = []
    for workload in workloads:
        row = dict(known.get(workload.name) or {})
        same = row.get("identity_sha256") == identity(workload)
        if not same or row.get("opcodes") is None:
            row = {
                "workload": workload.name,
                "module_sha256": workload.module_sha256,
                "identity_sha256": identity(workload),
                "module_bytes": workload.module.stat().st_size,
                "argv": list(workload.argv),
                "opcodes": list(count_workload(workload).opcodes.items()),
            }
        rows.append(row)
        progress(workload.name)
    return rows


def count_program(program: Program, *, use_cache: bool = True) -> Counts:
    """Run a program once and count, or take what was counted before."""
    if not use_cache:
        return count(program.module, **program.options())
    return cached_count(program.module, cache_directory("counts"), **program.options())


def _plain_wall_ns(program: Program) -> int:
    """One run of the module as it is, under the same engine."""
    import wasmtime

    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, program.module)
    store, linker, wasi = wasmtime.Store(engine), wasmtime.Linker(engine), wasmtime.WasiConfig()
    linker.define_wasi()
    with tempfile.NamedTemporaryFile(prefix="harness-stdin-") as stdin:
        stdin.write(program.stdin)
        stdin.flush()
        wasi.argv, wasi.stdin_file, wasi.stdout_file = list(program.argv), stdin.name, os.devnull
        for guest, host in program.preopens.items():
            wasi.preopen_dir(str(host), guest)
        store.set_wasi(wasi)
        started = time.perf_counter_ns()
        with contextlib.suppress(wasmtime.ExitTrap, wasmtime.Trap):
            start: Any = linker.instantiate(store, module).exports(store)["_start"]
            start(store)
        return time.perf_counter_ns() - started


def _byte(code: int) -> str:
    """The opcode as it stands in a module: one byte, or a prefix and a number."""
    return f"0x{code:02X}" if code < 0x100 else f"0x{code >> 16:02X} {code & 0xFFFF}"


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
