"""LEB128 numbers, read with bounds and written in the shortest form (WebAssembly 2.0, 5.2.2)."""

from __future__ import annotations

from harness.errors import ModuleError


def read_unsigned(data: bytes, pos: int, end: int, bits: int = 32) -> tuple[int, int]:
    """The number at `pos` and the position after it; `ModuleError` past `end` or beyond `bits`."""
    start, value, shift = pos, 0, 0
    while pos < end:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> bits:
                break
            return value, pos
        shift += 7
        if shift >= bits:
            break
    else:
        raise ModuleError(f"the module is cut off in the number at offset {start}")
    raise ModuleError(f"the number at offset {start} does not fit in {bits} bits")


def read_signed(data: bytes, pos: int, end: int, bits: int = 32) -> tuple[int, int]:
    """Like `read_unsigned`, for two's complement: unused bits of the last byte must repeat the sign."""
    start, value, shift = pos, 0, 0
    while pos < end:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if byte & 0x40:
                value -= 1 << shift
            if not -(1 << bits - 1) <= value < 1 << bits - 1:
                break
            return value, pos
        if shift >= bits:
            break
    else:
        raise ModuleError(f"the module is cut off in the number at offset {start}")
    raise ModuleError(f"the number at offset {start} does not fit in {bits} bits")


def unsigned(value: int) -> bytes:
    """`value` ≥ 0 in the fewest bytes."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """`value` in two's complement, in the fewest bytes."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)
