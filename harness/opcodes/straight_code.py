"""Runs of instructions that execution passes straight through, found by pattern instead of one by one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from harness.opcodes.instruction_reader import read_instruction
from harness.opcodes.instruction_set import OPCODES, Opcode
from harness.opcodes.traps import REASONS

_LEB32 = rb"[\x80-\xff]{0,4}+[\x00-\x7f]"
_LEB64 = rb"[\x80-\xff]{0,9}+[\x00-\x7f]"
_PATTERNS = {
    "i32": _LEB32,
    "i64": _LEB64,
    "f32": rb"[\x00-\xff]{4}",
    "f64": rb"[\x00-\xff]{8}",
    "v128": rb"[\x00-\xff]{16}",
    "lanes": rb"[\x00-\xff]{16}",
    "lane": rb"[\x00-\xff]",
    "heap": _LEB32,
    "types": rb"\x01(?:[\x65-\x7f]|[\x63\x64]" + _LEB32 + rb")",
    "zero": rb"\x00",
    "memarg": rb"(?:[\x00-\x3f]|[\x40-\x7f]" + _LEB32 + rb")" + _LEB64,
    **dict.fromkeys(
        ("func", "table", "local", "global", "memory", "data", "elem", "type", "field", "count"), _LEB32
    ),
}


def _straight(opcode: Opcode) -> bool:
    """Whether execution always goes on with the next instruction."""
    return opcode.category not in ("control", "call") or opcode.name == "nop"


def _escape(numbers: Iterable[int]) -> bytes:
    return b"[" + b"".join(rb"\x%02x" % number for number in numbers) + b"]"


def _straight_pattern(*, trapping: bool = True) -> bytes:
    """One straight-line instruction in its usual encoding, the frequent ones first."""
    groups: dict[tuple[str, ...], list[int]] = {}
    prefixed: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for code, opcode in OPCODES.items():
        if not trapping and REASONS[code]:
            continue
        if not _straight(opcode):
            continue
        if code < 0x100:
            groups.setdefault(opcode.immediates, []).append(code)
        else:
            prefixed.setdefault((code >> 16, opcode.immediates), []).append(code & 0xFFFF)
    usual = [("local",), (), ("memarg",), ("i32",)]
    parts = [
        _escape(codes) + b"".join(_PATTERNS[kind] for kind in kinds)
        for kinds, codes in sorted(
            groups.items(), key=lambda item: (item[0] not in usual, item[0] not in usual[:2])
        )
    ]
    for (prefix, kinds), numbers in prefixed.items():
        lows = [number for number in numbers if number < 0x80]
        choices = [_escape(lows)] if lows else []
        for high in sorted({number >> 7 for number in numbers if number >= 0x80}):
            choices.append(_escape(n & 0x7F | 0x80 for n in numbers if n >> 7 == high) + rb"\x%02x" % high)
        immediates = b"".join(_PATTERNS[kind] for kind in kinds)
        parts.append(rb"\x%02x(?:" % prefix + b"|".join(choices) + b")" + immediates)
    return b"(?:" + b"|".join(parts) + b")"


_INSTRUCTION = re.compile(_straight_pattern(), re.DOTALL)
# As many as follow each other; and as many that cannot trap.
RUN = re.compile(_straight_pattern() + b"*+", re.DOTALL)
SAFE_RUN = re.compile(_straight_pattern(trapping=False) + b"*+", re.DOTALL)


def count_opcodes(data: bytes, start: int, end: int) -> Counter[str]:
    """How often each opcode stands in the instructions from `start` to `end`."""
    found: Counter[str] = Counter()
    while start < end:
        stop = RUN.match(data, start, end).end()  # type: ignore[union-attr]
        for code, times in Counter(_INSTRUCTION.findall(data, start, stop)).items():
            found[_name(code)] += times
        if stop < end:
            opcode, _, stop = read_instruction(data, stop, end)
            found[opcode.name] += 1
        start = stop
    return found


def _name(instruction: bytes) -> str:
    return read_instruction(instruction, 0, len(instruction))[0].name
