"""A module instantiated for interpretation: its memories, tables, globals and functions (WebAssembly 2.0,
4.5.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import ModuleError
from harness.opcodes import memory_access
from harness.opcodes.decode import Module
from harness.opcodes.memory_access import PAGE
from harness.opcodes.numeric import Trap, float_of
from harness.opcodes.parts import FuncType, Instruction, Limits, TableType
from harness.opcodes.prepare import Step, prepare
from harness.opcodes.traps import OUT_OF_TABLE

MEMORY_LIMIT = 1 << 30  # bytes: `memory.grow` beyond this gives -1
TABLE_LIMIT = 10_000_000
Operation = tuple[Callable[[list[Any], Any], None], Any]


class Memory:
    def __init__(self, limits: Limits) -> None:
        if limits.minimum * PAGE > MEMORY_LIMIT:
            raise ModuleError(f"the module wants {limits.minimum} pages of memory, the interpreter has 16384")
        self.data = bytearray(limits.minimum * PAGE)
        most = 1 << 16 if limits.maximum is None else limits.maximum
        self.maximum = min(most * PAGE, MEMORY_LIMIT)
        self.mask = 0xFFFFFFFFFFFFFFFF if limits.is_64 else 0xFFFFFFFF

    def grow(self, pages: int) -> int:
        """Pages before, or -1 (as an unsigned number) where there is no more."""
        before = len(self.data)
        if before + pages * PAGE > self.maximum:
            return self.mask
        self.data.extend(bytes(pages * PAGE))
        return before // PAGE


class Table:
    def __init__(self, type_: TableType) -> None:
        if type_.limits.minimum > TABLE_LIMIT:
            raise ModuleError(
                f"the module wants a table of {type_.limits.minimum}, the interpreter has {TABLE_LIMIT}"
            )
        self.items: list[Any] = [None] * type_.limits.minimum
        most = TABLE_LIMIT if type_.limits.maximum is None else type_.limits.maximum
        self.maximum = min(most, TABLE_LIMIT)


class Function:
    """A function of the module, or of the host where `host` is set; prepared at its first call."""

    __slots__ = ("_steps", "host", "index", "instance", "params", "type", "zeros")

    def __init__(
        self, type_: FuncType, instance: Instance, index: int, host: Callable[..., Any] | None
    ) -> None:
        self.type, self.instance, self.index, self.host = type_, instance, index, host
        self.params = len(type_.params)
        self._steps: list[Step] | None = None
        self.zeros: list[Any] = []
        if host is None:
            for times, name in instance.module.codes[index].locals:
                if times > 50_000:
                    raise ModuleError(
                        f"function {index} declares {times} locals of one type, more than 50000"
                    )
                self.zeros += [_zero(name)] * times

    @property
    def steps(self) -> list[Step]:
        if self._steps is None:
            self._steps = prepare(self.instance.module, self.index, self.instance)
        return self._steps


def _zero(type_: str) -> Any:
    if type_ == "v128":
        return bytes(16)
    if type_.endswith("ref"):
        return None
    return 0.0 if type_[0] == "f" else 0


class Instance:
    """`hosts` gives the functions to import by (module, name); `ModuleError` where one is not there."""

    def __init__(
        self, module: Module, hosts: Mapping[tuple[str, str], tuple[FuncType, Callable[..., Any]]]
    ) -> None:
        self.module = module
        self.functions: list[Function] = []
        for entry in module.imports:
            host = hosts.get((entry.module, entry.name))
            if host is None or not isinstance(entry.type, int):
                raise ModuleError(f"the module does not run: unknown import: `{entry.module}::{entry.name}`")
            if module.types[entry.type] != host[0]:
                raise ModuleError(f"the module does not run: `{entry.module}::{entry.name}` has another type")
            self.functions.append(Function(host[0], self, -1, host[1]))
        for index, type_ in enumerate(module.functions):
            self.functions.append(Function(module.types[type_], self, index, None))
        self.memories = [Memory(limits) for limits in module.memories]
        self.tables = [Table(type_) for type_ in module.tables]
        self.globals: list[list[Any]] = []
        for entry_ in module.globals:
            self.globals.append([self.evaluate(entry_.init)])
        self.elements = [[self.evaluate(item) for item in element.items] for element in module.elements]
        self.datas = [module.data[data.start : data.end] for data in module.datas]

    def initialise(self) -> None:
        """Copy the active segments into tables and memories; traps where one does not fit."""
        for number, element in enumerate(self.module.elements):
            if element.mode == "active":
                table = self.tables[element.table].items
                _copy_items(
                    table, self.evaluate(element.offset), self.elements[number], 0, len(element.items)
                )
            if element.mode != "passive":
                self.elements[number] = []
        for number, data in enumerate(self.module.datas):
            if data.mode == "active":
                memory, content = self.memories[data.memory].data, self.datas[number]
                memory_access.copy(memory, self.evaluate(data.offset), content, 0, len(content))
                self.datas[number] = b""

    def evaluate(self, expression: tuple[Instruction, ...]) -> Any:
        """The value of a constant expression, extended ones (add, sub, mul) included."""
        stack: list[Any] = []
        for _, opcode, immediates in expression:
            name = opcode.name
            if name == "ref.null":
                stack.append(None)
            elif name == "ref.func":
                stack.append(self.functions[immediates[0]])
            elif name == "global.get":
                stack.append(self.globals[immediates[0]][0])
            elif name.endswith(".const"):
                value = immediates[0]
                if name[0] == "f":
                    value = float_of(value, int(name[1:3]))
                elif name[0] == "i":
                    value &= (1 << int(name[1:3])) - 1
                stack.append(value)
            elif name[4:] in ("add", "sub", "mul"):
                second, mask = stack.pop(), (1 << int(name[1:3])) - 1
                first = stack.pop()
                stack.append(
                    {"add": first + second, "sub": first - second, "mul": first * second}[name[4:]] & mask
                )
            else:
                raise ModuleError(f"{name} in a constant expression")
        return stack[-1]

    def operation(self, name: str, immediates: tuple[Any, ...]) -> Operation:
        """The function (stack, x) of an instruction on memories, tables, references or segments, and its
        x.
        """
        kind, _, rest = name.partition(".")
        if kind == "ref":
            return _REFERENCES[rest], self.functions[immediates[0]] if rest == "func" else None
        if name == "memory.init":
            return _memory_init, (self.memories[immediates[1]].data, self.datas, immediates[0])
        if name == "memory.copy":
            return _memory_copy, tuple(self.memories[number].data for number in immediates)
        if name == "table.init":
            return _table_init, (self.tables[immediates[1]].items, self.elements, immediates[0])
        if name == "table.copy":
            return _table_copy, tuple(self.tables[number].items for number in immediates)
        if name == "data.drop":
            return _segment_drop, (self.datas, immediates[0], b"")
        if name == "elem.drop":
            return _segment_drop, (self.elements, immediates[0], [])
        if kind == "memory":
            return _MEMORIES[rest], self.memories[immediates[0]]
        return _TABLES[rest], self.tables[immediates[0]]


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


def _copy_items(table: list[Any], at: int, items: list[Any], start: int, size: int) -> None:
    if start + size > len(items) or at + size > len(table):
        raise Trap(OUT_OF_TABLE)
    table[at : at + size] = items[start : start + size]


def _table_copy(stack: list[Any], x: tuple[list[Any], list[Any]]) -> None:
    at, start, size = _three(stack)
    _copy_items(x[0], at, x[1], start, size)


def _table_init(stack: list[Any], x: tuple[list[Any], list[list[Any]], int]) -> None:
    at, start, size = _three(stack)
    _copy_items(x[0], at, x[1][x[2]], start, size)


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
    value, before = stack[-1], len(table.items)
    if before + size > table.maximum:
        stack[-1] = 0xFFFFFFFF
    else:
        table.items.extend([value] * size)
        stack[-1] = before


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
