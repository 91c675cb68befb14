"""What an agent is told of a job: the same rule for every job of a platform, alone and together."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.dataset.info import Gate, Settings
from harness.dataset.records import Job
from harness.engines.engine import Engine

COMPILE_LIMIT_S = 120.0
LEAST_SAMPLES = 5  # of each member before a co-run may end
MAX_SAMPLES = 200  # kept of each member; executions after them are only summed
LOOK_S = 0.1  # of samples, before it is first looked whether their mean is known
WARM_LEAST_S = 0.1  # executing to warm up at least, and never longer than what is then measured
WARM_MOST = 0.2  # and at most, as a share of the limit
NO_GATE = Gate()


def job_spec(
    job: Job,
    engine: Engine,
    version: str,
    members: list[dict[str, Any]],
    settings: Settings,
    cpus: list[int] | None,
) -> dict[str, Any]:
    """``members`` as `Payload` describes them; ``cpus`` are the device's processors to hold them to, if any."""
    return {
        "id": job.id,
        "engine": engine.spec(version),
        "members": members,
        "regime": engine.regime,
        "ahead_of_time": engine.ahead_of_time,
        "keep": MAX_SAMPLES,
        "cold": job.repeats if job.purpose == "cold" else 0,
        "pin": job.pin,
        "least": job.repeats if job.degree == 1 else min(LEAST_SAMPLES, job.repeats),
        "precision": job.precision,
        "look_ns": round(min(LOOK_S, job.co_run_s) * 1e9),
        "window_ns": round(job.co_run_s * 1e9),
        "limit_ns": round(job.limit_s * 1e9),
        "warm_least_ns": round(min(WARM_LEAST_S, job.co_run_s) * 1e9),
        "warm_most_ns": round(WARM_MOST * job.limit_s * 1e9),
        "memory_bytes": settings.memory_bytes,
        "gate": msgspec.to_builtins(settings.gate) if settings.gate != NO_GATE else None,
        "cpus": cpus,
    }


def longest_s(job: Job, settings: Settings) -> float:
    """After this long without a result a device is given up: all limits of the job after each other, and a minute."""
    starts = job.repeats if job.purpose == "cold" else 1
    return (
        60
        + settings.gate.limit_s
        + starts * job.degree * (2 * COMPILE_LIMIT_S + job.limit_s)
        + 2 * job.limit_s
    )
