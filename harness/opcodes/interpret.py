"""The reference: an interpreter that counts each instruction as it executes it.

It shares with the rewriting counter the decoder and nothing else: there are no blocks here and no inference,
only a loop that takes one step after another (WebAssembly 2.0, 4.4). What counts is said in `count.py`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ModuleError
from harness.opcodes.decode import decode
from harness.opcodes.instance import Function, Instance
from harness.opcodes.invocation import TRAP_EXIT_CODE, Capture, Counts, Invocation
from harness.opcodes.numeric import Trap
from harness.opcodes.prepare import (
    BINARY,
    BR,
    BR_IF,
    BR_TABLE,
    CALL,
    CALL_INDIRECT,
    CONST,
    DROP,
    ELSE,
    END_FUNCTION,
    GET,
    GLOBAL_GET,
    GLOBAL_SET,
    IF,
    LOAD,
    LOAD_LANE,
    MARK,
    NAMES,
    RETURN,
    RETURN_CALL,
    RETURN_CALL_INDIRECT,
    SELECT,
    SET,
    STORE,
    TEE,
    TERNARY,
    UNARY,
    UNREACHABLE,
)  # fmt: skip
from harness.opcodes.traps import NO_ELEMENT, OTHER_TYPE, OUT_OF_TABLE, STACK_EXHAUSTED, TIME_LIMIT
from harness.opcodes.traps import UNREACHABLE as UNREACHABLE_REASON
from harness.opcodes.validity import check_valid
from harness.opcodes.wasi import Wasi
from harness.opcodes.wasi_program import Exit

MAX_CALL_DEPTH = 50_000
BRANCHES = (BR_IF, BR, BR_TABLE)
CALLS = (CALL, CALL_INDIRECT)
RETURNS = (END_FUNCTION, RETURN)
TAIL_CALLS = (RETURN_CALL, RETURN_CALL_INDIRECT)
_TICKS = 20_000  # branches and calls between two looks at the clock


def interpret(
    module: bytes,
    *,
    argv: Sequence[str] = (),
    stdin: bytes = b"",
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
    if instance.memories:
        wasi.memory = instance.memories[0].data
    counts = [0] * (len(NAMES) + 1)  # the last one takes the steps that are not opcodes
    deadline = None if invocation.timeout_s is None else time.monotonic() + invocation.timeout_s
    exit_code, trap = 0, None
    results: list[Any] = []
    start_ns = time.perf_counter_ns()
    try:
        instance.initialise()
        if decoded.start is not None:
            execute(instance.functions[decoded.start], counts, deadline)
        entry = _entry(instance, invocation.entry)
        results = list(map(_signed, execute(entry, counts, deadline), entry.type.results))
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
        memory_sha256=_memory_sha256(instance) if invocation.fixed else "",
    )


def _entry(instance: Instance, name: str) -> Function:
    for export in instance.module.exports:
        if export.name == name and export.kind == "func":
            function = instance.functions[export.number]
            if function.params:
                raise ModuleError(
                    f"the function {name!r} to run takes {function.params} parameters, not none"
                )
            return function
    raise ModuleError(f"the module exports no function {name!r} to run")


def _signed(value: Any, type_: str) -> Any:
    half = 1 << int(type_[1:]) - 1 if type_[0] == "i" else 0
    return (value ^ half) - half if half else value


def _memory_sha256(instance: Instance) -> str:
    sha256 = hashlib.sha256()
    for export in sorted(export for export in instance.module.exports if export.kind == "memory"):
        sha256.update(instance.memories[export.number].data)
    return sha256.hexdigest()


def execute(function: Function, counts: list[int], deadline: float | None = None) -> list[Any]:
    """Call a function without parameters; its results. Raises `Trap`, or `Exit` at proc_exit."""
    stack: list[Any] = []
    push, pop = stack.append, stack.pop
    callers: list[tuple[Any, int, Any]] = []
    if function.host is not None:
        return [function.host()]
    steps, at, local = function.steps, 0, list(function.zeros)
    ticks = _TICKS
    while True:
        kind, number, run, x = steps[at]
        at += 1
        counts[number] += 1
        if kind == GET:
            push(local[x])
        elif kind == CONST:
            push(x)
        elif kind == BINARY:
            second = pop()
            stack[-1] = run(stack[-1], second)
        elif kind == LOAD:
            memory, offset = x
            stack[-1] = run(memory, stack[-1] + offset)
        elif kind == SET:
            local[x] = pop()
        elif kind == TEE:
            local[x] = stack[-1]
        elif kind == UNARY:
            stack[-1] = run(stack[-1])
        elif kind == STORE:
            value = pop()
            memory, offset = x
            run(memory, pop() + offset, value)
        elif kind == MARK:  # block, loop, end, nop: control passes over them
            pass
        elif kind in BRANCHES:
            if kind == BR_IF:
                if not pop():
                    continue
            elif kind == BR_TABLE:
                choice = pop()
                x = x[choice] if choice < len(x) else x[-1]
            at, arity, drop = x
            if drop:
                del stack[-arity - drop : -arity or None]
            ticks -= 1
            if not ticks:
                ticks = _look_at_clock(deadline)
        elif kind == IF:
            if not pop():
                at = x
        elif kind == ELSE:
            at = x
        elif kind in CALLS:
            if kind == CALL_INDIRECT:
                x = _indirect(x, pop())
            params = x.params
            if x.host is None:
                callers.append((steps, at, local))
                if len(callers) > MAX_CALL_DEPTH:
                    raise Trap(STACK_EXHAUSTED)
                if params:
                    local = stack[-params:] + x.zeros
                    del stack[-params:]
                else:
                    local = list(x.zeros)
                steps, at = x.steps, 0
            else:
                _call_host(x, stack)
            ticks -= 1
            if not ticks:
                ticks = _look_at_clock(deadline)
        elif kind in RETURNS:
            if kind == RETURN:
                _, arity, drop = x
                if drop:
                    del stack[-arity - drop : -arity or None]
            if not callers:
                return stack
            steps, at, local = callers.pop()
        elif kind == GLOBAL_GET:
            push(x[0])
        elif kind == GLOBAL_SET:
            x[0] = pop()
        elif kind == DROP:
            pop()
        elif kind == SELECT:
            condition, second = pop(), pop()
            if not condition:
                stack[-1] = second
        elif kind == TERNARY:
            third, second = pop(), pop()
            stack[-1] = run(stack[-1], second, third)
        elif kind == LOAD_LANE:
            vector = pop()
            memory, offset = x
            stack[-1] = run(memory, stack[-1] + offset, vector)
        elif kind in TAIL_CALLS:
            if kind == RETURN_CALL_INDIRECT:
                x = _indirect(x, pop())
            arguments = stack[len(stack) - x.params :]
            del stack[len(stack) - x.params - run :]  # `run` is how many values lie below the arguments
            if x.host is None:
                steps, at, local = x.steps, 0, arguments + x.zeros
            else:
                stack += arguments
                _call_host(x, stack)
                if not callers:
                    return stack
                steps, at, local = callers.pop()
            ticks -= 1
            if not ticks:
                ticks = _look_at_clock(deadline)
        elif kind == UNREACHABLE:
            raise Trap(UNREACHABLE_REASON)
        else:
            run(stack, x)


def _indirect(x: Any, choice: int) -> Function:
    type_, table = x
    if choice >= len(table):
        raise Trap(OUT_OF_TABLE)
    function: Function | None = table[choice]
    if function is None:
        raise Trap(NO_ELEMENT)
    if function.type != type_:
        raise Trap(OTHER_TYPE)
    return function


def _call_host(function: Function, stack: list[Any]) -> None:
    params = function.params
    arguments = stack[len(stack) - params :]
    del stack[len(stack) - params :]
    result = function.host(*arguments) if function.host else None
    if function.type.results:
        stack.append(result)


def _look_at_clock(deadline: float | None) -> int:
    if deadline is not None and time.monotonic() > deadline:
        raise Trap(TIME_LIMIT)
    return _TICKS
