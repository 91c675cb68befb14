from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.polybench.check import check, difference, parameters_of, read_outputs, record
from benchmarks.polybench.reference import KERNELS
from harness.opcodes import count, decode
from harness.suites.build import build, verify
from harness.suites.catalogue import suites_in
from harness.suites.suite import Recipe, Suite, Workload
from tests.conftest import ROOT
from tests.published import ABSENT

SUITE = suites_in(ROOT / "benchmarks")["polybench"]
WORKLOADS = {workload.name: workload for workload in SUITE.workloads}
NAMES = [name for name in WORKLOADS if "/large/" not in name]
# Of the large ones, all of which `python -m benchmarks.polybench.check` checks in a quarter of an hour.
QUICK_NAMES = [
    f"polybench/large/{kernel}" for kernel in ("atax", "durbin", "gesummv", "jacobi-1d", "trisolv")
]
RECIPES = {recipe.workload: recipe for recipe in SUITE.recipes}

PUBLISHED = ROOT.parent / "shared" / "data" / "pitot-dev" / "data.npz"
ARITHMETIC = {
    f"{kind}.{name}": f"x{first + step:02X}"
    for kind, first in (("f32", 0x91), ("f64", 0x9F))
    for step, name in enumerate(("sqrt", "add", "sub", "mul", "div"))
}
# deriche alone needs the exponential function, four times: the published modules take it from their C library
# and ours sum the series, both in double precision.
NOT_COMPARED = {"deriche": {"f64.add", "f64.sub", "f64.mul", "f64.div"}}


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build([SUITE])


def copy_of_suite(
    tmp_path: Path, kernel: str, old: str = "", new: str = ""
) -> tuple[Suite, Workload, Recipe]:
    """The suite with one kernel, at size mini, whose source has `new` in the place of `old`; built."""
    root = tmp_path / "benchmarks" / "polybench"
    shutil.copytree(SUITE.root, root, ignore=shutil.ignore_patterns("build", "__pycache__"))
    source = root / f"{kernel}.c"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new, 1))
    whole = suites_in(root.parent)["polybench"]
    number = [w.name for w in whole.workloads].index(f"polybench/mini/{kernel}")
    workload, recipe = whole.workloads[number], whole.recipes[number]
    suite = Suite(whole.name, whole.title, whole.root, (workload,), (recipe,))
    build([suite])
    return suite, workload, recipe


def test_the_suite_has_thirty_kernels_at_four_sizes_and_a_reference_for_each() -> None:
    sizes = ("mini", "small", "medium", "large")
    assert sorted(WORKLOADS) == sorted(f"polybench/{s}/{k}" for s in sizes for k in KERNELS)
    assert len(KERNELS) == 30


@pytest.mark.parametrize("name", NAMES + QUICK_NAMES)
def test_every_element_of_every_output_is_what_the_mathematics_says(name: str) -> None:
    _, wrong = check(WORKLOADS[name], parameters_of(RECIPES[name]))
    assert wrong is None


@pytest.mark.parametrize("name", NAMES + QUICK_NAMES)
def test_the_module_prints_what_the_suite_expects(name: str) -> None:
    assert WORKLOADS[name].expect.stdout_sha256 is not None
    assert verify(WORKLOADS[name]) is None


@pytest.mark.parametrize("kernel", ["fdtd-2d", "deriche", "nussinov"])
def test_the_printed_hash_covers_every_word_of_every_output(kernel: str) -> None:
    def hash_of(words: np.ndarray, size: int) -> int:
        value = size
        for word in words.tolist():
            value = (value ^ word) * 0x9E3779B97F4A7C15 % 2**64
            value ^= value >> 32
        return value

    stdout, arrays = read_outputs(WORKLOADS[f"polybench/mini/{kernel}"])
    lines = [
        f"{name} {hash_of(array.view(f'<u{array.itemsize}'), array.nbytes):016x}\n"
        for name, array in arrays.items()
    ]
    assert stdout.decode() == "".join(lines)


@pytest.mark.parametrize(
    ("kernel", "old", "new", "output"),
    [
        ("gemm", "k * (j + 2)", "k * (j + 2 + (k == 7 && j == 9))", "C["),
        ("jacobi-2d", "0.2 * (b", "0.2000000001 * (b", "A["),
        ("floyd-warshall", "i * j % 7 + 1", "i * j % 7 + 1 - (i == 0 && j == 1)", "path["),
        ("cholesky", "sqrt(a[i][i])", "sqrt(i == N - 1 ? -1 : a[i][i])", "A[39, 39] is nan"),
    ],
)
def test_one_wrong_operation_is_caught_by_reference_and_by_hash(
    tmp_path: Path, kernel: str, old: str, new: str, output: str
) -> None:
    _, workload, recipe = copy_of_suite(tmp_path, kernel, old, new)
    _, wrong = check(workload, parameters_of(recipe))
    assert wrong is not None
    assert wrong.startswith(output)
    reason = verify(workload)
    assert reason is not None
    assert reason.startswith(f"polybench/mini/{kernel} printed")


def test_one_element_out_of_a_thousand_is_enough() -> None:
    want = np.linspace(1, 2, 1000).reshape(10, 100)
    have = want.ravel().copy()
    assert difference({"A": have}, {"A": want}) is None
    have[234] *= 1 + 1e-8
    assert str(difference({"A": have}, {"A": want})).startswith("A[2, 34] is 1.23")


def test_hashes_are_recorded_for_the_workloads_given_and_no_other(tmp_path: Path) -> None:
    suite, workload, _ = copy_of_suite(tmp_path, "gemm")
    before = (suite.root / "suite.toml").read_text()
    old = str(workload.expect.stdout_sha256)
    record(suite, {"polybench/mini/gemm": "0" * 64})
    assert (suite.root / "suite.toml").read_text() == before.replace(old, "0" * 64)
    record(suite, {"polybench/mini/gemm": old})
    assert (suite.root / "suite.toml").read_text() == before


def test_modules_ask_nothing_of_an_engine_beyond_the_first_webassembly_and_fd_write() -> None:
    imports, later = set(), set()
    for workload in SUITE.workloads:
        module = decode(workload.module.read_bytes())
        imports |= {(entry.module, entry.name) for entry in module.imports}
        opcodes = {step.opcode for i in range(len(module.codes)) for step in module.instructions(i)}
        later |= {op.name for op in opcodes if op.code > 0xBF or op.code in (0x1C, 0x25, 0x26)}
    assert imports == {("wasi_snapshot_preview1", "fd_write")}
    assert later == set()


def test_modules_fit_a_device_with_little_memory() -> None:
    mib: dict[str, int] = {"large": 0, "others": 0}
    for name, workload in WORKLOADS.items():
        pages, kind = (
            decode(workload.module.read_bytes()).memories[0].minimum,
            "others" if name in NAMES else "large",
        )
        mib[kind] = max(mib[kind], pages // 16)
    assert mib == {"large": 135, "others": 5}


@pytest.mark.skipif(not PUBLISHED.exists(), reason=ABSENT)
@pytest.mark.parametrize("name", NAMES)
def test_floating_point_operations_are_as_many_as_published(name: str) -> None:
    with np.load(PUBLISHED) as published:
        row = published["n_workload"].tolist().index(name)
        logs = dict(zip(published["f_workload"].tolist(), published["d_workload"][row].tolist(), strict=True))
    counts = count(WORKLOADS[name].module.read_bytes(), argv=WORKLOADS[name].argv).opcodes
    compared = set(ARITHMETIC) - NOT_COMPARED.get(name.rsplit("/", 1)[1], set())
    found = {op: counts.get(op, 0) for op in compared}
    # float32 logarithms keep a count to about one part in a million
    assert found == {
        op: pytest.approx(math.expm1(logs[ARITHMETIC[op]]), rel=3e-6, abs=0.5) for op in compared
    }


def test_counts_span_five_orders_of_magnitude_and_no_two_are_the_same() -> None:
    """`python -m tests.perf.bench_counts` looks at all suites and sizes."""
    names = [name for name in NAMES if "/mini/" in name] + ["polybench/medium/floyd-warshall"]
    found = {
        name: count(WORKLOADS[name].module.read_bytes(), argv=WORKLOADS[name].argv).opcodes for name in names
    }
    totals = [sum(opcodes.values()) for opcodes in found.values()]
    assert max(totals) / min(totals) > 1e5
    assert len({tuple(sorted(opcodes.items())) for opcodes in found.values()}) == len(names) == 31


def test_the_stamp_says_how_a_module_was_made() -> None:
    workload = WORKLOADS["polybench/small/gemm"]
    stamp = json.loads(workload.module.with_suffix(".json").read_text())
    assert stamp["compiler"].startswith("ziglang ")
    assert stamp["flags"][-3:] == ["-DNI=60", "-DNJ=70", "-DNK=80"]
    assert stamp["module_sha256"] == workload.module_sha256
