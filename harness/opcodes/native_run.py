"""Exact opcode counts of a run at nearly native speed: the rewritten module under wasmtime, with WASI.

What is counted: every instruction the program starts to execute, including one that traps. Structural opcodes
count when control passes over them: `block` and `if` each time, `loop` when it is entered from above (not
when a branch returns to it), `else` when the first arm runs into it, `end` when the code before it runs into
it. A branch, a `return` or a false `if` without `else` jumps past the `end`, which is then not counted.
Constant expressions of globals and segments are evaluated at instantiation and not counted.

A run that traps where the engine cannot say at which instruction is repeated with counters that need no such
report (its files are written twice then); all of the result is the second run's. A module that would be larger
than engines accept with counters in it is interpreted. How deep calls may nest before
the stack is exhausted is the engine's choice, and a rewritten function may need a little more of it.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wasmtime

from harness.errors import HarnessError, ModuleError
from harness.opcodes import traps
from harness.opcodes.counters import BULK, Instrumented, Stop
from harness.opcodes.interpreter import interpret_invocation
from harness.opcodes.invocation import TRAP_EXIT_CODE, Counts, Invocation
from harness.opcodes.native_wasi import input_file, set_wasi, wasi_linker
from harness.opcodes.pipe import Pipe
from harness.opcodes.rewriter import TooLarge, instrument
from harness.opcodes.validity import check_valid, configuration, sentence
from harness.opcodes.wasi_program import Exit
from harness.spelling import several

_FUEL = 1 << 62
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
    "NULL_REFERENCE": traps.NULL_REFERENCE,
    "ARRAY_OUT_OF_BOUNDS": traps.OUT_OF_ARRAY,
    "CAST_FAILURE": traps.CAST_FAILURE,
    "HEAP_MISALIGNED": traps.UNALIGNED,
    "ATOMIC_WAIT_NON_SHARED_MEMORY": traps.NOT_SHARED,
    "UNCAUGHT_EXCEPTION": traps.UNCAUGHT,
    "INTERRUPT": traps.TIME_LIMIT,
}


def count(
    module: bytes,
    *,
    argv: Sequence[str] = (),
    stdin: bytes | Path = b"",
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
    bytes are not a module that can run with WASI preview 1, `HarnessError` where the fuel differs.
    """
    check_valid(module)
    invocation = Invocation(argv, stdin, preopens or {}, env or {}, timeout_s, entry, fixed)
    try:
        instrumented = instrument(module)
        run = _Run(instrumented, invocation, fuel_check)
        if run.stop is not None and not instrumented.located(run.stop):
            instrumented = instrument(module, every_block=True)
            run = _Run(instrumented, invocation, fuel_check)
    except TooLarge:
        return interpret_invocation(module, invocation)
    return run.counts()


def count_instrumented(instrumented: Instrumented, invocation: Invocation) -> Counts:
    """The counts of one run of a module rewritten before, if it traps as far as the engine knows where."""
    return _Run(instrumented, invocation, fuel_check=False).counts()


class _Run:
    """One execution of a rewritten module; afterwards its outcome and counters."""

    def __init__(self, instrumented: Instrumented, invocation: Invocation, fuel_check: bool) -> None:
        self.instrumented, self.invocation, self.fuel_check = instrumented, invocation, fuel_check
        self.exit_code, self.wall_ns = 0, 0
        self.trap: str | None = None
        self.stop: Stop | None = None
        self.results: Any = None
        self.exports: Any = {}
        self.engine = _engine(invocation, fuel_check)
        try:
            compiled = wasmtime.Module(self.engine, instrumented.data)
        except wasmtime.WasmtimeError as error:
            raise ModuleError(f"wasmtime refuses the module: {sentence(error)}") from None
        self.store = wasmtime.Store(self.engine)
        if fuel_check:
            self.store.set_fuel(_FUEL)
        linker = wasi_linker(self.engine, fixed=invocation.fixed)
        with (
            input_file(invocation.stdin) as stdin,
            Pipe() as stdout,
            Pipe() as stderr,
        ):
            self.outputs = stdout, stderr
            set_wasi(self.store, invocation, stdin, self.outputs)
            self._execute(linker, compiled)
        self.fuel = _FUEL - self.store.get_fuel() if fuel_check else 0
        self.counters = self._read_counters()

    def _execute(self, linker: Any, compiled: Any) -> None:
        timer = None
        if self.invocation.timeout_s is not None:
            self.store.set_epoch_deadline(1)
            timer = threading.Timer(self.invocation.timeout_s, self.engine.increment_epoch)
            timer.daemon = True
            timer.start()
        start_ns = time.perf_counter_ns()
        try:
            self.exports = linker.instantiate(self.store, compiled).exports(self.store)
            if self.fuel_check:  # copying data segments at instantiation may have used some
                self.store.set_fuel(_FUEL)
            if self.instrumented.start is not None:
                self.exports[self.instrumented.start](self.store)
            entry = self.invocation.entry
            if entry not in self.exports or not isinstance(self.exports[entry], wasmtime.Func):
                raise ModuleError(f"the module exports no function {entry!r} to run")
            params = len(self.exports[entry].type(self.store).params)
            if params:
                raise ModuleError(
                    f"the function {entry!r} to run takes {several(params, 'parameter')}, not none"
                )
            self.results = self.exports[entry](self.store)
        except Exit as leave:
            self.exit_code = leave.code
        except wasmtime.Trap as error:
            self._trapped(error)
        except wasmtime.WasmtimeError as error:
            raise ModuleError(f"the module does not run: {sentence(error)}") from None
        finally:
            self.wall_ns = time.perf_counter_ns() - start_ns
            if timer is not None:
                timer.cancel()

    def _trapped(self, error: Any) -> None:
        self.exit_code = TRAP_EXIT_CODE
        self.trap = trap_reason(error)
        if error.frames and self.trap not in (traps.STACK_EXHAUSTED, traps.UNCAUGHT):
            self.stop = Stop(error.frames[0].func_index, error.frames[0].module_offset, self.trap)

    def _read_counters(self) -> tuple[int, ...]:
        size = self.instrumented.counters
        if not self.exports or not size:  # no counters, or instantiation itself trapped: nothing was executed
            return (0,) * size
        exported = self.instrumented.exported
        if isinstance(exported, str):
            return struct.unpack(f"<{size}Q", self.exports[exported].read(self.store, 0, 8 * size))
        return tuple(self.exports[name].value(self.store) & (1 << 64) - 1 for name in exported)

    def counts(self) -> Counts:
        opcodes = self.instrumented.opcode_counts(self.counters, self.stop)
        if self.fuel_check and self.trap is None:
            expected = self.instrumented.expected_fuel(self.counters)
            if self.fuel < expected or (self.fuel > expected and BULK.isdisjoint(opcodes)):
                raise HarnessError(
                    f"the engine used {several(self.fuel, 'unit')} of fuel, the counts explain {expected}"
                )
        results = self.results if isinstance(self.results, list) else [self.results]
        return Counts(
            opcodes=opcodes,
            total=sum(opcodes.values()),
            wall_ns=self.wall_ns,
            exit_code=self.exit_code,
            trap=self.trap,
            stdout=bytes(self.outputs[0].kept),
            stderr=bytes(self.outputs[1].kept),
            stdout_sha256=self.outputs[0].sha256.hexdigest(),
            results=() if self.results is None else tuple(results),
            memory_sha256=self._memory_sha256() if self.invocation.fixed else "",
            memory_bytes=max((_size(memory, self.store) for memory in self._memories()), default=0),
        )

    def _memories(self) -> list[Any]:
        """Those that the module itself exports, in the order of their names; none where instantiating failed."""
        exports = self.instrumented.module.exports if self.exports else []
        return [self.exports[name] for name in sorted(one.name for one in exports if one.kind == "memory")]

    def _memory_sha256(self) -> str:
        sha256 = hashlib.sha256()
        for memory in self._memories():
            sha256.update(_content(memory, self.store))
        return sha256.hexdigest()


def trap_reason(error: Any) -> str:
    """Why a `wasmtime.Trap` came, in the words of traps.py where they have some."""
    name = error.trap_code.name if error.trap_code else ""
    if not name and "thrown Wasm exception" in error.message:
        name = "UNCAUGHT_EXCEPTION"
    cause = error.message.strip().splitlines()[-1].strip() if error.message.strip() else "no reason given"
    return _TRAPS.get(name, name.lower().replace("_", " ") or cause)


def _engine(invocation: Invocation, fuel: bool) -> Any:
    config = configuration()
    if hasattr(wasmtime.Config, "wasm_relaxed_simd_deterministic"):
        config.wasm_relaxed_simd_deterministic = invocation.fixed
    config.epoch_interruption = invocation.timeout_s is not None
    config.consume_fuel = fuel
    config.cranelift_nan_canonicalization = invocation.fixed
    return wasmtime.Engine(config)


def _content(memory: Any, store: Any) -> bytes:
    if isinstance(memory, wasmtime.Memory):
        return bytes(memory.get_buffer_ptr(store))
    return ctypes.string_at(memory.data_ptr(), memory.data_len())  # a shared memory


def _size(memory: Any, store: Any) -> int:
    return int(memory.data_len(store) if isinstance(memory, wasmtime.Memory) else memory.data_len())
