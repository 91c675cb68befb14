"""The two implementations against each other, the unchanged module, the engine's fuel and wabt's interpreter."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from harness.errors import HarnessError, ModuleError
from harness.opcodes import count, interpret, opcode_names, verify
from harness.opcodes.invocation import Invocation
from harness.opcodes.native_run import count_instrumented
from harness.opcodes.rewriter import instrument
from harness.opcodes.validity import configuration
from harness.suites.suite import Suite
from tests.opcodes.random_modules import random_module

MODULES = 600
# The engine does not run the older form of exceptions; a wait traps, or ends, without another thread.
NOT_RUN = ("try", "catch", "catch_all", "rethrow", "delegate", "memory.atomic.wait32", "memory.atomic.wait64")


@pytest.fixture(scope="module")
def modules() -> list[bytes]:
    """Random modules that between them execute every opcode."""
    executed: Counter[str] = Counter()
    found = []
    for seed in range(MODULES):
        found.append(random_module(seed, executed))
        executed.update(interpret(found[-1], fixed=True).opcodes)
    missing = [name for name in opcode_names() if not executed[name] and name not in NOT_RUN]
    assert not missing
    return found


def outcome(run: Any) -> tuple[Any, ...]:
    return run.opcodes, run.trap, run.exit_code, run.memory_sha256, run.stdout_sha256


def test_both_implementations_agree_on_every_opcode_and_on_what_the_program_did(modules: list[bytes]) -> None:
    traps: Counter[str | None] = Counter()
    for number, module in enumerate(modules):
        found = verify(module)
        traps[found.counted.trap] += 1
        assert found.differences == {}, f"module {number}: {found.differences}"
    assert len(traps) >= 5, "the modules trap for too few reasons"


def test_counting_every_block_needs_no_help_from_the_engine_and_agrees(modules: list[bytes]) -> None:
    for module in modules[::5]:
        counted = count_instrumented(instrument(module, every_block=True), Invocation(fixed=True))
        assert outcome(counted) == outcome(count(module, fixed=True))


def test_the_rewritten_module_does_what_the_original_does(modules: list[bytes]) -> None:
    for number, module in enumerate(modules[::5]):
        counted = count(module, fixed=True)
        assert plain(module) == (counted.trap is not None, counted.exit_code, counted.memory_sha256), number


def plain(module: bytes) -> tuple[bool, int, str]:
    """Whether the original trapped, its exit code, and its memories at the end."""
    import hashlib

    config = configuration()
    config.wasm_relaxed_simd_deterministic = True
    config.cranelift_nan_canonicalization = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    exports = linker.instantiate(store, wasmtime.Module(engine, module)).exports(store)
    trapped, code = False, 0
    try:
        exports["_start"](store)
    except wasmtime.ExitTrap as error:
        code = error.code
    except wasmtime.Trap:
        trapped, code = True, 134
    digest = hashlib.sha256()
    for name in ("memory", "memory2"):
        if name in exports:
            digest.update(bytes(exports[name].get_buffer_ptr(store)))
    return trapped, code, digest.hexdigest()


def test_the_engines_fuel_explains_the_counts_of_programs_that_do_not_trap(modules: list[bytes]) -> None:
    checked = 0
    for module in modules[::4]:
        try:
            checked += count(module, fixed=True, fuel_check=True).trap is None
        except HarnessError as error:
            pytest.fail(str(error))
    assert checked > MODULES // 8


def test_the_kernels_of_the_suite_agree(suites: dict[str, Suite]) -> None:
    for workload in suites["polybench"].workloads:
        if "/mini/" in workload.name:
            found = verify(workload.module.read_bytes(), argv=workload.argv)
            assert found.differences == {}, workload.name
            assert found.counted.total > 1000


@pytest.mark.parametrize(
    "body",
    [
        "(i32.store (global.get $far) (i32.add (i32.load (global.get $far)) (i32.const 1)))",
        "(drop (i64.load offset=60000 (i32.and (i32.const 4095) (i32.load (global.get $far)))))",
        "(drop (i32.div_u (i32.const 7) (i32.load (global.get $far))))",
        "(if (i32.eqz (i32.load (global.get $far))) (then (nop)))",
        "(if (global.get $far) (then (unreachable)) (else (nop)))",
        "(if (global.get $far) (then (drop (i32.div_u (i32.const 7) (i32.const 0)))))",
        "(block (br_if 0 (i32.eqz (global.get $far))) (drop (i32.load offset=4294967295 (i32.const 0))))",
        "(table.set (i32.const 0) (ref.null extern)) (block (unreachable))",
        "(v128.store (global.get $far) (i32x4.add (v128.load (global.get $far)) (v128.const i64x2 1 1)))",
        "(drop (f64.add (f64.const 1) (f64.load (global.get $far))))",
        "(memory.fill (i32.const 0) (i32.const 0) (global.get $far))",
        "(call_indirect $t (i32.const 99))",
        "(call_indirect $t (i32.const 1))",
        "(call_indirect $t (param i32) (i32.const 5) (i32.const 0))",
    ],
)
def test_traps_that_compilers_move_are_still_counted_exactly(body: str) -> None:
    module = wasmtime.wat2wasm(
        f"""(module (memory (export "memory") 1) (global $far (mut i32) (i32.const 1000000))
        (table 1 externref) (table $t 3 funcref) (elem (table $t) (i32.const 0) func $f) (func $f)
        (func (export "_start") (nop) (nop) {body} (drop (i32.const 1)) (nop)))"""
    )
    found = verify(bytes(module))
    assert found.counted.trap is not None
    assert found.differences == {}


def test_input_files_and_clock_are_the_same_to_both_and_the_files_stay_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("some text in a file")
    module = wasmtime.wat2wasm(
        """(module (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 16) "in.txtout.txt")
        (func (export "_start") (local $fd i32)
          (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 400)))
          (drop (call $random (i32.const 408) (i32.const 50)))
          (drop (call $open (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 6) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 40)))
          (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 80))
          (drop (call $read (i32.load (i32.const 40)) (i32.const 0) (i32.const 1) (i32.const 8)))
          (drop (call $open (i32.const 3) (i32.const 1) (i32.const 22) (i32.const 7) (i32.const 9)
            (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 40)))
          (drop (call $write (i32.load (i32.const 40)) (i32.const 0) (i32.const 1) (i32.const 8)))
          (i32.store (i32.const 4) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
          (loop (br_if 0 (i32.lt_u (local.tee $fd (i32.add (local.get $fd) (i32.const 1)))
            (i32.load8_u (i32.const 408)))))))"""
    )
    found = verify(bytes(module), preopens={".": tmp_path})
    assert found.differences == {}
    assert found.counted.stdout.startswith(b"some text in a file")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


@pytest.mark.skipif(shutil.which("wasm-interp") is None, reason="no wasm-interp; apt-get install wabt")
def test_wabts_interpreter_executes_the_same_instructions(tmp_path: Path) -> None:
    text = """(module (memory 1) (global $g (mut i64) (i64.const 5)) (table 2 funcref) (elem (i32.const 0) $f $h)
      (type $t (func (param i32) (result i32)))
      (func $f (type $t) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
        (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1)))
          (call $f (i32.sub (local.get 0) (i32.const 2)))))))
      (func $h (type $t) (local f64) (loop $l
          (f64.store (i32.shl (local.get 0) (i32.const 3)) (f64.sqrt (f64.convert_i32_s (local.get 0))))
          (global.set $g (i64.mul (global.get $g) (i64.extend_i32_u (local.get 0))))
          (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (block (block (block (br_table 0 1 2 (i32.wrap_i64 (global.get $g)))) (nop)) (memory.fill (i32.const 0)
          (i32.const 1) (i32.const 9))) (select (i32.const 3) (i32.const 4) (memory.size)))
      (func (export "_start") (result i32)
        (i32.xor (call_indirect (type $t) (i32.const 12) (i32.const 0))
                 (call_indirect (type $t) (i32.const 30) (i32.const 1)))))"""
    module = bytes(wasmtime.wat2wasm(text))
    path = tmp_path / "m.wasm"
    path.write_bytes(module)
    trace = subprocess.run(
        ["wasm-interp", "--trace", "--run-all-exports", str(path)], capture_output=True, text=True, check=True
    ).stdout
    theirs = Counter(re.findall(r"^#\d+\. +\d+: V:\d+ +\| (\S+)", trace, re.MULTILINE))
    ours = interpret(module).opcodes
    assert ours == count(module).opcodes
    compared = [
        name
        for name in ours
        if name.split(".")[0] in ("i32", "i64", "f64", "memory") or name in ("select", "br_table")
    ]
    assert {name: theirs[name] for name in compared} == {name: ours[name] for name in compared}
    # wabt rewrites local.get 0 with stack offsets but keeps the names; calls and globals have no rewriting at all.
    for name in ("local.get", "local.tee", "global.get", "global.set", "call", "call_indirect"):
        assert theirs[name] == ours.get(name, 0), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(func (export "_start") (param i32))', "takes 1 parameter"),
        ('(memory (export "_start") 1)', "exports no function '_start'"),
        ('(import "wasi_snapshot_preview1" "nope" (func)) (func (export "_start"))', "nope"),
        ('(import "wasi_snapshot_preview1" "fd_close" (func)) (func (export "_start"))', "fd_close"),
        ('(import "a" "m" (memory 1)) (func (export "_start"))', "a::m"),
        ('(global i32 (i32.const 0)) (func (export "_start") (drop (global.get 1)))', "not valid"),
        ('(func (export "_start") (i32.add))', "not valid"),
        ('(func (export "_start") try nop catch_all nop end)', "older form"),
    ],
)
def test_both_refuse_what_cannot_run(text: str, message: str) -> None:
    module = bytes(wasmtime.wat2wasm(f"(module {text})"))
    for run in (count, interpret):
        with pytest.raises(ModuleError, match=re.escape(message)):
            run(module)


@pytest.mark.parametrize(
    "text",
    [
        """(memory (export "memory") i64 1 4) (func (export "_start") (drop (memory.grow (i64.const 2)))
        (i64.store (i64.const 150000) (i64.const 5)) (drop (i32.load offset=5000000000 (i64.const 8))))""",
        """(global i32 (i32.add (i32.const 1) (i32.const 2))) (memory (export "memory") 1)
        (data (offset (i32.mul (i32.const 2) (i32.const 100))) "abc") (func (export "_start") (drop (global.get 0)))""",
        """(memory (export "memory") 0) (data (i32.const 0) "abc") (func (export "_start"))""",
        """(table 1 funcref) (elem (i32.const 5) $f) (func $f) (func (export "_start"))""",
        """(func (export "_start") (result i32 f64 i64) (i32.const -5) (f64.const 2) (i64.const -1))""",
        """(memory (export "memory") 1 2 shared) (func (export "_start") (result i32 i32 i32)
        (memory.atomic.wait32 (i32.const 8) (i32.const 1) (i64.const 1000))
        (memory.atomic.wait64 (i32.const 8) (i64.const 0) (i64.const 1000))
        (memory.atomic.notify (i32.const 8) (i32.const 1)))""",
        """(memory (export "memory") 1) (func (export "_start")
        (drop (memory.atomic.wait32 (i32.const 8) (i32.const 1) (i64.const 1000))))""",
        """(memory (export "memory") i64 1) (func (export "_start") (f64.store (i64.const -9) (f64.const 1)))""",
        """(memory (export "memory") 1) (data (i32.const 65535) "abc") (func (export "_start") (nop))""",
        """(memory (export "memory") 1) (func $f unreachable) (start $f) (func (export "_start") (nop))""",
        """(func (export "_start") (drop (f32x4.relaxed_madd (v128.const f32x4 3e38 1 2 3)
        (v128.const f32x4 2 0.1 0.2 0.3) (v128.const f32x4 -3e38 1 2 3))))""",
        """(func $a (param i32) (if (local.get 0) (then (return_call $a (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "_start") (call $a (i32.const 100000)))""",
    ],
)
def test_features_beyond_the_standards_core_agree(text: str) -> None:
    found = verify(bytes(wasmtime.wat2wasm(f"(module {text})")))
    assert found.differences == {}
    assert found.counted.results == found.interpreted.results
