"""A program whose opcodes are counted: a workload, or any module with what it is given."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ModuleError, UsageError, typed, why
from harness.files import cache_directory, contents, temporary
from harness.opcodes import Counts, cached_count, count
from harness.opcodes.native_wasi import input_file, wasi_linker
from harness.opcodes.requirements import refusal
from harness.opcodes.traps import TIME_LIMIT
from harness.opcodes.validity import configuration
from harness.opcodes.wasi_program import Exit
from harness.suites.suite import Workload


@dataclass(frozen=True)
class Program:
    """What is counted: a module's bytes and what it is run with."""

    name: str
    module: bytes
    argv: tuple[str, ...]
    stdin: bytes | Path = b""
    preopens: Mapping[str, Path] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        return {"argv": self.argv, "stdin": self.stdin, "preopens": self.preopens}


@contextlib.contextmanager
def program_of(workload: Workload) -> Iterator[Program]:
    """A workload with its input files in a directory of its own. Raises SuiteError where it is not built."""
    with temporary("count") as scratch:
        for file in workload.files:
            target = scratch / file.guest
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.host, target)
        workload.module_sha256  # noqa: B018  (raises where it is not built)
        stdin = workload.stdin or b""
        preopens = {".": scratch} if workload.files else {}
        yield Program(workload.name, workload.module.read_bytes(), workload.argv, stdin, preopens)


def program_of_file(
    path: Path, args: Sequence[str], stdin: Path | None, directories: Sequence[str]
) -> Program:
    """Any .wasm file; ``directories`` are written GUEST=HOST. Raises ModuleError, UsageError."""
    try:
        module, given = contents(path), _input(stdin)
    except OSError as error:
        raise ModuleError(
            f"{error.filename} cannot be read: {why(error, error.filename)}; name another file."
        ) from error
    if wrong := refusal(module):
        raise ModuleError(f"{path}: {wrong}.")
    preopens = {}
    for text in directories:
        guest, equals, host = text.partition("=")
        if not equals or not Path(host).is_dir():
            raise UsageError(f"--dir {text} must be GUEST=HOST, where HOST is a directory.")
        preopens[guest] = Path(host)
    return Program(str(path), module, (path.name, *args), given, preopens)


def _input(stdin: Path | None) -> bytes | Path:
    """What a module is to read from stdin; what comes from a pipe is taken at once, since it is read twice."""
    if stdin is None:
        return b""
    stdin.open("rb").close()
    return stdin if stdin.is_file() else contents(stdin)


def count_workload(workload: Workload, *, use_cache: bool = True) -> Counts:
    """Run a workload once and count. Raises ModuleError where it does not end as its suite expects."""
    with program_of(workload) as program:
        try:
            counts = count_program(program, use_cache=use_cache)
        except ModuleError as error:
            raise ModuleError(f"{workload.name}: {error}") from error
    expect = workload.expect
    if counts.trap or counts.exit_code != expect.exit_code:
        how = f"trapped: {counts.trap}" if counts.trap else f"ended with exit code {counts.exit_code}"
        raise ModuleError(
            f"{workload.name} {how} while its opcodes were counted; "
            f"check it with `harness build {typed(workload.name)} --force`."
        )
    if expect.stdout_sha256 not in (None, counts.stdout_sha256):
        raise ModuleError(
            f"{workload.name} printed something else than expected while its opcodes were counted; "
            f"check it with `harness build {typed(workload.name)} --force`."
        )
    return counts


def count_program(program: Program, *, use_cache: bool = True, limit_s: float | None = None) -> Counts:
    """Run a program once and count, or take what was counted before. Raises ModuleError beyond `limit_s`."""
    options = program.options() | {"timeout_s": limit_s}
    if use_cache:
        counts = cached_count(program.module, cache_directory("counts"), **options)
    else:
        counts = count(program.module, **options)
    if counts.trap == TIME_LIMIT:
        raise ModuleError(
            f"it was still running after {limit_s:g} s, so it is not counted; give it longer with --limit"
        )
    return counts


def plain_wall_ns(program: Program) -> int:
    """One run of the module as it is, under the same engine."""
    import wasmtime

    engine = wasmtime.Engine(configuration())
    module = wasmtime.Module(engine, program.module)
    store, linker, wasi = wasmtime.Store(engine), wasi_linker(engine), wasmtime.WasiConfig()
    with input_file(program.stdin) as stdin:
        wasi.argv, wasi.stdin_file, wasi.stdout_file = list(program.argv), stdin, os.devnull
        for guest, host in program.preopens.items():
            wasi.preopen_dir(str(host), guest)
        store.set_wasi(wasi)
        started = time.perf_counter_ns()
        with contextlib.suppress(Exit, wasmtime.Trap):
            start: Any = linker.instantiate(store, module).exports(store)["_start"]
            start(store)
        return time.perf_counter_ns() - started
