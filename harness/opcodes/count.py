"""Exact opcode counts of a run, at nearly native speed: the rewritten module under wasmtime with WASI preview
1.

What is counted: every instruction the program starts to execute, including one that traps. Structural opcodes
count when control passes over them: `block` and `if` each time, `loop` when it is entered from above (not
when a branch returns to it), `else` when the first arm runs into it, `end` when the code before it runs into
it. A branch, a `return` or a false `if` without `else` jumps past the `end`, which is then not counted.
Constant expressions of globals and segments are evaluated at instantiation and not counted.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wasmtime

from harness.errors import ModuleError
from harness.opcodes import traps
from harness.opcodes.decode import check_module
from harness.opcodes.instrument import BULK, Instrumented, Stop, instrument
from harness.opcodes.invocation import TRAP_EXIT_CODE, Capture, Counts, FixedClock, FixedRandom, Invocation

_FUEL = 1 << 62
_EFAULT = 21  # WASI error number: a bad address
_WASI = "wasi_snapshot_preview1"
_TRAPS = {
    "UNREACHABLE": traps.UNREACHABLE,
    "MEMORY_OUT_OF_BOUNDS": traps.OUT_OF_MEMORY,
    "TABLE_OUT_OF_BOUNDS": traps.OUT_OF_TABLE,
    "INDIRECT_CALL_TO_NULL": traps.NO_ELEMENT,
    "BAD_SIGNATURE": traps.OTHER_TYPE,
    "INTEGER_OVERFLOW": traps.OVERFLOW,
    "INTEGER_DIVISION_BY_ZERO": traps.DIVIDE_BY_ZERO,
    "BAD_CONVERSION_TO_INTEGER": traps.NOT_AN_INTEGER,
    "STACK_OVERFLOW": traps.STACK_EXHAUSTED,
    "INTERRUPT": traps.TIME_LIMIT,
}


def count(
    module: bytes,
    *,
    argv: Sequence[str] = (),
    stdin: bytes = b"",
    preopens: Mapping[str, Path] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    entry: str = "_start",
    fixed: bool = False,
    fuel_check: bool = False,
) -> Counts:
    """Run `module` once and count every opcode it executes; parameters as in `Invocation`.

    After `timeout_s` seconds the run is stopped (`trap` is "time limit") and the counts are those until then.
    `fuel_check` compares them with the engine's own fuel in the same run. Raises `ModuleError` where the
    bytes are not a module that can run with WASI preview 1, or where the fuel differs.
    """
    check_module(module, "the module")
    invocation = Invocation(argv, stdin, preopens or {}, env or {}, timeout_s, entry, fixed)
    return count_instrumented(instrument(module), invocation, fuel_check=fuel_check)


def count_instrumented(
    instrumented: Instrumented, invocation: Invocation, *, fuel_check: bool = False
) -> Counts:
    """Like `count`, for a module rewritten before."""
    engine = _engine(invocation, fuel_check)
    try:
        compiled = wasmtime.Module(engine, instrumented.data)
    except wasmtime.WasmtimeError as error:
        raise ModuleError(f"wasmtime refuses the module: {_sentence(error)}") from None
    store = wasmtime.Store(engine)
    if fuel_check:
        store.set_fuel(_FUEL)
    with tempfile.NamedTemporaryFile(prefix="harness-stdin-") as stdin:
        stdin.write(invocation.stdin)
        stdin.flush()
        outputs = _set_wasi(store, invocation, stdin.name)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        if invocation.fixed:
            _fix(linker)
        return _run(instrumented, compiled, engine, store, linker, invocation, outputs, fuel_check)


def _run(
    instrumented: Instrumented,
    compiled: Any,
    engine: Any,
    store: Any,
    linker: Any,
    invocation: Invocation,
    outputs: tuple[Capture, Capture],
    fuel_check: bool,
) -> Counts:
    exit_code, trap, at, results = 0, None, None, None
    exports: Any = {}
    timer = None
    if invocation.timeout_s is not None:
        store.set_epoch_deadline(1)
        timer = threading.Timer(invocation.timeout_s, engine.increment_epoch)
        timer.daemon = True
        timer.start()
    start_ns = time.perf_counter_ns()
    try:
        exports = linker.instantiate(store, compiled).exports(store)
        if instrumented.start is not None:
            exports[instrumented.start](store)
        if invocation.entry not in exports:
            raise ModuleError(f"the module exports no function {invocation.entry!r} to run")
        results = exports[invocation.entry](store)
    except wasmtime.ExitTrap as error:
        exit_code = error.code
    except wasmtime.Trap as error:
        name = error.trap_code.name if error.trap_code else ""
        exit_code, trap = TRAP_EXIT_CODE, _TRAPS.get(name, name.lower().replace("_", " ") or _sentence(error))
        if error.frames and trap != traps.STACK_EXHAUSTED:
            at = Stop(error.frames[0].func_index, error.frames[0].module_offset, trap)
    except wasmtime.WasmtimeError as error:
        raise ModuleError(f"the module does not run: {_sentence(error)}") from None
    finally:
        wall_ns = time.perf_counter_ns() - start_ns
        if timer is not None:
            timer.cancel()
    fuel = _FUEL - store.get_fuel() if fuel_check else 0
    counters = _read_counters(instrumented, exports, store, invocation)
    if fuel_check and trap is None:
        expected = instrumented.expected_fuel(counters)
        bulk = not BULK.isdisjoint(instrumented.opcode_counts(counters))
        if fuel < expected or (fuel > expected and not bulk):
            raise ModuleError(f"the engine used {fuel} units of fuel, the counts explain {expected}")
    opcodes = instrumented.opcode_counts(counters, at)
    return Counts(
        opcodes=opcodes,
        total=sum(opcodes.values()),
        wall_ns=wall_ns,
        exit_code=exit_code,
        trap=trap,
        stdout=bytes(outputs[0].kept),
        stderr=bytes(outputs[1].kept),
        stdout_sha256=outputs[0].sha256.hexdigest(),
        results=() if results is None else tuple(results) if isinstance(results, list) else (results,),
        memory_sha256=_memory_sha256(instrumented, exports, store),
    )


def _engine(invocation: Invocation, fuel: bool) -> Any:
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    config.wasm_tail_call = True
    config.epoch_interruption = invocation.timeout_s is not None
    config.consume_fuel = fuel
    config.cranelift_nan_canonicalization = invocation.fixed
    return wasmtime.Engine(config)


def _set_wasi(store: Any, invocation: Invocation, stdin: str) -> tuple[Capture, Capture]:
    outputs = Capture(), Capture()
    wasi = wasmtime.WasiConfig()
    wasi.argv = list(invocation.argv)
    wasi.env = list(invocation.env.items())
    wasi.stdin_file = stdin
    wasi.stdout_custom = outputs[0].write
    wasi.stderr_custom = outputs[1].write
    for guest, host in invocation.preopens.items():
        wasi.preopen_dir(str(host), guest)
    store.set_wasi(wasi)
    return outputs


def _fix(linker: Any) -> None:
    """Put the fixed clock and random bytes in place of the engine's."""
    clock, random = FixedClock(), FixedRandom()
    i32, i64 = wasmtime.ValType.i32(), wasmtime.ValType.i64()

    def write(caller: Any, content: bytes, at: int) -> int:
        memory = caller["memory"]
        at &= 0xFFFFFFFF
        if at + len(content) > memory.data_len(caller):
            return _EFAULT
        memory.write(caller, content, at)
        return 0

    def clock_time_get(caller: Any, _clock: int, _precision: int, at: int) -> int:
        return write(caller, clock.read_ns().to_bytes(8, "little"), at)

    def random_get(caller: Any, at: int, size: int) -> int:
        size &= 0xFFFFFFFF
        if size > caller["memory"].data_len(caller):
            return _EFAULT
        return write(caller, random.read(size), at)

    linker.allow_shadowing = True
    clock_type = wasmtime.FuncType([i32, i64, i32], [i32])
    linker.define_func(_WASI, "clock_time_get", clock_type, clock_time_get, access_caller=True)
    random_type = wasmtime.FuncType([i32, i32], [i32])
    linker.define_func(_WASI, "random_get", random_type, random_get, access_caller=True)


def _read_counters(
    instrumented: Instrumented, exports: Any, store: Any, invocation: Invocation
) -> tuple[int, ...]:
    if not exports or not instrumented.counters:  # instantiation itself trapped: nothing was executed
        return (0,) * instrumented.counters
    if invocation.timeout_s is not None:
        store.set_epoch_deadline(1 << 60)
    exports[instrumented.dump](store)
    content = exports[instrumented.memory].read(store, 0, 8 * instrumented.counters)
    return struct.unpack(f"<{instrumented.counters}Q", content)


def _memory_sha256(instrumented: Instrumented, exports: Any, store: Any) -> str:
    sha256 = hashlib.sha256()
    for name in sorted(export.name for export in instrumented.module.exports if export.kind == "memory"):
        if exports:
            sha256.update(bytes(exports[name].get_buffer_ptr(store)))
    return sha256.hexdigest()


def _sentence(error: Exception) -> str:
    """The message in one line: wasmtime puts causes on lines of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(line for line in lines if line != "Caused by:")
