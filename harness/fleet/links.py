"""What was seen of devices and the links to them: load, round trips and pushes, a JSON line each in a small history.

No daemon watches: `harness offload` adds what its probe sees, and commands that reach devices anyway what they see on
the way. Datasets hold the load around each job as well.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from harness.errors import UsageError
from harness.files import contents, home

Positive = Annotated[float, msgspec.Meta(gt=0)]
APART_NS = 10_000_000_000  # a one-minute load says nothing new before that
TIMED_BYTES = 64 << 10  # a push of less is mostly its round trip
MOST_NOTES = 100  # of one session, the last ones
MOST_SAMPLES = 20_000  # of a device, the last ones


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One look at a device. What was not looked at is None. ``rtt_ns`` is a round trip to the agent and back."""

    device: str
    unix_ns: int
    load_1m: Annotated[float, msgspec.Meta(ge=0)] | None = None
    cores: Positive | None = None
    rtt_ns: Positive | None = None
    push_bytes: Positive | None = None
    push_ns: Positive | None = None

    @property
    def cpu_share(self) -> float | None:
        """How much of a processor one more process gets: min(1, cores / (load + 1))."""
        if self.load_1m is None or self.cores is None:
            return None
        return min(1.0, self.cores / (self.load_1m + 1))

    @property
    def bandwidth_bytes_s(self) -> float | None:
        if self.push_bytes is None or self.push_ns is None:
            return None
        return self.push_bytes / self.push_ns * 1e9


def default_history() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or home() / ".local" / "state"
    return Path(state) / "harness" / "links.jsonl"


def read_history(path: Path) -> list[Sample]:
    """All samples of a history file, in its order; a line cut off by a crash is passed over. Raises UsageError."""
    found, wrong = [], 0
    for line in contents(path).splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Sample))
        except (msgspec.DecodeError, UnicodeDecodeError):
            wrong += 1
    if wrong and not found:
        raise UsageError(
            f"{path} is no history of links; name a file that `harness offload` wrote, or a dataset."
        )
    return found


def append_history(path: Path, samples: Sequence[Sample]) -> None:
    """Add lines at the end, in one write."""
    if not samples:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)
    with open(path, "ab", buffering=0) as file:
        file.write(lines)


class Notes:
    """What one session sees of its device on the way."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._samples: deque[Sample] = deque(maxlen=MOST_NOTES)

    def add(self, **what: float | None) -> None:
        """Fields of a sample; those that make no sense, since a device sent them, are passed over."""
        with contextlib.suppress(msgspec.ValidationError):
            told = {"device": self._device, "unix_ns": time.time_ns()} | what
            self._samples.append(msgspec.convert(told, Sample))

    def pushed(self, size: int, taken_ns: int) -> None:
        if size >= TIMED_BYTES:
            self.add(push_bytes=size, push_ns=taken_ns)

    def take(self) -> list[Sample]:
        """All so far, which are then no longer here."""
        samples = list(self._samples)
        self._samples.clear()
        return samples

    def remember(self) -> None:
        """Add them to this user's history, where that can be written: nothing that was done depends on it."""
        with contextlib.suppress(OSError):
            append_history(default_history(), self.take())


def from_dataset(root: Path) -> list[Sample]:
    """The load around every job of a dataset, which collections record anyway. Raises DatasetError."""
    from harness.dataset.store import Dataset

    dataset = Dataset.open(root)
    cores: dict[str, float] = {}
    for row in dataset.platforms().to_pylist():
        for key, value in row["facts"] or []:
            if key == "cores":
                cores[row["device"]] = float(value)
    table = dataset.observations(["platform", "started_at", "state_before"])
    found = []
    for row in table.to_pylist():
        device, load = row["platform"].partition(":")[2], (row["state_before"] or {}).get("load_1m")
        if load is not None and math.isfinite(load) and device in cores and row["started_at"]:
            found.append(Sample(device, int(row["started_at"].timestamp() * 1e9), load, cores[device]))
    return found


def of_device(samples: Iterable[Sample], device: str) -> list[Sample]:
    """Those of a device by time, loads at least ten seconds apart, no more than MOST_SAMPLES."""
    kept: list[Sample] = []
    told_ns = -APART_NS
    for sample in sorted((one for one in samples if one.device == device), key=lambda one: one.unix_ns):
        if sample.load_1m is not None and sample.unix_ns - told_ns < APART_NS:
            if sample.rtt_ns is None and sample.push_ns is None:
                continue
            sample = msgspec.structs.replace(sample, load_1m=None)
        elif sample.load_1m is not None:
            told_ns = sample.unix_ns
        kept.append(sample)
    return kept[-MOST_SAMPLES:]
