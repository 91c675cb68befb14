"""Where a counter lives in a rewritten module, and the code that adds one to it.

A counter is eight bytes of a memory of its own, or a 64-bit global where the module has as many memories as
engines allow. Where a function's body would grow past what engines accept, the code is a call of a function for
each counter, which takes the fewest bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from harness.opcodes.leb import unsigned


class Added(NamedTuple):
    code: bytes
    instructions: int


class CounterCode(Protocol):
    def add(self, counter: int) -> Added:
        """Add one."""

    def fetch(self, counter: int, local: int) -> Added:
        """Copy the counter into a local."""

    def add_held(self, counter: int, local: int) -> Added:
        """Add one to the local, and store it in the counter."""


@dataclass(frozen=True, slots=True)
class GlobalCounters:
    first: int  # number of the first counter's global

    def add(self, counter: int) -> Added:
        place = unsigned(self.first + counter)
        return Added(b"\x23" + place + b"\x42\1\x7c\x24" + place, 4)

    def fetch(self, counter: int, local: int) -> Added:
        return Added(b"\x23" + unsigned(self.first + counter) + b"\x21" + unsigned(local), 2)

    def add_held(self, counter: int, local: int) -> Added:
        held = unsigned(local)
        return Added(b"\x20" + held + b"\x42\1\x7c\x22" + held + b"\x24" + unsigned(self.first + counter), 5)


@dataclass(frozen=True, slots=True)
class MemoryCounters:
    memory: int

    def _place(self, counter: int) -> bytes:
        return (b"\x43" + unsigned(self.memory) if self.memory else b"\3") + unsigned(8 * counter)

    def add(self, counter: int) -> Added:
        place = self._place(counter)
        return Added(b"\x41\0\x41\0\x29" + place + b"\x42\1\x7c\x37" + place, 6)

    def fetch(self, counter: int, local: int) -> Added:
        return Added(b"\x41\0\x29" + self._place(counter) + b"\x21" + unsigned(local), 3)

    def add_held(self, counter: int, local: int) -> Added:
        held = unsigned(local)
        return Added(b"\x41\0\x20" + held + b"\x42\1\x7c\x22" + held + b"\x37" + self._place(counter), 6)


@dataclass(frozen=True, slots=True)
class CalledCounters:
    """Counters of one large function, each behind a function of its own."""

    counters: CounterCode
    first_function: int  # that adds one to the first counter
    first_counter: int

    def add(self, counter: int) -> Added:
        inside = self.counters.add(counter).instructions
        return Added(b"\x10" + unsigned(self.first_function + counter - self.first_counter), inside + 2)

    def fetch(self, counter: int, local: int) -> Added:
        return self.counters.fetch(counter, local)

    def add_held(self, counter: int, local: int) -> Added:
        return self.counters.add_held(counter, local)
