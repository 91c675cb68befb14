"""Whether alone and together are measured alike, and whether what is measured is what others measure.

`python -m tests.perf regime` prints five tables: command lines beside hyperfine, resident engines beside a bare loop of
their own interface, kernels beside a sleeper, spinners that share a processor, and cells that are measured again in
another job. `python -m tests.perf.bench_regime placebo wasmtime-j node-v8` prints one of them for some engines.
A quiet machine with two processors is needed for figures within a percent or two: jobs are repeated until fixed work
took no more than QUIET times its fastest before and after them, and ratios of such jobs are told beside those of all.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset.records import MemberResult
from harness.engines import ENGINES
from harness.engines.runners import HERE
from harness.fleet.artefacts import given
from harness.fleet.devices import Device
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached, reach
from harness.measure.placebo import SLEEPER
from harness.output import Column, show
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.suite import Workload
from tests.devices import job_spec

MS = 1_000_000
RULE = {
    "least": 30, "window_ns": 150 * MS, "limit_ns": 4000 * MS, "warm_least_ns": 100 * MS, "warm_most_ns": 800 * MS,
}  # fmt: skip
COMMANDS = [
    ("wasm2c-gcc-O2", "polybench/mini/gemm"), ("wasm2c-gcc-O2", "polybench/small/deriche"),
    ("wasm2c-gcc-O2", "polybench/small/gemm"), ("wasm2c-gcc-O0", "polybench/small/gemm"),
    ("wasm2c-gcc-O2", "polybench/small/lu"), ("wasm2c-gcc-O0", "polybench/small/lu"),
    ("wasm2c-gcc-O2", "polybench/small/floyd-warshall"), ("wasm2c-gcc-O0", "polybench/small/floyd-warshall"),
    ("native", "polybench/small/gemm"), ("native", "polybench/small/floyd-warshall"),
]  # fmt: skip
QUIET, TRIES = 1.03, 2
RESIDENT = [name for name, engine in ENGINES.items() if engine.regime == "steady"]


class Bench:
    """A device on this machine, the built workloads, and one way to run a job."""

    def __init__(self, device: Reached, workloads: dict[str, Workload]) -> None:
        self.device, self.workloads = device, workloads
        self.yardsticks: list[
            float
        ] = []  # what fixed work took before or after each job, ns, the larger of both
        self.fastest = math.inf

    def is_quiet(self, *jobs: int) -> bool:
        """Whether these jobs, by their numbers from the latest, -1, began and ended on an undisturbed machine."""
        return all(self.yardsticks[job] <= QUIET * self.fastest for job in jobs)

    def quietly(self, engine: str, *jobs: tuple[str, ...]) -> tuple[list[float], bool]:
        """Mean times of jobs next to each other in time, until all were quiet, and whether they were."""
        for _ in range(TRIES):
            took = [mean_ns(self.run(engine, *job)[0]) for job in jobs]
            if quiet := self.is_quiet(*range(-len(jobs), 0)):
                break
        return took, quiet

    def run(self, engine: str, *names: str, **changes: Any) -> list[MemberResult]:
        spec = ENGINES[engine]
        members: list[dict[str, Any]] = []
        contents: dict[str, Callable[[], bytes]] = {}
        for name in names:
            payload = Payload(self.workloads[name])
            more, artefacts = given(
                spec, self.device.device, payload.workload, str(self.device.facts["machine"])
            )
            members.append(payload.spec | more)
            contents |= payload.contents | artefacts
        self.device.session.push(contents)
        rule = RULE | ({"least": 5} if len(names) > 1 else {}) | changes
        job = job_spec(*members, engine=spec, **rule) | {"engine": spec.spec(self.device.versions[engine])}
        result = self.device.session.run("bench", job, 120)
        assert result is not None
        around = [one.yardstick_ns or 0 for one in (result.state_before, result.state_after)]
        self.fastest = min(self.fastest, *around)
        self.yardsticks.append(max(around))
        for member in result.members:
            assert member.status == "ok", (engine, member.workload, member.status, member.reason)
        return result.members

    def have(self, engines: Sequence[str]) -> list[str]:
        return [name for name in engines if name in self.device.versions]


def mean_ns(member: MemberResult) -> float:
    walls = [sample.wall_ns for sample in member.samples if sample.covered]
    return (sum(walls) + member.more_wall_ns) / (len(walls) + member.more_count)


@contextmanager
def bench(engines: Sequence[str] = ()) -> Iterator[Bench]:
    """This machine with those of these engines that it has; without names, of all."""
    suites = [suite for name, suite in load_suites().items() if name in ("polybench", "placebo")]
    build(suites, checks=False)
    workloads = {workload.name: workload for suite in suites for workload in suite.workloads}
    with tempfile.TemporaryDirectory() as root:
        device = reach(
            Device(transport="local", name="local", cache=root, engines=[*engines]), lambda text: None
        )
        try:
            yield Bench(device, workloads)
        finally:
            device.session.close()


def hyperfine(bench: Bench, engines: Sequence[str]) -> list[dict[str, Any]]:
    """The same commands by `hyperfine -N` and by us, in turns: mean of the means of three rounds each."""
    if not shutil.which("hyperfine"):
        print("hyperfine is not on the PATH")
        return []
    rows = []
    for engine, name in COMMANDS:
        if engine not in bench.have(engines):
            continue
        bench.run(engine, name, least=1, window_ns=0)  # compiles
        command = command_line(bench, engine, name)
        ours, theirs = [], []
        for _ in range(3):
            theirs.append(hyperfine_ns(command))
            ours.append(mean_ns(bench.run(engine, name, least=50)[0]))
        theirs_ns, ours_ns = statistics.median(theirs), statistics.median(ours)
        rows.append(
            {"engine": engine, "workload": name, "hyperfine": f"{theirs_ns / MS:.3f}", "ours": f"{ours_ns / MS:.3f}",
             "off_us": f"{(ours_ns - theirs_ns) / 1e3:+.0f}", "off": f"{100 * (ours_ns / theirs_ns - 1):+.1f} %"}
        )  # fmt: skip
    return rows


def hyperfine_ns(command: str) -> float:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        options = ["-N", "--warmup", "10", "--runs", "50", "--style", "none", "--export-json", file.name]
        subprocess.run(["hyperfine", *options, command], capture_output=True, check=True)
        return float(json.loads(Path(file.name).read_text())["results"][0]["mean"] * 1e9)


def command_line(bench: Bench, engine: str, name: str) -> str:
    """What the runner executes, as hyperfine takes it."""
    sys.path.insert(0, str(HERE))
    import spawned  # type: ignore[import-not-found]

    workload = bench.workloads[name]
    module = Payload(workload).spec["module"]
    cache = Path(str(bench.device.device.cache))
    made = [*cache.glob(f"artefacts/{module}-*.bin")]
    if ENGINES[engine].only_made:
        more, _ = given(ENGINES[engine], bench.device.device, workload, str(bench.device.facts["machine"]))
        path = cache / "native.bin"
        shutil.copy(cache / "store" / more["artefact"]["sha256"], path)
        path.chmod(0o700)
        made = [path]
    values = {
        "artefact": str(sorted(made, key=lambda one: one.stat().st_mtime)[-1]),
        "argv0": workload.argv[0],
    }
    words = spawned.fill(json.loads(ENGINES[engine].args[1])["run"], values, {"args": [], "preopens": []})
    return " ".join(words)


BARE_WASMTIME = """
import sys, time, wasmtime
mode, module, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
config = wasmtime.Config()
if mode == "winch":
    wasmtime._bindings.wasmtime_config_strategy_set(config.ptr(), 2)
elif mode == "pulley":
    config.target = "pulley64"
engine = wasmtime.Engine(config)
linker = wasmtime.Linker(engine)
linker.define_wasi()
module = wasmtime.Module.from_file(engine, module)
times, begun = [], time.monotonic()
while time.monotonic() - begun < 3 * seconds:
    start = time.perf_counter_ns()
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["w"]
    wasi.stdout_file = "/dev/null"
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    linker.instantiate(store, module).exports(store)["_start"](store)
    store.close()
    times.append(time.perf_counter_ns() - start)
late = times[len(times) // 3 :]
print(sum(late) / len(late))
"""
BARE_NODE = """
import fs from 'node:fs';
import { Host } from '%s/wasi_host.mjs';
const module = new WebAssembly.Module(fs.readFileSync(process.argv[2])), nowhere = fs.openSync('/dev/null', 'r+');
const times = [], begun = performance.now();
let collected = begun;
while (performance.now() - begun < 3000 * Number(process.argv[3])) {
  const start = performance.now();
  const host = new Host({ argv: ['w'], preopens: [], stdin: nowhere, stdout: nowhere, stderr: nowhere });
  const { exports } = new WebAssembly.Instance(module, host.imports());
  host.memory = exports.memory;
  exports._start();
  host.close();
  times.push(performance.now() - start);
  if (performance.now() - collected > 20) {
    globalThis.gc?.();
    collected = performance.now();
  }
}
const late = times.slice(Math.floor(times.length / 3));
console.log(1e6 * late.reduce((a, b) => a + b, 0) / late.length);
"""


def bare(bench: Bench, engines: Sequence[str]) -> list[dict[str, Any]]:
    """A loop that does nothing but use the engine's own interface, and ours, in turns."""
    rows = []
    modes = {"wasmtime-j": "jit", "wasmtime-a": "jit", "wasmtime-w": "winch", "wasmtime-p": "pulley"}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "bare.mjs")
        script.write_text(BARE_NODE % HERE)
        for engine in bench.have(engines):
            for name in ("polybench/mini/gemm", "polybench/small/gemm"):
                module = str(bench.workloads[name].module)
                if engine in modes:
                    command = [sys.executable, "-c", BARE_WASMTIME, modes[engine], module, "0.2"]
                elif engine.startswith("node-"):
                    command = ["node", *ENGINES[engine].program_args, str(script), module, "0.2"]
                else:
                    continue
                ratios = []
                for _ in range(5):
                    theirs = float(subprocess.run(command, capture_output=True, check=True).stdout)
                    ours = mean_ns(bench.run(engine, name, window_ns=400 * MS)[0])
                    ratios.append(ours / theirs)
                rows.append(
                    {"engine": engine, "workload": name, "bare_us": f"{theirs / 1e3:.1f}",
                     "ours_us": f"{ours / 1e3:.1f}", "ratio": f"{statistics.median(ratios):.3f}"}
                )  # fmt: skip
    return rows


def placebo(bench: Bench, engines: Sequence[str], kernels: int = 30) -> list[dict[str, Any]]:
    """PolyBench MINI kernels alone, beside a sleeper and alone again, next to each other in time."""
    names = sorted(name for name in bench.workloads if name.startswith("polybench/mini/"))[:kernels]
    rows = []
    for engine in bench.have(engines):
        found = []
        for number, name in enumerate(random.Random(0).sample(names, len(names))):
            took, quiet = bench.quietly(engine, (name,), (name, SLEEPER), (name,))
            alone, other = (took[0], took[2]) if number % 2 else (took[2], took[0])
            found.append((took[1] / alone, other / alone, alone > 0.1 * MS, quiet))
        for which, some in (("all", found), ("quiet", [one for one in found if one[3]])):
            ratios = [one[0] for one in some] or [np.nan]
            low, high = np.quantile([one[0] for one in some if one[2]] or [np.nan], [0.1, 0.9])
            # What this machine does to a ratio of two equal jobs: no method can be closer to 1.
            floor = np.quantile([one[1] for one in some if one[2]] or [np.nan], [0.1, 0.9])
            rows.append(
                {"engine": engine, "jobs": which, "pairs": len(some), "median": f"{np.median(ratios):.3f}",
                 "gmean": f"{np.exp(np.log(ratios).mean()):.3f}", "p10": f"{low:.3f}", "p90": f"{high:.3f}",
                 "alone again": f"{floor[0]:.3f}–{floor[1]:.3f}"}
            )  # fmt: skip
    return rows


def spinners(bench: Bench, engines: Sequence[str]) -> list[dict[str, Any]]:
    """Two, three and four on one processor, and two on one each: mean over their members over the time alone."""
    names = [f"placebo/{number}/spinner" for number in ("one", "two", "three", "four")]
    long = {"window_ns": 2000 * MS}
    rows = []
    for engine in bench.have(engines)[:2]:
        alone = mean_ns(bench.run(engine, names[0], pin="one", **long)[0])
        row = {"engine": engine}
        for count in (2, 3, 4):
            members = bench.run(engine, *names[:count], pin="one", **long)
            row[f"{count} on one"] = f"{statistics.fmean(map(mean_ns, members)) / alone:.3f}"
        if bench.device.processors > 1:
            members = bench.run(engine, *names[:2], pin="each", **long)
            row["2 on two"] = f"{statistics.fmean(map(mean_ns, members)) / alone:.3f}"
        rows.append(row)
    return rows


def again(bench: Bench, engines: Sequence[str]) -> list[dict[str, Any]]:
    """The median gap between the two means of a cell that is measured in two jobs, all others in between."""
    names = sorted(name for name in bench.workloads if name.startswith("polybench/mini/"))
    rows = []
    for engine in bench.have(engines):
        first, second = ([bench.quietly(engine, (name,)) for name in names] for _ in range(2))
        gaps = [(abs(b / a - 1), x and y) for ([a], x), ([b], y) in zip(first, second, strict=True)]
        calm = [gap for gap, quiet in gaps if quiet]
        rows.append(
            {"engine": engine, "cells": len(gaps), "gap": f"{statistics.median(gap for gap, _ in gaps):.1%}",
             "quiet cells": len(calm), "gap of quiet": f"{statistics.median(calm):.1%}" if calm else ""}
        )  # fmt: skip
    return rows


TABLES = {"hyperfine": hyperfine, "bare": bare, "placebo": placebo, "spinners": spinners, "again": again}


def main(tables: Sequence[str] = tuple(TABLES), engines: Sequence[str] = tuple(ENGINES)) -> None:
    with bench() as at:
        for name in tables:
            started = time.monotonic()
            chosen = [one for one in engines if one in RESIDENT] if name == "bare" else engines
            rows = TABLES[name](at, chosen)
            told = (TABLES[name].__doc__ or "").split("\n")[0]
            print(f"\n{name}: {told} ({time.monotonic() - started:.0f} s)", flush=True)
            if rows:
                show(rows, [Column(key, key) for key in rows[0]])


if __name__ == "__main__":
    asked = [word for word in sys.argv[1:] if word in TABLES]
    main(asked or tuple(TABLES), [word for word in sys.argv[1:] if word not in TABLES] or tuple(ENGINES))
