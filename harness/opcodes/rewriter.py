"""A module rewritten so that it counts its own blocks, and behaves as before in every other way.

Each probed block (`probes.py`) adds one to a 64-bit global of its own at its start. Inside an innermost loop
without calls the count is also held in a local, so that the loop carries a register and a store instead of a
load, an addition and a store. Globals are stored at once, so the counts are complete whenever the program
stops: at a trap the offset of the trapping instruction, which the engine reports, tells which part of its
block was executed. Appended globals, locals, functions and one memory leave every existing index as it was.
The start function, if any, is exported instead, for the caller to run right after instantiation, where its
counts stay reachable even if it traps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace

from harness.opcodes.blocks import Blocks, find_blocks
from harness.opcodes.counters import Function, Insertion, Instrumented
from harness.opcodes.decoder import MAGIC, ORDER, VERSION, Module, decode
from harness.opcodes.leb import read_unsigned, unsigned
from harness.opcodes.module_parts import FuncType
from harness.opcodes.probes import choose_probes

MAX_CACHED = 4  # counters held in locals in one loop: more would crowd out the program's own registers
_MAX_LOCALS = 50_000  # what engines accept in a function
_CHUNK = 1000  # counters copied by one function
_KEPT_CUSTOM = ("name",)


def instrument(data: bytes, *, every_block: bool = False) -> Instrumented:
    """Rewrite a module; `ModuleError` where `decode` raises it.

    With `every_block`, each block has a counter and ends where an instruction can trap: several times slower,
    and exact without asking the engine where the program trapped.
    """
    module = decode(data, bodies=False)
    first_global = len(module.imported("global")) + len(module.globals)
    first_function = len(module.imported("func")) + len(module.functions)
    memory = len(module.imported("memory")) + len(module.memories)
    functions: list[Function] = []
    bodies: list[bytes] = []
    counters = 0
    for code, type_index in zip(module.codes, module.functions, strict=True):
        blocks = find_blocks(data, code.start, code.end, split_traps=every_block)
        probes = list(range(len(blocks.starts))) if every_block else choose_probes(blocks)
        declared = len(module.types[type_index].params) + sum(count for count, _ in code.locals)
        insertions, cached = _insertions(blocks, probes, first_global + counters, declared)
        head = data[code.body : code.start]
        if cached:
            runs, at = read_unsigned(data, code.body, code.end)
            head = unsigned(runs + 1) + data[at : code.start] + unsigned(cached) + b"\x7e"
        pieces, at = [head], code.start
        for insertion in insertions:
            pieces += (data[at : insertion.offset], insertion.code)
            at = insertion.offset
        pieces.append(data[at : code.end])
        bodies.append(_sized(b"".join(pieces)))
        functions.append(Function(blocks, probes, counters, insertions, code.start, len(head)))
        counters += len(probes)
    taken = {export.name for export in module.exports}
    names = {word: _free_name(f"harness:{word}", taken) for word in ("counters", "dump", "start")}
    extra = _Extra(module)
    copies = _copies(first_global, counters, memory)
    calls = b"".join(b"\x10" + unsigned(first_function + n) for n in range(len(copies)))
    copies.append(_sized(b"\0" + calls + b"\x0b"))
    type_index = extra.empty_type()
    for body in copies:
        extra.add(3, unsigned(type_index))
        extra.add(10, body)
    pages = -(-8 * counters // 65536)
    extra.add(5, b"\1" + unsigned(pages) * 2)
    extra.add(6, b"\x7e\1\x42\0\x0b", counters)
    extra.add(7, _export(names["counters"], 2, memory))
    extra.add(7, _export(names["dump"], 0, first_function + len(copies) - 1))
    if module.start is not None:
        extra.add(7, _export(names["start"], 0, module.start))
    rewritten, code_at = _assemble(module, extra, bodies)
    moved = []
    for function, body in zip(functions, bodies, strict=True):
        _, size_bytes = read_unsigned(body, 0, len(body))
        moved.append(replace(function, new_start=code_at + size_bytes + function.new_start))
        code_at += len(body)
    start = names["start"] if module.start is not None else None
    return Instrumented(
        rewritten, module, moved, counters, names["dump"], names["counters"], start, every_block
    )


def _insertions(
    blocks: Blocks, probes: list[int], first_global: int, first_local: int
) -> tuple[list[Insertion], int]:
    """The code to insert, by original offset, and how many locals it needs."""
    held: dict[int, int] = {}  # probed block -> local
    found: list[Insertion] = []
    for loop_at, first, after in blocks.loops:
        inside = range(bisect_left(probes, first), bisect_left(probes, after))
        if 0 < len(inside) <= MAX_CACHED and first_local + len(held) + len(inside) < _MAX_LOCALS:
            for number in inside:
                local = held[probes[number]] = first_local + len(held)
                code = b"\x23" + unsigned(first_global + number) + b"\x21" + unsigned(local)
                found.append(Insertion(loop_at, code, first - 1, 2))
    for number, block in enumerate(probes):
        counter = unsigned(first_global + number)
        if block in held:
            local_bytes = unsigned(held[block])
            code = b"\x20" + local_bytes + b"\x42\1\x7c\x22" + local_bytes + b"\x24" + counter
            found.append(Insertion(blocks.starts[block], code, block, 5))
        else:
            code = b"\x23" + counter + b"\x42\1\x7c\x24" + counter
            found.append(Insertion(blocks.starts[block], code, block, 4))
    found.sort(key=lambda insertion: insertion.offset)
    return found, len(held)


def _copies(first_global: int, counters: int, memory: int) -> list[bytes]:
    """Bodies of functions that copy the counters to memory: i64.store (i32.const 0) (global.get n)."""
    place = b"\x43" + unsigned(memory) if memory else b"\3"
    bodies = []
    for first in range(0, counters, _CHUNK):
        code = b"".join(
            b"\x41\0\x23" + unsigned(first_global + n) + b"\x37" + place + unsigned(8 * n)
            for n in range(first, min(first + _CHUNK, counters))
        )
        bodies.append(_sized(b"\0" + code + b"\x0b"))
    return bodies


class _Extra:
    """Entries to append to the module's sections."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.counts: Counter[int] = Counter()
        self.contents: dict[int, list[bytes]] = {}

    def add(self, section: int, content: bytes, times: int = 1) -> None:
        if times:
            self.counts[section] += times
            self.contents.setdefault(section, []).append(content * times)

    def empty_type(self) -> int:
        """The index of the type [] -> []."""
        if FuncType((), ()) in self.module.types:
            return self.module.types.index(FuncType((), ()))
        self.add(1, b"\x60\0\0")
        return len(self.module.types)


def _assemble(module: Module, extra: _Extra, bodies: list[bytes]) -> tuple[bytes, int]:
    """The new module and the offset of its first function body."""
    data, code_at = module.data, 0
    sections = {section.number: section for section in module.sections if section.number}
    pieces = [MAGIC + VERSION]
    length = len(pieces[0])
    for number in ORDER:
        if number == 8 or (number not in sections and number not in extra.counts):
            continue
        content, count = b"", 0
        if number in sections:
            _, start, end = sections[number]
            if number == 12:
                content = data[start:end]
            else:
                count, start = read_unsigned(data, start, end)
                content = b"".join(bodies) if number == 10 else data[start:end]
        content += b"".join(extra.contents.get(number, ()))
        prefix = b"" if number == 12 else unsigned(count + extra.counts[number])
        header = bytes([number]) + unsigned(len(prefix) + len(content)) + prefix
        if number == 10:
            code_at = length + len(header)
        pieces += (header, content)
        length += len(header) + len(content)
    for name, start, end in module.customs:
        if name in _KEPT_CUSTOM:
            content = _sized(name.encode()) + data[start:end]
            pieces.append(b"\0" + _sized(content))
    return b"".join(pieces), code_at


def _sized(content: bytes) -> bytes:
    return unsigned(len(content)) + content


def _export(name: str, kind: int, number: int) -> bytes:
    return _sized(name.encode()) + bytes([kind]) + unsigned(number)


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    return name
