"""What each load, store and bulk instruction does to a linear memory (WebAssembly 2.0, 4.4.7).

A memory is a `bytearray`; addresses are absolute, the instruction's offset already added.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from harness.opcodes.numeric import Nan, Trap, bits_of
from harness.opcodes.simd import SHAPES
from harness.opcodes.traps import OUT_OF_MEMORY

PAGE = 65536
_OUTSIDE = (struct.error, OverflowError, IndexError)  # what struct raises beyond the end, and far beyond it


def check(memory: bytearray, at: int, size: int) -> None:
    if at + size > len(memory):
        raise Trap(OUT_OF_MEMORY)


def _integer_load(size: int, width: int, is_signed: bool) -> Callable[[bytearray, int], int]:
    unpack = struct.Struct("<" + ("bhiq" if is_signed else "BHIQ")[size.bit_length() - 4]).unpack_from
    mask = (1 << width) - 1

    def load(memory: bytearray, at: int) -> int:
        try:
            value: int = unpack(memory, at)[0]
        except _OUTSIDE:
            raise Trap(OUT_OF_MEMORY) from None
        return value & mask

    return load


def _float_load(width: int) -> Callable[[bytearray, int], float]:
    unpack = struct.Struct("<f" if width == 32 else "<d").unpack_from

    def load(memory: bytearray, at: int) -> float:
        try:
            value: float = unpack(memory, at)[0]
        except _OUTSIDE:
            raise Trap(OUT_OF_MEMORY) from None
        if value != value:
            return Nan(int.from_bytes(memory[at : at + width // 8], "little"))
        return value

    return load


def _integer_store(size: int) -> Callable[[bytearray, int, int], None]:
    pack, mask = struct.Struct("<" + "BHIQ"[size.bit_length() - 4]).pack_into, (1 << size) - 1

    def store(memory: bytearray, at: int, value: int) -> None:
        try:
            pack(memory, at, value & mask)
        except _OUTSIDE:
            raise Trap(OUT_OF_MEMORY) from None

    return store


def _float_store(width: int) -> Callable[[bytearray, int, float], None]:
    pack, store_bits = struct.Struct("<f" if width == 32 else "<d").pack_into, _integer_store(width)

    def store(memory: bytearray, at: int, value: float) -> None:
        if value != value:
            store_bits(memory, at, bits_of(value, width))
            return
        try:
            pack(memory, at, value)
        except _OUTSIDE:
            raise Trap(OUT_OF_MEMORY) from None

    return store


def _read(memory: bytearray, at: int, size: int) -> bytes:
    check(memory, at, size)
    return bytes(memory[at : at + size])


def _vector_load(name: str) -> Callable[[bytearray, int], bytes]:
    """`load`, `load8x8_s`, `load16_splat`, `load32_zero` and their like."""
    if name == "load":
        return lambda memory, at: _read(memory, at, 16)
    if name.endswith("_splat"):
        size = int(name[4:-6]) // 8
        return lambda memory, at: _read(memory, at, size) * (16 // size)
    if name.endswith("_zero"):
        size = int(name[4:-5]) // 8
        return lambda memory, at: _read(memory, at, size).ljust(16, b"\0")
    width, count = map(int, name[4:-2].split("x"))
    narrow, wide = SHAPES[f"i{width}x{128 // width}"], SHAPES[f"i{2 * width}x{count}"]
    mask, is_signed = (1 << 2 * width) - 1, name.endswith("_s")

    def load(memory: bytearray, at: int) -> bytes:
        vector = _read(memory, at, 8).ljust(16, b"\0")
        lanes = narrow.signed(vector) if is_signed else narrow.unpack(vector)
        return wide.struct.pack(*(lane & mask for lane in lanes[:count]))

    return load


def _vector_store(memory: bytearray, at: int, value: bytes) -> None:
    check(memory, at, 16)
    memory[at : at + 16] = value


def load_lane(size: int, lane: int) -> Callable[[bytearray, int, bytes], bytes]:
    def load(memory: bytearray, at: int, vector: bytes) -> bytes:
        loaded = _read(memory, at, size)
        return vector[: lane * size] + loaded + vector[(lane + 1) * size :]

    return load


def store_lane(size: int, lane: int) -> Callable[[bytearray, int, bytes], None]:
    def store(memory: bytearray, at: int, vector: bytes) -> None:
        check(memory, at, size)
        memory[at : at + size] = vector[lane * size : (lane + 1) * size]

    return store


def fill(memory: bytearray, at: int, value: int, size: int) -> None:
    check(memory, at, size)
    memory[at : at + size] = bytes([value & 0xFF]) * size


def copy(target: bytearray, at: int, source: bytes | bytearray, start: int, size: int) -> None:
    if start + size > len(source):
        raise Trap(OUT_OF_MEMORY)
    check(target, at, size)
    target[at : at + size] = source[start : start + size]


def _loads() -> dict[str, Callable[[bytearray, int], Any]]:
    found: dict[str, Callable[[bytearray, int], Any]] = {
        "i32.load": _integer_load(32, 32, False),
        "i64.load": _integer_load(64, 64, False),
        "f32.load": _float_load(32),
        "f64.load": _float_load(64),
    }
    for width, sizes in ((32, (8, 16)), (64, (8, 16, 32))):
        for size in sizes:
            found[f"i{width}.load{size}_s"] = _integer_load(size, width, True)
            found[f"i{width}.load{size}_u"] = _integer_load(size, width, False)
    vectors = ["load", "load32_zero", "load64_zero"]
    vectors += [f"load{size}_splat" for size in (8, 16, 32, 64)]
    vectors += [f"load{pair}_{letter}" for pair in ("8x8", "16x4", "32x2") for letter in "su"]
    return found | {f"v128.{name}": _vector_load(name) for name in vectors}


# Name -> (memory, address) -> value.
LOADS = _loads()
# Name -> (memory, address, value).
STORES: dict[str, Callable[[bytearray, int, Any], None]] = {
    "i32.store": _integer_store(32),
    "i64.store": _integer_store(64),
    "f32.store": _float_store(32),
    "f64.store": _float_store(64),
    "i32.store8": _integer_store(8),
    "i32.store16": _integer_store(16),
    "i64.store8": _integer_store(8),
    "i64.store16": _integer_store(16),
    "i64.store32": _integer_store(32),
    "v128.store": _vector_store,
}
