"""A position in a module's bytes: numbers, names and types (WebAssembly 2.0, 5.2 and 5.3).

Beyond the standard: several memories, 64-bit memories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.errors import ModuleError
from harness.opcodes.leb import read_signed, read_unsigned
from harness.opcodes.module_parts import VALUE_TYPES, FuncType, GlobalType, Limits, TableType

T = TypeVar("T")


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
