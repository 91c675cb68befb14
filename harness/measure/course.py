"""The course of adaptive collections: the error after so many device-hours, and what was to come next.

It is kept in the dataset, a line of JSON each time that the error is told.
"""

from __future__ import annotations

import contextlib
import os
import stat
from itertools import pairwise

import msgspec

from harness.dataset.store import Dataset
from harness.files import opened
from harness.spelling import several

PROGRESS = "adaptive.jsonl"  # in the dataset
MOST_BYTES = 4 << 20  # of it that are read, the last ones: some ten thousand lines
LINES = 4  # of the course that a person is told, the last ones


class Expected(msgspec.Struct, frozen=True):
    """What measuring a job is expected to tell, in nats, and to take."""

    platform: str
    workloads: tuple[str, ...]
    nats: float
    seconds: float

    def __str__(self) -> str:
        return f"{' + '.join(self.workloads)} on {self.platform} ({self.gain})"

    @property
    def gain(self) -> str:
        return f"teaches {self.nats:.2g} nats in about {self.seconds:.2g} s"


class Progress(msgspec.Struct, frozen=True):
    """The error after so many device-hours: mean |predicted − measured| / measured on jobs drawn at random.

    `next` are the jobs that were to come then, the first ones of them all.
    """

    hours: float
    jobs: int
    mape: float
    low: float
    high: float
    random_jobs: int
    next: tuple[Expected, ...] = ()


def spent_s(dataset: Dataset, longest_s: float) -> float:
    """How long devices worked on the jobs of a dataset: the time from the beginning of each to that of the next.

    What lasted longer than any job may is a pause.
    """
    starts: dict[str, set[float]] = {}
    for part in dataset.parts(["device", "started_at"]):
        part = part.filter(part["started_at"].is_valid())
        for device, at in zip(part["device"].to_pylist(), part["started_at"].to_pylist(), strict=True):
            starts.setdefault(device, set()).add(at.timestamp())
    gaps = (after - at for some in starts.values() for at, after in pairwise(sorted(some)))
    return sum(gap for gap in gaps if gap < longest_s)


def read_progress(dataset: Dataset) -> list[Progress]:
    """What adaptive collections into a dataset have told; empty where there was none.

    Nothing but these lines is lost with one that a crash cut short or somebody damaged, so it is passed over.
    """
    told: list[Progress] = []
    for line in _end_of(dataset).splitlines():
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            told.append(msgspec.json.decode(line, type=Progress))
    return told


def keep_progress(dataset: Dataset, told: Progress) -> None:
    """Add a line, on a line of its own whatever came before. Raises OSError."""
    line = msgspec.json.encode(told) + b"\n"
    torn = _end_of(dataset, 1) not in (b"", b"\n")
    with open(dataset.root / PROGRESS, "ab") as file:
        file.write(b"\n" + line if torn else line)


def _end_of(dataset: Dataset, most: int = MOST_BYTES) -> bytes:
    """The last bytes of the file; none where it is not there, or no file that can be read."""
    try:
        file = opened(dataset.root / PROGRESS)
    except OSError:
        return b""
    with file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return b""
        file.seek(max(0, facts.st_size - most))
        return file.read(most)


def sentence(told: Progress) -> str:
    return (
        f"after {told.hours:.3g} device-hours and {several(told.jobs, 'job')} the error is {100 * told.mape:.3g} % "
        f"({100 * told.low:.3g}–{100 * told.high:.3g}, on {several(told.random_jobs, 'job')} drawn at random)"
    )


def course_lines(dataset: Dataset) -> list[str]:
    """What a person is told of it: how the error fell, and what was to come next; nothing where there was none."""
    told = read_progress(dataset)
    lines = [sentence(one) for one in told[-LINES:]]
    return lines + [f"next {one}" for one in (told[-1].next if told else ())]
