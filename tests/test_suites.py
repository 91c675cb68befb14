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

from harness.build import build, execute, verify
from harness.errors import ModuleError, SuiteError, UnknownName
from harness.suites import Expectation, InputFile, Suite, Workload, load_suites, load_workloads, select

FLAGS = (
    """flags = ["--target=wasm32-freestanding", "-mcpu=mvp", "-O1", "-s", "-nostdlib", "-Wl,--no-entry"]"""
)

EMPTY = '__attribute__((export_name("_start"))) void _start(void) {}\n'

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


def write_suite(root: Path, entries: str, sources: dict[str, str] | None = None, name: str = "toys") -> Path:
    suite = root / name
    suite.mkdir(parents=True, exist_ok=True)
    (suite / "suite.toml").write_text(f'title = "Toys"\n[build]\n{FLAGS}\n{entries}')
    for file, text in (sources or {}).items():
        (suite / file).parent.mkdir(parents=True, exist_ok=True)
        (suite / file).write_text(text)
    return suite


def one_suite(root: Path) -> Suite:
    (suite,) = load_suites(root).values()
    return suite


def workload_of(tmp_path: Path, wat: str, expect: Expectation | None = None) -> Workload:
    import wasmtime

    module = tmp_path / "module.wasm"
    module.write_bytes(wasmtime.wat2wasm(wat))
    return Workload("toys/small/it", "toys", module, ("it",), expect=expect or Expectation())


# Reading suite.toml


def test_an_entry_becomes_a_workload_with_argv_stdin_files_and_expectation(tmp_path: Path) -> None:
    root = write_suite(
        tmp_path,
        f"""
        [[workload]]
        name = "copy"
        [workload.sizes.large]
        args = ["text"]
        stdin = "data/in"
        files = {{ text = "data/large.txt" }}
        exit_code = 2
        stdout_sha256 = "{"0" * 64}"
        """,
    )
    assert load_workloads(tmp_path) == {
        "toys/large/copy": Workload(
            name="toys/large/copy",
            suite="toys",
            module=root / "build" / "large" / "copy.wasm",
            argv=("copy", "text"),
            stdin=root / "data" / "in",
            files=(InputFile("text", root / "data" / "large.txt"),),
            expect=Expectation(2, "0" * 64),
        )
    }


def test_a_recipe_adds_the_flags_of_suite_workload_and_size(tmp_path: Path) -> None:
    root = write_suite(
        tmp_path,
        """
        [[workload]]
        name = "sum"
        sources = ["a.c", "b.c"]
        flags = ["-Icommon"]
        [workload.sizes]
        small = { define = { N = 3 } }
        """,
    )
    (recipe,) = one_suite(tmp_path).recipes
    assert recipe.sources == (root / "a.c", root / "b.c")
    assert recipe.arguments[-2:] == ("-Icommon", "-DN=3")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            "[[workload]]\nname = 'a'\nsizes = { s = { defines = {} } }",
            "workload a, sizes[...]: object contains",
        ),
        ("[[workload]]\nsizes = {}", "workload number 1: object missing required field `name`"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { define = { N = 1.5 } } }", "got `float`"),
        ("[[workload]]\nname = '../a'\nsizes = { s = {} }", "workload ../a, size s: '../a' cannot be part"),
        ("[[workload]]\nname = 'a'\nsizes = { '..' = {} }", "workload a, size ..: '..' cannot be part"),
        ("[[workload]]\nname = 'a'\nsources = ['../x.c']\nsizes = { s = {} }", "'../x.c' lies outside"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { stdin = '/etc/passwd' } }", "'/etc/passwd' lies outside"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { files = { '../x' = 'x' } } }", "files has '../x'"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { define = { 'N x' = 1 } } }", "define has 'N x'"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { stdout_sha256 = 'ab' } }", "not 64 hexadecimal digits"),
        ("[[workload]]\nname = 'a'\nsizes = { s = {} }\n" * 2, "workload a: the name is used twice"),
        ("[[workload]\n", "is not valid TOML: "),
    ],
)
def test_a_mistake_in_suite_toml_is_named_with_its_file_and_entry(
    tmp_path: Path, entries: str, said: str
) -> None:
    root = write_suite(tmp_path, entries)
    with pytest.raises(SuiteError) as error:
        load_suites(tmp_path)
    assert str(error.value).startswith(str(root / "suite.toml"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_link_out_of_the_suite_is_refused(tmp_path: Path) -> None:
    root = write_suite(tmp_path, "[[workload]]\nname = 'a'\nsizes = { s = {} }")
    (tmp_path / "secret.c").write_text("")
    (root / "a.c").symlink_to(tmp_path / "secret.c")
    with pytest.raises(SuiteError, match="lies outside"):
        load_suites(tmp_path)


def test_a_directory_without_suites_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no suite at .*suite\.toml"):
        load_suites(tmp_path)


def test_benchmarks_of_the_current_directory_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "polybench" in load_suites()
    write_suite(tmp_path / "benchmarks", "[[workload]]\nname = 'a'\nsizes = { s = {} }")
    assert list(load_suites()) == ["toys"]


# Selecting


@pytest.fixture
def few(tmp_path: Path) -> dict[str, Workload]:
    names = [
        f"{suite}/{size}/{name}" for suite in ("p", "q") for size in ("mini", "small") for name in ("ab", "b")
    ]
    return {name: Workload(name, name[0], tmp_path, (name,)) for name in names}


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["q/mini/b"], ["q/mini/b"]),
        (["q/small", "p/mini/b"], ["p/mini/b", "q/small/ab", "q/small/b"]),
        (["p"], ["p/mini/ab", "p/mini/b", "p/small/ab", "p/small/b"]),
        (["?/mini"], ["p/mini/ab", "p/mini/b", "q/mini/ab", "q/mini/b"]),
        (["*/mini/a*", "p/mini"], ["p/mini/ab", "p/mini/b", "q/mini/ab"]),
    ],
)
def test_patterns_choose_each_workload_once_in_suite_order(
    few: dict[str, Workload], patterns: list[str], chosen: list[str]
) -> None:
    assert [w.name for w in select(few, patterns)] == chosen


def test_no_pattern_chooses_everything(few: dict[str, Workload]) -> None:
    assert select(few, []) == list(few.values())


def test_an_unknown_name_is_answered_with_the_nearest(few: dict[str, Workload]) -> None:
    with pytest.raises(UnknownName, match=r"no workload named 'p/mni/ab'; did you mean p/mini/ab"):
        select(few, ["q", "p/mni/ab"])


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
    assert len(hashes[0]) == 12
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
