"""How a module is run to be counted, and what the run gave: the same for both implementations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.opcodes.instruction_set import CODES, OPCODES

OUTPUT_LIMIT = 1 << 20  # bytes of stdout and of stderr that are kept
TRAP_EXIT_CODE = 134  # as a shell reports an aborted process


@dataclass(frozen=True, slots=True)
class Invocation:
    """`argv` includes the program's name; `stdin` is what it reads, or a file of that; `preopens` maps guest names to
    host directories.

    `fixed` gives the program a clock that advances 1 ms a reading and a fixed sequence of random bytes, so
    that two runs see the same.
    """

    argv: Sequence[str] = ()
    stdin: bytes | Path = b""
    preopens: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    entry: str = "_start"
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What one run executed. `trap` is None where the program ended by itself, else why it stopped."""

    opcodes: dict[str, int]
    total: int
    wall_ns: int  # instantiating and running; decoding and compiling are not included
    exit_code: int  # 0 where the entry returned, what it gave proc_exit, 134 after a trap
    trap: str | None
    stdout: bytes  # the first MiB
    stderr: bytes  # the first MiB
    stdout_sha256: str  # of all of it
    results: tuple[int | float, ...] = ()  # what the entry returned
    memory_sha256: str = (
        ""  # of the exported memories at the end, in the order of their names; of a `fixed` run only
    )
    memory_bytes: int = 0  # of the largest exported memory at the end, which is the most it had

    def by_category(self) -> dict[str, int]:
        """Totals by the kind of opcode: the words of `instruction_set.CATEGORIES`."""
        found: dict[str, int] = {}
        for name, times in self.opcodes.items():
            category = OPCODES[CODES[name]].category
            found[category] = found.get(category, 0) + times
        return found


class Capture:
    """An output stream: keeps the beginning, hashes everything."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self.kept, self.limit, self.sha256 = bytearray(), limit, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.sha256.update(data)
        if len(self.kept) < self.limit:
            self.kept += data[: self.limit - len(self.kept)]


class FixedClock:
    """Advances a millisecond at each reading."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def read_ns(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


class FixedRandom:
    """The same bytes in every run: SHA-256 of 0, 1, 2, ..., one after the other."""

    def __init__(self) -> None:
        self.block, self.left = 0, b""

    def read(self, size: int) -> bytes:
        while len(self.left) < size:
            self.left += hashlib.sha256(self.block.to_bytes(8, "little")).digest()
            self.block += 1
        found, self.left = self.left[:size], self.left[size:]
        return found
