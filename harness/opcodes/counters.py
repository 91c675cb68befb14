"""What a rewritten module's counters tell: executed opcodes, also where the program trapped within a block."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.opcodes import traps
from harness.opcodes.blocks import Flow
from harness.opcodes.decoder import Module
from harness.opcodes.instruction_reader import read_instruction, read_instructions
from harness.opcodes.probes import solve_counts
from harness.opcodes.straight_code import count_opcodes

# Opcodes that use fuel for each byte, element or page beside the one for themselves.
BULK = frozenset(
    f"{kind}.{operation}"
    for kind, operations in (
        ("memory", ("init", "copy", "fill", "grow")),
        ("table", ("init", "copy", "fill", "grow")),
        (
            "array",
            (
                "new",
                "new_default",
                "new_fixed",
                "new_data",
                "new_elem",
                "fill",
                "copy",
                "init_data",
                "init_elem",
            ),
        ),
    )
    for operation in operations
)
_NO_FUEL = frozenset(("else", "end", "nop", "drop", "block", "loop", "unreachable", "return"))


class Stop(NamedTuple):
    """Where the engine says a run of the rewritten module trapped."""

    function: int
    offset: int  # in the rewritten module
    reason: str  # one of traps.py


class Insertion(NamedTuple):
    offset: int  # in the original: the code goes before the instruction here
    size: int  # bytes
    instructions: int  # that the code executes
    block: int  # the code runs as often as this block


@dataclass(frozen=True, slots=True)
class Function:
    """One rewritten function: its blocks, which of them have counters, and what was inserted where."""

    flow: Flow
    probes: array[int]
    first_counter: int
    inserted: array[int]  # the fields of every `Insertion`, one after the other, in code order
    start: int  # of the instructions, in the original
    new_start: int  # of the instructions, in the rewritten module

    @property
    def insertions(self) -> Iterator[Insertion]:
        fields = iter(self.inserted)
        return map(Insertion, fields, fields, fields, fields)

    def original_offset(self, offset: int) -> int:
        """Where the instruction at `offset` of the rewritten module stands in the original one."""
        shift = self.new_start - self.start
        for insertion in self.insertions:
            if insertion.offset + shift >= offset:
                break
            shift += insertion.size
        return offset - shift


@dataclass(frozen=True, slots=True)
class Instrumented:
    """A rewritten module with what is needed to read its counts."""

    data: bytes
    module: Module
    functions: list[Function]
    counters: int
    # Exports: the memory of the counters, each 64 bits in little-endian order; or the global of each counter.
    exported: str | tuple[str, ...]
    start: str | None  # export to call after instantiation, where the original has a start function
    every_block: bool = False  # so that counts need no solving and no place of a trap

    def block_counts(self, counters: Sequence[int], stop: Stop | None = None) -> list[tuple[int, list[int]]]:
        """For each defined function, its number and how often each of its blocks was entered."""
        stopped = self._stopped(stop)
        found = []
        for number, function in enumerate(self.functions):
            values = counters[function.first_counter : function.first_counter + len(function.probes)]
            block = stopped[1] if stopped and stopped[0] == number else None
            found.append((number, solve_counts(function.flow, function.probes, values, block)))
        return found

    def opcode_counts(self, counters: Sequence[int], stop: Stop | None = None) -> dict[str, int]:
        """Executed opcodes by name; `stop` says where execution trapped, if it did."""
        data, total = self.module.data, Counter[str]()
        for number, counts in self.block_counts(counters, stop):
            flow = self.functions[number].flow
            for block, times in enumerate(counts):
                if times:
                    for name, static in count_opcodes(data, flow.starts[block], flow.ends[block]).items():
                        total[name] += static * times
        stopped = self._stopped(stop)
        if stopped:
            number, block, offset = stopped
            flow = self.functions[number].flow
            total.subtract(count_opcodes(data, offset, flow.ends[block]))
            total.update(count_opcodes(data, offset, _after(data, offset, flow.ends[block])))
        return {name: times for name, times in total.items() if times}

    def expected_fuel(self, counters: Sequence[int]) -> int:
        """What wasmtime's fuel must be after a run without a trap, from counts and inserted code alone.

        Fuel: one for each instruction but `else`, `end`, `nop`, `drop`, `block`, `loop`, `unreachable` and
        `return`, and one for each function entered.
        """
        fuel = sum(times for name, times in self.opcode_counts(counters).items() if name not in _NO_FUEL)
        for number, counts in self.block_counts(counters):
            fuel += counts[0] if counts else 0
            for insertion in self.functions[number].insertions:
                fuel += counts[insertion.block] * insertion.instructions
        return fuel

    def _stopped(self, stop: Stop | None) -> tuple[int, int, int] | None:
        """Function, block and original offset of the last instruction that was executed."""
        if stop is None or self.every_block:
            return None
        number = stop.function - len(self.module.imported("func"))
        if not 0 <= number < len(self.functions):
            return None
        function = self.functions[number]
        flow = function.flow
        offset = function.original_offset(stop.offset)
        block = bisect_right(flow.starts, offset) - 1
        if block < 0 or offset >= flow.ends[block]:
            return None
        if stop.reason == traps.TIME_LIMIT:  # it stops on entering a function or loop, before the first block
            opcode = read_instruction(self.module.data, offset, flow.ends[block])[0]
            return (number, block, offset) if opcode.name == "loop" else None
        if stop.reason == traps.UNREACHABLE and block in flow.doomed:
            # The engine may report the instruction before, if that ends in a branch of the engine's own.
            *_, last = read_instructions(self.module.data, offset, flow.ends[block])
            return number, block, last.offset
        return number, block, offset

    def located(self, stop: Stop) -> bool:
        """Whether the place the engine reports is where the program trapped.

        The engine's compiler moves loads into the instructions that use them and turns branches to code that
        only traps into traps. It then reports another instruction, or none: one that cannot trap for this
        reason gives that away, except for a store, which may stand for a load from the same address.
        """
        stopped = self._stopped(stop)
        if stop.reason == traps.TIME_LIMIT:
            return True
        if stopped is None:
            return False
        number, block, offset = stopped
        opcode = read_instruction(self.module.data, offset, self.functions[number].flow.ends[block])[0]
        return stop.reason in traps.REASONS[opcode.code] and "store" not in opcode.name


def _after(data: bytes, offset: int, end: int) -> int:
    return read_instruction(data, offset, end)[2]
