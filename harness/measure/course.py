"""The course of adaptive collections: the error after so many device-hours, and what was to come next.

It is kept in the dataset, a line of JSON each time that the error is told.
"""

from __future__ import annotations

import msgspec

from harness.dataset.store import Dataset
from harness.errors import DatasetError

PROGRESS = "adaptive.jsonl"  # in the dataset
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


def read_progress(dataset: Dataset) -> list[Progress]:
    """What adaptive collections into a dataset have told; empty where there was none."""
    path = dataset.root / PROGRESS
    try:
        lines = path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Progress) for line in lines]
    except FileNotFoundError:
        return []
    except msgspec.DecodeError as error:
        raise DatasetError(f"{path} is damaged: {error}; remove it, nothing else needs it.") from error


def sentence(told: Progress) -> str:
    return (
        f"after {told.hours:.3g} device-hours and {told.jobs:,} jobs the error is {100 * told.mape:.3g} % "
        f"({100 * told.low:.3g}–{100 * told.high:.3g}, on {told.random_jobs} jobs drawn at random)"
    )


def course_lines(dataset: Dataset) -> list[str]:
    """What a person is told of it: how the error fell, and what was to come next; nothing where there was none."""
    told = read_progress(dataset)
    lines = [sentence(one) for one in told[-LINES:]]
    return lines + [f"next {one}" for one in (told[-1].next if told else ())]
