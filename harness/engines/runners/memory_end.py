"""Declares a lower end of a module's memory, for engines that take no such limit. Device side: Python 3.8+."""

from __future__ import annotations

MEMORY_SECTION = 5


def ending_at(module: bytes, pages: int) -> bytes:
    """The module with its own memory's maximum at most ``pages`` of 64 KiB: growing further fails as it should.

    Shared, 64-bit and several memories, and bytes that are no module, stay as they are.
    """
    at = 8
    try:
        while at < len(module):
            start = at
            size, at = unsigned(module, at + 1)
            end = at + size
            if module[start] == MEMORY_SECTION:
                count, at = unsigned(module, at)
                flags, least_at = module[at], at + 1
                least, at = unsigned(module, least_at)
                most, at = unsigned(module, at) if flags & 1 else (1 << 16, at)
                if count != 1 or flags > 1 or at != end:
                    return module
                limits = b"\1\1" + encoded(least) + encoded(min(most, max(least, pages)))
                section = bytes([MEMORY_SECTION]) + encoded(len(limits)) + limits
                return module[:start] + section + module[end:]
            at = end
    except IndexError:
        pass
    return module


def unsigned(data: bytes, at: int) -> tuple[int, int]:
    """The LEB128 number at ``at``, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def encoded(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
