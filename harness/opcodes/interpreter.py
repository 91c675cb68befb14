"""The reference: an interpreter that counts each instruction as it executes it.

It shares with the rewriting counter the decoder and nothing else: there are no blocks here and no inference,
only a loop that takes one step after another (WebAssembly 2.0, 4.4). What counts is said in `native_run.py`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ModuleError
from harness.opcodes.decoder import decode
from harness.opcodes.execution import execute
from harness.opcodes.instance import Instance
from harness.opcodes.invocation import TRAP_EXIT_CODE, Capture, Counts, Invocation
from harness.opcodes.numeric import Trap
from harness.opcodes.step_kinds import NAMES
from harness.opcodes.validity import check_valid
from harness.opcodes.wasi import Wasi
from harness.opcodes.wasi_program import Exit
from harness.opcodes.wasm_store import Function
from harness.spelling import several


def interpret(
    module: bytes,
    *,
    argv: Sequence[str] = (),
    stdin: bytes | Path = b"",
    preopens: Mapping[str, Path] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    entry: str = "_start",
    fixed: bool = False,
) -> Counts:
    """Like `count`, one instruction at a time: about a thousand times slower, and simple enough to trust.

    Raises `ModuleError` where the module is not valid or cannot run.
    """
    check_valid(module)
    return interpret_invocation(
        module, Invocation(argv, stdin, preopens or {}, env or {}, timeout_s, entry, fixed)
    )


def interpret_invocation(module: bytes, invocation: Invocation) -> Counts:
    decoded = decode(module)
    outputs = Capture(), Capture()
    wasi = Wasi(invocation, outputs)
    instance = Instance(decoded, wasi.functions())
    for export in decoded.exports:
        if export.name == "memory" and export.kind == "memory":
            wasi.memory = instance.memories[export.number].data
    counts = [0] * (len(NAMES) + 1)  # the last one takes the steps that are not opcodes
    deadline = None if invocation.timeout_s is None else time.monotonic() + invocation.timeout_s
    exit_code, trap, initialised = 0, None, False
    results: list[Any] = []
    start_ns = time.perf_counter_ns()
    try:
        instance.initialise()
        initialised = True
        if decoded.start is not None:
            execute(instance, instance.functions[decoded.start], counts, deadline)
        entry = _entry(instance, invocation.entry)
        results = list(map(_signed, execute(instance, entry, counts, deadline), entry.type.results))
    except Exit as error:
        exit_code = error.code
    except Trap as error:
        exit_code, trap = TRAP_EXIT_CODE, str(error)
    finally:
        wall_ns = time.perf_counter_ns() - start_ns
        wasi.close()
    opcodes = {name: times for name, times in zip(NAMES, counts, strict=False) if times}
    return Counts(
        opcodes=opcodes,
        total=sum(opcodes.values()),
        wall_ns=wall_ns,
        exit_code=exit_code,
        trap=trap,
        stdout=bytes(outputs[0].kept),
        stderr=bytes(outputs[1].kept),
        stdout_sha256=outputs[0].sha256.hexdigest(),
        results=tuple(results),
        memory_sha256=_memory_sha256(instance, initialised) if invocation.fixed else "",
        memory_bytes=max((len(memory) for memory in _memories(instance, initialised)), default=0),
    )


def _entry(instance: Instance, name: str) -> Function:
    for export in instance.module.exports:
        if export.name == name and export.kind == "func":
            function = instance.functions[export.number]
            if function.params:
                raise ModuleError(
                    f"the function {name!r} to run takes {several(function.params, 'parameter')}, not none"
                )
            return function
    raise ModuleError(f"the module exports no function {name!r} to run")


def _signed(value: Any, type_: str) -> Any:
    half = 1 << int(type_[1:]) - 1 if type_[0] == "i" else 0
    return (value ^ half) - half if half else value


def _memories(instance: Instance, initialised: bool) -> list[bytearray]:
    """The exported ones; nothing can be seen of them where not even their first contents fit."""
    exports = sorted(export for export in instance.module.exports if export.kind == "memory")
    return [instance.memories[export.number].data for export in exports if initialised]


def _memory_sha256(instance: Instance, initialised: bool) -> str:
    sha256 = hashlib.sha256()
    for memory in _memories(instance, initialised):
        sha256.update(memory)
    return sha256.hexdigest()
