"""Workloads whose slowdown beside each other is known before it is measured: what they show judges a collection."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, variance
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.records import Pin
from harness.dataset.store import Dataset
from harness.output import Column
from harness.suites.suite import Workload

SUITE = "placebo"
SLEEPER, SPINNER, TWIN, STREAMER = (
    f"{SUITE}/{name}" for name in ("one/sleeper", "one/spinner", "two/spinner", "one/streamer")
)
BLOCKS = 10  # of consecutive samples, whose means tell how well the mean of all is known


@dataclass(frozen=True)
class Kind:
    """A placebo job: what runs together, and on which processors."""

    together: tuple[str, ...]
    pin: Pin | None = None


KINDS = (
    Kind((SPINNER,)),
    Kind((STREAMER,)),
    Kind((SPINNER,), "one"),
    Kind((SPINNER, SLEEPER)),
    Kind((STREAMER, SLEEPER)),
    Kind((SPINNER, TWIN), "one"),
    Kind((SPINNER, TWIN), "each"),
)


def placebos_of(workloads: Mapping[str, Workload]) -> list[Workload]:
    """The workloads of the placebo jobs, of all that there are."""
    names = {name for kind in KINDS for name in kind.together}
    return [workload for name, workload in workloads.items() if name in names]


@dataclass(frozen=True)
class Placebo:
    """A ratio of times whose truth is known; ``off`` is how far from it is too far, as a share."""

    name: str
    truth: float
    off: float
    cause: str

    def verdict(self, ratio: float, low: float, high: float, pace: float | None = None) -> str:
        """Empty, or what to look at: where the ratio is off and its interval does not hold the truth."""
        wrong = abs(ratio / self.truth - 1) > self.off and not low <= self.truth <= high
        if not wrong:
            return ""
        if pace is not None and pace > PACE:
            return UNSEEN.format(pace)
        return self.cause if ratio > self.truth or self.truth > 1 else UNALIKE


UNALIKE = (
    "other work beside the jobs, or a clock that follows the load: end it, --idle 10, governor performance"
)
UNSEEN = (
    "fixed work took {:.2f} times its fastest: other work, a clock that changes, or guests of the same host on the "
    "same cores: choose another hour or host"
)
PACE = 1.1  # fixed work over its fastest, from which on it is the first cause to look at
BESIDE_SLEEPER = Placebo("beside a sleeper", 1.0, 0.03, UNALIKE)
ONE_PROCESSOR = Placebo(
    "two spinners on one processor",
    2.0,
    0.05,
    "something else ran on that processor, or it is shared unevenly: other work, limits of control groups",
)
OWN_PROCESSORS = Placebo(
    "spinners on two processors",
    1.0,
    0.05,
    "siblings of one core (SMT), a clock that falls under load, or less than two processors: pin with `cpus:`",
)

PLACEBO_COLUMNS = [
    Column("platform", "platform", meaning="engine:device"),
    Column("placebo", "placebo", meaning="what ran together"),
    Column("ratio", "time over time alone", True, "geometric mean"),
    Column("low", "from", True, "lower end of its 95 % interval"),
    Column("high", "to", True, "upper end of it"),
    Column("truth", "truth", True, "what it should be"),
    Column("pairs", "pairs", True, "observations beside others"),
    Column(
        "pace", "fixed work over its fastest", True, "how long the same work took after half of these jobs"
    ),
    Column("verdict", "what to look at", meaning="empty where it is as it should be"),
]
COLUMNS = (
    "purpose", "platform", "device", "workload", "co_runners", "pin", "status", "wall_ns_mean",
    "samples.list.element.wall_ns", "samples.list.element.covered", "state_after.yardstick_ns",
)  # fmt: skip

# An observation: the logarithm of its mean, and the variance of that.
_Known = tuple[float, float]
_Place = tuple[str, str, str | None]


def placebo_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """A row per platform and placebo that was measured there."""
    alone: dict[_Place, list[_Known]] = defaultdict(list)
    beside: dict[tuple[str, Placebo], list[tuple[_Place, _Known]]] = defaultdict(list)
    took: dict[str, list[float]] = defaultdict(list)  # fixed work after placebo jobs, by platform
    least: dict[str, float] = {}  # and after whichever job, by device
    for part in dataset.parts(COLUMNS):
        wanted = pc.and_(pc.equal(part["purpose"], "placebo"), pc.equal(part["status"], "ok"))
        yardsticks = pc.struct_field(part["state_after"], "yardstick_ns")
        known_least = pa.table({"device": part["device"], "ns": yardsticks}).group_by("device")
        for row in known_least.aggregate([("ns", "min")]).to_pylist():
            if row["ns_min"]:
                least[row["device"]] = min(row["ns_min"], least.get(row["device"], math.inf))
        for row in part.filter(wanted).to_pylist():
            if yardstick := (row["state_after"] or {}).get("yardstick_ns"):
                took[row["platform"]].append(yardstick)
            if (known := _known(row)) is None:
                continue
            workload = SPINNER if row["workload"] == TWIN else row["workload"]
            place = row["platform"], workload, "one" if row["pin"] else None
            placebo = _placebo(row)
            if placebo:
                beside[row["platform"], placebo].append((place, known))
            elif not row["co_runners"]:
                alone[place].append(known)
    found = [
        _row(platform, placebo, pairs, pace_of(took[platform], least.get(platform.partition(":")[2])))
        for (platform, placebo), observed in beside.items()
        if (pairs := [(known, alone[place]) for place, known in observed if alone[place]])
    ]
    order = [BESIDE_SLEEPER.name, ONE_PROCESSOR.name, OWN_PROCESSORS.name]
    return sorted(found, key=lambda row: (row["platform"], order.index(row["placebo"])))


def _placebo(row: Mapping[str, Any]) -> Placebo | None:
    """Which one this observation beside others is of; the sleeper's own time tells nothing."""
    if row["pin"]:
        return {"one": ONE_PROCESSOR, "each": OWN_PROCESSORS}[row["pin"]] if row["co_runners"] else None
    return BESIDE_SLEEPER if row["co_runners"] == [SLEEPER] else None


def _known(row: Mapping[str, Any]) -> _Known | None:
    if not row["wall_ns_mean"]:
        return None
    walls = [sample["wall_ns"] for sample in row["samples"] or () if sample["covered"]]
    size = max(1, len(walls) // BLOCKS)
    means = [fmean(walls[start:end]) for start, end in pairwise(range(0, len(walls) + 1, size))]
    spread = variance(means) / len(means) / fmean(means) ** 2 if len(means) > 1 else 0.0
    return math.log(row["wall_ns_mean"]), spread


def pace_of(took: list[float], least: float | None) -> float | None:
    """How long fixed work took after half of some jobs, over its least on the device; None where it is not told."""
    return median(took) / least if took and least else None


def _row(
    platform: str, placebo: Placebo, pairs: list[tuple[_Known, list[_Known]]], pace: float | None
) -> dict[str, Any]:
    logs, within = [], []
    for (together, spread), base in pairs:
        logs.append(together - fmean(log for log, _ in base))
        within.append(spread + fmean(of for _, of in base) / len(base))
    between = variance(logs) if len(logs) > 1 else 0.0
    half = 2 * math.sqrt(max(between, fmean(within)) / len(logs))
    ratio, low, high = (math.exp(fmean(logs) + side) for side in (0.0, -half, half))
    return {
        "platform": platform,
        "placebo": placebo.name,
        "ratio": ratio,
        "low": low,
        "high": high,
        "truth": placebo.truth,
        "pairs": len(pairs),
        "pace": pace,
        "verdict": placebo.verdict(ratio, low, high, pace),
    }


def in_digits(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For people: ratios with three digits behind the point."""
    keys = ("ratio", "low", "high", "truth", "pace")
    return [{**row, **{key: f"{row[key]:.3f}" for key in keys if row[key] is not None}} for row in rows]
