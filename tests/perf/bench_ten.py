"""The paper's ten engines on this machine: all outputs right, pairs too, and in which order they stand.

    python -m tests.perf.bench_ten [--rounds 2] [--limit 60]

PolyBench MINI and SMALL and MiBench small, one process each a round in random order, every output verified; then pairs.
A workload's time is that of its fastest process. The order of the geometric means on SMALL is held against that of the
published data on x86 devices, where it lies beside the repository: Spearman's rank correlation. The published wasmtime
and wasm3 were commands, a process a sample, so here it is the commands that are compared.
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


def published_means() -> dict[str, float]:
    """Geometric mean over SMALL and the x86 devices of each engine's time over wasmtime-j's on the same device."""
    with np.load(PLACE / "data.npz") as data:
        platforms, workloads = [str(n) for n in data["n_platform"]], [str(n) for n in data["n_workload"]]
        times = {
            (*platforms[p].split(":"), workloads[w]): float(t)
            for p, w, t in zip(data["i_platform"], data["i_workload"], data["t"], strict=True)
        }
    ratios: dict[str, list[float]] = {}
    for (engine, device, workload), time in times.items():
        base = times.get(("wasmtime-j", device, workload))
        if base and device in X86 and workload.startswith("polybench/small/"):
            ratios.setdefault(engine, []).append(log(time / base))
    return {engine: exp(fmean(logs)) for engine, logs in ratios.items()}


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


def order(times: Times, small: Sequence[str]) -> Iterable[str]:
    """Both orders beside each other, and Spearman's coefficient."""
    if not (PLACE / "data.npz").exists():
        yield f"no order to compare with: {ABSENT}"
        return
    published = published_means()
    here = {n: relative(times, ours, small) for n, ours in TEN.items() if ours in times and n in published}
    for name in sorted(here, key=here.__getitem__):
        yield f"{name:12} {here[name]:8.2f} here {published[name]:8.2f} published, over wasmtime-j"
    found = spearmanr([here[n] for n in here], [published[n] for n in here])
    yield f"Spearman's rank correlation over {len(here)} engines: {found.statistic:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of one execution")
    options, _ = parser.parse_known_args()
    known = load_suites()
    workloads = [w for suite in known.values() for w in suite.workloads if w.name.startswith(SUITES)]
    workloads = [w for w in workloads if not w.name.endswith("_l")]  # of MiBench the small inputs
    build([known[name].only(w.name for w in workloads) for name in ("polybench", "mibench")])
    suites = {suite: [w.name for w in workloads if w.name.startswith(suite)] for suite in SUITES}
    by_name = {w.name: w for w in workloads}
    names = list(dict.fromkeys((*TEN.values(), *BESIDE)))
    with tempfile.TemporaryDirectory() as root:
        device = reach(Device(transport="local", name="local", cache=root, engines=names), print)
        for name, why in device.absent.items():
            print(f"absent: {name}: {why}")
        times, wrong = run_all(device, workloads, options.rounds, options.limit)
        print(*table(times, suites, device.versions), "", *order(times, suites["polybench/small"]), sep="\n")
        print(*(f"wrong: {one}" for one in wrong), sep="\n", flush=True)
        for name in device.versions:
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
