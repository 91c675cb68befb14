"""What counting costs: the slowdown of rewritten modules, the speed of rewriting, decoding and interpreting.

`python -m tests.perf.bench_opcodes` prints the tables, then lets both implementations count 10,000 random modules.
Plain and counted runs of a kernel alternate, and the fastest of each is compared, so that other load on the machine
matters little.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime

from harness.opcodes import decode, interpret, opcode_names, verify
from harness.opcodes.rewriter import instrument
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.suite import Suite
from tests.opcodes.random_modules import random_module

SECONDS_PER_KERNEL = 1.0
MODULES = 10_000


def runner(module: bytes) -> Callable[[], float]:
    """A function that runs the module's `_start` once in a new instance and says how many seconds that took."""
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    engine = wasmtime.Engine(config)
    compiled = wasmtime.Module(engine, module)

    def run() -> float:
        store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["kernel"]
        wasi.stdout_file = "/dev/null"
        store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        start: Any = linker.instantiate(store, compiled).exports(store)["_start"]
        began = time.perf_counter()
        start(store)
        return time.perf_counter() - began

    return run


def slowdowns(suite: Suite) -> dict[str, float]:
    found = {}
    print(f"{'kernel':16} {'plain ms':>9} {'counted ms':>10} {'ratio':>6}")
    for workload in suite.workloads:
        if "/medium/" not in workload.name:
            continue
        module = workload.module.read_bytes()
        plain, counted = runner(module), runner(instrument(module).data)
        best = [float("inf"), float("inf")]
        until = time.perf_counter() + SECONDS_PER_KERNEL
        while time.perf_counter() < until:
            best = [min(best[0], plain()), min(best[1], counted())]
        name = workload.name.rpartition("/")[2]
        found[name] = best[1] / best[0]
        print(f"{name:16} {best[0] * 1e3:9.2f} {best[1] * 1e3:10.2f} {found[name]:6.2f}")
    return found


def speed_of(work: Callable[[bytes], object], modules: list[bytes]) -> float:
    """Megabytes a second, the best of three passes."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        for module in modules:
            work(module)
        times.append(time.perf_counter() - began)
    return sum(map(len, modules)) / min(times) / 1e6


def interpreting(suite: Suite) -> float:
    """Million opcodes a second over the kernels at size mini."""
    opcodes = nanoseconds = 0
    for workload in suite.workloads:
        if "/mini/" in workload.name:
            run = interpret(workload.module.read_bytes(), argv=workload.argv)
            opcodes, nanoseconds = opcodes + run.total, nanoseconds + run.wall_ns
    return opcodes / nanoseconds * 1e3


def agreement(modules: int) -> None:
    """Count random modules with both implementations; raises `AssertionError` where they differ."""
    executed: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    began = time.perf_counter()
    for seed in range(modules):
        module = random_module(seed, executed)
        found = verify(module)
        if found.complete:
            assert not found.differences, f"module {seed}: {found.differences}"
        executed.update(found.interpreted.opcodes)
        ends[found.counted.trap or ("exit" if found.counted.exit_code else "end")] += 1
    rarest = min(opcode_names(), key=lambda name: executed[name])
    print(f"{modules} random modules, {sum(executed.values())} instructions, no difference", end=" ")
    print(f"({time.perf_counter() - began:.0f} s); executed least: {rarest}, {executed[rarest]} times")
    print("ended by: " + ", ".join(f"{name} {times}" for name, times in ends.most_common()))


def main(modules: int = MODULES) -> None:
    suite = load_suites(Path(__file__).parents[2] / "benchmarks")["polybench"]
    build([suite])
    ratios = slowdowns(suite)
    worst = max(ratios, key=lambda name: ratios[name])
    print(f"slowdown: median {statistics.median(ratios.values()):.2f}, worst {ratios[worst]:.2f} ({worst})")
    bytes_ = [random_module(seed) for seed in range(200)]
    kernels = [workload.module.read_bytes() for workload in suite.workloads]
    for name, data in (("random modules", bytes_), ("kernels", kernels)):
        print(
            f"{name}: rewriting {speed_of(instrument, data):.2f} MB/s, decoding {speed_of(decode, data):.2f} MB/s"
        )
    print(f"interpreter: {interpreting(suite):.2f} million opcodes a second")
    agreement(modules)


if __name__ == "__main__":
    main()
