"""Check the modules against their references, element by element.

``python -m benchmarks.polybench.check`` builds and checks every module; with ``--record`` it also writes the
stdout hashes of those that pass to suite.toml. Run it in the directory that holds benchmarks/.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.suites.build import build
from harness.suites.catalogue import suites_in
from harness.suites.execute import execute
from harness.suites.suite import Recipe, Suite, Workload

from .reference import KERNELS, Array, Outputs

ELEMENT = {0: "<f8", 1: "<f4", 2: "<i4"}
# How far an element may be off, as a part of its value, and as a part of the largest value in its array.
TOLERANCE = {"f8": (1e-9, 1e-12), "f4": (1e-4, 1e-6), "i4": (0.0, 0.0)}
# Levinson's recursion loses digits as T's condition grows: 4e-9 off the exact solution at N = 400, 3e-8 at 2000.
WIDER = {"durbin": 50.0}
LIMIT_S = 600.0


def read_outputs(workload: Workload) -> tuple[bytes, Outputs]:
    """The module's stdout and its whole output arrays, flat, from its linear memory after one execution."""
    ran = execute(workload, limit_s=LIMIT_S)
    if ran.trap or ran.exit_code:
        raise RuntimeError(f"{workload.name} {ran.trap or f'ended with exit code {ran.exit_code}'}")
    memory = bytes(ran.exports["memory"].read(ran.store))
    address, arrays = ran.exports["outputs"](ran.store), {}
    while any(entry := np.frombuffer(memory, "<u4", 4, address)):
        name_at, data_at, size, element = (int(word) for word in entry)
        name = memory[name_at : memory.index(b"\0", name_at)].decode()
        arrays[name] = np.frombuffer(memory[data_at : data_at + size], ELEMENT[element])
        address += 16
    return ran.stdout, arrays


def difference(found: Mapping[str, Array], expected: Mapping[str, Array], wider: float = 1.0) -> str | None:
    """The element furthest outside its tolerance, in words, or None where every element is inside."""
    if set(found) != set(expected):
        return f"the outputs are {sorted(found)}, expected {sorted(expected)}"
    for name, want in expected.items():
        if found[name].size != want.size:
            return f"{name} has {found[name].size} elements, expected {want.size}"
        have = found[name].reshape(want.shape)
        relative, absolute = TOLERANCE[have.dtype.str[1:]]
        allowed = wider * (relative * np.abs(want) + absolute * np.abs(want).max())
        excess = np.nan_to_num(np.abs(have - want) - allowed, nan=np.inf)
        worst = np.unravel_index(np.argmax(excess), want.shape)
        if excess[worst] > 0:
            index = ", ".join(str(n) for n in worst)
            return f"{name}[{index}] is {have[worst]}, expected {want[worst]}"
    return None


def parameters_of(recipe: Recipe) -> dict[str, int]:
    return {macro: int(value) for macro, value in recipe.define.items()}


def check(workload: Workload, parameters: Mapping[str, int]) -> tuple[bytes, str | None]:
    """The module's stdout, and how its outputs differ from the reference, None where they agree."""
    name = workload.name.rsplit("/", 1)[1]
    stdout, found = read_outputs(workload)
    return stdout, difference(found, KERNELS[name](**parameters), WIDER.get(name, 1.0))


def record(suite: Suite, hashes: Mapping[str, str]) -> None:
    """Write the stdout hash of each workload in `hashes` into its line of suite.toml."""
    path, lines, name = suite.root / "suite.toml", [], ""
    for line in path.read_text().splitlines():
        if found := re.match(r'name = "(.*)"', line):
            name = found[1]
        if found := re.match(r"(\w+) = \{ define = \{[^}]*\}", line):
            key = f"{suite.name}/{found[1]}/{name}"
            line = f'{found[0]}, stdout_sha256 = "{hashes[key]}" }}' if key in hashes else line
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")


def main() -> int:
    suite = suites_in(Path(__file__).resolve().parent.parent)["polybench"]
    if "--record" in sys.argv[1:] and suite.built.parent != suite.root:
        raise SystemExit(f"{suite.root} is installed; record the hashes in a checkout of harness.")
    build([suite])
    hashes, failed = {}, 0
    for workload, recipe in zip(suite.workloads, suite.recipes, strict=True):
        stdout, wrong = check(workload, parameters_of(recipe))
        print(f"{workload.name}: {wrong or 'correct'}")
        if wrong:
            failed += 1
        else:
            hashes[workload.name] = hashlib.sha256(stdout).hexdigest()
    if "--record" in sys.argv[1:]:
        record(suite, hashes)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
