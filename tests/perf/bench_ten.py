"""The paper's ten engines on this machine: all outputs right, pairs too, and in which order they stand.

    python -m tests.perf.bench_ten [--rounds 2] [--limit 60]
    python -m tests.perf.bench_ten --order

PolyBench MINI and SMALL and MiBench small, one process each a round in random order, every output verified; then pairs.
A workload's time is that of its fastest process. With `--order` only what the order needs is run: some of MINI, SMALL,
and some of MEDIUM. Where the published data lies beside the repository, the engines' order is held against that of its
x86 devices: on whole times of SMALL, on starting (the shortest MINI), and on executing (MEDIUM less starting). The
published wasmtime and wasm3 were commands, a process a sample, so here it is the commands that are compared.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterable, Sequence
from math import exp, log
from statistics import fmean, median

import numpy as np
from scipy.stats import spearmanr

from harness.dataset.records import MemberResult
from harness.engines import ENGINES
from harness.fleet.artefacts import given
from harness.fleet.devices import Device
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached, reach
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.suite import Workload
from tests.devices import job_spec, run_workload
from tests.published import ABSENT, PLACE

# The published name, and the engine here that does the same.
TEN = {
    "iwasm-a": "iwasm-a", "iwasm-i": "iwasm-i", "wasm3-i": "wasm3-cli-i", "wasmedge-i": "wasmedge-i",
    "wasmer-a-cl": "wasmer-a-cl", "wasmer-a-ll": "wasmer-a-ll", "wasmer-j-cl": "wasmer-j-cl",
    "wasmer-j-sp": "wasmer-j-sp", "wasmtime-a": "wasmtime-cli-a", "wasmtime-j": "wasmtime-cli-j",
}  # fmt: skip
BESIDE = ("wasmi-i", "iwasm-i-classic", "wasmer-a-sp")
BASE = "wasmtime-cli-j"
S = 10**9
Times = dict[str, dict[str, list[int]]]  # ns by engine and workload, of right executions
X86 = {f"hc-{number}" for number in (*range(10, 20), *range(31, 36))}
PAIRS = (("small/gemm", "small/jacobi-2d"), ("small/atax", "small/lu"))
SUITES = ("polybench/mini", "polybench/small", "mibench")
KERNELS = (
    "gemm",
    "2mm",
    "jacobi-2d",
    "atax",
    "lu",
    "durbin",
    "floyd-warshall",
    "covariance",
    "heat-3d",
    "trisolv",
)
OF_EACH = {"polybench/mini": KERNELS, "polybench/small": ("",), "polybench/medium": KERNELS}  # of SMALL all
Machine = dict[tuple[str, str], float]  # time by the published name of the engine, and workload
LEAST = 0.3  # of starting is executing at least: less would be the difference of two numbers nearly alike


def published_machines() -> list[Machine]:
    """The x86 devices of the published data."""
    machines: dict[str, Machine] = {}
    with np.load(PLACE / "data.npz") as data:
        platforms, workloads = [str(n) for n in data["n_platform"]], [str(n) for n in data["n_workload"]]
        for p, w, t in zip(data["i_platform"], data["i_workload"], data["t"], strict=True):
            engine, device = platforms[p].split(":")
            if device in X86:
                machines.setdefault(device, {})[engine, workloads[w]] = float(t)
    return list(machines.values())


def starting(machine: Machine, engine: str) -> float:
    """The shortest time of a MINI workload, which is nearly all starting; nan where there is none."""
    times = [
        t for (name, workload), t in machine.items() if name == engine and workload.startswith(SUITES[0])
    ]
    return min(times, default=float("nan"))


def means(machines: Sequence[Machine], size: str, *, executing: bool = False) -> dict[str, float]:
    """Geometric mean by engine, over machines and workloads of a size, of its time over wasmtime-j's there.

    ``executing`` is of times less starting, where both engines execute for LEAST of their starting or longer.
    """
    logs: dict[str, list[float]] = {}
    for machine in machines:
        started = {engine: starting(machine, engine) if executing else 0.0 for engine in TEN}
        for (engine, workload), time in machine.items():
            base = machine.get(("wasmtime-j", workload))
            if base is None or engine not in TEN or not workload.startswith(f"polybench/{size}/"):
                continue
            both = time - started[engine], base - started["wasmtime-j"]
            if both[0] > LEAST * started[engine] and both[1] > LEAST * started["wasmtime-j"]:
                logs.setdefault(engine, []).append(log(both[0] / both[1]))
    return {engine: exp(fmean(found)) for engine, found in logs.items()}


def starts(machines: Sequence[Machine]) -> dict[str, float]:
    """Geometric mean by engine of its starting over wasmtime-j's on the same machine."""
    found = {}
    for engine in TEN:
        ratios = [starting(machine, engine) / starting(machine, "wasmtime-j") for machine in machines]
        known = [log(ratio) for ratio in ratios if ratio == ratio]
        if known:
            found[engine] = exp(fmean(known))
    return found


def pair(device: Reached, name: str, first: Workload, second: Workload) -> list[MemberResult]:
    engine, members, contents = ENGINES[name], [], {}
    for workload in (first, second):
        payload = Payload(workload)
        more, artefacts = given(engine, device.device, workload, str(device.facts["machine"]))
        members.append(payload.spec | more)
        contents |= payload.contents | artefacts
    device.session.push(contents)
    spec = job_spec(*members, engine=engine, limit_ns=10 * S)
    result = device.session.run("bench", spec | {"engine": engine.spec(device.versions[name])}, 600)
    assert result is not None
    return result.members


def run_all(
    device: Reached, workloads: Sequence[Workload], rounds: int, limit_s: float
) -> tuple[Times, list[str]]:
    """The time of each right execution, and what was not right."""
    times: Times = {name: {} for name in device.versions}
    wrong = []
    for number in range(rounds):
        jobs = [(name, workload) for name in times for workload in workloads]
        random.Random(number).shuffle(jobs)
        for name, workload in jobs:
            found = run_workload(device, name, workload, limit_s)
            if found.status == "ok" and found.warmup_ns:
                times[name].setdefault(workload.name, []).append(found.warmup_ns)
            else:
                wrong.append(f"{name} {workload.name}: {found.status}, {found.reason}")
        print(f"round {number + 1} is done, {len(wrong)} wrong so far", flush=True)
    return times, wrong


def relative(times: Times, name: str, workloads: Sequence[str]) -> float:
    """Geometric mean of an engine's times over those of BASE; nan where they have no workload in common."""
    both = [w for w in workloads if w in times[name] and w in times[BASE]]
    return exp(fmean(log(min(times[name][w]) / min(times[BASE][w])) for w in both)) if both else float("nan")


def table(times: Times, suites: dict[str, list[str]], versions: dict[str, str]) -> Iterable[str]:
    yield f"| engine | {' | '.join(f'{suite}, × | right' for suite in suites)} | version |"
    yield "|---" * (2 + 2 * len(suites)) + "|"
    for name in times:
        cells = []
        for names in suites.values():
            right = sum(len(times[name].get(w, ())) for w in names)
            cells += [f"{relative(times, name, names):.2f}", str(right)]
        yield f"| `{name}` | {' | '.join(cells)} | {versions[name]} |"


def order(times: Times) -> Iterable[str]:
    """Both orders beside each other as a table, and Spearman's coefficient of each pair of columns."""
    if not (PLACE / "data.npz").exists():
        yield f"no order to compare with: {ABSENT}"
        return
    here = [
        {(n, w): float(min(found)) for n, e in TEN.items() if e in times for w, found in times[e].items()}
    ]
    there = published_machines()
    columns = {
        "SMALL, whole": (means(here, "small"), means(there, "small")),
        "starting": (starts(here), starts(there)),
        "MEDIUM, executing": (
            means(here, "medium", executing=True),
            means(there, "medium", executing=True),
        ),
    }
    names = sorted(columns["SMALL, whole"][0], key=columns["SMALL, whole"][0].__getitem__)
    yield f"| over wasmtime-j | {' | '.join(f'{title}: here | published' for title in columns)} |"
    yield "|---" * (1 + 2 * len(columns)) + "|"
    for name in names:
        cells = [f"{side.get(name, float('nan')):.2f}" for pair in columns.values() for side in pair]
        yield f"| `{name}` | {' | '.join(cells)} |"
    for title, (ours, theirs) in columns.items():
        both = [name for name in names if name in ours and name in theirs]
        if len(both) > 2:
            found = spearmanr([ours[n] for n in both], [theirs[n] for n in both])
            yield f"{title}: Spearman's rank correlation over {len(both)} engines {found.statistic:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of one execution")
    parser.add_argument("--order", action="store_true", help="only what the order needs")
    options, _ = parser.parse_known_args()
    known = load_suites()
    parts = tuple(OF_EACH) if options.order else SUITES
    workloads = [w for suite in known.values() for w in suite.workloads if w.name.startswith(parts)]
    workloads = [w for w in workloads if not w.name.endswith("_l")]  # of MiBench the small inputs
    if options.order:
        wanted = {f"{part}/{kernel}" for part, kernels in OF_EACH.items() for kernel in kernels}
        workloads = [w for w in workloads if {w.name, w.name.rpartition("/")[0] + "/"} & wanted]
    build([known[name].only(w.name for w in workloads) for name in ("polybench", "mibench")])
    suites = {suite: [w.name for w in workloads if w.name.startswith(suite)] for suite in parts}
    by_name = {w.name: w for w in workloads}
    names = list(dict.fromkeys(TEN.values() if options.order else (*TEN.values(), *BESIDE)))
    with tempfile.TemporaryDirectory() as root:
        device = reach(Device(transport="local", name="local", cache=root, engines=names), print)
        for name, why in device.absent.items():
            print(f"absent: {name}: {why}")
        times, wrong = run_all(device, workloads, options.rounds, options.limit)
        print(*table(times, suites, device.versions), "", *order(times), sep="\n")
        print(*(f"wrong: {one}" for one in wrong), sep="\n", flush=True)
        for name in () if options.order else device.versions:
            told = []
            for one, other in PAIRS:
                found = pair(device, name, by_name[f"polybench/{one}"], by_name[f"polybench/{other}"])
                for member in found:
                    alone = times[name].get(member.workload)
                    covered = [sample.wall_ns for sample in member.samples if sample.covered]
                    slower = f" ×{median(covered) / min(alone):.2f}" if alone and covered else ""
                    told.append(f"{member.workload.rpartition('/')[2]} {member.status}{slower}")
            print(f"pairs under {name}: {', '.join(told)}", flush=True)
        device.session.close()


if __name__ == "__main__":
    main()
