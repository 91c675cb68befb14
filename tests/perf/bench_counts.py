"""How far apart the opcode counts of the suites' workloads are, and that no two have the same.

    python -m tests.perf.bench_counts [--suites '*']

Counts every workload once (what was counted before is taken from the cache), heavy and optional ones too: some minutes.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from harness.progress import bar
from harness.suites.build import build
from harness.suites.catalogue import load_suites, select
from harness.suites.counted_program import count_workload

CLAIMED_SPREAD = 1e5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suites", nargs="+", default=["*"])
    options, _ = parser.parse_known_args()
    suites = load_suites()
    known = {w.name: w for suite in suites.values() for w in suite.workloads}
    chosen = [w for w in select(known, options.suites) if w.suite != "startup"]
    names = [w.name for w in chosen]
    build((suite.only(names) for suite in suites.values()), checks=False)
    of_counts: dict[tuple[tuple[str, int], ...], list[str]] = {}
    totals: dict[str, int] = {}
    with bar(Console(stderr=True), "counting", len(chosen)) as progress:
        for workload in chosen:
            counts = count_workload(workload)
            totals[workload.name] = counts.total
            of_counts.setdefault(tuple(sorted(counts.opcodes.items())), []).append(workload.name)
            progress.advance(workload.name)
    least, most = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    spread = totals[most] / totals[least]
    same = [names for names in of_counts.values() if len(names) > 1]
    print(
        f"{len(totals)} workloads, from {totals[least]:,} ({least}) to {totals[most]:,} ({most}): × {spread:.2g}"
    )
    print("no two have the same counts" if not same else f"the same counts: {same}")
    sys.exit(bool(same) or spread < CLAIMED_SPREAD)


if __name__ == "__main__":
    main()
