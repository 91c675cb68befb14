"""A module rewritten so that it counts its own blocks, and behaves as before in every other way.

Each probed block (`probes.py`) adds one to a counter of its own at its start. Inside an innermost loop without
calls the count is also held in a local, so that the loop carries a register and a store instead of a load, an
addition and a store. Counters are stored at once, so the counts are complete whenever the program stops: at a
trap the offset of the trapping instruction, which the engine reports, tells which part of its block was
executed. What is appended (a memory, locals, now and then functions) leaves every existing index as it was. The start
function, if any, is exported instead, for the caller to run right after instantiation, where its counts stay
reachable even if it traps. A module with so many memories that there may be no more has its counters in globals.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import replace
from itertools import chain

from harness.errors import ModuleError
from harness.opcodes.appendix import GLOBAL, MEMORY, Appendix, sized
from harness.opcodes.blocks import Blocks, find_blocks
from harness.opcodes.counter_code import Added, CalledCounters, CounterCode, GlobalCounters, MemoryCounters
from harness.opcodes.counters import Function, Insertion, Instrumented
from harness.opcodes.decoder import decode
from harness.opcodes.leb import read_unsigned, unsigned
from harness.opcodes.module_parts import Code
from harness.opcodes.probes import choose_probes
from harness.spelling import several

MAX_CACHED = 4  # counters held in locals in one loop: more would crowd out the program's own registers
# What engines accept.
MAX_LOCALS = 50_000
MAX_BODY = 7_654_321  # bytes
MAX_FUNCTIONS = 1_000_000
MAX_MEMORIES = 100
MAX_GLOBALS = 1_000_000
_FUNCTION_KIND, _MEMORY_KIND, _GLOBAL_KIND = 0, 2, 3


class TooLarge(ModuleError):
    """With counters in it the module would be larger than engines accept."""


def instrument(data: bytes, *, every_block: bool = False) -> Instrumented:
    """Rewrite a module; `ModuleError` where `decode` raises it, `TooLarge` where engines would refuse the result.

    With `every_block`, each block has a counter and ends where an instruction can trap: several times slower,
    and exact without asking the engine where the program trapped.
    """
    module = decode(data, bodies=False)
    appendix = Appendix(module)
    memory = len(module.imported("memory")) + len(module.memories)
    first_global = len(module.imported("global")) + len(module.globals)
    in_memory = memory < MAX_MEMORIES
    counting: CounterCode = MemoryCounters(memory) if in_memory else GlobalCounters(first_global)

    functions: list[Function] = []
    bodies: list[bytes] = []
    first = 0
    for number, (code, type_index) in enumerate(zip(module.codes, module.functions, strict=True)):
        blocks = find_blocks(data, code.start, code.end, split_traps=every_block)
        probes = array("I", range(len(blocks.starts)) if every_block else choose_probes(blocks))
        declared = len(module.func_type(type_index).params) + sum(count for count, _ in code.locals)
        insertions, body = _rewritten(data, code, blocks, probes, counting, first, declared)
        if len(body) > MAX_BODY:
            calls = _called(appendix, counting, first, len(probes))
            insertions, body = _rewritten(data, code, blocks, probes, calls, first, None)
            if len(body) > MAX_BODY:
                raise TooLarge(
                    f"function {number} is too large to count: {several(len(body), 'byte')} with counters in it"
                )
        bodies.append(sized(body))
        head = len(body) - (code.end - code.start) - sum(insertion.size for insertion in insertions)
        inserted = array("I", chain.from_iterable(insertions))
        functions.append(Function(blocks.flow(), probes, first, inserted, code.start, head))
        first += len(probes)

    counters = first
    if not in_memory and first_global + counters > MAX_GLOBALS:
        raise TooLarge(
            f"the module has {several(memory, 'memory', 'memories')} and needs {several(counters, 'counter')}, "
            "too many of both"
        )
    exported: str | tuple[str, ...]
    if in_memory:
        appendix.add(MEMORY, b"\1" + unsigned(-(-8 * counters // 65536)) * 2)
        exported = appendix.add_export("harness:counters", _MEMORY_KIND, memory)
    else:
        appendix.add(GLOBAL, b"\x7e\1\x42\0\x0b", counters)
        numbers = range(first_global, first_global + counters)
        exported = tuple(appendix.add_export(f"harness:{n}", _GLOBAL_KIND, n) for n in numbers)
    start = None
    if module.start is not None:
        start = appendix.add_export("harness:start", _FUNCTION_KIND, module.start)
    rewritten, code_at = appendix.assemble(bodies, start=False)
    moved = []
    for function, body in zip(functions, bodies, strict=True):
        _, size_bytes = read_unsigned(body, 0, len(body))
        moved.append(replace(function, new_start=code_at + size_bytes + function.new_start))
        code_at += len(body)
    return Instrumented(rewritten, module, moved, counters, exported, start, every_block)


def _rewritten(
    data: bytes,
    code: Code,
    blocks: Blocks,
    probes: array[int],
    counting: CounterCode,
    first_counter: int,
    declared: int | None,
) -> tuple[list[Insertion], bytes]:
    """What is inserted, and the new body; `declared` is how many locals there are, None to hold no count in one."""
    additions, cached = _additions(blocks, probes, counting, first_counter, declared)
    head = data[code.body : code.start]
    if cached:
        runs, at = read_unsigned(data, code.body, code.end)
        head = unsigned(runs + 1) + data[at : code.start] + unsigned(cached) + b"\x7e"
    pieces, at, insertions = [head], code.start, []
    for offset, (added, instructions), block in additions:
        pieces += (data[at:offset], added)
        at = offset
        insertions.append(Insertion(offset, len(added), instructions, block))
    pieces.append(data[at : code.end])
    return insertions, b"".join(pieces)


def _additions(
    blocks: Blocks, probes: array[int], counting: CounterCode, first_counter: int, first_local: int | None
) -> tuple[list[tuple[int, Added, int]], int]:
    """The code to insert, each with its original offset and the block it runs with; how many locals it needs."""
    held: dict[int, int] = {}  # probed block -> local
    found: list[tuple[int, Added, int]] = []
    for loop_at, first, after in blocks.loops if first_local is not None else ():
        assert first_local is not None
        inside = range(bisect_left(probes, first), bisect_left(probes, after))
        if 0 < len(inside) <= MAX_CACHED and first_local + len(held) + len(inside) < MAX_LOCALS:
            for number in inside:
                local = held[probes[number]] = first_local + len(held)
                found.append((loop_at, counting.fetch(first_counter + number, local), first - 1))
    for number, block in enumerate(probes):
        counter = first_counter + number
        adding = counting.add_held(counter, held[block]) if block in held else counting.add(counter)
        found.append((blocks.starts[block], adding, block))
    found.sort(key=lambda addition: addition[0])
    return found, len(held)


def _called(appendix: Appendix, counting: CounterCode, first_counter: int, counters: int) -> CalledCounters:
    """A function for each of the counters."""
    type_ = appendix.add_type()
    first_function = appendix.next_function()
    if first_function + counters > MAX_FUNCTIONS:
        raise TooLarge(f"a function is too large to count: it needs {several(counters, 'counter')}")
    for counter in range(first_counter, first_counter + counters):
        appendix.add_function(type_, counting.add(counter).code)
    return CalledCounters(counting, first_function, first_counter)
