"""Run a built module once under wasmtime, and check that it computes what its suite expects."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ModuleError, SuiteError
from harness.suites.suite import Workload, not_built


@dataclass(frozen=True)
class Execution:
    """How an execution ended, what it printed, and its linear memory afterwards."""

    exit_code: int
    trap: str | None
    stdout: bytes
    store: Any
    exports: Any


def execute(workload: Workload, *, limit_s: float = 60.0) -> Execution:
    """Run a built module once with its argv, stdin and files. Raises SuiteError where it is not built."""
    import wasmtime

    if not workload.module.exists():
        raise not_built(workload)
    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    try:
        module = wasmtime.Module.from_file(engine, str(workload.module))
    except wasmtime.WasmtimeError as e:
        raise ModuleError(
            f"{workload.module} is not a WebAssembly module: {_first_line(str(e))}; "
            f"build it again with `harness build {workload.name} --force`."
        ) from e

    with tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        output, directory = Path(scratch, "stdout"), Path(scratch, "files")
        directory.mkdir()
        wasi = wasmtime.WasiConfig()
        wasi.argv = list(workload.argv)
        wasi.stdout_file = str(output)
        try:
            if workload.stdin is not None:
                wasi.stdin_file = str(workload.stdin)
            for file in workload.files:
                target = directory / file.guest
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.host, target)
        except (OSError, wasmtime.WasmtimeError) as e:
            raise SuiteError(f"{workload.name} needs an input that cannot be read: {e}; put it there.") from e
        if workload.files:
            wasi.preopen_dir(str(directory), ".")

        store = wasmtime.Store(engine)
        store.set_wasi(wasi)
        store.set_epoch_deadline(1)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        timer = threading.Timer(limit_s, engine.increment_epoch)
        timer.start()
        exit_code, trap = 0, None
        try:
            instance = linker.instantiate(store, module)
            exports = instance.exports(store)
            start = exports["_start"]
            if not isinstance(start, wasmtime.Func):
                raise KeyError("_start")
            start(store)
        except wasmtime.ExitTrap as e:
            exit_code = e.code
        except wasmtime.Trap as e:
            timed_out = e.trap_code == wasmtime.TrapCode.INTERRUPT
            trap = f"still running after {limit_s:g} s" if timed_out else f"trapped: {_first_line(e.message)}"
        except (wasmtime.WasmtimeError, KeyError) as e:
            raise ModuleError(f"{workload.module} does not run under WASI: {_first_line(str(e))}.") from e
        finally:
            timer.cancel()
        return Execution(exit_code, trap, output.read_bytes(), store, exports)


def verify(workload: Workload, *, limit_s: float = 60.0) -> str | None:
    """None where the module gives what its suite expects, else the reason in one sentence."""
    ran, expect = execute(workload, limit_s=limit_s), workload.expect
    if ran.trap is not None:
        return f"{workload.name} {ran.trap}."
    if ran.exit_code != expect.exit_code:
        return f"{workload.name} ended with exit code {ran.exit_code}, expected {expect.exit_code}."
    found = hashlib.sha256(ran.stdout).hexdigest()
    if expect.stdout_sha256 not in (None, found):
        shown = ran.stdout[:80].decode("utf-8", "replace")
        return (
            f"{workload.name} printed {shown!r}, {len(ran.stdout)} bytes of sha256 {found[:16]}…, "
            f"expected {expect.stdout_sha256[:16]}…."
        )
    return None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".:")
