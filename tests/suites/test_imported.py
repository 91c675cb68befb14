from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.errors import SuiteError
from harness.opcodes import refusal
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.execute import execute
from harness.suites.imported import Imported, import_modules
from harness.suites.ready import build_and_verify
from harness.suites.suite import InputFile, Suite
from tests.conftest import Ran
from tests.toys import one_suite, write_suite

EMPTY = wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "_start")))')
# Opens the file whose path is in its memory, or the one its first argument names, and prints what is in it.
SHOW = """(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 512) "%s")
    (data (i32.const 1024) "\\00\\08\\00\\00\\00\\08\\00\\00")
    (func (export "_start") (local $path i32) (local $end i32)
        %s
        (local.set $end (local.get $path))
        (loop $next
            (local.set $end (i32.add (local.get $end) (i32.const 1)))
            (br_if $next (i32.load8_u (local.get $end))))
        (if (call $open (i32.const 3) (i32.const 0) (local.get $path) (i32.sub (local.get $end) (local.get $path))
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1040)) (then unreachable))
        (drop (call $read (i32.load (i32.const 1040)) (i32.const 1024) (i32.const 1) (i32.const 1028)))
        (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1044)))))"""
READER = wasmtime.wat2wasm(SHOW % ("data/mibench/in.txt", "(local.set $path (i32.const 512))"))
INTERPRETER = wasmtime.wat2wasm(
    SHOW
    % ("", "(drop (call $args (i32.const 64) (i32.const 128))) (local.set $path (i32.load (i32.const 68)))")
)


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def taken(found: Imported) -> Suite:
    assert found.suite is not None
    assert found.refused == {}
    return found.suite


def test_a_folder_of_modules_becomes_a_suite_that_builds(tmp_path: Path) -> None:
    there = tree(tmp_path / "2022-12", {"box.wasm": EMPTY, "odd name!.wasm": EMPTY, "README.md": b""})
    import_modules(there, "sodium", tmp_path / "benchmarks")
    rows = build_and_verify(["sodium"], tmp_path / "benchmarks", Console(quiet=True))
    assert [(row["workload"], row["compiled"], row["output"]) for row in rows] == [
        ("sodium/box", False, "ran"),
        ("sodium/odd-name-", False, "ran"),
    ]


def test_two_files_that_would_have_one_name_are_told_with_both(tmp_path: Path) -> None:
    there = tree(
        tmp_path / "given", dict.fromkeys(["ä.wasm", "ö.wasm", "a b.wasm", "a-b.wasm", "PROG.WASM"], EMPTY)
    )
    found = import_modules(there, "x", tmp_path / "benchmarks")
    assert found.suite
    assert sorted(one.name for one in found.suite.workloads) == ["x/PROG", "x/a-b", "x/module"]
    reasons = {path.name: reason for path, reason in found.refused.items()}
    assert reasons.keys() == {"a-b.wasm", "ö.wasm"}
    assert reasons["ö.wasm"].startswith(
        "ä.wasm and ö.wasm would both be called module: of a file's name only"
    )
    assert reasons["a-b.wasm"].startswith("a b.wasm and a-b.wasm would both be called a-b: ")
    assert all(reason.endswith("rename one of the two") for reason in reasons.values())


FILE_NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
)


@settings(max_examples=25, deadline=None)
@given(st.sets(FILE_NAMES.filter(lambda name: not name.startswith(".")), min_size=1, max_size=5))
def test_any_file_name_becomes_a_name_that_devices_take_or_is_told(names: set[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        there = tree(Path(place, "given"), {f"{name}.wasm": EMPTY for name in names})
        found = import_modules(there, "x", Path(place, "benchmarks"))
        assert found.suite
        workloads = [one.name for one in found.suite.workloads]
        assert len(workloads) + len(found.refused) == len(names)
        assert len(set(workloads)) == len(workloads)
        assert all(re.fullmatch(r"x/[A-Za-z0-9][A-Za-z0-9._+-]*", name) for name in workloads)
        for path, reason in found.refused.items():
            assert path.name in reason and "would both be called" in reason
        assert {one.module.read_bytes() for one in found.suite.workloads} == {bytes(EMPTY)}


def test_folders_are_sizes_and_a_module_gets_the_data_it_names(tmp_path: Path) -> None:
    files = {
        "wasm/mibench/sha_s.wasm": READER,
        "wasm/polybench/mini/gemm.wasm": EMPTY,
        "data/mibench/in.txt": b"twenty-one",
        "data/mibench/other.txt": b"",
    }
    suite = taken(import_modules(tree(tmp_path / "authors", files), root=tmp_path / "benchmarks"))
    root = tmp_path / "benchmarks" / "authors"
    assert {w.name: w.files for w in suite.workloads} == {
        "authors/mibench/sha_s": (InputFile("data/mibench/in.txt", root / "data" / "mibench" / "in.txt"),),
        "authors/polybench-mini/gemm": (),
    }
    assert execute(suite.workloads[0]).stdout == b"twenty-one"
    assert not (root / "data" / "mibench" / "other.txt").exists()


def test_an_interpreter_with_scripts_is_one_workload_a_script(tmp_path: Path) -> None:
    files = {"lua.wasm": INTERPRETER, "lua/fib.lua": b"print(fib(30))", "lua/sort.lua": b"print(sort())"}
    suite = taken(import_modules(tree(tmp_path / "lab", files), root=tmp_path / "benchmarks"))
    assert [(w.name, w.argv, execute(w).stdout) for w in suite.workloads] == [
        ("lab/lua/fib", ("fib", "fib.lua"), b"print(fib(30))"),
        ("lab/lua/sort", ("sort", "sort.lua"), b"print(sort())"),
    ]


def test_a_module_that_changed_after_it_was_imported_is_refused(tmp_path: Path) -> None:
    suite = taken(import_modules(tree(tmp_path / "lab", {"a.wasm": EMPTY}), root=tmp_path / "benchmarks"))
    suite.workloads[0].module.write_bytes(READER)
    with pytest.raises(SuiteError, match=r"lab/a: .* has the sha256 .* correct the one that is wrong"):
        build([suite])


def test_importing_again_takes_what_is_there_now(tmp_path: Path) -> None:
    there = tree(tmp_path / "lab", {"a.wasm": EMPTY, "b.wasm": EMPTY})
    import_modules(there, root=tmp_path / "benchmarks")
    (there / "a.wasm").unlink()
    import_modules(there, root=tmp_path / "benchmarks")
    assert [w.name for w in one_suite(tmp_path / "benchmarks").workloads] == ["lab/b"]


def test_a_suite_of_sources_is_never_written_over(tmp_path: Path) -> None:
    root = write_suite(tmp_path / "benchmarks", "[[workload]]\nname = 'a'")
    before = (root / "suite.toml").read_text()
    with pytest.raises(SuiteError, match="exists and was not imported; choose another name"):
        import_modules(tree(tmp_path / "lab", {"a.wasm": EMPTY}), "toys", tmp_path / "benchmarks")
    assert (root / "suite.toml").read_text() == before


def test_the_name_of_a_shipped_suite_is_refused(tmp_path: Path) -> None:
    there = tree(tmp_path / "lab", {"a.wasm": EMPTY})
    with pytest.raises(SuiteError, match="harness ships a suite mibench; choose another name with --as"):
        import_modules(there, "mibench", tmp_path / "benchmarks")
    assert not (tmp_path / "benchmarks").exists()


REFUSED = {
    "a page": (
        '(import "env" "emscripten_draw" (func)) (func (export "_start"))',
        "env::emscripten_draw.*another host",
    ),
    "a typing error": (
        '(import "wasi_snapshot_preview1" "fd_wrote" (func)) (memory (export "memory") 1) (func (export "_start"))',
        "fd_wrote.*the nearest that there is: fd_write$",
    ),
    "another type": (
        '(import "wasi_snapshot_preview1" "fd_close" (func)) (memory (export "memory") 1) (func (export "_start"))',
        "fd_close with another type",
    ),
    "threads": (
        '(import "env" "memory" (memory 1 2 shared)) (func (export "_start"))',
        "threads.*without them",
    ),
    "spawn": ('(import "wasi" "thread-spawn" (func)) (func (export "_start"))', "threads.*without them"),
    "an old one": (
        '(import "wasi_unstable" "fd_close" (func)) (func (export "_start"))',
        "preview 0.*current SDK",
    ),
    "a reactor": (
        '(func (export "_initialize")) (func (export "add"))',
        "a reactor.*_initialize, add.*-mexec-model",
    ),
    "a library": ('(func (export "add"))', "a library.*add.*-mexec-model=command"),
    "nothing": ("", "a library: it exports no function _start; give"),
    "parameters": ('(func (export "_start") (param i32))', "takes 1 parameter"),
    "no memory": (
        '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "_start"))',
        "exports no memory",
    ),
    "other pages": (
        '(memory (export "memory") 1 (pagesize 1)) (func (export "_start"))',
        "without --page-size$",
    ),
    "continuations": (
        '(type $f (func)) (type (cont $f)) (func (export "_start"))',
        "switches stacks.*without",
    ),
    "the older exceptions": ('(func (export "_start") try catch_all end)', "--translate-to-exnref"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_workload_is_refused_with_what_to_do(name: str) -> None:
    text, reason = REFUSED[name]
    found = refusal(bytes(wasmtime.wat2wasm(f"(module {text})")))
    assert found is not None
    assert re.search(reason, found), found


def test_what_is_no_module_is_refused_by_what_it_is() -> None:
    assert refusal(b"\0asm\x0d\0\1\0") == (
        "it is a component, not a core module; build it for wasm32-wasip1 to get one"
    )
    for content, reason in (
        (b"", "empty"),
        (b"\x7fELF", "starts with 7f 45 4c 46"),
        (bytes(EMPTY)[:-3], "cut off"),
    ):
        assert reason in str(refusal(content))
    assert refusal(bytes(EMPTY)) is None


def test_good_modules_are_imported_and_every_other_is_named_with_its_reason(
    harness: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lost = wasmtime.wat2wasm('(module (func (export "_start") unreachable))')
    early = wasmtime.wat2wasm(
        '(module (memory (export "memory") 0) (data (i32.const 9) "a") (func (export "_start")))'
    )
    files = {"a.wasm": EMPTY, "b.wasm": b"\x7fELF", "lost.wasm": lost, "early.wasm": early}
    tree(tmp_path / "lab", files)
    ran = harness("build", "--import", "lab", "--json")
    assert ran.code == 1
    assert {row["workload"]: row["output"] for row in json.loads(ran.out)} == {
        "b.wasm": "not imported: this is not a WebAssembly module: it starts with 7f 45 4c 46, not with 00 61 73 6d",
        "lab/a": "ran",
        "lab/early": "lab/early trapped: out of bounds memory access.",
        "lab/lost": "lab/lost trapped: unreachable.",
    }
    again = harness("build", "lab", "--json")
    assert [row["workload"] for row in json.loads(again.out)] == ["lab/a", "lab/early", "lab/lost"]


def test_where_nothing_can_be_imported_nothing_is_left(tmp_path: Path) -> None:
    there = tree(tmp_path / "lab", {"b.wasm": b"\x7fELF"})
    found = import_modules(there, root=tmp_path / "benchmarks")
    assert (found.suite, list(found.refused)) == (None, [there / "b.wasm"])
    assert not (tmp_path / "benchmarks").exists()
    with pytest.raises(SuiteError, match=r"there is no \.wasm file in"):
        import_modules(tree(tmp_path / "none", {"x": b""}), root=tmp_path / "benchmarks")


def test_the_written_file_keeps_names_with_quotes_and_other_letters(tmp_path: Path) -> None:
    there = tree(tmp_path / "lab", {'a"b.wasm': EMPTY, "größe.wasm": EMPTY})
    import_modules(there, root=tmp_path / "benchmarks")
    suite = load_suites(tmp_path / "benchmarks")["lab"]
    assert json.dumps(sorted(w.name for w in suite.workloads)) == '["lab/a-b", "lab/gr-e"]'
    assert all(w.module.exists() for w in suite.workloads)


def test_a_module_whose_name_no_device_could_send_back_is_refused_with_the_limit(tmp_path: Path) -> None:
    long = f"{'n' * 120}/{'m' * 100}.wasm"
    there = tree(tmp_path / "mine", {long: EMPTY, "short.wasm": EMPTY})
    found = import_modules(there, root=tmp_path / "benchmarks")
    assert found.suite
    assert [workload.name for workload in found.suite.workloads] == ["mine/short"]
    assert [*found.refused] == [there / long]
    assert "a name of 226 letters, and 200 is the most; give the file" in found.refused[there / long]
    fits = tree(tmp_path / "fits", {f"{'n' * 94}/{'m' * 100}.wasm": EMPTY})
    [workload] = taken(import_modules(fits, root=tmp_path / "benchmarks")).workloads
    assert len(workload.name) == 200


def test_importing_again_keeps_own_edits_and_files_and_names_what_is_gone(tmp_path: Path) -> None:
    there = tree(
        tmp_path / "mine",
        {"a.wasm": EMPTY, "b.wasm": EMPTY, "c.wasm": READER, "data/mibench/in.txt": b"theirs"},
    )
    root = tmp_path / "benchmarks"
    import_modules(there, root=root)
    suite = root / "mine"
    toml = suite / "suite.toml"
    edited = toml.read_text().replace('name = "a"\n', 'name = "a"\nargs = ["7"]  # ours\n')
    toml.write_text(
        edited + "\n[[workload]]\nname = 'own'\nmodule = 'own.wasm'\nmodule_sha256 = '%s'\n" % ("0" * 64)
    )
    tree(suite, {"own.wasm": EMPTY, "data/more.txt": b"ours", "data/mibench/in.txt": b"ours too"})
    other = wasmtime.wat2wasm('(module (memory (export "memory") 2) (func (export "_start")))')
    tree(there, {"a.wasm": other, "d.wasm": EMPTY})
    (there / "b.wasm").unlink()
    told: list[str] = []
    import_modules(there, root=root, say=told.append)
    assert [line.replace(str(there), "THERE") for line in told] == [
        "mine: b is no longer in THERE; it was removed from the suite"
    ]
    after = toml.read_text()
    assert 'args = ["7"]  # ours' in after and "name = 'own'" in after and 'name = "d"' in after
    assert 'name = "b"' not in after and not (suite / "modules" / "b.wasm").exists()
    assert (suite / "modules" / "a.wasm").read_bytes() == other
    assert hashlib.sha256(other).hexdigest() in after
    assert (suite / "data/more.txt").read_bytes() == b"ours"
    assert (suite / "data/mibench/in.txt").read_bytes() == b"ours too"
    once = {path: path.read_bytes() for path in suite.rglob("*") if path.is_file()}
    import_modules(there, root=root)
    assert {path: path.read_bytes() for path in suite.rglob("*") if path.is_file()} == once
