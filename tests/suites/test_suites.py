from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import harness
from harness.errors import SuiteError, UnknownName
from harness.suites import catalogue
from harness.suites.catalogue import load_suites, load_workloads, select, shipped, suites_in
from harness.suites.suite import Expectation, InputFile, Workload
from tests.toys import one_suite, write_suite

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
    assert one_suite(tmp_path).workloads == (
        Workload(
            name="toys/large/copy",
            suite="toys",
            module=root / "build" / "large" / "copy.wasm",
            argv=("copy", "text"),
            stdin=root / "data" / "in",
            files=(InputFile("text", root / "data" / "large.txt"),),
            expect=Expectation(2, "0" * 64),
        ),
    )


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
        (f"[[workload]]\nname = '{'a' * 190}'\nsizes = {{ {'s' * 20} = {{}} }}", "200 at most"),
        (f"[[workload]]\nname = 'a'\nfiles = {{ {'f' * 256} = 'x' }}", "too long or outside"),
        ("[[workload]]\nname = 'a'\nsources = ['../x.c']\nsizes = { s = {} }", "'../x.c' lies outside"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { stdin = '/etc/passwd' } }", "'/etc/passwd' lies outside"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { files = { '../x' = 'x' } } }", "files has '../x'"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { define = { 'N x' = 1 } } }", "define has 'N x'"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { stdout_sha256 = 'ab' } }", "not 64 hexadecimal digits"),
        ("[[workload]]\nname = 'a'\nsizes = { s = {} }\n" * 2, "workload a: the name is used twice"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { exit_code = 126 } }", "expected `int` <= 125"),
        ("[[workload]]\nname = 'a'\nsizes = { s = { exit_code = -1 } }", "expected `int` >= 0"),
        ("[[workload]\n", "is not valid TOML: "),
    ],
)
def test_a_mistake_in_suite_toml_is_named_with_its_file_and_entry(
    tmp_path: Path, entries: str, said: str
) -> None:
    root = write_suite(tmp_path, entries)
    with pytest.raises(SuiteError) as error:
        suites_in(tmp_path)
    assert str(error.value).startswith(str(root / "suite.toml"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_link_out_of_the_suite_is_refused(tmp_path: Path) -> None:
    root = write_suite(tmp_path, "[[workload]]\nname = 'a'\nsizes = { s = {} }")
    (tmp_path / "secret.c").write_text("")
    (root / "a.c").symlink_to(tmp_path / "secret.c")
    with pytest.raises(SuiteError, match="lies outside"):
        suites_in(tmp_path)


# Finding

A = "[[workload]]\nname = 'a'\nsizes = { s = {} }"


def test_a_directory_that_was_named_and_has_no_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no suite at .*suite\.toml"):
        load_suites(tmp_path)


def test_own_suites_are_added_to_those_that_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = list(shipped())
    (tmp_path / "benchmarks" / "of something else").mkdir(parents=True)
    assert (list(load_suites()), "startup/none/empty" in load_workloads()) == (names, True)
    write_suite(tmp_path / "benchmarks", A)
    write_suite(tmp_path / "there", A, name="others")
    assert list(load_suites()) == [*names, "toys"]
    assert list(load_suites("there")) == [*names, "others"]


def test_another_suite_of_a_shipped_name_is_refused_by_name(tmp_path: Path) -> None:
    root = write_suite(tmp_path, A, name="startup")
    with pytest.raises(SuiteError) as error:
        load_suites(tmp_path)
    assert str(error.value).startswith(f"{root} is another suite than the startup that harness ships; ")


def test_a_copy_of_a_shipped_suite_stands_for_it_until_a_source_is_changed(tmp_path: Path) -> None:
    root = tmp_path / "polybench"
    shutil.copytree(shipped()["polybench"].root, root, ignore=shutil.ignore_patterns("build", "*.py"))
    assert load_suites(tmp_path)["polybench"].built == root / "build"
    (root / "own.c").write_text("int more;")
    load_suites(tmp_path)
    (root / "gemm.c").write_text("int other;")
    with pytest.raises(SuiteError, match="polybench is another suite than"):
        load_suites(tmp_path)


def test_an_installed_suite_is_built_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "harness"
    root = write_suite(package / "benchmarks", A.replace("{} }", "{}, l = { stdin = 'build/inputs/text' } }"))
    monkeypatch.setattr(catalogue, "__file__", str(package / "suites" / "catalogue.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "harness" / "suites" / harness.__version__ / "toys"
    suite = load_suites()["toys"]
    assert (suite.root, suite.built) == (root, cache)
    assert [(w.module, w.stdin) for w in suite.workloads] == [
        (cache / "s" / "a.wasm", None),
        (cache / "l" / "a.wasm", cache / "inputs" / "text"),
    ]


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


def test_optional_workloads_count_where_they_are_named(tmp_path: Path) -> None:
    known = {n: Workload(n, n[0], tmp_path, (n,), optional=n[0] == "q") for n in ("p/a", "q/b", "q/c")}
    assert [w.name for w in select(known, [])] == ["p/a"]
    assert [w.name for w in select(known, ["q/b"])] == ["q/b"]


def test_heavy_names_sizes_or_workloads_of_the_suite(tmp_path: Path) -> None:
    root = write_suite(
        tmp_path, "[[workload]]\nname = 'a'\nsizes = { s = {}, l = {} }\n[[workload]]\nname = 'b'"
    )
    text = (root / "suite.toml").read_text()
    (root / "suite.toml").write_text(f"heavy = ['l', 'b']\n{text}")
    known = {w.name: w for w in one_suite(tmp_path).workloads}
    assert [(w.name, w.heavy) for w in known.values()] == [
        ("toys/s/a", False), ("toys/l/a", True), ("toys/b", True),
    ]  # fmt: skip
    assert [w.name for w in select(known, [])] == ["toys/s/a"]
    assert [w.name for w in select(known, ["toys/l"])] == ["toys/l/a"]
    assert len(select(known, [], heavy=True)) == 3
    (root / "suite.toml").write_text(f"heavy = ['huge']\n{text}")
    with pytest.raises(SuiteError, match="heavy: 'huge' is neither a size nor a workload of the suite"):
        suites_in(tmp_path)


def test_a_workload_without_sizes_is_named_by_suite_and_name(tmp_path: Path) -> None:
    root = write_suite(tmp_path, "[[workload]]\nname = 'sha_s'\nsources = ['sha.c']\ndefine = { N = 1 }")
    suite = one_suite(tmp_path)
    assert [(w.name, w.module) for w in suite.workloads] == [("toys/sha_s", root / "build" / "sha_s.wasm")]
    assert (suite.recipes[0].sources, suite.recipes[0].arguments[-1]) == ((root / "sha.c",), "-DN=1")


def test_a_directory_among_files_stands_for_every_file_in_it(tmp_path: Path) -> None:
    root = write_suite(
        tmp_path,
        "[[workload]]\nname = 'a'\nfiles = { 'lib' = 'python' }",
        {"python/os.py": "", "python/json/x.py": ""},
    )
    assert one_suite(tmp_path).workloads[0].files == (
        InputFile("lib/json/x.py", root / "python" / "json" / "x.py"),
        InputFile("lib/os.py", root / "python" / "os.py"),
    )
