"""Adaptive against default collections on this machine, at equal minutes: error on a common random test set.

`python -m tests.perf adaptive_live`; HARNESS_MINUTES (2) and HARNESS_SEEDS (1) say how long and how often. The test set
is a collection of its own whose jobs another seed ordered; where it measured a workload alone, that cell is taken out
of what both learn from.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from harness.dataset.store import Dataset
from harness.learn.arrays import Planned, load_training
from pitot_core import Features, Observations
from pitot_core.tables import Tables
from tests.conftest import ROOT

MINUTES, SEEDS = float(os.environ.get("HARNESS_MINUTES", 2)), int(os.environ.get("HARNESS_SEEDS", 1))
PLAN = [
    "-s",
    "polybench/mini",
    "-s",
    "polybench/small",
    "--degrees",
    "2",
    "--anchors",
    "0",
    "--placebos",
    "0",
]


def collect(root: Path, minutes: float, seed: int, *more: str) -> Dataset:
    """What a collection of so many minutes has."""
    hours = ["--hours", f"{minutes / 60:.5f}", "--seed", str(seed), "--csv"]
    command = [sys.executable, "-m", "harness.cli", "collect", "-o", str(root), *PLAN, *hours, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return Dataset.open(root)


def cells(rows: Observations, features: Features) -> set[tuple[str, str]]:
    """Platform and workload, by name, of what was measured alone."""
    alone = rows[rows.n_co_runners == 0]
    return {
        (features.platform_names[j], features.workload_names[i])
        for j, i in zip(alone.platform.tolist(), alone.workload.tolist(), strict=True)
    }


def error(learned: Dataset, test: Dataset) -> tuple[float, int]:
    """Mean |predicted − measured| / measured of the test set's rows, and the rows that were learned from."""
    names = [*learned.plan(), *test.plan()]
    everything = Planned(
        frozenset(job.platform for job in names), frozenset(name for job in names for name in job.workloads)
    )
    rows, features = load_training(learned, also=everything)
    asked, of_test = load_training(test, also=everything)
    assert of_test.workload_names == features.workload_names
    held = cells(asked, features)
    known = [
        n > 0 or (features.platform_names[j], features.workload_names[i]) not in held
        for n, j, i in zip(
            rows.n_co_runners.tolist(), rows.platform.tolist(), rows.workload.tolist(), strict=True
        )
    ]
    rows, asked = rows[np.array(known)], asked[asked.measured]
    off = np.abs(np.expm1(Tables.solved(rows, features).log_ns(asked) - asked.log_ns))
    return float(off.mean()), len(rows)


def main() -> None:
    for seed in range(1, SEEDS + 1):
        with tempfile.TemporaryDirectory() as scratch:
            test = collect(Path(scratch, "test"), MINUTES / 2, 1000 + seed)
            for name, more in (("default", []), ("adaptive", ["--adaptive"])):
                learned = collect(Path(scratch, name), MINUTES, seed, *more)
                mape, rows = error(learned, test)
                print(
                    f"seed {seed}, {MINUTES:g} min, {name}: {rows} rows, error {100 * mape:.1f} %", flush=True
                )


if __name__ == "__main__":
    main()
