"""Whether every module runs and gives the right output under every engine of this machine.

    python -m tests.perf.bench_suites [--suites polybench/mini mibench…] [--engines NAME…] [--limit 30] [--log FILE]

Each workload's first execution per engine, checked by the agent as in a collection. Prints, as a table in Markdown, how
many of each suite were right and how many took longer than the limit, and then everything that failed, with its
reason. With ``--log`` every result is kept as a line of JSON, and what is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from harness.progress import bar
from harness.suites.build import build
from harness.suites.catalogue import load_suites, select
from harness.suites.suite import Workload
from tests.devices import run_workload

SUITES = ["polybench/mini", "polybench/small", "polybench/medium", "mibench", "libsodium"]
Row = dict[str, object]


def built(patterns: list[str]) -> dict[str, list[Workload]]:
    """The workloads of each pattern, with their modules and inputs made."""
    suites = load_suites()
    known = {w.name: w for suite in suites.values() for w in suite.workloads}
    chosen = {pattern: select(known, [pattern]) for pattern in patterns}
    names = {w.name for workloads in chosen.values() for w in workloads}
    build((suite.only(names) for suite in suites.values()), checks=False)
    return chosen


def rows(device: Reached, engines: list[str], workloads: list[Workload], limit_s: float) -> Iterator[Row]:
    for engine in engines:
        for workload in workloads:
            started = time.monotonic()
            found = run_workload(device, engine, workload, limit_s)
            yield {
                "engine": engine, "workload": workload.name, "status": found.status, "reason": found.reason,
                "warmup_ns": found.warmup_ns, "compile_ns": found.compile_ns, "took_s": time.monotonic() - started,
                "load_1m": os.getloadavg()[0],
            }  # fmt: skip


def table(found: dict[tuple[str, str], Row], chosen: dict[str, list[Workload]]) -> Iterator[str]:
    """A line per engine: right of all per suite, and what took too long."""
    yield f"| engine | {' | '.join(f'{p} ({len(w)})' for p, w in chosen.items())} |"
    yield f"|---|{'---:|' * len(chosen)}"
    for engine in dict.fromkeys(engine for engine, _ in found):
        cells = []
        for workloads in chosen.values():
            statuses = [found[engine, w.name]["status"] for w in workloads if (engine, w.name) in found]
            late, failed = statuses.count("timeout"), sum(s not in ("ok", "timeout") for s in statuses)
            told = [f"{late} too long"] * bool(late) + [f"{failed} failed"] * bool(failed)
            cells.append(" + ".join([str(statuses.count("ok")), *told]) if statuses else "–")
        yield f"| `{engine}` | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suites", nargs="+", default=SUITES)
    parser.add_argument("--engines", nargs="+", default=None)
    parser.add_argument("--limit", type=float, default=30.0)
    parser.add_argument("--log", type=Path)
    options, _ = parser.parse_known_args()
    chosen = built(options.suites)
    workloads = [w for every in chosen.values() for w in every]
    found: dict[tuple[str, str], Row] = {}
    if options.log and options.log.exists():
        kept = [json.loads(line) for line in options.log.read_text().splitlines()]
        found = {(row["engine"], row["workload"]): row for row in kept}
    with tempfile.TemporaryDirectory() as root:
        device = reach(Device(transport="local", name="local", cache=root, engines=options.engines), print)
        total = len(device.versions) * len(workloads)
        with bar(Console(stderr=True), "running", total) as progress:
            for engine in device.versions:
                left = [w for w in workloads if (engine, w.name) not in found]
                for row in rows(device, [engine], left, options.limit):
                    found[engine, str(row["workload"])] = row
                    if options.log:
                        with options.log.open("a") as log:
                            log.write(json.dumps(row) + "\n")
                    progress.advance(f"{engine} {row['workload']}")
        device.session.close()
    print("\n".join(table(found, chosen)))
    failed = [row for row in found.values() if row["status"] != "ok"]
    for row in failed:
        print(f"{row['engine']}: {row['workload']}: {row['status']}: {row['reason']}")
    sys.exit(any(row["status"] != "timeout" for row in failed))


if __name__ == "__main__":
    main()
