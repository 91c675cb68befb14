from __future__ import annotations

import time
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import ModuleError, SuiteError
from harness.suites.build import build
from harness.suites.execute import execute, verify
from harness.suites.ready import build_and_verify
from harness.suites.suite import Expectation, InputFile, Recipe, Suite, Workload
from harness.suites.verified import judge
from tests.toys import COPY, one_suite, write_suite


def workload_of(tmp_path: Path, wat: str, expect: Expectation | None = None) -> Workload:
    import wasmtime

    module = tmp_path / "module.wasm"
    module.write_bytes(wasmtime.wat2wasm(wat))
    return Workload("toys/small/it", "toys", module, ("it",), expect=expect or Expectation())


def test_a_module_gets_its_argv_stdin_and_files(tmp_path: Path) -> None:
    write_suite(
        tmp_path,
        """
        [[workload]]
        name = "copy"
        [workload.sizes.s]
        args = ["d/text", "more"]
        stdin = "in"
        files = { "d/text" = "data/text" }
        exit_code = 3
        """,
        {"copy.c": COPY, "in": "from stdin, ", "data/text": "from a file"},
    )
    suite = one_suite(tmp_path)
    build([suite])
    ran = execute(suite.workloads[0])
    assert (ran.trap, ran.exit_code, ran.stdout) == (None, 3, b"from stdin, from a file")
    assert verify(suite.workloads[0]) is None


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    workload = workload_of(tmp_path, '(module (memory (export "memory") 1) (func (export "_start")))')
    missing = InputFile("x", tmp_path / "absent")
    with pytest.raises(SuiteError, match=r"toys/small/it needs an input .*absent"):
        execute(Workload(workload.name, "toys", workload.module, ("it",), files=(missing,)))


def test_a_module_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    workload = Workload("toys/small/it", "toys", tmp_path / "it.wasm", ("it",))
    with pytest.raises(SuiteError, match="run `harness build toys/small` first"):
        verify(workload)
    with pytest.raises(SuiteError, match="run `harness build toys/small` first"):
        _ = workload.module_sha256


EXITS = """(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 3))))"""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (EXITS, "toys/small/it ended with exit code 3, expected 0."),
        (
            '(module (memory 1) (func (export "_start")))',
            "toys/small/it printed '', 0 bytes of sha256 e3b0c4",
        ),
        ('(module (func (export "_start") unreachable))', "toys/small/it trapped: "),
    ],
)
def test_a_wrong_execution_is_told_with_what_was_expected(tmp_path: Path, body: str, reason: str) -> None:
    found = verify(workload_of(tmp_path, body, Expectation(0, "0" * 64)))
    assert found is not None
    assert found.startswith(reason)


def test_a_module_that_never_ends_is_stopped(tmp_path: Path) -> None:
    endless = workload_of(tmp_path, '(module (func (export "_start") (loop $l (br $l))))')
    started = time.monotonic()
    assert verify(endless, limit_s=0.2) == "toys/small/it still running after 0.2 s."
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("content", [b"", b"\x7fELF....", b"\0asm\x01\0\0\0"])
def test_a_file_that_cannot_run_under_wasi_is_refused(tmp_path: Path, content: bytes) -> None:
    module = tmp_path / "it.wasm"
    module.write_bytes(content)
    with pytest.raises(ModuleError):
        verify(Workload("toys/small/it", "toys", module, ("it",)))


COMPLAINS = """(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "a line\\nusage: tool FILE\\n") (data (i32.const 0) "\\64\\00\\00\\00\\18\\00\\00\\00")
    (func (export "_start")
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 48))) (call $exit (i32.const 1))))"""


def test_what_a_program_said_last_is_told_with_its_code_and_the_line_for_suite_toml(tmp_path: Path) -> None:
    workload = workload_of(tmp_path, COMPLAINS)
    assert verify(workload) == (
        "toys/small/it ended with exit code 1, expected 0, after saying: usage: tool FILE."
    )
    root = tmp_path / "benchmarks" / "lab"
    (root / "modules").mkdir(parents=True)
    (root / "modules" / "tool.wasm").write_bytes(workload.module.read_bytes())
    sha256 = workload.module_sha256
    (root / "suite.toml").write_text(
        f'title = "lab"\n[[workload]]\nname = "tool"\nmodule = "modules/tool.wasm"\nmodule_sha256 = "{sha256}"\n'
    )
    [row] = build_and_verify(["lab"], tmp_path / "benchmarks", Console(quiet=True))
    assert row["output"].endswith(
        "after saying: usage: tool FILE; if that is right, write exit_code = 1 for it into suite.toml, "
        "else give it there what it needs (args, stdin, files)."
    )


@pytest.mark.parametrize(("code", "told"), [(125, "write exit_code = 125"), (255, "none above 125, so")])
def test_only_an_exit_code_that_engines_pass_on_may_be_written_into_suite_toml(
    code: int, told: str, tmp_path: Path
) -> None:
    leaves = f"""(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code}))))"""
    workload = workload_of(tmp_path, leaves)
    recipe = Recipe(workload.name, workload.module, (), ())
    found = judge(Suite("toys", "", tmp_path, (workload,), (recipe,)), workload, recipe)
    assert found.startswith(f"toys/small/it ended with exit code {code}, expected 0; ")
    assert told in found


GROWS = """(module (memory (export "memory") 1)
    (func (export "_start") (if (i32.lt_s (memory.grow (i32.const 100)) (i32.const 0)) (then (unreachable)))))"""


def test_a_program_that_needs_more_memory_is_told_so(tmp_path: Path) -> None:
    workload = workload_of(tmp_path, GROWS)
    assert verify(workload) is None
    told = verify(workload, memory_bytes=2 << 20)
    assert told is not None
    assert told.startswith("toys/small/it needs more than 2 MiB of memory; give it more with --memory")
    traps = workload_of(
        tmp_path, '(module (memory (export "memory") 1) (func (export "_start") unreachable))'
    )
    assert verify(traps, memory_bytes=2 << 20) == "toys/small/it trapped: unreachable."
    large = workload_of(tmp_path, '(module (memory (export "memory") 100) (func (export "_start")))')
    assert verify(large) is None
    assert verify(large, memory_bytes=2 << 20) == told
