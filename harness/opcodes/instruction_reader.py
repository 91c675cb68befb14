"""One instruction after another, each with its immediates (WebAssembly 2.0, 5.4).

Floats are kept as their bit patterns, so that every NaN survives.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from harness.errors import ModuleError
from harness.opcodes.instruction_set import OPCODES, Opcode
from harness.opcodes.instruction_table import UNSUPPORTED
from harness.opcodes.leb import read_unsigned
from harness.opcodes.module_parts import Instruction
from harness.opcodes.reader import Reader


def read_instructions(data: bytes, pos: int, end: int) -> Iterator[Instruction]:
    while pos < end:
        at = pos
        opcode, immediates, pos = read_instruction(data, pos, end)
        yield Instruction(at, opcode, immediates)


def read_instruction(data: bytes, pos: int, end: int) -> tuple[Opcode, tuple[Any, ...], int]:
    """The instruction at `pos`, its immediates, and the position after it."""
    at, code = pos, data[pos]
    pos += 1
    if code in (0xFB, 0xFC, 0xFD, 0xFE):
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


def _labels(reader: Reader) -> tuple[int, ...]:
    return (*reader.vector(Reader.u32), reader.u32())


def _catches(reader: Reader) -> tuple[tuple[int, int | None, int], ...]:
    """The kind of each clause (0 catch, 1 catch_ref, 2 catch_all, 3 catch_all_ref), its tag, its label."""

    def clause(reader: Reader) -> tuple[int, int | None, int]:
        at, kind = reader.pos, reader.byte()
        if kind > 3:
            raise ModuleError(f"the catch clause at offset {at} is of the unknown kind {kind}")
        return kind, reader.u32() if kind < 2 else None, reader.u32()

    return reader.vector(clause)


def _zero(reader: Reader) -> int:
    at, byte = reader.pos, reader.byte()
    if byte:
        raise ModuleError(f"0x{byte:02X} at offset {at} must be 0")
    return byte


def _nulls(reader: Reader) -> int:
    """Bit 0: the first type of a cast is nullable; bit 1: the second is."""
    at, byte = reader.pos, reader.byte()
    if byte > 3:
        raise ModuleError(f"the flags of the cast at offset {at} are 0x{byte:02X}, not 0 to 3")
    return byte


def _f32(reader: Reader) -> int:
    """The bit pattern, so that every NaN survives."""
    bits: int = struct.unpack("<I", reader.take(4))[0]
    return bits


def _f64(reader: Reader) -> int:
    bits: int = struct.unpack("<Q", reader.take(8))[0]
    return bits


_IMMEDIATES: dict[str, Callable[[Reader], Any]] = {
    "block": Reader.block_type,
    "labels": _labels,
    "catches": _catches,
    "zero": _zero,
    "nulls": _nulls,
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
        (
            "label",
            "func",
            "type",
            "table",
            "local",
            "global",
            "memory",
            "data",
            "elem",
            "tag",
            "field",
            "count",
        ),
        Reader.u32,
    ),
}
