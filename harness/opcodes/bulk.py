"""Instructions on memories, tables, references and segments: what each does to the stack and the store.

(WebAssembly 2.0, 4.4.2, 4.4.6 and the bulk part of 4.4.7.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.opcodes import memory_access
from harness.opcodes.instance import Instance, copy_items
from harness.opcodes.memory_access import PAGE
from harness.opcodes.numeric import Trap
from harness.opcodes.traps import OUT_OF_TABLE
from harness.opcodes.wasm_store import Memory, Table

Operation = tuple[Callable[[list[Any], Any], None], Any]


def _memory_size(stack: list[Any], memory: Memory) -> None:
    stack.append(len(memory.data) // PAGE)


def _memory_grow(stack: list[Any], memory: Memory) -> None:
    stack[-1] = memory.grow(stack[-1])


def _memory_fill(stack: list[Any], memory: Memory) -> None:
    at, value, size = _three(stack)
    memory_access.fill(memory.data, at, value, size)


def _memory_copy(stack: list[Any], x: tuple[bytearray, bytearray]) -> None:
    at, start, size = _three(stack)
    memory_access.copy(x[0], at, x[1], start, size)


def _memory_init(stack: list[Any], x: tuple[bytearray, list[bytes], int]) -> None:
    at, start, size = _three(stack)
    memory_access.copy(x[0], at, x[1][x[2]], start, size)


def _segment_drop(stack: list[Any], x: tuple[list[Any], int, Any]) -> None:
    x[0][x[1]] = x[2]


def _table_copy(stack: list[Any], x: tuple[list[Any], list[Any]]) -> None:
    at, start, size = _three(stack)
    copy_items(x[0], at, x[1], start, size)


def _table_init(stack: list[Any], x: tuple[list[Any], list[list[Any]], int]) -> None:
    at, start, size = _three(stack)
    copy_items(x[0], at, x[1][x[2]], start, size)


def _table_get(stack: list[Any], table: Table) -> None:
    if stack[-1] >= len(table.items):
        raise Trap(OUT_OF_TABLE)
    stack[-1] = table.items[stack[-1]]


def _table_set(stack: list[Any], table: Table) -> None:
    value = stack.pop()
    at = stack.pop()
    if at >= len(table.items):
        raise Trap(OUT_OF_TABLE)
    table.items[at] = value


def _table_size(stack: list[Any], table: Table) -> None:
    stack.append(len(table.items))


def _table_grow(stack: list[Any], table: Table) -> None:
    size = stack.pop()
    stack[-1] = table.grow(size, stack[-1])


def _table_fill(stack: list[Any], table: Table) -> None:
    at, value, size = _three(stack)
    if at + size > len(table.items):
        raise Trap(OUT_OF_TABLE)
    table.items[at : at + size] = [value] * size


def _ref_is_null(stack: list[Any], x: None) -> None:
    stack[-1] = 1 if stack[-1] is None else 0


def _push(stack: list[Any], x: Any) -> None:
    stack.append(x)


def _three(stack: list[Any]) -> Any:
    operands = stack[-3:]
    del stack[-3:]
    return operands


_REFERENCES: dict[str, Any] = {"null": _push, "func": _push, "is_null": _ref_is_null}
_MEMORIES: dict[str, Any] = {"size": _memory_size, "grow": _memory_grow, "fill": _memory_fill}
_TABLES: dict[str, Any] = {
    "get": _table_get, "set": _table_set, "size": _table_size, "grow": _table_grow, "fill": _table_fill,
}  # fmt: skip


def operation(instance: Instance, name: str, immediates: tuple[Any, ...]) -> Operation:
    """The function (stack, x) of an instruction on memories, tables, references or segments, and its
    x.
    """
    kind, _, rest = name.partition(".")
    if kind == "ref":
        return _REFERENCES[rest], instance.functions[immediates[0]] if rest == "func" else None
    if name == "memory.init":
        return _memory_init, (instance.memories[immediates[1]].data, instance.datas, immediates[0])
    if name == "memory.copy":
        return _memory_copy, tuple(instance.memories[number].data for number in immediates)
    if name == "table.init":
        return _table_init, (instance.tables[immediates[1]].items, instance.elements, immediates[0])
    if name == "table.copy":
        return _table_copy, tuple(instance.tables[number].items for number in immediates)
    if name == "data.drop":
        return _segment_drop, (instance.datas, immediates[0], b"")
    if name == "elem.drop":
        return _segment_drop, (instance.elements, immediates[0], [])
    if kind == "memory":
        return _MEMORIES[rest], instance.memories[immediates[0]]
    return _TABLES[rest], instance.tables[immediates[0]]
