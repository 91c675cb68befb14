"""A module instantiated for interpretation: imports found, constant expressions evaluated, segments copied.

(WebAssembly 2.0, 4.5.4.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import ModuleError
from harness.opcodes import memory_access
from harness.opcodes.decoder import Module
from harness.opcodes.module_parts import FuncType, Instruction
from harness.opcodes.numeric import Trap, float_of
from harness.opcodes.objects import object_operation
from harness.opcodes.traps import OUT_OF_TABLE
from harness.opcodes.type_identity import TypeIdentity
from harness.opcodes.wasm_store import Function, Memory, Table, Tag


class Instance:
    """`hosts` gives the functions to import by (module, name); `ModuleError` where one is not there."""

    def __init__(
        self, module: Module, hosts: Mapping[tuple[str, str], tuple[FuncType, Callable[..., Any]]]
    ) -> None:
        self.module = module
        self.types = TypeIdentity(module.types, module.subtypes)
        lineages = self.types.lineages
        self.functions: list[Function] = []
        for entry in module.imports:
            host = hosts.get((entry.module, entry.name))
            if host is None or entry.kind != "func" or not isinstance(entry.type, int):
                raise ModuleError(f"the module does not run: unknown import: `{entry.module}::{entry.name}`")
            if module.func_type(entry.type) != host[0]:
                raise ModuleError(f"the module does not run: `{entry.module}::{entry.name}` has another type")
            self.functions.append(Function(host[0], lineages[entry.type], -1, host=host[1]))
        for index, type_ in enumerate(module.functions):
            locals_ = module.codes[index].locals
            self.functions.append(Function(module.func_type(type_), lineages[type_], index, locals_))
        self.memories = [Memory(limits) for limits in module.memories]
        self.tags = [Tag(len(module.func_type(type_).params)) for type_ in module.tags]
        self.globals: list[list[Any]] = []
        for entry_ in module.globals:
            self.globals.append([self.evaluate(entry_.init)])
        self.tables = [
            Table(type_, self.evaluate(type_.init) if type_.init else None) for type_ in module.tables
        ]
        self.elements = [[self.evaluate(item) for item in element.items] for element in module.elements]
        self.datas = [module.data[data.start : data.end] for data in module.datas]

    def initialise(self) -> None:
        """Copy the active segments into tables and memories; traps where one does not fit."""
        for number, element in enumerate(self.module.elements):
            if element.mode == "active":
                table = self.tables[element.table].items
                copy_items(table, self.evaluate(element.offset), self.elements[number], 0, len(element.items))
            if element.mode != "passive":
                self.elements[number] = []
        for number, data in enumerate(self.module.datas):
            if data.mode == "active":
                memory, content = self.memories[data.memory].data, self.datas[number]
                memory_access.copy(memory, self.evaluate(data.offset), content, 0, len(content))
                self.datas[number] = b""

    def evaluate(self, expression: tuple[Instruction, ...]) -> Any:
        """The value of a constant expression."""
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
            elif name[4:] in ("add", "sub", "mul") and name[0] == "i":
                second, mask = stack.pop(), (1 << int(name[1:3])) - 1
                first = stack.pop()
                stack.append(
                    {"add": first + second, "sub": first - second, "mul": first * second}[name[4:]] & mask
                )
            else:
                run, x = object_operation(self.types, opcode.code, name, immediates)
                run(stack, x)
        return stack[-1]


def copy_items(table: list[Any], at: int, items: list[Any], start: int, size: int) -> None:
    if start + size > len(items) or at + size > len(table):
        raise Trap(OUT_OF_TABLE)
    table[at : at + size] = items[start : start + size]
