"""Check what the programs print against their references.

``python -m benchmarks.mibench.check [NAME…]`` builds and checks all of them, or those named; with ``--record`` it
also writes the hashes of the inputs, and of the output of every program that passes, to suite.toml. Run it in the
directory that holds benchmarks/. The speech coder needs libgsm, as in Debian's package libgsm1.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.suites.build import build
from harness.suites.catalogue import suites_in
from harness.suites.execute import execute
from harness.suites.suite import Recipe, Suite, Workload

from .inputs import make, mu_law
from .reference import REFERENCES, Numbers, lengths_of_paths

Samples, Frame = ctypes.c_int16 * 160, ctypes.c_uint8 * 33  # what libgsm takes and gives
LAST_DIGIT = 1e-6  # of what is printed
# How far a number may be off beyond that, as a part of the greatest: the transform is in single precision.
TOLERANCE = {"basicmath": 0.0, "fft": 3e-7, "invfft": 3e-7}


def program_of(workload: Workload) -> tuple[str, str]:
    """The program's name and its size, `s` or `l`; the one that has a single size counts as small."""
    program, _, size = workload.argv[0].rpartition("_")
    return (program, size) if size in ("s", "l") else (workload.argv[0], "s")


def check(workload: Workload, recipe: Recipe, inputs: Path) -> tuple[bytes, str | None]:
    """The program's stdout, and what is wrong with it; None where it is right."""
    ran = execute(workload, limit_s=300)
    if ran.trap or ran.exit_code:
        return ran.stdout, ran.trap or f"ended with exit code {ran.exit_code}"
    program, size = program_of(workload)
    if program in ("toast", "untoast"):
        return ran.stdout, check_speech(program, workload.files[0].host.read_bytes(), ran.stdout)
    expected = REFERENCES[program](inputs, size, recipe.define)
    printed = lengths_of_paths(inputs, ran.stdout) if program == "dijkstra" else ran.stdout
    if isinstance(expected, bytes):
        return ran.stdout, first_difference(printed, expected)
    return ran.stdout, furthest(np.array(printed.split(), dtype=float), expected, TOLERANCE[program])


def first_difference(found: bytes, expected: bytes) -> str | None:
    if found == expected:
        return None
    same = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), -1)
    return f"{len(found)} bytes, expected {len(expected)}; the first difference is at {same}"


def furthest(found: Numbers, expected: Numbers, tolerance: float) -> str | None:
    """The number that is off most, in words, if by more than its last digit and `tolerance` times the greatest."""
    if found.shape != expected.shape:
        return f"{found.size} numbers, expected {expected.size}"
    off = np.nan_to_num(np.abs(found - expected), nan=np.inf)
    allowed = 1.01 * LAST_DIGIT + tolerance * np.abs(expected).max()
    worst = int(np.argmax(off))
    return None if off[worst] <= allowed else f"number {worst} is {found[worst]}, expected {expected[worst]}"


def libgsm() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("gsm")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.gsm_create.restype = ctypes.c_void_p
    return library


def check_speech(program: str, given: bytes, found: bytes) -> str | None:
    library = libgsm()
    if library is None:
        return "cannot be checked without libgsm"
    state = ctypes.c_void_p(library.gsm_create())
    samples, frame = Samples(), Frame()
    expected = bytearray()
    if program == "toast":
        sound = given[int.from_bytes(given[4:8], "big") :]
        linear = [mu_law_value(code) for code in range(256)]
        for start in range(0, len(sound), 160):
            part = [linear[code] for code in sound[start : start + 160]]
            samples = Samples(*part)
            library.gsm_encode(state, samples, frame)
            expected += bytes(frame)
    else:
        for start in range(0, len(given), 33):
            frame = Frame(*given[start : start + 33])
            if library.gsm_decode(state, frame, samples) != 0:
                return f"libgsm refuses the frame at {start}"
            expected += bytes(mu_law(sample) for sample in samples)
    return first_difference(found, bytes(expected))


def mu_law_value(code: int) -> int:
    """ITU-T G.711, in the upper 14 of 16 bits."""
    size = (((~code & 15) * 2 + 33) << (~code >> 4 & 7)) - 33
    return 4 * size if code & 128 else -4 * size


def record(suite: Suite, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Write the hashes of all input files, and the output hashes of the workloads given, into suite.toml."""
    path = suite.root / "suite.toml"
    head, *entries = re.split(r"(?m)^(?=\[\[workload\]\])", path.read_text())
    start, _, _ = head.partition("[inputs.sha256]\n")
    lines = "".join(f'"{name}" = "{sha256}"\n' for name, sha256 in sorted(inputs.items()))
    for number, entry in enumerate(entries):
        found = re.search(r'(?m)^name = "(.*)"', entry)
        if found and (sha256 := outputs.get(f"{suite.name}/{found[1]}")):
            kept = re.sub(r"(?m)^stdout_sha256 = .*\n", "", entry.rstrip() + "\n")
            entries[number] = f'{kept}stdout_sha256 = "{sha256}"\n\n'
    path.write_text(f"{start}[inputs.sha256]\n{lines}\n{''.join(entries).rstrip()}\n")


def main(arguments: list[str]) -> int:
    suite = suites_in(Path(__file__).resolve().parent.parent)["mibench"]
    if "--record" in arguments and suite.built.parent != suite.root:
        raise SystemExit(f"{suite.root} is installed; record the hashes in a checkout of harness.")
    inputs = suite.built / "inputs"
    names = {name for name in arguments if not name.startswith("-")}
    if "--record" in arguments:
        build([replace(suite, inputs=None)])
        make(inputs)
    else:
        build([suite])
    outputs, failed = {}, 0
    for workload, recipe in zip(suite.workloads, suite.recipes, strict=True):
        if names and workload.argv[0] not in names:
            continue
        stdout, wrong = check(workload, recipe, inputs)
        print(f"{workload.name}: {wrong or 'correct'}", flush=True)
        if wrong:
            failed += 1
        else:
            outputs[workload.name] = hashlib.sha256(stdout).hexdigest()
    if "--record" in arguments:
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs.iterdir()}
        record(suite, hashes, outputs)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
