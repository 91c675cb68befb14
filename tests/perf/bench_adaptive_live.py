"""Adaptive against default collections on this machine, at equal minutes: error on a common random test set.

`python -m tests.perf adaptive_live`. Each seed has a test set, a collection of its own whose jobs another seed drew
and ordered, and one collection an arm, as long as the longest time asked about. What an arm had after fewer minutes
are its jobs that had begun by then: an adaptive collection is not told when it will end. What the test set measured,
nobody learns from. Arms take turns at being first, since this machine may change meanwhile.

HARNESS_MINUTES (2,5,10), HARNESS_SEEDS (1) and HARNESS_TEST_JOBS (240) say how much.
HARNESS_AS=demo collects as `harness demo` does, under its engines. With HARNESS_KEEP=DIR collections are kept, and
those that are there are only read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.cli.demo import FAMILIES
from harness.cli.demo import SETTINGS as DEMO
from harness.cli.demo import WORKLOADS as SUITES
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.learn.arrays import Planned, load_training
from pitot_core import Features, Observations
from pitot_core.tables import Tables
from tests.conftest import ROOT

MINUTES = [float(word) for word in os.environ.get("HARNESS_MINUTES", "2,5,10").split(",")]
SEEDS = int(os.environ.get("HARNESS_SEEDS", 1))
TEST_JOBS = int(os.environ.get("HARNESS_TEST_JOBS", 240))
ARMS = {"default": [], "adaptive": ["--adaptive"]}
PLAN = ["--degrees", "2", "--anchors", "0", "--placebos", "0"]
AS_DEMO = ["--repeats", str(DEMO.repeats), "--limit", str(DEMO.limit_s), "--co-run", str(DEMO.co_run_s)]
Cell = tuple[str, str, tuple[str, ...]]  # platform, workload and those beside it


class Begun(Dataset):
    """What a dataset had of jobs that began within so many minutes of its first one."""

    minutes: float

    @classmethod
    def within(cls, dataset: Dataset, minutes: float) -> Begun:
        begun = cls(dataset.root, dataset.info)
        begun.minutes = minutes
        return begun

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        parts = list(super().parts([*(columns or ()), "started_at"]))
        first = min(pc.min(part["started_at"]).as_py() for part in parts if len(part))
        until = pa.scalar(first + timedelta(minutes=self.minutes))
        for part in parts:
            yield part.filter(pc.less(part["started_at"], until))


@dataclass(frozen=True)
class Off:
    """Mean |predicted − measured| / measured of the test set's rows, and the rows that were learned from."""

    both: float
    alone: float
    beside: float
    rows: int


def collect(root: Path, seed: int, *more: str) -> Dataset:
    """A collection of this machine, unless it is there already."""
    if (root / "whole").exists():
        return Dataset.open(root / "data")
    root.mkdir(parents=True, exist_ok=True)
    devices = {"local": {"transport": "local", "cache": str(root.parent / "cache")}}
    (root / "devices.yaml").write_text(json.dumps({"devices": devices}))
    words = [part for suite in SUITES for part in ("-s", suite)]
    if os.environ.get("HARNESS_AS") == "demo":
        names = [name for name, engine in ENGINES.items() if engine.family in FAMILIES]
        words += [*AS_DEMO, *(part for name in names for part in ("-e", name))]
    done = subprocess.run(
        [
            sys.executable, "-m", "harness.cli", "collect", "-o", str(root / "data"), "--seed", str(seed), "--csv",
            "--devices-file", str(root / "devices.yaml"), *words, *PLAN, *more,
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (root / "told").write_text(done.stderr)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    (root / "whole").touch()
    return Dataset.open(root / "data")


def cells(rows: Observations, features: Features) -> list[Cell]:
    """What each row measured, by name."""
    names = np.array([*features.workload_names, ""])
    beside = np.sort(names[rows.co_runners], axis=1).tolist()
    platforms, workloads = np.array(features.platform_names)[rows.platform].tolist(), names[rows.workload]
    return [(p, w, tuple(b)) for p, w, b in zip(platforms, workloads.tolist(), beside, strict=True)]


def error(learned: Dataset, test: Dataset) -> Off:
    jobs = [*learned.plan(), *test.plan()]
    everything = Planned(
        frozenset(job.platform for job in jobs), frozenset(name for job in jobs for name in job.workloads)
    )
    rows, features = load_training(learned, also=everything)
    asked, of_test = load_training(test, also=everything)
    assert (of_test.workload_names, of_test.platform_names) == (
        features.workload_names,
        features.platform_names,
    )
    held = set(cells(asked, features))
    rows = rows[np.array([cell not in held for cell in cells(rows, features)])]
    asked = asked[asked.measured]
    off = np.abs(np.expm1(Tables.solved(rows, features).log_ns(asked) - asked.log_ns))
    alone = asked.n_co_runners == 0
    return Off(float(off.mean()), float(off[alone].mean()), float(off[~alone].mean()), len(rows))


def percent(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread} %"


def main() -> None:
    found: dict[tuple[float, str], list[Off]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(os.environ.get("HARNESS_KEEP", scratch))
        hours = f"{max(MINUTES) / 60:.5f}"
        for seed in range(1, SEEDS + 1):
            place = root / f"seed-{seed}"
            test = collect(place / "test", 1000 + seed, "--precision", "1%", "--jobs", str(TEST_JOBS))
            for arm in sorted(ARMS, reverse=seed % 2 == 0):
                learned = collect(place / arm, seed, "--hours", hours, *ARMS[arm])
                for minutes in MINUTES:
                    off = error(Begun.within(learned, minutes), test)
                    found[minutes, arm].append(off)
                    print(
                        f"seed {seed}, {minutes:g} min, {arm}: {off.rows} rows, error {100 * off.both:.1f} % "
                        f"(alone {100 * off.alone:.1f}, beside {100 * off.beside:.1f})",
                        flush=True,
                    )
    print("\n| minutes | arm | rows | error | alone | beside | of the default's |\n" + "|---" * 7 + "|")
    for minutes in MINUTES:
        usual = found[minutes, "default"]
        for arm in ARMS:
            offs = found[minutes, arm]
            ratios = [mine.both / its.both for mine, its in zip(offs, usual, strict=True)]
            parts = [percent([getattr(off, name) for off in offs]) for name in ("both", "alone", "beside")]
            rows, share = f"{mean(off.rows for off in offs):.0f}", percent(ratios)
            print(f"| {' | '.join((f'{minutes:g}', arm, rows, *parts, share))} |", flush=True)


if __name__ == "__main__":
    main()
