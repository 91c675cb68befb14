"""What an agent sends and a journal holds. It comes from a device, so every field is typed and bounded."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Status = Literal[
    "ok",
    "timeout",
    "trap",
    "wrong_output",
    "out_of_memory",  # it failed, and is known to need more memory than it was given
    "crash",
    "refused",
    "co_runner_failed",
    "uncovered",
    "lost",
    "device_unfit",  # the device was not fit to give a result: this ends no job, it is still to do
]
Purpose = Literal["measure", "startup", "anchor", "placebo", "cold", "place"]
Pin = Literal["one", "each"]  # all members on one processor, or each on one of its own
Regime = Literal["steady", "process"]
Drawn = Literal["random", "chosen"]  # how an adaptive collection came to a job

Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Duration = Annotated[int, msgspec.Meta(ge=1, le=2**62)]  # of something that ran; nothing takes no time
Reading = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Text = Annotated[str, msgspec.Meta(max_length=1000)]
LONGEST_NAME = 200  # letters of a workload's whole name; whoever names one holds to it
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One execution. Times are CLOCK_MONOTONIC of the device, in nanoseconds."""

    start_ns: Nanoseconds
    wall_ns: Duration
    user_ns: Nanoseconds
    sys_ns: Nanoseconds
    max_rss_kb: Nanoseconds
    covered: bool
    warm: bool = False  # executed to warm up: kept, but counted in no mean


class ColdSample(msgspec.Struct, array_like=True, frozen=True):
    """One start of a new runner up to the end of its first execution, in nanoseconds; null where not told apart."""

    wall_ns: Duration  # all of it, more than the sum of the parts
    load_ns: Nanoseconds | None = None  # compiling the module, or reading what was compiled before
    instantiate_ns: Nanoseconds | None = None
    first_ns: Nanoseconds | None = None  # the first execution


class MemberResult(msgspec.Struct, frozen=True):
    """One workload's part of a job: an observation to be."""

    workload: Name
    status: Status
    reason: Text
    samples: list[Sample]
    more_count: Nanoseconds = 0  # covered executions beyond `samples`, of which only the sum is known
    more_wall_ns: Nanoseconds = 0
    compile_ns: Nanoseconds | None = None
    load_ns: Nanoseconds | None = None
    cached: bool | None = None
    warmup_ns: Nanoseconds | None = None
    loop_start_ns: Nanoseconds | None = None
    loop_end_ns: Nanoseconds | None = None
    regime: Regime | None = None
    warm_executions: Nanoseconds | None = None
    warm_ns: Nanoseconds | None = None
    unsteady: Text | None = None  # why its times do not belong to one steady state; null where they do
    other_load: Reading | None = None  # processors that were used meanwhile by what is not of the job
    executions_asked: Nanoseconds | None = None
    executions: Nanoseconds | None = None  # made and whole, without those to warm up
    cut_off_ns: Nanoseconds | None = None  # how long the execution had run that the limit ended
    standard_error: Reading | None = None  # of the mean, as a share of it
    energy_j: Reading | None = None  # per execution, as the counts below
    instructions: Reading | None = None
    cycles: Reading | None = None
    cache_misses: Reading | None = None
    cold_samples: list[ColdSample] = []

    def __post_init__(self) -> None:
        if self.status == "ok":
            counted = [one.wall_ns for one in self.samples if one.covered and not one.warm]
            if not counted and not (self.more_count and self.more_wall_ns):
                raise ValueError("`ok` without an execution that counts")
            if self.more_wall_ns < self.more_count:
                raise ValueError("executions that took no time")


class State(msgspec.Struct, frozen=True):
    """What can disturb a measurement, as far as the device tells it."""

    clock_mhz: Reading | None = None
    governor: Name | None = None
    temperature_c: Reading | None = None
    throttle_count: Nanoseconds | None = None
    load_1m: Reading | None = None
    free_memory_bytes: Nanoseconds | None = None
    quota_throttled: Nanoseconds | None = None
    steal_s: Reading | None = None
    yardstick_ns: Nanoseconds | None = None  # of the same work each time


class JobResult(msgspec.Struct, frozen=True):
    job: Name
    started_unix_ns: Nanoseconds
    state_before: State
    members: list[MemberResult]
    state_after: State = State()
    note: Text = ""


class Job(msgspec.Struct, frozen=True, gc=False):
    """One measurement on one platform of one to four workloads together; ``id`` is a hash of what defines it.

    With ``precision`` it ends as soon as the standard error of each member's mean is no more than this share of it.
    How it came to be measured (``drawn``) does not define it.
    """

    id: str
    device: str
    engine: str
    workloads: tuple[str, ...]
    purpose: Purpose
    position: int
    repeats: int
    limit_s: float
    co_run_s: float
    pin: Pin | None = None
    precision: float | None = None
    drawn: Drawn | None = None

    @property
    def platform(self) -> str:
        return f"{self.engine}:{self.device}"

    @property
    def degree(self) -> int:
        return len(self.workloads)


class Entry(msgspec.Struct, frozen=True):
    """A job's end as the journal keeps it.

    ``attempt`` numbers the ends that one job has had in this dataset. A job is done once more where it ended as
    ``device_unfit`` or the user asks for it; readers then show the newest end (see `Dataset.parts`). ``attempts``
    is how often the job was begun until it came to this end.
    """

    job: Job
    result: JobResult
    engine_version: str
    harness_version: str
    attempts: int = 1
    attempt: int = 1
