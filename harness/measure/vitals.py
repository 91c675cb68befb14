"""What a device told last of its health and pace, and whether its anchors drift."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

RECENT = 50  # jobs by which the pace of a device is judged
PAUSE = 20.0  # a gap so many times the usual is a pause between two collections, not a job


@dataclass
class _Device:
    starts: list[int] = field(
        default_factory=list
    )  # of its newest jobs, µs since 1970 by its clock, in order
    newest: int = -1
    temperature_c: float | None = None
    throttled: tuple[int, int] | None = None  # the counter's first and last reading


class Vitals:
    def __init__(self) -> None:
        self._devices: dict[str, _Device] = defaultdict(_Device)
        # Per device, platform and workload of an anchor: when first and last measured, and how long it took.
        self._anchors: dict[tuple[str, str, str], tuple[int, float, int, float]] = {}
        self._touched: set[str] = set()

    def add(self, part: pa.Table) -> None:
        """Rows with `board.COLUMNS`."""
        known = part.filter(pc.is_valid(part["started_at"]))
        for device in known["device"].unique().to_pylist():
            self._health(device, known.filter(pc.equal(known["device"], device)))
        anchors = pc.and_(pc.equal(known["purpose"], "anchor"), pc.equal(known["status"], "ok"))
        for row in known.filter(anchors).select([*_ANCHOR, "started_at"]).to_pylist():
            key, ns = (row["device"], row["platform"], row["workload"]), row["time_ns"]
            at = round(row["started_at"].timestamp() * 1e6)
            first, first_ns, last, last_ns = self._anchors.get(key, (at, ns, at, ns))
            if at < first:
                first, first_ns = at, ns
            if at > last:
                last, last_ns = at, ns
            self._anchors[key] = first, first_ns, last, last_ns

    def settle(self) -> None:
        """Keep of each device's jobs only the newest."""
        for name in self._touched:
            one = self._devices[name]
            one.starts = sorted(set(one.starts))[-RECENT - 1 :]
        self._touched.clear()

    def _health(self, device: str, rows: pa.Table) -> None:
        one = self._devices[device]
        starts = pc.cast(rows["started_at"], pa.int64()).to_numpy()
        order = starts.argsort(kind="stable")
        one.starts += starts[order[-RECENT * 4 :]].tolist()
        self._touched.add(device)
        counter = pc.struct_field(rows["state_after"], "throttle_count").drop_null().to_numpy()
        if len(counter):
            told = int(counter.min()), int(counter.max())
            one.throttled = (
                (min(one.throttled[0], told[0]), max(one.throttled[1], told[1])) if one.throttled else told
            )
        if starts[order[-1]] >= one.newest:
            one.newest = int(starts[order[-1]])
            told_c = pc.struct_field(rows["state_after"], "temperature_c")[int(order[-1])].as_py()
            one.temperature_c = told_c if told_c is not None else one.temperature_c

    def each_s(self, device: str) -> float | None:
        """Seconds from one job of a device to its next, of the newest ones; None with fewer than two."""
        starts = self._devices[device].starts if device in self._devices else []
        gaps = [(after - before) / 1e6 for before, after in itertools.pairwise(starts)]
        usual = sorted(gaps)[len(gaps) // 2] if gaps else 0.0
        kept = [gap for gap in gaps if gap <= PAUSE * max(usual, 0.1)]
        return sum(kept) / len(kept) if kept else None

    def temperature_c(self, device: str) -> float | None:
        return self._devices[device].temperature_c if device in self._devices else None

    def throttled(self, device: str) -> int | None:
        """How often its processors were throttled since the first job here; None where it does not tell."""
        told = self._devices[device].throttled if device in self._devices else None
        return told[1] - told[0] if told else None

    def last_s(self, device: str) -> float | None:
        """When its newest job began, seconds since 1970 by its own clock."""
        newest = self._devices[device].newest if device in self._devices else -1
        return newest / 1e6 if newest >= 0 else None

    def drift(self, device: str) -> float | None:
        """Geometric mean over anchors of the last time over the first, less 1; None before any was repeated."""
        ratios = [
            math.log(last_ns / first_ns)
            for (name, *_), (first, first_ns, last, last_ns) in self._anchors.items()
            if name == device and last > first
        ]
        return math.exp(sum(ratios) / len(ratios)) - 1 if ratios else None


_ANCHOR: list[Any] = ["device", "platform", "workload", "time_ns"]
