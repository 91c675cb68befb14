"""The basic blocks of a function body, found in one pass, and the opcodes each one executes.

A **block** is a run of instructions that is entered only at its first and, unless an instruction traps, left
only after its last. It ends after each branch (`if`, `else`, `br`, `br_if`, `br_table`, `return`,
`unreachable`), after each call (a call may never return), after `loop`, and after an `end` that something
jumps to. Code that nothing can reach belongs to no block.

A **junction** is a set of block ends and block starts tied together by control flow: all blocks that leave
through a junction enter, one for one, a block that starts at it. Junction 0 is the function's entry, junction
1 its exit; a call is tied to the exit as well as to what follows it, since both can come next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.errors import ModuleError
from harness.opcodes.instruction_reader import read_instruction
from harness.opcodes.instruction_set import OPCODES, Opcode
from harness.opcodes.leb import read_unsigned, unsigned
from harness.opcodes.traps import REASONS

ENTRY, EXIT = 0, 1

_FUNCTION, _BLOCK, _LOOP, _IF, _ELSE = range(5)
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
    "heap": rb"[\x6f\x70]",
    "types": rb"\x01[\x6f-\x7f]",
    "memarg": rb"(?:[\x00-\x3f]|[\x40-\x7f]" + _LEB32 + rb")" + _LEB64,
    **dict.fromkeys(("func", "table", "local", "global", "memory", "data", "elem"), _LEB32),
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
        if code < 0x100 and _straight(opcode):
            groups.setdefault(opcode.immediates, []).append(code)
        elif code >= 0x100:
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
_RUN = re.compile(_straight_pattern() + b"*+", re.DOTALL)
_SAFE_RUN = re.compile(_straight_pattern(trapping=False) + b"*+", re.DOTALL)
assert unsigned(0x80) == b"\x80\x01"


@dataclass(slots=True)
class Blocks:
    """The blocks of one function in code order, as parallel lists, and its junctions."""

    starts: list[int] = field(default_factory=list)  # offset of the first instruction
    ends: list[int] = field(default_factory=list)  # offset after the last instruction
    heads: list[int] = field(default_factory=list)  # junction the block starts at
    tails: list[int] = field(default_factory=list)  # junction the block ends at
    weights: list[float] = field(default_factory=list)  # a guess at how often the block runs
    doomed: set[int] = field(default_factory=set)  # blocks that end in `unreachable`
    loops: list[tuple[int, int, int]] = field(default_factory=list)
    # Innermost loops without calls: offset of the `loop` opcode, first block inside, block after the last
    # inside.
    parents: list[int] = field(default_factory=lambda: [ENTRY, EXIT])  # union-find over junctions

    def find(self, junction: int) -> int:
        parents = self.parents
        while parents[junction] != junction:
            parents[junction] = junction = parents[parents[junction]]
        return junction

    def tie(self, one: int, other: int) -> None:
        self.parents[self.find(one)] = self.find(other)

    def junction(self) -> int:
        self.parents.append(len(self.parents))
        return len(self.parents) - 1


@dataclass(slots=True)
class _Frame:
    kind: int
    label: int  # junction a branch to this frame goes to; -1 until there is one
    live: bool  # whether the frame's start can be reached
    weight: float
    else_head: int = -1
    loop_at: int = -1  # offset of the `loop` opcode
    first_block: int = 0
    leaf: bool = True  # no calls and no loops inside so far


def find_blocks(data: bytes, start: int, end: int, *, split_traps: bool = False) -> Blocks:
    """The blocks of the function body at `start` to `end`; `ModuleError` if its bytes are not well-formed.

    With `split_traps` a block also ends after each instruction that can trap.
    """
    try:
        return _find_blocks(data, start, end, _SAFE_RUN if split_traps else _RUN)
    except IndexError:
        raise ModuleError(f"the function body at offset {start} is malformed") from None


def _find_blocks(data: bytes, start: int, end: int, pattern: re.Pattern[bytes]) -> Blocks:
    blocks = Blocks()
    starts, ends, heads, tails = blocks.starts, blocks.ends, blocks.heads, blocks.tails
    weights, junction, run = blocks.weights, blocks.junction, pattern.match
    frames = [_Frame(_FUNCTION, EXIT, True, 1.0)]
    live, head, block_start, weight = True, ENTRY, start, 1.0

    def close(tail: int) -> None:
        starts.append(block_start)
        ends.append(pos)
        heads.append(head)
        tails.append(tail)
        weights.append(weight)

    def label(depth: int) -> int:
        if depth >= len(frames):
            raise ModuleError(f"the branch at offset {at} leaves more blocks than there are")
        frame = frames[-1 - depth]
        if frame.label < 0:
            frame.label = junction()
        return frame.label

    pos = start
    while True:
        at = run(data, pos, end).end()  # type: ignore[union-attr]  # the pattern matches the empty run
        if at >= end:
            raise ModuleError(
                f"the function body ending at offset {end} has {len(frames)} block(s) without end"
            )
        opcode, pos = data[at], at + 1
        if opcode == 0x0B:
            frame = frames.pop()
            if frame.kind == _LOOP:
                if frame.leaf and frame.live:
                    blocks.loops.append((frame.loop_at, frame.first_block, len(starts) + live))
                weight = frame.weight
                continue
            if frame.kind == _IF:  # no else: a false condition comes out here
                if frame.live:
                    if frame.label < 0:
                        frame.label = frame.else_head
                    else:
                        blocks.tie(frame.label, frame.else_head)
                    if live:
                        close(frame.label)
                    live, head, block_start = True, frame.label, pos
            elif frame.kind == _FUNCTION:
                if live:
                    close(EXIT)
                if pos != end:
                    raise ModuleError(f"instructions at offset {pos} after the end of the function")
                return blocks
            elif frame.label >= 0:
                if live:
                    close(frame.label)
                live, head, block_start = True, frame.label, pos
            weight = frame.weight
        elif opcode == 0x02 or opcode == 0x03 or opcode == 0x04:
            pos = _after_block_type(data, pos, end)
            frame = _Frame(opcode - 1, -1, live, weight)
            if live and opcode != 0x02:
                inside = junction()
                close(inside)
                head, block_start = inside, pos
                if opcode == 0x03:
                    for outer in reversed(frames):
                        if not outer.leaf:
                            break
                        outer.leaf = False
                    frame.label, frame.loop_at, frame.first_block = inside, at, len(starts)
                    weight *= 10.0
                else:
                    frame.else_head = inside
                    weight *= 0.5
            frames.append(frame)
        elif opcode == 0x05:
            frame = frames[-1]
            if frame.kind != _IF:
                raise ModuleError(f"else without if at offset {at}")
            frame.kind = _ELSE
            if frame.live:
                if live:
                    close(label(0))
                live, head, block_start = True, frame.else_head, pos
        elif opcode == 0x0C or opcode == 0x0D:
            depth, pos = read_unsigned(data, pos, end)
            if live:
                target = label(depth)
                close(target)
                live, head, block_start = opcode == 0x0D, target, pos
        elif opcode == 0x10 or opcode == 0x11:
            _, pos = read_unsigned(data, pos, end)
            if opcode == 0x11:
                _, pos = read_unsigned(data, pos, end)
            if live:
                close(EXIT)
                head, block_start = EXIT, pos
                for outer in reversed(frames):
                    if not outer.leaf:
                        break
                    outer.leaf = False
        elif opcode == 0x0E:
            count, pos = read_unsigned(data, pos, end)
            if count > end - pos:
                raise ModuleError(
                    f"the br_table at offset {at} says {count} labels, {end - pos} bytes are left"
                )
            targets = set()
            for _ in range(count + 1):
                depth, pos = read_unsigned(data, pos, end)
                targets.add(depth)
            if live:
                first, *others = (label(depth) for depth in targets)
                for other in others:
                    blocks.tie(other, first)
                close(first)
                live = False
        else:
            found, _, pos = read_instruction(data, at, end)  # an unusual encoding, or an error
            if found.name in ("return", "unreachable") or found.category == "call":
                if live:
                    close(EXIT)
                    if found.name == "unreachable":
                        blocks.doomed.add(len(starts) - 1)
                live = False
            elif live and pattern is _SAFE_RUN and REASONS[found.code]:
                inside = junction()
                close(inside)
                head, block_start = inside, pos


def _after_block_type(data: bytes, pos: int, end: int) -> int:
    if data[pos] & 0xC0 == 0x40:
        return pos + 1
    while data[pos] & 0x80 and pos < end:
        pos += 1
    return pos + 1


def count_opcodes(data: bytes, start: int, end: int) -> Counter[str]:
    """How often each opcode stands in the instructions from `start` to `end`."""
    found: Counter[str] = Counter()
    while start < end:
        stop = _RUN.match(data, start, end).end()  # type: ignore[union-attr]
        for code, times in Counter(_INSTRUCTION.findall(data, start, stop)).items():
            found[_name(code)] += times
        if stop < end:
            opcode, _, stop = read_instruction(data, stop, end)
            found[opcode.name] += 1
        start = stop
    return found


def _name(instruction: bytes) -> str:
    return read_instruction(instruction, 0, len(instruction))[0].name
