"""Counts by rewriting: known programs, and programs that stop in every way a program can stop."""

from __future__ import annotations

import contextlib
import hashlib
import math
from pathlib import Path

import pytest
import wasmtime

from harness.errors import ModuleError, UnknownName
from harness.opcodes import count, feature_column, features, interpret, rewriter
from harness.opcodes.appendix import sized

FACTORIAL = """
(func $factorial (param i32) (result i32)
  (if (result i32) (i32.eqz (local.get 0))
    (then (i32.const 1))
    (else (i32.mul (local.get 0) (call $factorial (i32.sub (local.get 0) (i32.const 1)))))))
"""


def wasm(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


def test_a_recursive_program_has_the_counts_worked_out_by_hand() -> None:
    run = count(wasm(FACTORIAL + '(func (export "_start") (drop (call $factorial (i32.const 5))))'))
    assert run.opcodes == {
        "i32.const": 1 + 1 + 5, "call": 1 + 5, "drop": 1, "local.get": 6 + 2 * 5, "i32.eqz": 6, "if": 6,
        "else": 1, "i32.sub": 5, "i32.mul": 5, "end": 1 + 5 + 6,
    }  # fmt: skip
    assert run.total == sum(run.opcodes.values())


def test_a_loop_counts_once_per_entry_and_its_body_once_per_round() -> None:
    run = count(
        wasm(
            """(func (export "_start") (local i32)
              (block (loop
                (br_if 1 (i32.ge_u (local.get 0) (i32.const 10)))
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br 0))))"""
        )
    )
    assert run.opcodes == {
        "block": 1, "loop": 1, "local.get": 21, "i32.const": 21, "i32.ge_u": 11, "br_if": 11, "i32.add": 10,
        "local.set": 10, "br": 10, "end": 1,
    }  # fmt: skip


def test_what_stands_after_a_trapping_instruction_is_not_counted() -> None:
    run = count(
        wasm(
            """(memory (export "memory") 1)
            (func (export "_start") (local i32)
              (loop
                (i32.store (local.get 0) (i32.const 7))
                (local.set 0 (i32.add (local.get 0) (i32.const 16384)))
                (br 0)))"""
        )
    )
    assert (run.trap, run.exit_code) == ("out of bounds memory access", 134)
    assert run.opcodes == {
        "loop": 1, "local.get": 9, "i32.const": 9, "i32.store": 5, "i32.add": 4, "local.set": 4, "br": 4
    }  # fmt: skip


def test_a_program_that_aborts_runs_once_so_that_its_files_are_written_once(tmp_path: Path) -> None:
    """In a second run the directory would be there already, and the program would end with code 9."""
    run = count(
        wasm(
            """(import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (data (i32.const 8) "once") (global $left (mut i32) (i32.const 3))
            (func (export "_start")
              (if (call $make (i32.const 3) (i32.const 8) (i32.const 4)) (then (call $exit (i32.const 9))))
              (loop $again
                (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (br_if $again (global.get $left))
                (unreachable)))"""
        ),
        preopens={".": tmp_path},
    )
    assert (run.trap, run.exit_code) == ("unreachable", 134)
    assert (run.opcodes["br_if"], run.opcodes["unreachable"]) == (3, 1)


@pytest.mark.parametrize("code", [3, 125, 126, 255, (1 << 32) - 1])
def test_callers_of_a_program_that_exits_are_counted_up_to_their_calls(code: int) -> None:
    module = wasm(
        f"""(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func $leave (param i32) (call $exit (local.get 0)) (unreachable))
        (func (export "_start") (nop) (call $leave (i32.const {code})) (nop) (nop))"""
    )
    run = count(module)
    assert (run.exit_code, run.trap) == (code, None)
    assert interpret(module).exit_code == code
    assert run.opcodes == {"nop": 1, "i32.const": 1, "call": 2, "local.get": 1}


def test_a_start_function_is_counted_even_if_it_traps() -> None:
    text = '(func $init (nop) (nop) {}) (start $init) (func (export "_start") (nop))'
    assert count(wasm(text.format(""))).opcodes == {"nop": 3, "end": 2}
    run = count(wasm(text.format("(unreachable)")))
    assert (run.trap, run.opcodes) == ("unreachable", {"nop": 2, "unreachable": 1})


def test_a_call_that_overflows_the_stack_is_the_last_thing_counted() -> None:
    run = count(wasm('(func $f (export "_start") (nop) (call $f) (nop))'))
    assert run.trap == "call stack exhausted"
    assert run.opcodes["nop"] == run.opcodes["call"] > 1000
    assert set(run.opcodes) == {"nop", "call"}


def test_an_endless_program_is_stopped_at_its_time_limit() -> None:
    run = count(wasm('(func (export "_start") (loop (br 0)))'), timeout_s=0.2)
    assert run.trap == "time limit"
    assert run.opcodes["br"] > 1000
    assert run.wall_ns < 5_000_000_000


def test_input_output_and_files_are_as_without_counting(tmp_path: Path) -> None:
    run = count(
        wasm(
            """(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
              (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 50))
              (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"""
        ),
        stdin=b"through the module",
    )
    assert run.stdout == b"through the module"


def test_the_engines_own_fuel_confirms_the_counts() -> None:
    program = wasm(FACTORIAL + '(func (export "_start") (drop (call $factorial (i32.const 9))))')
    assert count(program, fuel_check=True).opcodes == count(program).opcodes


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (b"", "empty"),
        (b"#!/bin/sh\n", "not a WebAssembly module"),
        (b"\0asm\x0d\0\1\0", "component"),
        (wasm('(func (export "_start") (nop))')[:-2], "cut off"),
        (wasm('(func (export "run"))'), "exports no function '_start'"),
        (wasm('(import "env" "f" (func)) (func (export "_start"))'), "env::f"),
    ],
)
def test_what_cannot_run_is_refused_in_one_sentence(module: bytes, message: str) -> None:
    with pytest.raises(ModuleError) as caught:
        count(module)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_features_are_logarithms_by_first_byte() -> None:
    assert feature_column("f64.add") == "xA0"
    assert features({"f64.add": 9, "memory.copy": 1, "memory.fill": 2}) == {
        "xA0": math.log(10),
        "xFC": math.log(4),
    }
    with pytest.raises(UnknownName, match=r"f64\.add"):
        feature_column("f64.ad")


def test_output_beyond_what_is_kept_is_still_hashed() -> None:
    run = count(
        wasm(
            """(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (func (export "_start") (local i32)
              (memory.fill (i32.const 100) (i32.const 65) (i32.const 60000))
              (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 60000))
              (loop
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 50)))))"""
        )
    )
    assert len(run.stdout) == 1 << 20
    assert run.stdout_sha256 == hashlib.sha256(b"A" * 3_000_000).hexdigest()


def test_a_module_with_as_many_memories_as_there_may_be_is_counted() -> None:
    run = count(wasm("(memory 1)" * 100 + '(func (export "_start") (if (i32.const 1) (then (nop))))'))
    assert run.opcodes == {"i32.const": 1, "if": 1, "nop": 1, "end": 2}


@pytest.mark.parametrize(("limit", "rewritten"), [(100_000, True), (50_000, False)])
def test_a_function_too_large_for_counters_in_it_is_counted_all_the_same(
    limit: int, rewritten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By functions that each count one block; where even the calls of those are too much, by the interpreter."""
    monkeypatch.setattr(rewriter, "MAX_BODY", limit)
    body = sized(b"\1\1\x7f" + b"\x20\0\x0d\0" * 8_000 + b"\x0b")
    entries = {1: b"\1\x60\0\0", 3: b"\1\0", 7: b"\1\6_start\0\0", 10: b"\1" + body}
    module = b"\0asm\1\0\0\0" + b"".join(bytes([n]) + sized(entry) for n, entry in entries.items())
    with contextlib.nullcontext() if rewritten else pytest.raises(rewriter.TooLarge):
        assert rewriter.instrument(module).counters == 8_001
    assert count(module).opcodes == {"local.get": 8_000, "br_if": 8_000, "end": 1}


EXCEPTIONS = """
(tag $plain) (tag $number (param i32))
(func $throw (param i32) (nop) (if (local.get 0) (then (throw $number (local.get 0)))) (throw $plain))
"""


def test_what_an_exception_leaves_out_is_not_counted_and_what_catches_it_is() -> None:
    run = count(
        wasm(
            EXCEPTIONS
            + """(func (export "_start")
              (drop (block $caught (result i32)
                (try_table (catch $number $caught) (call $throw (i32.const 7)) (nop) (nop))
                (i32.const 1)))
              (block $any (try_table (catch_all $any) (call $throw (i32.const 0)) (nop))))"""
        )
    )
    assert run.opcodes == {
        "block": 2, "try_table": 2, "i32.const": 2, "call": 2, "nop": 2, "local.get": 3, "if": 2, "throw": 2,
        "drop": 1, "end": 1,
    }  # fmt: skip


def test_an_exception_that_nothing_catches_ends_the_program() -> None:
    run = count(wasm(EXCEPTIONS + '(func (export "_start") (call $throw (i32.const 0)) (nop))'))
    assert (run.trap, run.exit_code, run.opcodes["throw"], run.opcodes["nop"]) == (
        "uncaught exception",
        134,
        1,
        1,
    )
