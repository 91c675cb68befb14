from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console

from harness.build import build
from harness.errors import ModuleError, SuiteError, UnknownName
from harness.execute import execute, verify
from harness.preparing import build_and_verify
from harness.suites import Expectation, InputFile, Workload, load_suites
from tests.toys import EMPTY, one_suite, write_suite

# Copies stdin, then the file its argument names, to stdout; its exit code is the number of its arguments.
COPY = """
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
typedef unsigned long long u64;
struct slice { char *start; unsigned bytes; };
WASI(fd_read) int fd_read(int, const struct slice *, int, unsigned *);
WASI(fd_write) int fd_write(int, const struct slice *, int, unsigned *);
WASI(path_open) int path_open(int, int, const char *, int, int, u64, u64, int, int *);
WASI(args_sizes_get) int args_sizes_get(unsigned *, unsigned *);
WASI(args_get) int args_get(char **, char *);
WASI(proc_exit) _Noreturn void proc_exit(int);

static char text[1000], *arguments[9];

static void copy(int fd)
{
    for (;;) {
        struct slice part = {text, sizeof text};
        if (fd_read(fd, &part, 1, &part.bytes) || part.bytes == 0)
            return;
        fd_write(1, &part, 1, &part.bytes);
    }
}

__attribute__((export_name("_start"))) void _start(void)
{
    static char storage[1000];
    unsigned count, bytes, length = 0;
    int fd;
    args_sizes_get(&count, &bytes);
    args_get(arguments, storage);
    copy(0);
    while (arguments[1][length])
        length++;
    if (path_open(3, 0, arguments[1], (int)length, 0, 2, 2, 0, &fd))
        proc_exit(70);
    copy(fd);
    proc_exit((int)count);
}
"""


def workload_of(tmp_path: Path, wat: str, expect: Expectation | None = None) -> Workload:
    import wasmtime

    module = tmp_path / "module.wasm"
    module.write_bytes(wasmtime.wat2wasm(wat))
    return Workload("toys/small/it", "toys", module, ("it",), expect=expect or Expectation())


# Building


TWO_SIZES = "[[workload]]\nname = 'a'\nsizes = { s = { define = { N = 1 } }, l = { define = { N = 2 } } }\n"


def test_only_what_changed_is_compiled_again(tmp_path: Path) -> None:
    root = write_suite(tmp_path, TWO_SIZES, {"a.c": '#include "h.h"\n' + EMPTY, "h.h": ""})

    def compiled() -> list[bool]:
        return [b.compiled for b in build(load_suites(tmp_path).values())]

    module = root / "build" / "s" / "a.wasm"
    seen = [compiled(), compiled()]
    (root / "h.h").write_text("extern int x;\n")
    seen += [compiled(), compiled()]
    write_suite(tmp_path, TWO_SIZES.replace("N = 2", "N = 3"))
    seen += [compiled(), compiled()]
    module.write_bytes(module.read_bytes()[:-1])
    seen += [compiled(), compiled()]
    assert seen == [
        [True, True],
        [False, False],
        [True, True],
        [False, False],
        [False, True],
        [False, False],
        [True, False],
        [False, False],
    ]


def test_force_compiles_everything_and_progress_hears_of_each(tmp_path: Path) -> None:
    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    heard: list[str] = []
    for _ in range(2):
        built = build([one_suite(tmp_path)], force=True, jobs=1, progress=lambda b: heard.append(b.workload))
        assert [b.compiled for b in built] == [True, True]
    assert heard == ["toys/s/a", "toys/l/a"] * 2


def test_what_was_built_is_hashed_and_nothing_else_is_left(tmp_path: Path) -> None:
    root = write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    suite = one_suite(tmp_path)
    built = build([suite])
    data = (root / "build" / "l" / "a.wasm").read_bytes()
    assert (built[1].sha256, built[1].bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert suite.workloads[1].module_sha256 == built[1].sha256
    assert sorted(path.name for path in (root / "build").rglob("*")) == [
        "a.json",
        "a.json",
        "a.wasm",
        "a.wasm",
        "l",
        "s",
    ]


def test_modules_are_the_same_bytes_from_any_directory_and_compiler_cache(tmp_path: Path) -> None:
    here = load_suites()["polybench"]
    hashes = []
    for place in ("one", "another/place, far away"):
        root = tmp_path / place / "benchmarks" / "polybench"
        root.mkdir(parents=True)
        for file in (*here.root.glob("*.h"), *here.root.glob("g*.c"), here.root / "suite.toml"):
            shutil.copy(file, root)
        script = (
            "import dataclasses\n"
            "from harness.build import build\nfrom harness.suites import load_suites\n"
            "suite = load_suites()['polybench']\n"
            "some = [r for r in suite.recipes if r.module.stem.startswith('g')]\n"
            "for built in build([dataclasses.replace(suite, recipes=tuple(some))]):\n"
            "    print(built.workload, built.sha256)\n"
        )
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(tmp_path / place / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path / place,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.append(done.stdout.splitlines())
    assert len(hashes[0]) == 16
    assert hashes[0] == hashes[1]


def test_a_source_that_does_not_compile_is_shown_with_its_line(tmp_path: Path) -> None:
    write_suite(tmp_path, TWO_SIZES, {"a.c": "\nint f(void) { return missing; }\n"})
    with pytest.raises(SuiteError, match=r"^toys/./a does not compile: a\.c:2:22: error: .*'missing'"):
        build(load_suites(tmp_path).values())


def test_a_failed_build_keeps_the_module_that_was_there(tmp_path: Path) -> None:
    root = write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    before = build([one_suite(tmp_path)])[0].sha256
    (root / "a.c").write_text("nonsense")
    with pytest.raises(SuiteError):
        build([one_suite(tmp_path)])
    assert one_suite(tmp_path).workloads[0].module_sha256 == before


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    write_suite(tmp_path, TWO_SIZES)
    with pytest.raises(SuiteError, match=r"toys/./a needs .*a\.c, which cannot be read"):
        build(load_suites(tmp_path).values())


def test_without_a_compiler_the_message_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    with pytest.raises(SuiteError, match=r"pip install 'harness\[build\]'"):
        build([one_suite(tmp_path)])


# Executing and verifying


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
    with pytest.raises(SuiteError, match="run `harness build toys` first"):
        verify(workload)
    with pytest.raises(SuiteError, match="run `harness build toys` first"):
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


# Inputs, libraries, checks and modules from elsewhere

INPUTS = """
[inputs]
script = "make.py"
[inputs.sha256]
"in" = "{sha256}"
[[workload]]
name = "copy"
args = ["data"]
files = {{ data = "build/inputs/in" }}
exit_code = 2
"""
MAKE = "import pathlib, sys\np = pathlib.Path(sys.argv[1])\np.mkdir(exist_ok=True)\n(p / 'in').write_text('{text}')\n"


def test_inputs_are_made_once_and_again_when_they_are_not_those_expected(tmp_path: Path) -> None:
    entry = INPUTS.format(sha256=hashlib.sha256(b"abc").hexdigest())
    root = write_suite(tmp_path, entry, {"copy.c": COPY, "make.py": MAKE.format(text="abc")})
    heard: list[str] = []
    made = root / "build" / "inputs" / "in"
    for damage in (None, "", "abd"):
        if damage is not None:
            made.write_text(damage)
        for _ in range(2):
            build([one_suite(tmp_path)], say=heard.append)
    assert execute(one_suite(tmp_path).workloads[0]).stdout == b"abc"
    assert heard == ["toys: making its input files"] * 3


def test_a_script_that_makes_other_inputs_is_told_with_their_hash(tmp_path: Path) -> None:
    entry = INPUTS.format(sha256="0" * 64)
    write_suite(tmp_path, entry, {"copy.c": COPY, "make.py": MAKE.format(text="abc")})
    with pytest.raises(
        SuiteError, match=f"in: make.py made one with the sha256 {hashlib.sha256(b'abc').hexdigest()}"
    ):
        build([one_suite(tmp_path)])


def test_a_script_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    entry = INPUTS.format(sha256="0" * 64)
    write_suite(tmp_path, entry, {"copy.c": COPY, "make.py": "raise ValueError('no pi today')"})
    with pytest.raises(SuiteError, match=r"make\.py ended with exit code 1: ValueError: no pi today"):
        build([one_suite(tmp_path)])


LIBRARY = """
library = ["lib/**/*.c"]
[check]
define = { CHECK = 1 }
[[workload]]
name = "a"
"""
USER = """
int twice(int);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"))) _Noreturn void proc_exit(int);
__attribute__((export_name("_start"))) void _start(void)
{
#ifdef CHECK
    proc_exit(twice(21) != 42);
#endif
}
"""


def test_a_library_is_compiled_once_for_all_and_again_when_a_source_of_it_changes(tmp_path: Path) -> None:
    root = write_suite(
        tmp_path, LIBRARY, {"a.c": USER, "lib/deep/twice.c": "int twice(int x) { return 2 * x; }"}
    )
    heard: list[str] = []
    states = []
    for change in (None, None, "int twice(int x) { return 3 * x; }"):
        if change is not None:
            (root / "lib" / "deep" / "twice.c").write_text(change)
        states += [one.compiled for one in build([one_suite(tmp_path)], say=heard.append)]
    assert states == [True, False, True]
    assert heard == ["toys: compiling the 1 sources of its library"] * 2


def test_a_check_that_fails_is_what_is_wrong_with_the_workload(tmp_path: Path) -> None:
    sources = {"a.c": USER, "lib/twice.c": "int twice(int x) { return 2 * x; }"}
    root = write_suite(tmp_path, LIBRARY, sources)

    def output() -> str:
        (row,) = build_and_verify([], tmp_path, Console(quiet=True))
        return str(row["output"])

    seen = [output()]
    (root / "lib" / "twice.c").write_text("int twice(int x) { return 2 * x + 1; }")
    seen += [output(), output()]
    failed = "the check of toys/a ended with exit code 1, expected 0."
    assert seen == ["as expected", failed, failed]


def test_a_module_found_right_is_run_again_only_when_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import verifying

    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    ran: list[str] = []

    def watched(workload: Workload, *, limit_s: float) -> str | None:
        ran.append(workload.name)
        return verify(workload, limit_s=limit_s)

    monkeypatch.setattr(verifying, "verify", watched)
    other_args = TWO_SIZES.replace("{ N = 2 }", "{ N = 2 }, args = ['x']")
    for entries, force in ((TWO_SIZES, False), (TWO_SIZES, False), (other_args, False), (other_args, True)):
        write_suite(tmp_path, entries)
        build_and_verify([], tmp_path, Console(quiet=True), force=force)
    assert len(ran) == 5


def test_what_is_named_is_built_and_nothing_else(tmp_path: Path) -> None:
    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY}, name="others")
    rows = build_and_verify(["toys/s", "others/l/a"], tmp_path, Console(quiet=True))
    assert sorted(row["workload"] for row in rows) == ["others/l/a", "toys/s/a"]
    with pytest.raises(UnknownName, match="no suite named 'toy'; did you mean toys"):
        build_and_verify(["toy"], tmp_path, Console(quiet=True))


def test_a_plain_build_leaves_an_optional_suite_out(tmp_path: Path) -> None:
    root = write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    text = (root / "suite.toml").read_text()
    (root / "suite.toml").write_text(text.replace("[build]", "optional = true\n[build]", 1))
    assert build_and_verify([], tmp_path, Console(quiet=True)) == []
    assert len(build_and_verify(["toys"], tmp_path, Console(quiet=True))) == 2


def test_sources_that_cannot_be_fetched_are_named_with_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source = f'[source]\nsdist = "absent==1"\nsha256 = "{"0" * 64}"\n[[workload]]\nname = "a"\n'
    write_suite(tmp_path, source)
    with pytest.raises(
        SuiteError, match=r"the sources absent==1 cannot be fetched: .* put that archive at .*0\.tar\.gz"
    ):
        build([one_suite(tmp_path)])


def test_sources_in_the_cache_are_unpacked_and_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tarfile

    (tmp_path / "thing-1").mkdir()
    (tmp_path / "thing-1" / "a.c").write_text('#include "new/h.h"\n' + EMPTY)
    (tmp_path / "thing-1" / "new").mkdir()
    (tmp_path / "thing-1" / "h.old").write_text("int x;\n")
    with tarfile.open(tmp_path / "thing.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "thing-1", "thing-1")
    sha256 = hashlib.sha256((tmp_path / "thing.tar.gz").read_bytes()).hexdigest()
    (tmp_path / "cache" / "harness" / "sources").mkdir(parents=True)
    shutil.copy(tmp_path / "thing.tar.gz", tmp_path / "cache" / "harness" / "sources" / f"{sha256}.tar.gz")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = f'[source]\nsdist = "thing==1"\nsha256 = "{sha256}"\npath = "thing-1"\ncopy = {{ "new/h.h" = "h.old" }}\n'
    write_suite(tmp_path / "suites", source + '[[workload]]\nname = "a"\n')
    suites = list(load_suites(tmp_path / "suites").values())
    assert [[one.compiled for one in build(suites)] for _ in range(2)] == [[True], [False]]
