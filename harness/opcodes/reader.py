"""A position in a module's bytes: numbers, names and types (WebAssembly 2.0, 5.2 and 5.3).

Types of WebAssembly 3.0, and shared memories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.errors import ModuleError
from harness.opcodes.leb import read_signed, read_unsigned
from harness.opcodes.module_parts import (
    HEAP_TYPES,
    NUMBER_TYPES,
    PACKED_TYPES,
    ArrayType,
    Field,
    FuncType,
    GlobalType,
    Limits,
    StructType,
    TableType,
)
from harness.spelling import several

CompositeType = FuncType | StructType | ArrayType
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
                f"the module is cut off at offset {self.end}: {several(count, 'byte')} expected at {self.pos}"
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
                f"the vector at offset {at} says {several(count, 'element')}, "
                f"{several(self.end - self.pos, 'byte is', 'bytes are')} left"
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
        if byte in NUMBER_TYPES:
            return NUMBER_TYPES[byte]
        if byte in HEAP_TYPES:
            return f"ref null {HEAP_TYPES[byte]}"
        if byte in (0x63, 0x64):
            return f"ref null {self.heap_type()}" if byte == 0x63 else f"ref {self.heap_type()}"
        raise ModuleError(f"0x{byte:02X} at offset {at} is not a type of a value")

    def reference_type(self) -> str:
        at, name = self.pos, self.value_type()
        if not name.startswith("ref"):
            raise ModuleError(f"{name} at offset {at} is not a type of a reference")
        return name

    def heap_type(self) -> str:
        """One of the words of HEAP_TYPES, or the index of a type in digits."""
        at, number = self.pos, self.signed(33)
        if number < 0 and number & 0x7F not in HEAP_TYPES:
            raise ModuleError(f"the type of the reference at offset {at} is unknown")
        return str(number) if number >= 0 else HEAP_TYPES[number & 0x7F]

    def field(self) -> Field:
        packed = PACKED_TYPES.get(self.peek())
        if packed:
            self.pos += 1
        return Field(packed or self.value_type(), self.mutability())

    def recursive_group(self) -> tuple[tuple[tuple[int, ...], bool, CompositeType], ...]:
        """The types of one entry of the type section, each with what it extends and whether it is final."""
        if self.peek() == 0x4E:
            self.pos += 1
            return self.vector(Reader.sub_type)
        return (self.sub_type(),)

    def sub_type(self) -> tuple[tuple[int, ...], bool, CompositeType]:
        form = self.peek()
        if form not in (0x4F, 0x50):
            return (), True, self.composite_type()
        self.pos += 1
        return self.vector(Reader.u32), form == 0x4F, self.composite_type()

    def composite_type(self) -> CompositeType:
        at, form = self.pos, self.byte()
        if form == 0x60:
            return FuncType(self.vector(Reader.value_type), self.vector(Reader.value_type))
        if form == 0x5F:
            return StructType(self.vector(Reader.field))
        if form == 0x5E:
            return ArrayType(self.field())
        hint = ": the stack switching proposal is not supported" if form == 0x5D else " is unknown"
        raise ModuleError(f"type form 0x{form:02X} at offset {at}{hint}")

    def limits(self) -> Limits:
        at, flags = self.pos, self.byte()
        if flags & 8:
            raise ModuleError(
                f"pages of another size at offset {at}: the custom page sizes proposal is not supported"
            )
        if flags > 7 or flags & 3 == 2:
            raise ModuleError(f"limits of the unknown form 0x{flags:02X} at offset {at}")
        number = self.u64 if flags & 4 else self.u32
        return Limits(number(), number() if flags & 1 else None, bool(flags & 4), bool(flags & 2))

    def table_type(self) -> TableType:
        return TableType(self.reference_type(), self.limits())

    def mutability(self) -> bool:
        at, mutable = self.pos, self.byte()
        if mutable > 1:
            raise ModuleError(f"the mutability at offset {at} is 0x{mutable:02X}, not 0 or 1")
        return bool(mutable)

    def global_type(self) -> GlobalType:
        return GlobalType(self.value_type(), self.mutability())

    def tag_type(self) -> int:
        """The index of the type whose parameters an exception with this tag carries."""
        at, attribute = self.pos, self.byte()
        if attribute:
            raise ModuleError(f"the tag at offset {at} has the unknown attribute {attribute}")
        return self.u32()

    def block_type(self) -> FuncType | int:
        """The type itself for the short forms, else an index into the module's types."""
        byte = self.peek()
        if byte == 0x40:
            self.pos += 1
            return FuncType((), ())
        if byte in NUMBER_TYPES or 0x63 <= byte <= 0x74:
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
