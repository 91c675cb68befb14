"""The basic blocks of a function body, found in one pass.

A **block** is a run of instructions that is entered only at its first and, unless an instruction traps, left
only after its last. It ends after each branch (`if`, `else`, `br`, `br_if`, `br_table`, `return`,
`unreachable`), after each call (a call may never return), after `loop`, and after an `end` that something
jumps to. Code that nothing can reach belongs to no block.

A **junction** is a set of block ends and block starts tied together by control flow: all blocks that leave
through a junction enter, one for one, a block that starts at it. Junction 0 is the function's entry, junction
1 its exit; a call is tied to the exit as well as to what follows it, since both can come next, and so is the label
of a `catch` clause, since an exception thrown by any call may come there.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.errors import ModuleError
from harness.opcodes.instruction_reader import read_instruction
from harness.opcodes.leb import read_unsigned
from harness.opcodes.straight_code import RUN, SAFE_RUN
from harness.opcodes.traps import REASONS
from harness.spelling import several

ENTRY, EXIT = 0, 1

# Instructions that branch or go on: to the label in the first immediate, of a cast in the second.
_CONDITIONAL = ("br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail")
_OLDER_EXCEPTIONS = ("try", "catch", "catch_all", "rethrow", "delegate")
OLDER_EXCEPTIONS = (
    "it handles exceptions in the older form, which the engine does not know; compile it with "
    "-mllvm -wasm-use-legacy-eh=false, or translate it with wasm-opt --translate-to-exnref"
)
_FUNCTION, _BLOCK, _LOOP, _IF, _ELSE = range(5)


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

    def flow(self) -> Flow:
        """What is needed to tell counts, small in memory."""
        return Flow(
            array("I", self.starts),
            array("I", self.ends),
            array("I", map(self.find, self.heads)),
            array("I", map(self.find, self.tails)),
            self.find(ENTRY),
            self.find(EXIT),
            len(self.parents),
            frozenset(self.doomed),
        )


class Flow(NamedTuple):
    """The blocks of one function in code order, and which junctions each one leads from and to."""

    starts: array[int]
    ends: array[int]
    heads: array[int]
    tails: array[int]
    entry: int
    exit: int
    junctions: int
    doomed: frozenset[int]


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
        return _find_blocks(data, start, end, SAFE_RUN if split_traps else RUN)
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
        elif opcode == 0x10 or opcode == 0x11 or opcode == 0x14:
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
                    f"the br_table at offset {at} says {several(count, 'label')}, "
                    f"{several(end - pos, 'byte is', 'bytes are')} left"
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
            found, immediates, pos = read_instruction(data, at, end)  # an unusual encoding, or an error
            if found.name == "try_table":
                frames.append(_Frame(_BLOCK, -1, live, weight))
                if live:
                    for _, _, depth in immediates[1]:  # counted from outside the block
                        blocks.tie(label(depth + 1), EXIT)
            elif found.name in _CONDITIONAL:
                if live:
                    target = label(immediates[found.name.startswith("br_on_cast")])
                    close(target)
                    head, block_start = target, pos
            elif found.name in _OLDER_EXCEPTIONS:
                raise ModuleError(f"{found.name} at offset {at}: {OLDER_EXCEPTIONS}")
            elif found.category in ("call", "control") and found.name != "nop":
                if live:
                    close(EXIT)
                    if found.name == "unreachable":
                        blocks.doomed.add(len(starts) - 1)
                live = False
            elif live and pattern is SAFE_RUN and REASONS[found.code]:
                inside = junction()
                close(inside)
                head, block_start = inside, pos


def _after_block_type(data: bytes, pos: int, end: int) -> int:
    if data[pos] & 0xC0 == 0x40 and data[pos] not in (0x63, 0x64):
        return pos + 1
    pos += data[pos] in (0x63, 0x64)  # a reference, its kind in the number that follows
    while data[pos] & 0x80 and pos < end:
        pos += 1
    return pos + 1
