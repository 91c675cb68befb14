"""How fast the engines of this machine are on PolyBench, how well they repeat, and whether long jobs change them.

    python -m tests.perf.bench_engines [--sizes mini small] [--engines NAME…] [--rounds 2] [--long 10000]

Every first execution's output is verified, so a number in the table is of a correct program. Prints JSON with
``--json FILE`` beside the table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from math import exp, log
from pathlib import Path

from harness.devices import Device
from harness.engines import ENGINES
from harness.reach import Reached, reach
from harness.records import MemberResult
from harness.suites import Workload, load_workloads
from tests.devices import job_spec

S = 10**9


def measure(device: Reached, engine: str, workload: Workload, samples: int, limit_ns: int) -> MemberResult:
    module = workload.module.read_bytes()
    digest = hashlib.sha256(module).hexdigest()
    device.session.push({digest: partial(bytes, module)})
    expect = {"exit_code": workload.expect.exit_code, "stdout_sha256": workload.expect.stdout_sha256}
    member = {
        "workload": workload.name, "module": digest, "argv": list(workload.argv), "stdin": None, "files": {},
        "expect": expect,
    }  # fmt: skip
    spec = job_spec(member, report=samples, limit_ns=limit_ns)
    result = device.session.run(
        "bench", spec | {"engine": ENGINES[engine].spec(device.versions[engine])}, 600
    )
    assert result is not None
    return result.members[0]


def geometric_mean(values: list[float]) -> float:
    return exp(sum(map(log, values)) / len(values))


def median_ns(found: MemberResult) -> float:
    return statistics.median(sample.wall_ns for sample in found.samples)


def rounds(
    device: Reached, engines: list[str], workloads: list[Workload], count: int, samples: int
) -> Iterator[tuple[int, str, str, MemberResult]]:
    """Every platform and workload once a round, in a random order, so that drift does not look like an engine."""
    for number in range(count):
        jobs = [(engine, workload) for engine in engines for workload in workloads]
        random.Random(number).shuffle(jobs)
        for engine, workload in jobs:
            yield number, engine, workload.name, measure(device, engine, workload, samples, 5 * S)


def bench(
    device: Reached, engines: list[str], sizes: list[str], count: int, samples: int
) -> dict[str, object]:
    """Per platform: relative speed per size, start-up, compile time, failures and how far two rounds differ."""
    every = load_workloads()
    workloads = [w for w in every.values() if w.suite == "polybench" and w.name.split("/")[1] in sizes]
    startup = next(w for w in every.values() if w.suite == "startup")
    medians: dict[tuple[str, str], list[float]] = {}
    compiles: dict[str, list[int]] = {}
    failures = []
    for _, engine, name, found in rounds(device, engines, [*workloads, startup], count, samples):
        if found.status != "ok":
            failures.append([engine, name, found.status, found.reason])
            continue
        medians.setdefault((engine, name), []).append(median_ns(found))
        if found.compile_ns is not None and not found.cached:
            compiles.setdefault(engine, []).append(found.compile_ns)
    table = {}
    for engine in engines:
        row: dict[str, object] = {"version": device.versions[engine], "wall": ENGINES[engine].wall_contains}
        for size in sizes:
            both = [w.name for w in workloads if w.name.split("/")[1] == size]
            ratios = [
                min(medians[engine, n]) / min(medians["wasmtime-j", n])
                for n in both
                if (engine, n) in medians and ("wasmtime-j", n) in medians
            ]
            row[size] = geometric_mean(ratios) if ratios else None
            row[f"{size}_ok"] = f"{sum((engine, n) in medians for n in both)}/{len(both)}"
        row["startup_us"] = min(medians.get((engine, startup.name), [0.0])) / 1000
        row["compile_ms"] = statistics.median(compiles[engine]) / 1e6 if engine in compiles else None
        pairs = [m for (e, _), m in medians.items() if e == engine and len(m) > 1]
        apart = sorted(max(m) / min(m) - 1 for m in pairs)
        row["apart_median"] = statistics.median(apart) if apart else None
        row["apart_within_3"] = sum(a <= 0.03 for a in apart) / len(apart) if apart else None
        table[engine] = row
    return {"table": table, "failures": failures}


def long_job(device: Reached, engine: str, samples: int) -> dict[str, object]:
    """Whether ``samples`` executions in one job get slower or bigger: medians of the second and the last tenth."""
    workload = load_workloads()["polybench/mini/gemm"]
    found = measure(device, engine, workload, samples, 200 * S)
    taken, tenth = found.samples, len(found.samples) // 10
    if not tenth:
        return {"status": found.status, "reason": found.reason, "samples": len(taken)}
    early, late = (
        statistics.median(s.wall_ns for s in part) for part in (taken[tenth : 2 * tenth], taken[-tenth:])
    )
    return {
        "status": found.status, "samples": len(taken), "early_us": early / 1000, "late_us": late / 1000,
        "rss_early_kb": taken[tenth].max_rss_kb, "rss_late_kb": taken[-1].max_rss_kb,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["mini", "small"])
    parser.add_argument("--engines", nargs="+", default=None)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--long", type=int, default=0, help="samples of one long job per engine")
    parser.add_argument("--json", type=Path)
    options, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as root:
        device = reach(Device(transport="local", name="local", cache=root, engines=options.engines), print)
        engines = list(device.versions)
        found: dict[str, object] = {}
        if options.rounds:
            found = bench(device, engines, options.sizes, options.rounds, options.samples)
            for engine, row in found["table"].items():  # type: ignore[attr-defined]
                print(
                    engine, *(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
                )
            for failure in found["failures"]:  # type: ignore[attr-defined]
                print("failed:", *failure)
        if options.long:
            found["long"] = {engine: long_job(device, engine, options.long) for engine in engines}
            for engine, row in found["long"].items():  # type: ignore[attr-defined]
                print("long", engine, row)
        device.session.close()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
