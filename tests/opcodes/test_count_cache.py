"""Counts kept between runs, and the comparison of both implementations as a user sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import wasmtime

from harness.opcodes import Verification, cached_count, count, interpret

MODULE = bytes(
    wasmtime.wat2wasm(
        """(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (local i32)
          (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 80))
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
            (i32.load (i32.const 8)))))))"""
    )
)


def test_a_program_is_counted_once_for_each_input(tmp_path: Path) -> None:
    first = cached_count(MODULE, tmp_path, stdin=b"12345")
    kept = list(tmp_path.iterdir())
    again = cached_count(MODULE, tmp_path, stdin=b"12345")
    assert again.opcodes == first.opcodes
    assert again.wall_ns == first.wall_ns, "it was counted again"
    assert again.memory_bytes == first.memory_bytes == interpret(MODULE).memory_bytes == 1 << 16
    other = cached_count(MODULE, tmp_path, stdin=b"123")
    assert (first.opcodes["br_if"], other.opcodes["br_if"]) == (5, 3)
    assert (len(kept), len(list(tmp_path.iterdir()))) == (1, 2)


def test_a_file_that_changed_makes_another_entry(tmp_path: Path) -> None:
    cache, files = tmp_path / "cache", tmp_path / "files"
    files.mkdir()
    for content in ("one", "two", "one"):
        (files / "f").write_text(content)
        cached_count(MODULE, cache, preopens={".": files})
    assert len(list(cache.iterdir())) == 2


def test_a_damaged_entry_is_counted_anew(tmp_path: Path) -> None:
    first = cached_count(MODULE, tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_text(entry.read_text()[:40])
    assert cached_count(MODULE, tmp_path).opcodes == first.opcodes
    assert len(list(tmp_path.iterdir())) == 1


def test_a_run_cut_short_is_not_kept(tmp_path: Path) -> None:
    endless = bytes(wasmtime.wat2wasm('(module (func (export "_start") (loop (br 0))))'))
    assert cached_count(endless, tmp_path, timeout_s=0.1).trap == "time limit"
    assert list(tmp_path.iterdir()) == []


def test_a_difference_is_shown_with_both_numbers() -> None:
    one = count(MODULE, stdin=b"12", fixed=True)
    other = interpret(MODULE, stdin=b"12", fixed=True)
    assert Verification(one, other).differences == {}
    wrong = replace(other, opcodes=other.opcodes | {"br_if": 99, "nop": 1}, exit_code=1)
    assert Verification(one, wrong).differences == {"br_if": (2, 99), "nop": (0, 1), "exit_code": (0, 1)}


def test_the_interpreter_stops_at_its_time_limit() -> None:
    endless = bytes(
        wasmtime.wat2wasm('(module (func $f (export "_start") (loop (call $g) (br 0))) (func $g))')
    )
    run = interpret(endless, timeout_s=0.1)
    assert run.trap == "time limit"
    assert run.wall_ns < 2_000_000_000


def test_the_interpreter_ends_endless_recursion_as_a_trap() -> None:
    run = interpret(bytes(wasmtime.wat2wasm('(module (func $f (export "_start") (call $f)))')))
    assert run.trap == "call stack exhausted"
