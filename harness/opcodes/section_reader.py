"""The entries of a module's sections: imports, exports, globals, segments, function bodies (WebAssembly 2.0, 5.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import ModuleError
from harness.opcodes.instruction_reader import read_instruction
from harness.opcodes.instruction_set import OPCODES
from harness.opcodes.module_parts import Code, Data, Element, Export, Global, Import, Instruction, TableType
from harness.opcodes.reader import Reader
from harness.spelling import several

_KINDS = ("func", "table", "memory", "global", "tag")


def read_import(reader: Reader) -> Import:
    module, name, at, kind = reader.name(), reader.name(), reader.pos, reader.byte()
    if kind >= len(_KINDS):
        raise ModuleError(f"import of kind {kind} at offset {at} is unknown")
    read: Callable[[], Any] = (
        reader.u32,
        reader.table_type,
        reader.limits,
        reader.global_type,
        reader.tag_type,
    )[kind]
    return Import(module, name, _KINDS[kind], read())


def read_export(reader: Reader) -> Export:
    name, at, kind = reader.name(), reader.pos, reader.byte()
    if kind >= len(_KINDS):
        raise ModuleError(f"export of kind {kind} at offset {at} is unknown")
    return Export(name, _KINDS[kind], reader.u32())


def read_expression(reader: Reader) -> tuple[Instruction, ...]:
    """A constant expression, without its `end`."""
    start = reader.pos
    found: list[Instruction] = []
    while True:
        reader.peek()
        at = reader.pos
        opcode, immediates, reader.pos = read_instruction(reader.data, at, reader.end)
        if opcode.code == 0x0B:
            return tuple(found)
        if opcode.category == "control":
            raise ModuleError(f"{opcode.name} at offset {at} in the constant expression at offset {start}")
        found.append(Instruction(at, opcode, immediates))


def read_table(reader: Reader) -> TableType:
    if reader.peek() != 0x40:
        return reader.table_type()
    at, head = reader.pos, reader.take(2)
    if head[1]:
        raise ModuleError(f"the table at offset {at} is of the unknown form {head[1]}")
    return reader.table_type()._replace(init=read_expression(reader))


def read_global(reader: Reader) -> Global:
    return Global(reader.global_type(), read_expression(reader))


def read_element(reader: Reader) -> Element:
    at, flags = reader.pos, reader.u32()
    if flags > 7:
        raise ModuleError(f"element segment of the unknown form {flags} at offset {at}")
    passive = flags & 1
    table = reader.u32() if not passive and flags & 2 else 0
    offset = () if passive else read_expression(reader)
    type_ = "ref null func"
    if flags & 3 and flags & 4:
        type_ = reader.reference_type()
    elif flags & 3 and reader.byte() != 0:
        raise ModuleError(f"element kind other than functions at offset {reader.pos - 1}")
    mode = ("active", "passive", "active", "declarative")[flags & 3]
    items: tuple[tuple[Instruction, ...], ...]
    items = reader.vector(read_expression) if flags & 4 else reader.vector(_function_reference)
    return Element(mode, table, offset, type_, items)


def _function_reference(reader: Reader) -> tuple[Instruction, ...]:
    return (Instruction(reader.pos, OPCODES[0xD2], (reader.u32(),)),)


def read_code(reader: Reader) -> Code:
    at, size = reader.pos, reader.u32()
    end = reader.pos + size
    if end > reader.end:
        raise ModuleError(
            f"the module is cut off: the function body at offset {at} says {several(size, 'byte')}"
        )
    start = reader.pos
    body = Reader(reader.data, start, end)
    runs = body.vector(lambda reader: (reader.u32(), reader.value_type()))
    if sum(count for count, _ in runs) >= 1 << 32:
        raise ModuleError(f"the function body at offset {at} declares 2^32 or more locals")
    reader.pos = end
    return Code(runs, start, body.pos, end)


def read_data(reader: Reader) -> Data:
    at, flags = reader.pos, reader.u32()
    if flags > 2:
        raise ModuleError(f"data segment of the unknown form {flags} at offset {at}")
    memory = reader.u32() if flags == 2 else 0
    offset = () if flags == 1 else read_expression(reader)
    size = reader.u32()
    start = reader.pos
    reader.take(size)
    return Data("passive" if flags == 1 else "active", memory, offset, start, reader.pos)
