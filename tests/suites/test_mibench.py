from __future__ import annotations

import ctypes.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mibench import adpcm
from benchmarks.mibench.check import check, check_speech, first_difference, furthest, record
from benchmarks.mibench.inputs import make
from benchmarks.mibench.reference import REFERENCES
from harness.opcodes import count, decode
from harness.suites.build import build
from harness.suites.catalogue import suites_in
from harness.suites.execute import verify
from harness.suites.suite import Recipe, Suite, Workload
from tests.conftest import ROOT

SUITE = suites_in(ROOT / "benchmarks")["mibench"]
INPUTS = SUITE.root / "build" / "inputs"
BY_NAME = {workload.argv[0]: (workload, recipe) for workload, recipe in SUITE.pairs()}
SPEECH = {"toast_s", "toast_l", "untoast_s", "untoast_l"}


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build([SUITE])


def changed_copy(tmp_path: Path, name: str, file: str, old: str, new: str) -> tuple[Suite, Workload, Recipe]:
    """The suite with one workload, one of whose sources has `new` in the place of `old`; built."""
    root = tmp_path / "benchmarks" / "mibench"
    shutil.copytree(SUITE.root, root, ignore=shutil.ignore_patterns("*.wasm", "*.json", "__pycache__"))
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    suite = suites_in(root.parent)["mibench"].only([f"mibench/{name}"])
    build([suite])
    return suite, suite.workloads[0], suite.recipes[0]


def test_the_workloads_are_those_of_the_published_data() -> None:
    programs = set(REFERENCES) - {"bitcnts"} | {"toast", "untoast"}
    expected = {f"mibench/{program}_{size}" for program in programs for size in "sl"} | {"mibench/bitcnts"}
    assert {workload.name for workload in SUITE.workloads} == expected
    assert len(expected) == 35


@pytest.mark.parametrize("name", sorted(n for n in BY_NAME if not n.endswith("_l") and n not in SPEECH))
def test_a_program_prints_what_another_implementation_computes(name: str) -> None:
    workload, recipe = BY_NAME[name]
    assert check(workload, recipe, INPUTS)[1] is None


@pytest.mark.skipif(not ctypes.util.find_library("gsm"), reason="no libgsm; apt-get install libgsm1")
@pytest.mark.parametrize("name", sorted(SPEECH))
def test_the_speech_coder_is_libgsm_s_bit_for_bit(name: str) -> None:
    workload, recipe = BY_NAME[name]
    assert check(workload, recipe, INPUTS)[1] is None


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_program_prints_what_the_suite_expects(name: str) -> None:
    workload, _ = BY_NAME[name]
    assert workload.expect.stdout_sha256 is not None
    assert verify(workload) is None


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("sha_s", "sha.c", "0x5a827999", "0x5a827998"),
        ("rijndael_dec_s", "rijndael.c", "times(x, 13)", "times(x, 12)"),
        ("dijkstra_s", "dijkstra.c", "found < distance_to[i]", "found < distance_to[i] - 1"),
        ("basicmath_s", "basicmath.c", "r < 0 ? s : -s", "r < 0 ? -s : s"),
        ("fft_s", "fft.c", "transform(-1)", "transform(1)"),
        ("qsort_s", "qsort_words.c", "*p - *q", "*q - *p"),
    ],
)
def test_a_wrong_program_is_caught_by_reference_and_by_hash(
    tmp_path: Path, name: str, file: str, old: str, new: str
) -> None:
    suite, workload, recipe = changed_copy(tmp_path, name, file, old, new)
    assert verify(workload) is not None
    try:
        wrong = check(workload, recipe, suite.root / "build" / "inputs")[1]
    except AssertionError:
        wrong = "a path is not as long as it says"
    assert wrong is not None


def test_inputs_are_the_same_bytes_when_made_again(tmp_path: Path) -> None:
    make(tmp_path)
    assert SUITE.inputs is not None
    assert {path.name for path in tmp_path.iterdir()} == set(SUITE.inputs.sha256)
    assert all((tmp_path / name).read_bytes() == (INPUTS / name).read_bytes() for name in SUITE.inputs.sha256)


def test_one_program_is_built_with_its_inputs_where_nothing_was_built(tmp_path: Path) -> None:
    root = tmp_path / "benchmarks" / "mibench"
    shutil.copytree(SUITE.root, root, ignore=shutil.ignore_patterns("build", "__pycache__"))
    suite = suites_in(root.parent)["mibench"].only(["mibench/untoast_s"])
    build([suite])
    assert verify(suite.workloads[0]) is None


@pytest.mark.parametrize(
    ("file", "size"),
    [
        ("words.txt", 53_437), ("points.txt", 1_572_431), ("distances.txt", 29_144), ("small.udp", 251_969),
        ("large.udp", 1_514_237), ("small.txt", 311_824), ("large.txt", 3_247_552), ("small.rijndael", 311_856),
        ("small.blowfish", 311_825), ("large.blowfish", 3_247_553),
        ("large.rijndael", 3_247_584), ("small.pcm", 1_368_864), ("large.pcm", 26_611_200), ("small.adpcm", 342_216),
        ("small.au", 21_312), ("large.au", 1_158_990), ("small.gsm", 4_389), ("large.gsm", 239_052),
    ],
)  # fmt: skip
def test_inputs_have_the_sizes_of_the_published_ones(file: str, size: int) -> None:
    assert (INPUTS / file).stat().st_size == size


def test_the_table_of_pi_is_pi() -> None:
    bits, guard = 32 * 1042, 64

    def arctangent_of_inverse(n: int) -> int:
        term = total = (1 << (bits + guard)) // n
        for k in range(3, 2 * bits, 2):
            term //= -n * n
            total += term // k
            if term in (0, -1):
                break
        return total

    pi = 4 * (4 * arctangent_of_inverse(5) - arctangent_of_inverse(239)) >> guard
    words = [int(word, 16) for word in re.findall(r"0x[0-9a-f]{8}", (SUITE.root / "pi.h").read_text())]
    assert sum(word << 32 * (1041 - i) for i, word in enumerate(words)) == pi - (3 << bits)


def test_the_adpcm_reference_agrees_with_python_s_own() -> None:
    audioop = pytest.importorskip("audioop", reason="no audioop; Python before 3.13")
    pcm = (INPUTS / "small.pcm").read_bytes()[:100_000]
    codes, _ = audioop.lin2adpcm(pcm, 2, None)
    assert adpcm.encode(pcm) == codes
    assert adpcm.decode(codes) == audioop.adpcm2lin(codes, 2, None)[0]


def test_one_wrong_number_or_byte_is_told_with_its_place() -> None:
    assert first_difference(b"abcd", b"abxd") == "4 bytes, expected 4; the first difference is at 2"
    want = np.array([1.0, 2.0, 3.0])
    assert furthest(want + 1e-7, want, 1e-7) is None
    assert furthest(want + np.array([0, 1e-5, 0]), want, 1e-7) == "number 1 is 2.00001, expected 2.0"


def test_without_libgsm_the_speech_coder_is_not_called_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert check_speech("untoast", b"", b"") == "cannot be checked without libgsm"


def test_hashes_are_recorded_for_the_workloads_given_and_no_other(tmp_path: Path) -> None:
    suite, workload, _ = changed_copy(tmp_path, "sha_s", "sha.c", "SHA-1", "SHA-1")
    assert suite.inputs is not None
    before, old = (suite.root / "suite.toml").read_text(), str(workload.expect.stdout_sha256)
    record(suite, suite.inputs.sha256, {"mibench/sha_s": "0" * 64})
    assert (suite.root / "suite.toml").read_text() == before.replace(old, "0" * 64)


def test_modules_ask_nothing_of_an_engine_beyond_the_first_webassembly_and_files() -> None:
    imports, later, pages = set(), set(), []
    for workload, _ in BY_NAME.values():
        module = decode(workload.module.read_bytes())
        imports |= {entry.name for entry in module.imports}
        opcodes = {step.opcode for i in range(len(module.codes)) for step in module.instructions(i)}
        later |= {op.name for op in opcodes if op.code > 0xBF or op.code in (0x1C, 0x25, 0x26)}
        pages.append(module.memories[0].minimum)
    assert imports == {"fd_read", "fd_write", "path_open"}
    assert later == set()
    assert max(pages) * 64 <= 4096  # KiB


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """Opcode counts of the small programs."""
    found = {}
    for name, (workload, _) in BY_NAME.items():
        directory = tmp_path_factory.mktemp(name)
        for file in workload.files:
            (directory / file.guest).parent.mkdir(exist_ok=True)
            shutil.copyfile(file.host, directory / file.guest)
        if not name.endswith("_l"):
            module = workload.module.read_bytes()
            found[name] = count(module, argv=workload.argv, preopens={".": directory}).opcodes
    return found


def test_opcodes_are_as_many_as_published_where_the_algorithm_fixes_them(
    counts: dict[str, dict[str, int]],
) -> None:
    """Millions, without what the published counter's interpreter does not execute: see docs/suites.md."""
    published = {"bitcnts": 560.0, "sha_s": 15.65, "rijndael_enc_s": 31.3, "blowfish_dec_s": 33.0, "adpcm_dec_s": 37.3,
                 "adpcm_enc_s": 53.8, "crc32_s": 31.6, "untoast_s": 11.7, "toast_s": 22.8}  # fmt: skip
    free = {"local.get", "i32.const", "i64.const", "f64.const", "block", "loop", "end", "nop", "drop", "else"}
    for name, millions in published.items():
        ours = sum(times for opcode, times in counts[name].items() if opcode not in free) / 1e6
        assert millions / 2 < ours < millions * 2, name


def test_no_two_programs_execute_the_same(counts: dict[str, dict[str, int]]) -> None:
    assert len({tuple(sorted(opcodes.items())) for opcodes in counts.values()}) == len(counts) == 18


def test_the_stamp_says_how_a_module_was_made() -> None:
    workload, _ = BY_NAME["sha_s"]
    stamp = json.loads(workload.module.with_suffix(".json").read_text())
    assert stamp["flags"][-1] == '-DINPUT="data/small.txt"'
    assert stamp["module_sha256"] == workload.module_sha256
