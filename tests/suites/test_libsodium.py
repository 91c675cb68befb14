from __future__ import annotations

import pytest

from harness.opcodes import decode
from harness.suites.build import build
from harness.suites.catalogue import load_suites, load_workloads, select
from harness.suites.verified import judge
from tests.conftest import ROOT

SUITE = load_suites(ROOT / "benchmarks")["libsodium"]
PART = [f"libsodium/{name}" for name in ("auth2", "hash", "scalarmult2", "stream3")]  # what .ci/run builds
BUILT = [workload for workload in SUITE.workloads if workload.module.exists()]
needs_the_build = pytest.mark.skipif(
    not set(PART) <= {workload.name for workload in BUILT},
    reason=f"no built libsodium; harness build {' '.join(PART)}",
)


def test_the_suite_has_at_least_61_programs_and_no_two_of_one_name() -> None:
    names = [workload.name for workload in SUITE.workloads]
    assert len(names) == len(set(names)) >= 61
    assert all(name.count("/") == 1 for name in names)


def test_each_program_is_a_benchmark_and_its_check_is_not() -> None:
    for recipe in SUITE.recipes:
        assert recipe.check is not None
        assert recipe.define["BENCHMARKS"] == 1
        assert int(recipe.define["ITERATIONS"]) > 0
        assert "BENCHMARKS" not in recipe.check.recipe.define
        assert [file.guest for file in recipe.check.workload.files] == [
            f"{recipe.check.workload.argv[0]}.exp"
        ]


def test_who_does_not_name_the_suite_does_not_need_it() -> None:
    assert not [w for w in select(load_workloads(ROOT / "benchmarks"), []) if w.suite == "libsodium"]
    assert len(select(load_workloads(ROOT / "benchmarks"), ["libsodium"])) == len(SUITE.workloads)


@needs_the_build
@pytest.mark.parametrize("name", PART)
def test_a_program_finds_upstream_s_results(name: str) -> None:
    ((workload, recipe),) = SUITE.only([name]).pairs()
    build([SUITE.only([workload.name])])
    assert judge(SUITE, workload, recipe, force=True) == "as expected"


@needs_the_build
def test_modules_ask_for_nothing_beyond_the_first_webassembly_and_wasi() -> None:
    for workload in BUILT[:: max(1, len(BUILT) // 6)]:
        module = decode(workload.module.read_bytes())
        opcodes = {step.opcode for i in range(len(module.codes)) for step in module.instructions(i)}
        assert {op.name for op in opcodes if op.code > 0xBF or op.code in (0x1C, 0x25, 0x26)} == set()
        assert {entry.module for entry in module.imports} == {"wasi_snapshot_preview1"}
