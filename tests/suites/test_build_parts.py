from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.errors import SuiteError, UnknownName
from harness.suites import catalogue
from harness.suites import verified as verifying
from harness.suites.build import build
from harness.suites.catalogue import suites_in
from harness.suites.execute import execute, verify
from harness.suites.ready import build_and_verify
from harness.suites.suite import Workload
from tests.toys import COPY, EMPTY, TWO_SIZES, one_suite, write_suite


@pytest.fixture(autouse=True)
def _no_shipped_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "shipped_root", lambda: tmp_path)


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
    assert heard == ["toys: compiling its library of 1 source"] * 2


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
    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    ran: list[str] = []

    def watched(workload: Workload, **limits: Any) -> str | None:
        ran.append(workload.name)
        return verify(workload, **limits)

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
    suites = list(suites_in(tmp_path / "suites").values())
    assert [[one.compiled for one in build(suites)] for _ in range(2)] == [[True], [False]]
