"""Run a built module once under wasmtime, and check that it computes what its suite expects."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from dataclasses import dataclass
from typing import Any

from harness.errors import ModuleError, SuiteError, typed, why
from harness.files import temporary
from harness.spelling import several
from harness.suites.suite import Workload, not_built

LIMIT_S = 60.0
MEMORY_BYTES = 1 << 30  # of linear memory that a module may have
_ALL_MEMORY = 1 << 32
_PAGE = 65536
_KEPT_STDERR = 4096  # bytes at the end


class TooLittleMemory(ModuleError):
    """A module begins with more linear memory than it is given."""


@dataclass(frozen=True)
class Execution:
    """How an execution ended, what it printed, and its linear memory afterwards."""

    exit_code: int
    trap: str | None  # why it stopped, in words that follow its name
    stdout: bytes
    stderr: str  # the end of it
    store: Any
    exports: Any

    @property
    def last_line(self) -> str:
        """The last line on stderr that is not empty."""
        return next((line.strip() for line in reversed(self.stderr.splitlines()) if line.strip()), "")


def execute(workload: Workload, *, limit_s: float = LIMIT_S, memory_bytes: int = MEMORY_BYTES) -> Execution:
    """Run a built module once with its argv, stdin and files. Raises SuiteError where it is not built.

    It is stopped after `limit_s` seconds and gets no more than `memory_bytes` of linear memory. Raises ModuleError
    where it cannot be run at all, TooLittleMemory where it would need more memory to begin with.
    """
    import wasmtime

    from harness.opcodes.native_run import trap_reason
    from harness.opcodes.native_wasi import wasi_linker
    from harness.opcodes.validity import configuration, sentence
    from harness.opcodes.wasi_program import Exit

    if not workload.module.exists():
        raise not_built(workload)
    config = configuration()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    try:
        module = wasmtime.Module.from_file(engine, str(workload.module))
    except wasmtime.WasmtimeError as e:
        raise ModuleError(
            f"{workload.module} is not a WebAssembly module: {sentence(e)}; "
            f"build it again with `harness build {typed(workload.name)} --force`."
        ) from e

    with temporary("execute") as scratch:
        output, errors, directory = scratch / "stdout", scratch / "stderr", scratch / "files"
        directory.mkdir()
        wasi = wasmtime.WasiConfig()
        wasi.argv = list(workload.argv)
        wasi.stdout_file, wasi.stderr_file = str(output), str(errors)
        try:
            if workload.stdin is not None:
                wasi.stdin_file = str(workload.stdin)
            for file in workload.files:
                target = directory / file.guest
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.host, target)
        except (OSError, wasmtime.WasmtimeError) as e:
            raise SuiteError(
                f"{workload.name} needs an input that cannot be read: {why(e)}; put it there."
            ) from e
        if workload.files:
            wasi.preopen_dir(str(directory), ".")

        store = wasmtime.Store(engine)
        store.set_wasi(wasi)
        store.set_limits(memory_size=memory_bytes)
        store.set_epoch_deadline(1)
        linker = wasi_linker(engine)
        timer = threading.Timer(limit_s, engine.increment_epoch)
        timer.start()
        exit_code, trap = 0, None
        exports: Any = {}
        try:
            exports = linker.instantiate(store, module).exports(store)
            if "_start" not in exports or not isinstance(start := exports["_start"], wasmtime.Func):
                raise ModuleError(
                    f"{workload.name} exports no function _start, so it is not a command; "
                    "give it a main and build it as one (-mexec-model=command)."
                )
            start(store)
        except Exit as leave:
            exit_code = leave.code
        except wasmtime.Trap as e:
            timed_out = e.trap_code == wasmtime.TrapCode.INTERRUPT
            trap = f"still running after {limit_s:g} s" if timed_out else f"trapped: {trap_reason(e)}"
        except wasmtime.WasmtimeError as e:
            if "exceeds memory limits" in str(e):
                raise TooLittleMemory(_needs_memory(workload, memory_bytes)) from None
            raise ModuleError(f"{workload.name} does not run under WASI: {sentence(e)}.") from e
        finally:
            timer.cancel()
        with errors.open("rb") as said:
            said.seek(max(0, errors.stat().st_size - _KEPT_STDERR))
            stderr = said.read().decode("utf-8", "replace")
        return Execution(exit_code, trap, output.read_bytes(), stderr, store, exports)


def verify(workload: Workload, *, limit_s: float = LIMIT_S, memory_bytes: int = MEMORY_BYTES) -> str | None:
    """None where the module gives what its suite expects, else the reason and what to do, in one sentence."""
    try:
        ran = execute(workload, limit_s=limit_s, memory_bytes=memory_bytes)
    except TooLittleMemory as error:
        return str(error)
    wrong = _wrong(workload, ran)
    if (
        wrong is None
        or "still running" in wrong
        or memory_bytes >= _ALL_MEMORY
        or not _met(ran, memory_bytes)
    ):
        return wrong
    if _wrong(workload, execute(workload, limit_s=limit_s, memory_bytes=_ALL_MEMORY)) is None:
        return _needs_memory(workload, memory_bytes)
    return wrong


def _needs_memory(workload: Workload, memory_bytes: int) -> str:
    return (
        f"{workload.name} needs more than {memory_bytes >> 20} MiB of memory; give it more with --memory, "
        "here and in `harness collect`."
    )


def _met(ran: Execution, memory_bytes: int) -> bool:
    """Whether the memory limit may have mattered: the module could have wanted more than there was."""
    import wasmtime

    memory = ran.exports.get("memory")
    if not isinstance(memory, wasmtime.Memory):
        return False
    maximum = memory.type(ran.store).limits.max
    return maximum is None or maximum * _PAGE > memory_bytes


def _wrong(workload: Workload, ran: Execution) -> str | None:
    expect, said = workload.expect, f", after saying: {ran.last_line}" if ran.last_line else ""
    if ran.trap is not None:
        return f"{workload.name} {ran.trap}{said}."
    if ran.exit_code != expect.exit_code:
        return f"{workload.name} ended with exit code {ran.exit_code}, expected {expect.exit_code}{said}."
    found = hashlib.sha256(ran.stdout).hexdigest()
    if expect.stdout_sha256 not in (None, found):
        shown = ran.stdout[:80].decode("utf-8", "replace")
        return (
            f"{workload.name} printed {shown!r}, {several(len(ran.stdout), 'byte')} of sha256 {found[:16]}…, "
            f"expected {expect.stdout_sha256[:16]}…{said}."
        )
    if expect.stdout_matches and not re.search(expect.stdout_matches.encode(), ran.stdout):
        shown = ran.stdout[-80:].decode("utf-8", "replace")
        wanted = f"nothing that matches {expect.stdout_matches!r}"
        return f"{workload.name} printed {wanted}; its output ends with {shown!r}{said}."
    return None
