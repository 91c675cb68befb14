"""A module rewritten so that it counts its own blocks, and behaves as before in every other way.

Each probed block (`probes.py`) adds one to a counter of its own at its start. Inside an innermost loop without
calls the count is also held in a local, so that the loop carries a register and a store instead of a load, an
addition and a store. Counters are stored at once, so the counts are complete whenever the program stops: at a
trap the offset of the trapping instruction, which the engine reports, tells which part of its block was
executed. Appended globals, locals, functions and one memory leave every existing index as it was. The start
function, if any, is exported instead, for the caller to run right after instantiation, where its counts stay
reachable even if it traps.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from harness.errors import ModuleError
from harness.opcodes.appendix import GLOBAL, MEMORY, Appendix, sized
from harness.opcodes.blocks import Blocks, find_blocks
from harness.opcodes.counter_code import CalledCounters, CounterCode, GlobalCounters, MemoryCounters
from harness.opcodes.counters import Function, Insertion, Instrumented
from harness.opcodes.decoder import decode
from harness.opcodes.leb import read_unsigned, unsigned
from harness.opcodes.module_parts import Code
from harness.opcodes.probes import choose_probes

MAX_CACHED = 4  # counters held in locals in one loop: more would crowd out the program's own registers
MANY = 200_000  # counters that are kept in a memory instead of globals
# What engines accept.
MAX_LOCALS = 50_000
MAX_BODY = 7_654_321  # bytes
MAX_FUNCTIONS = 1_000_000
MAX_MEMORIES = 100
_CHUNK = 1000  # counters copied by one function
_FUNCTION_KIND, _MEMORY_KIND, _GLOBAL_KIND = 0, 2, 3


def instrument(data: bytes, *, every_block: bool = False, many: int = MANY) -> Instrumented:
    """Rewrite a module; `ModuleError` where `decode` raises it, or where engines would not accept the result.

    With `every_block`, each block has a counter and ends where an instruction can trap: several times slower,
    and exact without asking the engine where the program trapped.
    """
    module = decode(data, bodies=False)
    found: list[tuple[Blocks, list[int]]] = []
    for code in module.codes:
        blocks = find_blocks(data, code.start, code.end, split_traps=every_block)
        found.append((blocks, list(range(len(blocks.starts))) if every_block else choose_probes(blocks)))
    counters = sum(len(probes) for _, probes in found)
    appendix = Appendix(module)
    memory = len(module.imported("memory")) + len(module.memories)
    first_global = len(module.imported("global")) + len(module.globals)
    in_memory = counters > many
    if in_memory and memory >= MAX_MEMORIES:
        raise ModuleError(f"the module has {memory} memories and needs {counters} counters, too many of both")
    counting: CounterCode = MemoryCounters(memory) if in_memory else GlobalCounters(first_global)

    functions: list[Function] = []
    bodies: list[bytes] = []
    first = 0
    for number, (code, type_index, (blocks, probes)) in enumerate(
        zip(module.codes, module.functions, found, strict=True)
    ):
        declared = len(module.func_type(type_index).params) + sum(count for count, _ in code.locals)
        insertions, body = _rewritten(data, code, blocks, probes, counting, first, declared)
        if len(body) > MAX_BODY:
            calls = _called(appendix, counting, first, len(probes))
            insertions, body = _rewritten(data, code, blocks, probes, calls, first, None)
            if len(body) > MAX_BODY:
                raise ModuleError(
                    f"function {number} is too large to count: {len(body)} bytes with counters in it"
                )
        bodies.append(sized(body))
        head = len(body) - (code.end - code.start) - sum(len(insertion.code) for insertion in insertions)
        functions.append(Function(blocks, probes, first, insertions, code.start, head))
        first += len(probes)

    exports = _export_counters(appendix, counters, memory, None if in_memory else first_global)
    start = None
    if module.start is not None:
        start = appendix.add_export("harness:start", _FUNCTION_KIND, module.start)
    rewritten, code_at = appendix.assemble(bodies, start=False)
    moved = []
    for function, body in zip(functions, bodies, strict=True):
        _, size_bytes = read_unsigned(body, 0, len(body))
        moved.append(replace(function, new_start=code_at + size_bytes + function.new_start))
        code_at += len(body)
    return Instrumented(rewritten, module, moved, counters, *exports, start, every_block)


def _rewritten(
    data: bytes,
    code: Code,
    blocks: Blocks,
    probes: list[int],
    counting: CounterCode,
    first_counter: int,
    declared: int | None,
) -> tuple[list[Insertion], bytes]:
    """What is inserted, and the new body; `declared` is how many locals there are, None to hold no count in one."""
    insertions, cached = _insertions(blocks, probes, counting, first_counter, declared)
    head = data[code.body : code.start]
    if cached:
        runs, at = read_unsigned(data, code.body, code.end)
        head = unsigned(runs + 1) + data[at : code.start] + unsigned(cached) + b"\x7e"
    pieces, at = [head], code.start
    for insertion in insertions:
        pieces += (data[at : insertion.offset], insertion.code)
        at = insertion.offset
    pieces.append(data[at : code.end])
    return insertions, b"".join(pieces)


def _insertions(
    blocks: Blocks, probes: list[int], counting: CounterCode, first_counter: int, first_local: int | None
) -> tuple[list[Insertion], int]:
    """The code to insert, by original offset, and how many locals it needs."""
    held: dict[int, int] = {}  # probed block -> local
    found: list[Insertion] = []
    for loop_at, first, after in blocks.loops if first_local is not None else ():
        assert first_local is not None
        inside = range(bisect_left(probes, first), bisect_left(probes, after))
        if 0 < len(inside) <= MAX_CACHED and first_local + len(held) + len(inside) < MAX_LOCALS:
            for number in inside:
                local = held[probes[number]] = first_local + len(held)
                found.append(Insertion(loop_at, *counting.fetch(first_counter + number, local), first - 1))
    for number, block in enumerate(probes):
        counter = first_counter + number
        adding = counting.add_held(counter, held[block]) if block in held else counting.add(counter)
        found.append(Insertion(blocks.starts[block], *adding, block))
    found.sort(key=lambda insertion: insertion.offset)
    return found, len(held)


def _called(appendix: Appendix, counting: CounterCode, first_counter: int, counters: int) -> CalledCounters:
    """A function for each of the counters."""
    type_ = appendix.add_type()
    first_function = appendix.next_function()
    if first_function + counters > MAX_FUNCTIONS:
        raise ModuleError(f"a function is too large to count: it needs {counters} counters")
    for counter in range(first_counter, first_counter + counters):
        appendix.add_function(type_, counting.add(counter).code)
    return CalledCounters(counting, first_function, first_counter)


def _export_counters(
    appendix: Appendix, counters: int, memory: int, first_global: int | None
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Names of the exports: the function that copies the counters into a memory, the memory; or each counter's."""
    pages = -(-8 * counters // 65536)
    if first_global is not None:
        appendix.add(GLOBAL, b"\x7e\1\x42\0\x0b", counters)
        if memory >= MAX_MEMORIES:
            names = (
                appendix.add_export(f"harness:{number}", _GLOBAL_KIND, first_global + number)
                for number in range(counters)
            )
            return None, None, tuple(names)
    appendix.add(MEMORY, b"\1" + unsigned(pages) * 2)
    exported = appendix.add_export("harness:counters", _MEMORY_KIND, memory)
    if first_global is None:
        return None, exported, ()
    type_ = appendix.add_type()
    place = b"\x43" + unsigned(memory) if memory else b"\3"
    calls = b""
    for first in range(0, counters, _CHUNK):
        code = b"".join(
            b"\x41\0\x23" + unsigned(first_global + number) + b"\x37" + place + unsigned(8 * number)
            for number in range(first, min(first + _CHUNK, counters))
        )
        calls += b"\x10" + unsigned(appendix.add_function(type_, code))
    dump = appendix.add_function(type_, calls)
    return appendix.add_export("harness:dump", _FUNCTION_KIND, dump), exported, ()
