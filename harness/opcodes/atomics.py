"""Atomic accesses of a single thread: what a plain access does, at an address that must be aligned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.opcodes.memory_access import check
from harness.opcodes.numeric import Trap
from harness.opcodes.traps import NOT_SHARED, UNALIGNED
from harness.opcodes.wasm_store import Beyond, Memory

_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": lambda old, value: old + value,
    "sub": lambda old, value: old - value,
    "and": lambda old, value: old & value,
    "or": lambda old, value: old | value,
    "xor": lambda old, value: old ^ value,
    "xchg": lambda old, value: value,
}


def atomic_operation(name: str, memory: Memory, offset: int) -> tuple[Callable[[list[Any], Any], None], Any]:
    """The function (stack, x) of an atomic instruction with a memory, and its x."""
    kind, _, rest = name.partition(".atomic.")
    if kind == "memory":
        size = 8 if rest == "wait64" else 4
        return (_notify if rest == "notify" else _wait), (memory, offset, size)
    access, _, operation = rest.partition(".")
    digits = "".join(filter(str.isdigit, access.removesuffix("_u"))) or kind[1:]
    size = int(digits) // 8
    place = (memory.data, offset, size)
    if access.startswith("load"):
        return _load, place
    if access.startswith("store"):
        return _store, place
    operation = operation.removesuffix("_u")
    if operation == "cmpxchg":
        return _exchange, place
    return _modify, (*place, _OPERATIONS[operation])


def _checked(memory: bytearray, at: int, size: int) -> int:
    if at % size:
        raise Trap(UNALIGNED)
    check(memory, at, size)
    return int.from_bytes(memory[at : at + size], "little")


def _put(memory: bytearray, at: int, size: int, value: int) -> None:
    memory[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def _load(stack: list[Any], x: tuple[bytearray, int, int]) -> None:
    memory, offset, size = x
    stack[-1] = _checked(memory, stack[-1] + offset, size)


def _store(stack: list[Any], x: tuple[bytearray, int, int]) -> None:
    memory, offset, size = x
    value, at = stack.pop(), stack.pop() + offset
    _checked(memory, at, size)
    _put(memory, at, size, value)


def _modify(stack: list[Any], x: tuple[bytearray, int, int, Callable[[int, int], int]]) -> None:
    memory, offset, size, run = x
    value, at = stack.pop(), stack[-1] + offset
    old = _checked(memory, at, size)
    _put(memory, at, size, run(old, value))
    stack[-1] = old


def _exchange(stack: list[Any], x: tuple[bytearray, int, int]) -> None:
    memory, offset, size = x
    value, expected, at = stack.pop(), stack.pop(), stack[-1] + offset
    old = _checked(memory, at, size)
    if old == expected & (1 << 8 * size) - 1:
        _put(memory, at, size, value)
    stack[-1] = old


def _notify(stack: list[Any], x: tuple[Memory, int, int]) -> None:
    memory, offset, size = x
    stack.pop()
    _checked(memory.data, stack[-1] + offset, size)
    stack[-1] = 0  # nobody waits where there is one thread


def _wait(stack: list[Any], x: tuple[Memory, int, int]) -> None:
    memory, offset, size = x
    timeout, expected, at = stack.pop(), stack.pop(), stack[-1] + offset
    if not memory.shared:
        raise Trap(NOT_SHARED)
    if _checked(memory.data, at, size) != expected:
        stack[-1] = 1
    elif timeout >> 63:
        raise Beyond("a wait without end for another thread")
    else:
        stack[-1] = 2  # timed out
