"""Predictions and bounds a second of the library: `python -m tests.perf predictions`.

A model of 231 × 249 tables is asked a million questions at a time, alone and beside one to three others, given as row
numbers and by names in an Arrow table. Best of several passes, on the threads that NumPy takes; CPU seconds beside.
`HARNESS_MODEL` names a model file to ask instead of one made here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pitot_core import Observations, Pitot, Queries
from tests.perf.bench_pitot import table
from tests.perf.bench_stream import Law

ASKED = 1_000_000
PASSES = 5


def made() -> Pitot:
    law = Law(231, 249)
    asked, log_ns = law.rows(100_000, 0)
    rows = Observations.of(
        asked.platform, asked.workload, asked.co_runners, log_ns=log_ns, job=np.arange(100_000)
    )
    return Pitot().fit(rows, law.features)


def questions(model: Pitot, n_co: int) -> Queries:
    rng = np.random.default_rng(n_co)
    platforms, workloads = np.flatnonzero(model.seen_platforms), np.flatnonzero(model.seen_workloads)
    beside = rng.choice(workloads, (ASKED, n_co)) if n_co else None
    return Queries.of(rng.choice(platforms, ASKED), rng.choice(workloads, ASKED), beside)


def speed(work: Callable[[], Any]) -> tuple[str, str]:
    """Millions a second by the clock and by processor time, each the best of its passes."""
    wall, cpu = [], []
    for _ in range(PASSES):
        clock, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - clock)
        cpu.append(time.process_time() - used)
    return f"{ASKED / min(wall) / 1e6:.1f}", f"{ASKED / min(cpu) / 1e6:.1f}"


def main() -> None:
    told = os.environ.get("HARNESS_MODEL")
    model = Pitot.load(told) if told else made()
    assert model.features is not None
    found = []
    for n_co in range(4):
        asked = questions(model, n_co)
        named = asked.to_arrow(model.features)
        works: dict[str, Callable[[], Any]] = {
            "predict": lambda asked=asked: model.predict(asked),
            "predict, by names": lambda named=named: model.predict(named),
        }
        if n_co in model.pools():
            works["bound at ε = 0.05"] = lambda asked=asked: model.bound(asked, 0.05)
        found += [(what, str(n_co), *speed(work)) for what, work in works.items()]
    table(
        f"A library call with {ASKED:,} questions",
        ("what", "co-runners", "million a second", "million a CPU second"),
        found,
    )


if __name__ == "__main__":
    main()
