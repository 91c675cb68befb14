"""The interpreter's loop: one step after another, each counted as it is taken (WebAssembly 2.0, 4.4)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from harness.opcodes.instance import Instance
from harness.opcodes.numeric import Trap
from harness.opcodes.step_kinds import (
    BINARY,
    BR,
    BR_IF,
    BR_ON,
    BR_TABLE,
    CALL,
    CALL_INDIRECT,
    CALL_REF,
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
    RETURN,
    RETURN_CALL,
    RETURN_CALL_INDIRECT,
    RETURN_CALL_REF,
    SELECT,
    SET,
    STORE,
    TEE,
    TERNARY,
    THROW,
    THROW_REF,
    UNARY,
    UNREACHABLE,
    Body,
)
from harness.opcodes.steps import prepare
from harness.opcodes.traps import (
    NO_ELEMENT,
    NULL_REFERENCE,
    OTHER_TYPE,
    OUT_OF_TABLE,
    STACK_EXHAUSTED,
    TIME_LIMIT,
    UNCAUGHT,
)
from harness.opcodes.traps import UNREACHABLE as UNREACHABLE_REASON
from harness.opcodes.wasm_store import Function, Tag

MAX_CALL_DEPTH = 50_000
BRANCHES = (BR_IF, BR, BR_TABLE)
CALLS = (CALL, CALL_INDIRECT, CALL_REF)
RETURNS = (END_FUNCTION, RETURN)
TAIL_CALLS = (RETURN_CALL, RETURN_CALL_INDIRECT, RETURN_CALL_REF)
THROWS = (THROW, THROW_REF)
Frame = tuple[Body, int, list[Any], int]  # steps, index of the next, locals, height of the stack below
_TICKS = 20_000  # branches and calls between two looks at the clock


def execute(
    instance: Instance, function: Function, counts: list[int], deadline: float | None = None
) -> list[Any]:
    """Call a function without parameters; its results. Raises `Trap`, or `Exit` at proc_exit."""
    stack: list[Any] = []
    push, pop = stack.append, stack.pop
    callers: list[Frame] = []
    if function.host is not None:
        return [function.host()]
    steps, at, local, base = function.body or _prepared(instance, function), 0, list(function.zeros), 0
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
            elif kind == CALL_REF:
                x = _there(pop())
            params = x.params
            if x.host is None:
                callers.append((steps, at, local, base))
                if len(callers) > MAX_CALL_DEPTH:
                    raise Trap(STACK_EXHAUSTED)
                if params:
                    local = stack[-params:] + x.zeros
                    del stack[-params:]
                else:
                    local = list(x.zeros)
                steps, at, base = x.body or _prepared(instance, x), 0, len(stack)
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
            steps, at, local, base = callers.pop()
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
            elif kind == RETURN_CALL_REF:
                x = _there(pop())
            arguments = stack[len(stack) - x.params :]
            del stack[len(stack) - x.params - run :]  # `run` is how many values lie below the arguments
            if x.host is None:
                steps, at, local = x.body or _prepared(instance, x), 0, arguments + x.zeros
            else:
                stack += arguments
                _call_host(x, stack)
                if not callers:
                    return stack
                steps, at, local, base = callers.pop()
            ticks -= 1
            if not ticks:
                ticks = _look_at_clock(deadline)
        elif kind == BR_ON:
            keep, keep_else, jump = x
            if run(stack[-1]):
                if not keep:
                    pop()
                at, arity, drop = jump
                if drop:
                    del stack[-arity - drop : -arity or None]
                ticks -= 1
                if not ticks:
                    ticks = _look_at_clock(deadline)
            elif not keep_else:
                pop()
        elif kind in THROWS:
            thrown = _there(pop()) if kind == THROW_REF else Thrown(x, _popped(stack, x.values))
            frame = _caught(thrown, stack, (steps, at, local, base), callers)
            steps, at, local, base = frame
            ticks -= 1
            if not ticks:
                ticks = _look_at_clock(deadline)
        elif kind == UNREACHABLE:
            raise Trap(UNREACHABLE_REASON)
        else:
            run(stack, x)


@dataclass(frozen=True, slots=True, eq=False)
class Thrown:
    """An exception: what `throw` makes, and a reference to it where a clause asks for one."""

    tag: Tag
    values: list[Any]


def _caught(thrown: Thrown, stack: list[Any], frame: Frame, callers: list[Frame]) -> Frame:
    """Where to go on after an exception: the innermost clause around the throw, or around a call that led to it."""
    while True:
        steps, at, local, base = frame
        for guarded in steps.guarded:
            if not guarded.start <= at - 1 < guarded.end:
                continue
            for tag, with_reference, target, height in guarded.clauses:
                if tag is None or tag is thrown.tag:
                    del stack[base + height :]
                    if tag is not None:
                        stack += thrown.values
                    if with_reference:
                        stack.append(thrown)
                    return steps, target, local, base
        if not callers:
            raise Trap(UNCAUGHT)
        frame = callers.pop()


def _popped(stack: list[Any], count: int) -> list[Any]:
    start = len(stack) - count
    found = stack[start:]
    del stack[start:]
    return found


def _there(reference: Any) -> Any:
    if reference is None:
        raise Trap(NULL_REFERENCE)
    return reference


def _prepared(instance: Instance, function: Function) -> Body:
    body = function.body = prepare(instance, function.index)
    return body


def _indirect(x: Any, choice: int) -> Function:
    wanted, table = x
    if choice >= len(table):
        raise Trap(OUT_OF_TABLE)
    function: Function | None = table[choice]
    if function is None:
        raise Trap(NO_ELEMENT)
    if wanted not in function.lineage:
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
