"""The parts of the binary format below sections: types, instructions, segments (WebAssembly 2.0, 5.3 to 5.5).

Beyond the standard: several memories, 64-bit memories. Floats are kept as their bit patterns, so that every
NaN survives.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from harness.errors import ModuleError
from harness.opcodes.leb import read_signed, read_unsigned
from harness.opcodes.parts import (
    VALUE_TYPES,
    Code,
    Data,
    Element,
    Export,
    FuncType,
    Global,
    GlobalType,
    Import,
    Instruction,
    Limits,
    TableType,
)  # fmt: skip
from harness.opcodes.tables import OPCODES, UNSUPPORTED, Opcode

T = TypeVar("T")

_KINDS = ("func", "table", "memory", "global")


def read_instructions(data: bytes, pos: int, end: int) -> Iterator[Instruction]:
    while pos < end:
        at = pos
        opcode, immediates, pos = read_instruction(data, pos, end)
        yield Instruction(at, opcode, immediates)


def read_instruction(data: bytes, pos: int, end: int) -> tuple[Opcode, tuple[Any, ...], int]:
    """The instruction at `pos`, its immediates, and the position after it."""
    at, code = pos, data[pos]
    pos += 1
    if code in (0xFC, 0xFD):
        number, pos = read_unsigned(data, pos, end)
        code = code << 16 | number if number <= 0xFFFF else -1
    opcode = OPCODES.get(code)
    if opcode is None:
        first = data[at]
        if first in UNSUPPORTED:
            raise ModuleError(
                f"opcode 0x{first:02X} at offset {at}: the {UNSUPPORTED[first]} proposal is not supported"
            )
        raise ModuleError(f"unknown opcode {data[at:pos].hex(' ')} at offset {at}")
    if not opcode.immediates:
        return opcode, (), pos
    reader = Reader(data, pos, end)
    immediates = tuple(_IMMEDIATES[kind](reader) for kind in opcode.immediates)
    return opcode, immediates, reader.pos


class Reader:
    """A position that moves forward through `data` and never past `end`."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data, self.pos, self.end = data, pos, end

    def u32(self) -> int:
        value, self.pos = read_unsigned(self.data, self.pos, self.end)
        return value

    def u64(self) -> int:
        value, self.pos = read_unsigned(self.data, self.pos, self.end, 64)
        return value

    def signed(self, bits: int) -> int:
        value, self.pos = read_signed(self.data, self.pos, self.end, bits)
        return value

    def take(self, count: int) -> bytes:
        if count > self.end - self.pos:
            raise ModuleError(
                f"the module is cut off at offset {self.end}: {count} bytes expected at {self.pos}"
            )
        self.pos += count
        return self.data[self.pos - count : self.pos]

    def byte(self) -> int:
        return self.take(1)[0]

    def peek(self) -> int:
        if self.pos >= self.end:
            raise ModuleError(f"the module is cut off at offset {self.end}")
        return self.data[self.pos]

    def count(self) -> int:
        """A vector's length; every element takes at least a byte, so a length beyond the section is an
        error.
        """
        at, count = self.pos, self.u32()
        if count > self.end - self.pos:
            raise ModuleError(
                f"the vector at offset {at} says {count} elements, {self.end - self.pos} bytes are left"
            )
        return count

    def vector(self, read: Callable[[Reader], T]) -> tuple[T, ...]:
        return tuple(read(self) for _ in range(self.count()))

    def name(self) -> str:
        at, count = self.pos, self.u32()
        try:
            return self.take(count).decode("utf-8")
        except UnicodeDecodeError:
            raise ModuleError(f"the name at offset {at} is not UTF-8") from None

    def value_type(self) -> str:
        at, byte = self.pos, self.byte()
        if byte in VALUE_TYPES:
            return VALUE_TYPES[byte]
        if 0x63 <= byte <= 0x74:
            raise ModuleError(
                f"type 0x{byte:02X} at offset {at}: the function references, garbage collection and"
                " exceptions proposals are not supported"
            )
        raise ModuleError(f"0x{byte:02X} at offset {at} is not a type of a value")

    def reference_type(self) -> str:
        at, name = self.pos, self.value_type()
        if not name.endswith("ref"):
            raise ModuleError(f"{name} at offset {at} is not a type of a reference")
        return name

    def func_type(self) -> FuncType:
        at, form = self.pos, self.byte()
        if form != 0x60:
            known = (
                "the garbage collection proposal is not supported"
                if form in (0x4E, 0x4F, 0x50, 0x5E, 0x5F)
                else ""
            )
            raise ModuleError(
                f"type form 0x{form:02X} at offset {at}{': ' if known else ' is unknown'}{known}"
            )
        return FuncType(self.vector(Reader.value_type), self.vector(Reader.value_type))

    def limits(self) -> Limits:
        at, flags = self.pos, self.byte()
        if flags & 2 and flags < 8:
            raise ModuleError(f"shared memory at offset {at}: the threads proposal is not supported")
        if flags > 7:
            raise ModuleError(f"limits of the unknown form 0x{flags:02X} at offset {at}")
        number = self.u64 if flags & 4 else self.u32
        return Limits(number(), number() if flags & 1 else None, bool(flags & 4))

    def table_type(self) -> TableType:
        if self.peek() == 0x40:
            raise ModuleError(
                f"a table with an initial value at offset {self.pos}:"
                " the function references proposal is not supported"
            )
        return TableType(self.reference_type(), self.limits())

    def global_type(self) -> GlobalType:
        type_, at, mutable = self.value_type(), self.pos, self.byte()
        if mutable > 1:
            raise ModuleError(f"the mutability at offset {at} is 0x{mutable:02X}, not 0 or 1")
        return GlobalType(type_, bool(mutable))

    def import_(self) -> Import:
        module, name, at, kind = self.name(), self.name(), self.pos, self.byte()
        if kind >= len(_KINDS):
            hint = ": the exceptions proposal is not supported" if kind == 4 else ""
            raise ModuleError(f"import of kind {kind} at offset {at}{hint}")
        read: Callable[[], Any] = (self.u32, self.table_type, self.limits, self.global_type)[kind]
        return Import(module, name, _KINDS[kind], read())

    def export(self) -> Export:
        name, at, kind = self.name(), self.pos, self.byte()
        if kind >= len(_KINDS):
            hint = ": the exceptions proposal is not supported" if kind == 4 else ""
            raise ModuleError(f"export of kind {kind} at offset {at}{hint}")
        return Export(name, _KINDS[kind], self.u32())

    def expression(self) -> tuple[Instruction, ...]:
        """A constant expression, without its `end`."""
        start = self.pos
        found: list[Instruction] = []
        while True:
            self.peek()
            at = self.pos
            opcode, immediates, self.pos = read_instruction(self.data, at, self.end)
            if opcode.code == 0x0B:
                return tuple(found)
            if opcode.category == "control":
                raise ModuleError(
                    f"{opcode.name} at offset {at} in the constant expression at offset {start}"
                )
            found.append(Instruction(at, opcode, immediates))

    def global_(self) -> Global:
        return Global(self.global_type(), self.expression())

    def element(self) -> Element:
        at, flags = self.pos, self.u32()
        if flags > 7:
            raise ModuleError(f"element segment of the unknown form {flags} at offset {at}")
        passive = flags & 1
        table = self.u32() if not passive and flags & 2 else 0
        offset = () if passive else self.expression()
        type_ = "funcref"
        if flags & 3 and flags & 4:
            type_ = self.reference_type()
        elif flags & 3 and self.byte() != 0:
            raise ModuleError(f"element kind other than functions at offset {self.pos - 1}")
        mode = ("active", "passive", "active", "declarative")[flags & 3]
        items: tuple[tuple[Instruction, ...], ...]
        items = self.vector(Reader.expression) if flags & 4 else self.vector(Reader.function_reference)
        return Element(mode, table, offset, type_, items)

    def function_reference(self) -> tuple[Instruction, ...]:
        return (Instruction(self.pos, OPCODES[0xD2], (self.u32(),)),)

    def code(self) -> Code:
        at, size = self.pos, self.u32()
        end = self.pos + size
        if end > self.end:
            raise ModuleError(f"the module is cut off: the function body at offset {at} says {size} bytes")
        start = self.pos
        body = Reader(self.data, start, end)
        runs = body.vector(lambda reader: (reader.u32(), reader.value_type()))
        if sum(count for count, _ in runs) >= 1 << 32:
            raise ModuleError(f"the function body at offset {at} declares 2^32 or more locals")
        self.pos = end
        return Code(runs, start, body.pos, end)

    def data_segment(self) -> Data:
        at, flags = self.pos, self.u32()
        if flags > 2:
            raise ModuleError(f"data segment of the unknown form {flags} at offset {at}")
        memory = self.u32() if flags == 2 else 0
        offset = () if flags == 1 else self.expression()
        size = self.u32()
        start = self.pos
        self.take(size)
        return Data("passive" if flags == 1 else "active", memory, offset, start, self.pos)

    def block_type(self) -> FuncType | int:
        """The type itself for the short forms, else an index into the module's types."""
        byte = self.peek()
        if byte == 0x40:
            self.pos += 1
            return FuncType((), ())
        if byte in VALUE_TYPES or 0x63 <= byte <= 0x74:
            return FuncType((), (self.value_type(),))
        at, index = self.pos, self.signed(33)
        if index < 0:
            raise ModuleError(f"the type of the block at offset {at} is unknown")
        return index

    def labels(self) -> tuple[int, ...]:
        return (*self.vector(Reader.u32), self.u32())

    def memarg(self) -> tuple[int, int, int]:
        """Alignment exponent, memory index, offset in bytes."""
        at, flags = self.pos, self.u32()
        if flags >= 0x80:
            raise ModuleError(f"the alignment at offset {at} is malformed")
        return flags & 0x3F, self.u32() if flags & 0x40 else 0, self.u64()

    def heap_type(self) -> str:
        if not self.peek() & 0x40:
            raise ModuleError(
                f"a type by index at offset {self.pos}: the function references proposal is not supported"
            )
        return self.reference_type()


def _f32(reader: Reader) -> int:
    """The bit pattern, so that every NaN survives."""
    bits: int = struct.unpack("<I", reader.take(4))[0]
    return bits


def _f64(reader: Reader) -> int:
    bits: int = struct.unpack("<Q", reader.take(8))[0]
    return bits


_IMMEDIATES: dict[str, Callable[[Reader], Any]] = {
    "block": Reader.block_type,
    "labels": Reader.labels,
    "memarg": Reader.memarg,
    "i32": lambda reader: reader.signed(32),
    "i64": lambda reader: reader.signed(64),
    "f32": _f32,
    "f64": _f64,
    "v128": lambda reader: reader.take(16),
    "lanes": lambda reader: reader.take(16),
    "lane": Reader.byte,
    "types": lambda reader: reader.vector(Reader.value_type),
    "heap": Reader.heap_type,
    **dict.fromkeys(
        ("label", "func", "type", "table", "local", "global", "memory", "data", "elem"), Reader.u32
    ),
}
