"""The paper's ten engines on this machine: all outputs right, pairs too, and in which order they stand.

    python -m tests.perf.bench_ten [--rounds 2] [--samples 5] [--limit 3] [--json FILE]

PolyBench MINI and SMALL and MiBench small, each once a round in random order, every first execution's output verified;
then pairs. The order of the geometric means on SMALL is held against that of the published data on x86 devices, where
it lies beside the repository: Spearman's rank correlation. The published wasmtime and wasm3 were commands, a process a
sample, so here it is the commands that are compared.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from math import exp, log
from pathlib import Path
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
from tests.devices import job_spec
from tests.perf.bench_engines import Row, S, bench
from tests.published import ABSENT, PLACE

# The published name, and the engine here that does the same.
TEN = {
    "iwasm-a": "iwasm-a", "iwasm-i": "iwasm-i", "wasm3-i": "wasm3-cli-i", "wasmedge-i": "wasmedge-i",
    "wasmer-a-cl": "wasmer-a-cl", "wasmer-a-ll": "wasmer-a-ll", "wasmer-j-cl": "wasmer-j-cl",
    "wasmer-j-sp": "wasmer-j-sp", "wasmtime-a": "wasmtime-cli-a", "wasmtime-j": "wasmtime-cli-j",
}  # fmt: skip
BESIDE = ("wasmtime-j", "wasmi-i", "iwasm-i-classic")
WINDOW_NS = S // 100
X86 = {f"hc-{number}" for number in (*range(10, 20), *range(31, 36))}
PAIRS = (("small/gemm", "small/jacobi-2d"), ("small/atax", "small/lu"))
SUITES = ("polybench/mini", "polybench/small", "mibench/small")


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


def table(rows: dict[str, Row], suites: dict[str, list[str]]) -> Iterable[str]:
    first = rows["wasmtime-j"]
    yield f"| engine | {' | '.join(f'{suite}, × | right' for suite in suites)} | version |"
    yield "|---" * (2 + 2 * len(suites)) + "|"
    for name, row in rows.items():
        cells = []
        for names in suites.values():
            ratio = row.relative(first, names)
            cells += [
                "–" if ratio is None else f"{ratio:.2f}",
                str(sum(len(row.medians.get(n, ())) for n in names)),
            ]
        yield f"| `{name}` | {' | '.join(cells)} | {row.version} |"


def order(rows: dict[str, Row], small: list[str]) -> Iterable[str]:
    """Both orders beside each other, and Spearman's coefficient."""
    if not (PLACE / "data.npz").exists():
        yield f"no order to compare with: {ABSENT}"
        return
    published, base = published_means(), rows.get("wasmtime-cli-j")
    here = {
        name: ratio
        for name, ours in TEN.items()
        if ours in rows and base and (ratio := rows[ours].relative(base, small)) and name in published
    }
    for name in sorted(here, key=here.__getitem__):
        yield f"{name:12} {here[name]:8.2f} here {published[name]:8.2f} published, over wasmtime-j"
    found = spearmanr([here[n] for n in here], [published[n] for n in here])
    yield f"Spearman's rank correlation over {len(here)} engines: {found.statistic:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--limit", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    options, _ = parser.parse_known_args()
    known = load_suites()
    workloads = [w for suite in known.values() for w in suite.workloads if w.name.startswith(SUITES)]
    build([known[name].only(w.name for w in workloads) for name in ("polybench", "mibench")])
    suites = {suite: [w.name for w in workloads if w.name.startswith(suite)] for suite in SUITES}
    by_name = {w.name: w for w in workloads}
    names = list(dict.fromkeys((*TEN.values(), *BESIDE)))
    with tempfile.TemporaryDirectory() as root:
        device = reach(Device(transport="local", name="local", cache=root, engines=names), print)
        for name, why in device.absent.items():
            print(f"absent: {name}: {why}")
        rows, failures = bench(device, workloads, options.rounds, options.samples, options.limit, WINDOW_NS)
        print(*table(rows, suites), "", *order(rows, suites["polybench/small"]), sep="\n")
        for failure in failures:
            print("failed:", *failure)
        for name in device.versions:
            told = []
            for one, other in PAIRS:
                found = pair(device, name, by_name[f"polybench/{one}"], by_name[f"polybench/{other}"])
                for member in found:
                    alone = rows[name].medians.get(member.workload)
                    covered = [sample.wall_ns for sample in member.samples if sample.covered]
                    slower = f" ×{median(covered) / min(alone):.2f}" if alone and covered else ""
                    told.append(f"{member.workload.rpartition('/')[2]} {member.status}{slower}")
            print(f"pairs under {name}: {', '.join(told)}", flush=True)
        device.session.close()
    if options.json:
        options.json.write_text(json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1))


if __name__ == "__main__":
    main()
