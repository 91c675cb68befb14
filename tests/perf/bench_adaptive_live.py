"""Adaptive against default collections on this machine, at equal minutes: error on jobs that neither measures.

`python -m tests.perf adaptive_live`. Each seed draws jobs of the plan at random that are held out; they are measured in
collections of their own, and both arms collect of all others, as long as the longest time asked about. What an arm had
after fewer minutes are its jobs that had begun by then: an adaptive collection is not told when it will end. A machine
changes meanwhile, so the arms take turns of some minutes, each in turn the first, and what is held out is measured
before, between and after them; its mean is what predictions are held to.

HARNESS_MINUTES (2,5,10), HARNESS_SEEDS (1, from HARNESS_FIRST, 1), HARNESS_TURN (1.25 minutes), HARNESS_TEST_JOBS
(100) and HARNESS_TESTS (4 times) say how much. HARNESS_AS=demo collects as `harness demo` does, under its engines. With
HARNESS_KEEP=DIR collections are kept, and a command that is repeated goes on where the last one ended.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import mean, median, stdev
from time import time

import msgspec
import numpy as np
import pyarrow as pa
from rich.console import Console

from harness.cli.demo import FAMILIES
from harness.cli.demo import SETTINGS as DEMO
from harness.cli.demo import WORKLOADS as SUITES
from harness.dataset.info import Settings
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.reach import choose_engines, reach
from harness.learn.arrays import Planned, load_training
from harness.learn.teaching import advise
from harness.measure.adaptive import USUAL, marked
from harness.measure.collection import measure, prepare, takes
from harness.measure.plan import Plan, make_plan
from harness.suites.catalogue import load_workloads, select
from harness.suites.ready import STARTUP, build_and_verify
from pitot_core import Queries
from pitot_core.tables import Tables

MINUTES = [float(word) for word in os.environ.get("HARNESS_MINUTES", "2,5,10").split(",")]
FIRST = int(os.environ.get("HARNESS_FIRST", 1))
SEEDS = range(FIRST, FIRST + int(os.environ.get("HARNESS_SEEDS", 1)))
TURN = float(os.environ.get("HARNESS_TURN", 1.25))
TEST_JOBS = int(os.environ.get("HARNESS_TEST_JOBS", 100))
TESTS = int(os.environ.get("HARNESS_TESTS", 4))
AS_DEMO = os.environ.get("HARNESS_AS") == "demo"
DEFAULT = DEMO if AS_DEMO else Settings()
ADAPTIVE = DEMO if AS_DEMO else USUAL
TEST = DEMO if AS_DEMO else USUAL
ARMS = ("adaptive", "default")


class Begun(Dataset):
    """What a dataset had of jobs that began within so many minutes of collecting."""

    spans: list[tuple[float, float]]  # when it was collected, unix time

    @classmethod
    def within(cls, dataset: Dataset, minutes: float) -> Begun:
        begun = cls(dataset.root, dataset.info)
        begun.spans, left_s = [], 60 * minutes
        for start, end in spans(dataset.root.parent):
            begun.spans.append((start, min(end, start + left_s)))
            left_s -= begun.spans[-1][1] - start
        return begun

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        for part in super().parts([*(columns or ()), "started_at"]):
            at = [one.timestamp() for one in part["started_at"].to_pylist()]
            yield part.filter(pa.array([any(a <= t < b for a, b in self.spans) for t in at], pa.bool_()))


def spans(root: Path) -> list[tuple[float, float]]:
    """When a collection went on, unix time."""
    told = root / "spans"
    return [msgspec.json.decode(line) for line in told.read_bytes().splitlines()] if told.exists() else []


@dataclass(frozen=True)
class Off:
    """|predicted − measured| / measured of held-out rows, mean and median, and the rows that were learned from."""

    both: float
    alone: float
    beside: float
    middle: float
    rows: int


class Machine:
    """This machine as a device, with what is to be measured on it."""

    def __init__(self, root: Path) -> None:
        self.console = Console(stderr=True)
        wanted = [name for name, engine in ENGINES.items() if not AS_DEMO or engine.family in FAMILIES]
        build_and_verify([STARTUP, *SUITES], None, self.console)
        known = load_workloads(None)
        self.startup, self.workloads = known[STARTUP], select(known, SUITES)
        self.device = Device(transport="local", name="local", cache=str(root / "cache"), engines=wanted)

    def collect(
        self, root: Path, settings: Settings, seed: int, minutes: float | None, adaptive: bool = False
    ) -> Dataset:
        """A collection of the rest, until it took so many minutes; or of what is held out, to its end."""
        went_on = sum(end - start for start, end in spans(root)) / 60
        if (root / "whole").exists() or (minutes and minutes - went_on < 0.05):
            return Dataset.open(root / "data")
        reached = reach(self.device, print)
        engines = choose_engines([reached], [])
        settings = msgspec.structs.replace(settings, seed=seed, rounds={2: 1}, anchors=0, placebos=0)
        plan = make_plan(
            [(one.name, "local") for one in engines], self.workloads, self.startup, settings, takes
        )
        jobs = sorted(
            (job for job in plan.jobs if job.purpose == "measure"),
            key=lambda job: (job.platform, job.workloads),
        )
        held = {
            (job.platform, job.workloads)
            for job in random.Random(seed).sample(jobs, min(TEST_JOBS, len(jobs) // 4))
        }
        kept = (job for job in plan.jobs if ((job.platform, job.workloads) in held) == (minutes is None))
        plan = marked(Plan(tuple(kept), settings)) if adaptive else Plan(tuple(kept), settings)
        dataset, everything = Dataset.open_or_create(root / "data"), [*self.workloads, self.startup]
        try:
            with dataset.locked():
                prepare(dataset, plan, [reached], engines, everything, self.console)
                start = time()
                adviser = advise if adaptive else None
                left_s = minutes and 60 * (minutes - went_on)
                outcome = measure(dataset, plan, [reached], everything, self.console, left_s, adviser=adviser)
        finally:
            reached.session.close()
        with open(root / "spans", "ab") as told:
            told.write(msgspec.json.encode((start, time())) + b"\n")
        if not outcome.left:
            (root / "whole").touch()
        return dataset


def error(learned: Dataset, tests: Sequence[Dataset]) -> Off:
    """Of a model of what was learned, against the means of what several tests measured of each row."""
    jobs = [*learned.plan(), *tests[0].plan()]
    everything = Planned(
        frozenset(job.platform for job in jobs), frozenset(name for job in jobs for name in job.workloads)
    )
    rows, features = load_training(learned, also=everything)
    took: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for test in tests:
        asked, of_test = load_training(test, also=everything)
        names = [(one.workload_names, one.platform_names) for one in (features, of_test)]
        assert names[0] == names[1]
        asked = asked[asked.measured]
        for *key, log_ns in zip(
            asked.platform, asked.workload, *-np.sort(-asked.co_runners).T, asked.log_ns, strict=True
        ):
            took[tuple(key)].append(log_ns)
    keys = np.array(list(took), np.int32)
    queries = Queries.of(keys[:, 0], keys[:, 1], keys[:, 2:])
    off = np.abs(
        np.expm1(Tables.solved(rows, features).log_ns(queries) - [mean(told) for told in took.values()])
    )
    alone = queries.n_co_runners == 0
    return Off(float(off.mean()), float(off[alone].mean()), float(off[~alone].mean()), median(off), len(rows))


def percent(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread} %"


def main() -> None:
    found: dict[tuple[float, str], list[Off]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(os.environ.get("HARNESS_KEEP", scratch))
        machine = Machine(root)
        for seed in SEEDS:
            place, turns, tests = root / f"seed-{seed}", ceil(max(MINUTES) / TURN), []
            for turn in range(turns + 1):
                while len(tests) < TESTS and len(tests) * turns <= turn * max(TESTS - 1, 1):
                    tests.append(machine.collect(place / f"test-{len(tests)}", TEST, seed, None))
                for arm in ARMS[:: -1 if (turn + seed) % 2 == 0 else 1] if turn < turns else ():
                    adaptive, minutes = arm == "adaptive", min((turn + 1) * TURN, max(MINUTES))
                    machine.collect(place / arm, ADAPTIVE if adaptive else DEFAULT, seed, minutes, adaptive)
            for arm in ARMS:
                learned = Dataset.open(place / arm / "data")
                for minutes in MINUTES:
                    off = error(Begun.within(learned, minutes), tests)
                    found[minutes, arm].append(off)
                    print(
                        f"seed {seed}, {minutes:g} min, {arm}: {off.rows} rows, error {100 * off.both:.1f} % "
                        f"(alone {100 * off.alone:.1f}, beside {100 * off.beside:.1f}, median {100 * off.middle:.1f})",
                        flush=True,
                    )
    print(
        "\n| minutes | arm | rows | error | alone | beside | median | of the default's |\n" + "|---" * 8 + "|"
    )
    for minutes in MINUTES:
        for arm in ARMS:
            offs = found[minutes, arm]
            ratios = [mine.both / its.both for mine, its in zip(offs, found[minutes, "default"], strict=True)]
            parts = [
                percent([getattr(off, name) for off in offs])
                for name in ("both", "alone", "beside", "middle")
            ]
            rows = f"{mean(off.rows for off in offs):.0f}"
            print(f"| {' | '.join((f'{minutes:g}', arm, rows, *parts, percent(ratios)))} |", flush=True)


if __name__ == "__main__":
    main()
