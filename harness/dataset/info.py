"""dataset.json: what a dataset is, and the settings of each collection into it."""

from __future__ import annotations

import msgspec


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Before each job wait until the device is as cool and idle as this, but not for longer than the limit."""

    temperature_c: float | None = None
    busy: float | None = None  # share of all processors, 0 to 1
    limit_s: float = 300.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user chooses about a collection; kept in ``dataset.json``.

    ``rounds[n]`` is how often the co-runner sets of degree n are drawn: each round runs every workload n times
    per platform. ``limit_s`` bounds the first execution, and then all samples of a job together. Alone and together
    workloads are measured for ``co_run_s`` at least: longer, up to the limit, where one is alone and not yet through
    ``repeats`` executions, or together with others and not yet through its fifth. ``placebos`` is how often what is
    known beforehand is measured on each platform, ``cold`` how often each workload is started anew. With
    ``precision`` a job ends earlier: once the standard error of each member's mean is no more than this share of it.
    """

    seed: int = 0
    repeats: int = 50
    limit_s: float = 30.0
    co_run_s: float = 1.0
    rounds: dict[int, int] = msgspec.field(default_factory=lambda: {2: 1, 3: 1, 4: 1})
    anchors: int = 3
    placebos: int = 2
    cold: int = 0
    precision: float | None = None
    memory_bytes: int = 1 << 30
    gate: Gate = Gate()


class Collection(msgspec.Struct, frozen=True):
    started_at: str
    harness_version: str
    settings: Settings


class Info(msgspec.Struct, frozen=True):
    """dataset.json"""

    schema: int
    id: str
    created_at: str
    source: str
    collections: list[Collection] = []
