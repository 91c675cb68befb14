from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suites.build import build
from harness.suites.catalogue import shipped, suites_in
from tests.toys import EMPTY, TWO_SIZES, one_suite, write_suite


def test_only_what_changed_is_compiled_again(tmp_path: Path) -> None:
    root = write_suite(tmp_path, TWO_SIZES, {"a.c": '#include "h.h"\n' + EMPTY, "h.h": ""})

    def compiled() -> list[bool]:
        return [b.compiled for b in build(suites_in(tmp_path).values())]

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
    here = shipped()["polybench"]
    hashes = []
    for place in ("one", "another/place, far away"):
        root = tmp_path / place / "benchmarks" / "polybench"
        root.mkdir(parents=True)
        for file in (*here.root.glob("*.h"), *here.root.glob("g*.c"), here.root / "suite.toml"):
            shutil.copy(file, root)
        script = (
            "import dataclasses\n"
            "from harness.suites.build import build\nfrom harness.suites.catalogue import OWN, suites_in\n"
            "suite = suites_in(OWN)['polybench']\n"
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
        build(suites_in(tmp_path).values())


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
        build(suites_in(tmp_path).values())


def test_without_a_compiler_the_message_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    write_suite(tmp_path, TWO_SIZES, {"a.c": EMPTY})
    with pytest.raises(SuiteError, match=r"pip install ziglang"):
        build([one_suite(tmp_path)])
