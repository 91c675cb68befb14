"""How fast the engines of this machine are on PolyBench, how well they repeat, and whether long jobs change them.

    python -m tests.perf.bench_engines [--sizes mini small] [--engines NAME…] [--rounds 2] [--samples 15] [--long 10000]

Builds what it needs. Every first execution's output is verified, so a number in the table is of a correct program.
Prints the table as Markdown, and everything as JSON with ``--json FILE``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import exp, log
from pathlib import Path

import numpy as np

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

S = 10**9
AGREE = 0.03  # how far the medians of rounds may lie apart
MATRIX = np.random.default_rng(0).random((200, 200)) + 200 * np.eye(200)
FIXED = 5  # samples of fixed work
MEASURED_AGAINST = "wasmtime-j"


@dataclass
class Row:
    """What is known of one engine: medians in ns by workload, one for each round; fixed work before and after each."""

    version: str
    wall: str
    medians: dict[str, list[float]] = field(default_factory=dict)
    fixed: dict[str, list[float]] = field(default_factory=dict)
    compile_ns: list[int] = field(default_factory=list)
    fixed_best_ns: float = 0.0

    def best(self, workload: str) -> float:
        return min(self.medians[workload])

    def relative(self, to: Row, workloads: Sequence[str]) -> float | None:
        """The geometric mean over the workloads that both have run."""
        both = [name for name in workloads if name in self.medians and name in to.medians]
        if not both:
            return None
        return exp(statistics.fmean(log(self.best(name) / to.best(name)) for name in both))

    def gaps(self) -> list[float]:
        """How far the medians of each workload's rounds lie apart, as a share of the smallest."""
        return [max(m) / min(m) - 1 for m in self.medians.values() if len(m) > 1]

    def undisturbed_gaps(self) -> list[float]:
        """The same of workloads at whose every round fixed work, before and after, took what it takes at its best."""
        quiet = [w for w, times in self.fixed.items() if max(times) / self.fixed_best_ns <= 1 + AGREE]
        return [max(self.medians[w]) / min(self.medians[w]) - 1 for w in quiet if len(self.medians[w]) > 1]


def fixed_work_ns(samples: int) -> float:
    """Median time of eliminating in a 200 × 200 matrix in this process: no engine, no agent, always the same work.

    Floating point and memory, as the kernels use them: what a neighbour on the same core slows down.
    """
    times = []
    for _ in range(samples):
        matrix = MATRIX.copy()
        start = time.perf_counter_ns()
        for k in range(40):
            matrix[k + 1 :, k:] -= np.outer(matrix[k + 1 :, k] / matrix[k, k], matrix[k, k:])
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)


def measure(device: Reached, name: str, workload: Workload, samples: int, limit_ns: int) -> MemberResult:
    engine, payload = ENGINES[name], Payload(workload)
    more, artefacts = given(engine, device.device, workload, str(device.facts["machine"]))
    device.session.push(payload.contents | artefacts)
    job = job_spec(payload.spec | more, least=samples, keep=samples, limit_ns=limit_ns)
    result = device.session.run("bench", job | {"engine": engine.spec(device.versions[name])}, 600)
    assert result is not None
    return result.members[0]


def bench(
    device: Reached, workloads: Sequence[Workload], rounds: int, samples: int, limit_s: float
) -> tuple[dict[str, Row], list[list[str]]]:
    """A row per engine, and what failed.

    Every engine and workload once a round, in a random order, so that drift does not look like an engine.
    """
    rows = {name: Row(version, ENGINES[name].wall_contains) for name, version in device.versions.items()}
    failures = []
    for number in range(rounds):
        jobs = [(name, workload) for name in rows for workload in workloads if ENGINES[name].takes(workload)]
        random.Random(number).shuffle(jobs)
        for name, workload in jobs:
            before = fixed_work_ns(FIXED)
            found = measure(device, name, workload, samples, round(limit_s * S))
            if found.status != "ok":
                failures.append([name, workload.name, found.status, found.reason])
                continue
            median_ns = statistics.median(sample.wall_ns for sample in found.samples)
            rows[name].medians.setdefault(workload.name, []).append(median_ns)
            rows[name].fixed.setdefault(workload.name, []).extend((before, fixed_work_ns(FIXED)))
            if found.compile_ns is not None and number == 0:
                rows[name].compile_ns.append(found.compile_ns)
    best_ns = min(time for row in rows.values() for times in row.fixed.values() for time in times)
    for row in rows.values():
        row.fixed_best_ns = best_ns
    return rows, failures


def table(rows: dict[str, Row], by_size: dict[str, list[str]], startup: str) -> Iterable[str]:
    """Markdown, ready for docs/engines.md."""
    first = rows.get(MEASURED_AGAINST) or next(iter(rows.values()))
    columns = [column for size in by_size for column in (f"{size.upper()}, ×", "right")]
    yield f"| engine | {' | '.join(columns)} | start-up, ms | compile, ms | version |"
    yield "|---" * (4 + 2 * len(by_size)) + "|"
    for name, row in rows.items():
        cells = []
        for names in by_size.values():
            ratio = row.relative(first, names)
            cells += [
                "–" if ratio is None else f"{ratio:.2f}",
                f"{sum(n in row.medians for n in names)}/{len(names)}",
            ]
        cells.append(f"{row.best(startup) / 1e6:.2f}" if startup in row.medians else "–")
        cells.append(f"{statistics.median(row.compile_ns) / 1e6:.3g}" if row.compile_ns else "–")
        yield f"| `{name}` | {' | '.join(cells)} | {row.version} |"


def repeats(rows: dict[str, Row]) -> Iterable[str]:
    """How well rounds agree: all of them, and those in whose moments the machine was not disturbed."""
    for what, gaps_of in (("all moments", Row.gaps), ("undisturbed moments", Row.undisturbed_gaps)):
        every = [(name, gaps_of(row)) for name, row in rows.items()]
        for name, gaps in [*every, ("every engine", [gap for _, found in every for gap in found])]:
            if gaps:
                share = sum(gap <= AGREE for gap in gaps) / len(gaps)
                yield (
                    f"repeats, {what}, {name}: {share:.0%} of {len(gaps)} workloads agree within {AGREE:.0%} over "
                    f"the rounds; the gap is {statistics.median(gaps):.1%} in the median, {max(gaps):.1%} at most"
                )


def long_job(device: Reached, name: str, workload: Workload, samples: int) -> dict[str, object]:
    """Whether ``samples`` executions in one job get slower or bigger: medians of the second and the last tenth."""
    found = measure(device, name, workload, samples, 300 * S)
    taken, tenth = found.samples, len(found.samples) // 10
    if not tenth:
        return {"status": found.status, "reason": found.reason, "samples": len(taken)}
    early, late = (
        statistics.median(s.wall_ns for s in part) for part in (taken[tenth : 2 * tenth], taken[-tenth:])
    )
    return {
        "status": found.status, "samples": len(taken), "early_us": early / 1000, "late_us": late / 1000,
        "slower": late / early - 1, "rss_early_kb": taken[tenth].max_rss_kb, "rss_late_kb": taken[-1].max_rss_kb,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["mini", "small"])
    parser.add_argument("--engines", nargs="+", default=None)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=15)
    parser.add_argument("--limit", type=float, default=5.0, help="seconds of one job")
    parser.add_argument("--long", type=int, default=0, help="samples of one long job per engine")
    parser.add_argument("--json", type=Path)
    options, _ = parser.parse_known_args()
    suites = load_suites()
    polybench = [w for w in suites["polybench"].workloads if w.name.split("/")[1] in (*options.sizes, "mini")]
    startup, *_ = suites["startup"].workloads
    build([suites["startup"], suites["polybench"].only(w.name for w in polybench)])
    workloads = [w for w in polybench if w.name.split("/")[1] in options.sizes]
    by_size = {size: [w.name for w in workloads if w.name.split("/")[1] == size] for size in options.sizes}
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as root:
        device = reach(Device(transport="local", name="local", cache=root, engines=options.engines), print)
        if options.rounds:
            rows, failures = bench(
                device, [*workloads, startup], options.rounds, options.samples, options.limit
            )
            print(*table(rows, by_size, startup.name), "", *repeats(rows), sep="\n")
            for failure in failures:
                print("failed:", *failure)
            found = {"engines": {name: asdict(row) for name, row in rows.items()}, "failures": failures}
        if options.long:
            [gemm] = [w for w in polybench if w.name == "polybench/mini/gemm"]
            found["long"] = long = {}
            for name in device.versions:
                long[name] = long_job(device, name, gemm, options.long)
                print("long", name, long[name], flush=True)
        device.session.close()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
