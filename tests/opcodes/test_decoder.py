"""The decoder against another assembler, and against bytes that are no module."""

from __future__ import annotations

import contextlib
import random
import time
import tracemalloc

import pytest
import wasmtime

from harness.errors import ModuleError
from harness.opcodes import check_module, decode, opcode_names
from harness.opcodes.instruction_set import CATEGORIES, OPCODES, Opcode
from harness.opcodes.leb import read_signed, read_unsigned, signed, unsigned
from harness.opcodes.rewriter import instrument
from tests.opcodes.random_modules import random_module

HEADER = b"\0asm\1\0\0\0"
TEXT = {
    "block": "", "label": "0", "labels": "0 0 0", "func": "0", "type": "(type 0)", "table": "0", "local": "0",
    "global": "0", "elem": "0", "data": "0", "memory": "0", "types": "(result i32)", "heap": "func",
    "memarg": "offset=300 align=1", "i32": "-5", "i64": "-6000000000", "f32": "1.5", "f64": "-2.5",
    "v128": "i64x2 1 2", "lanes": "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31", "lane": "1",
    "tag": "0", "field": "0", "count": "3", "catches": "(catch_ref 0 0) (catch_all 0)",
    "zero": "", "nulls": "",
}  # fmt: skip
VALUES = {
    "label": 0, "labels": (0, 0, 0), "func": 0, "type": 0, "table": 0, "local": 0, "global": 0, "elem": 0, "data": 0,
    "memory": 0, "types": ("i32",), "heap": "func", "memarg": (0, 0, 300), "i32": -5, "i64": -6_000_000_000,
    "f32": 0x3FC00000, "f64": 0xC004000000000000, "v128": (1).to_bytes(8, "little") + (2).to_bytes(8, "little"),
    "lanes": bytes([*range(15), 31]), "lane": 1,
    "tag": 0, "field": 0, "count": 3, "catches": ((1, 0, 0), (2, None, 0)), "zero": 0, "nulls": 2,
}  # fmt: skip


def assembled(opcode: Opcode) -> str:
    """A module in text form whose only function holds the instruction."""
    operands = " ".join(TEXT[kind] for kind in opcode.immediates)
    if opcode.name in ("table.init", "memory.init"):
        operands = "0 0"
    elif opcode.name.endswith("call_indirect"):
        operands = "0 (type 0)"
    elif opcode.name.endswith("call_ref"):
        operands = "0"
    elif opcode.name.startswith(("struct.", "array.")):
        operands = " ".join("3" if kind == "count" else "0" for kind in opcode.immediates)
    elif opcode.name.startswith("br_on_cast"):
        operands = "0 (ref func) (ref null func)"
    elif opcode.name in ("ref.test", "ref.cast"):
        operands = "(ref null func)" if opcode.code & 1 else "(ref func)"
    elif opcode.name.startswith("memory.atomic") or ".atomic." in opcode.name:
        operands = "offset=300"
    opening = {"else": "if", "end": "block", "catch": "try", "catch_all": "try", "delegate": "try"}.get(
        opcode.name, ""
    )
    closing = (
        "end"
        if opcode.name in ("block", "loop", "if", "else", "try", "catch", "catch_all", "try_table")
        else ""
    )
    return f"""(module (type (func)) (memory 1) (tag) (table 1 funcref) (global (mut i32) (i32.const 0))
        (func (local i32) unreachable {opening} {opcode.name} {operands} {closing} unreachable)
        (elem func 0) (data "abc"))"""


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_opcode_is_read_as_another_assembler_wrote_it(category: str) -> None:
    for opcode in OPCODES.values():
        if opcode.category != category:
            continue
        module = decode(bytes(wasmtime.wat2wasm(assembled(opcode))))
        found = [step for step in module.instructions(0) if step.opcode.code == opcode.code]
        assert found, opcode.name
        kinds = [kind for kind in opcode.immediates if kind != "block"]
        read = found[0].immediates
        expected = tuple(VALUES[kind] for kind in kinds)
        if "memarg" in kinds and ".atomic." in opcode.name:  # which must be aligned as it is wide
            assert read[0][1:] == (0, 300), opcode.name
            continue
        assert (read if len(kinds) == len(opcode.immediates) else read[1:]) == expected, opcode.name


def test_the_table_has_the_standards_numbers_of_opcodes() -> None:
    one_byte = [code for code in OPCODES if code < 0x100]
    prefixed = {
        prefix: [code for code in OPCODES if code >> 16 == prefix] for prefix in (0xFB, 0xFC, 0xFD, 0xFE)
    }
    relaxed = [opcode for opcode in OPCODES.values() if "relaxed" in opcode.name]
    assert (len(one_byte), len(relaxed)) == (185 + 8 + 2 + 4, 20)  # exceptions, call_ref, other references
    assert [len(codes) for codes in prefixed.values()] == [31, 18 + 4, 256, 4 + 63]
    names = opcode_names()
    assert (
        len(names) == len(set(names)) == len(OPCODES) - 3
    )  # select, ref.test and ref.cast have two encodings


def test_what_is_not_supported_is_named_with_its_offset() -> None:
    body = b"\0\xe0\0\0\x0b"
    data = HEADER + b"\1\4\1\x60\0\0" + b"\3\2\1\0" + bytes([10, len(body) + 2, 1, len(body)]) + body
    for read in (decode, instrument):
        with pytest.raises(ModuleError, match=r"offset 23.*stack switching"):
            read(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x7fELF\2\1\1\0", "not a WebAssembly module"),
        (b"\0asm\2\0\0\0", "version"),
        (HEADER + b"\1\5\1\x60", "the type section at offset 8 says 5 bytes, 2 are left"),
        (HEADER + b"\1\1\0\1\1\0", "out of order or repeated"),
        (HEADER + b"\x0e\0", "unknown section 14"),
        (HEADER + b"\1\x80\x80\x80\x80\x80\0", "does not fit in 32 bits"),
    ],
)
def test_the_quick_check_names_the_file_and_the_fault(data: bytes, message: str) -> None:
    with pytest.raises(ModuleError) as caught:
        check_module(data, "kernel.wasm")
    assert message in str(caught.value)
    assert str(caught.value).startswith("kernel.wasm: ")


def test_no_prefix_of_a_module_is_taken_for_a_module_or_crashes() -> None:
    data = random_module(5)
    sections = {section.start - 2 for section in decode(data).sections}
    for size in range(len(data)):
        try:
            decode(data[:size])
        except ModuleError:
            continue
        assert size <= 8 or any(abs(size - start) <= 3 for start in sections), size


def test_damaged_modules_give_a_module_or_an_error_and_nothing_else() -> None:
    chance = random.Random(1)
    for seed in range(40):
        data = bytearray(random_module(seed))
        for _ in range(20):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
            for read in (decode, instrument):
                with contextlib.suppress(ModuleError):
                    read(bytes(damaged))


def test_lengths_that_lie_cost_neither_time_nor_memory() -> None:
    huge = unsigned(2**32 - 1)
    claims = [
        HEADER + b"\1\5" + huge,
        HEADER + b"\2\5" + huge,
        HEADER + b"\1\4\1\x60\0\0" + b"\3\2\1\0" + b"\x0a\x0a\1\x08\1" + huge + b"\x7f\x0b",
        HEADER + b"\1\4\1\x60\0\0" + b"\3\2\1\0" + b"\x0a\x0b\1\x09\0\x41\0\x0e" + huge,
        HEADER + b"\x0b\7\1\1" + huge,
    ]
    tracemalloc.start()
    started = time.perf_counter()
    for data in claims:
        for read in (decode, instrument):
            try:
                read(data)
            except ModuleError:
                continue
    assert time.perf_counter() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_numbers_are_read_as_written_and_refused_beyond_their_width() -> None:
    for bits in (32, 64):
        for value in (0, 1, 63, 64, 127, 128, 2**31, 2**bits - 1):
            written = unsigned(value)
            assert read_unsigned(written, 0, len(written), bits) == (value, len(written))
        for value in (0, -1, -64, -65, 63, 64, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))):
            written = signed(value)
            assert read_signed(written, 0, len(written), bits) == (value, len(written))
        with pytest.raises(ModuleError):
            read_unsigned(unsigned(2**bits), 0, 20, bits)
        with pytest.raises(ModuleError):
            read_signed(signed(2 ** (bits - 1)), 0, 20, bits)


@pytest.mark.parametrize("code", [b"\x02\x40", b"\x03\x40", b"\x41\0\x04\x40"])
def test_deep_nesting_costs_time_in_proportion(code: bytes) -> None:
    def seconds(depth: int) -> float:
        body = b"\0" + code * depth + b"\x0b" * (depth + 1)
        content = b"\1" + unsigned(len(body)) + body
        data = HEADER + b"\1\4\1\x60\0\0" + b"\3\2\1\0" + b"\x0a" + unsigned(len(content)) + content
        started = time.process_time()
        found = instrument(data)
        found.opcode_counts((1,) * found.counters)
        return time.process_time() - started

    assert min(seconds(40_000) for _ in range(2)) < 10 * min(seconds(10_000) for _ in range(2)) + 0.1
