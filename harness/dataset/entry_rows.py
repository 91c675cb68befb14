"""How a finished job becomes rows of the Parquet schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from harness.dataset.records import ColdSample, Entry, MemberResult, Sample

MIXED = "mixed"  # the regime of what was measured before schema version 2 in a resident engine
_AS_TOLD = (
    "compile_ns", "load_ns", "cached", "warmup_ns", "loop_start_ns", "loop_end_ns", "warm_executions", "warm_ns",
    "unsteady", "executions_asked", "executions", "cut_off_ns",
)  # fmt: skip


def rows(entry: Entry) -> list[dict[str, Any]]:
    """One row of `schema.OBSERVATIONS` for each member of the job."""
    job, result = entry.job, entry.result
    common = {
        "job": job.id,
        "purpose": job.purpose,
        "platform": job.platform,
        "engine": job.engine,
        "device": job.device,
        "n_co_runners": job.degree - 1,
        "position": job.position,
        "repeats": job.repeats,
        "limit_s": job.limit_s,
        "co_run_s": job.co_run_s,
        "started_at": result.started_unix_ns // 1000,
        "state_before": msgspec.structs.asdict(result.state_before),
        "state_after": msgspec.structs.asdict(result.state_after),
        "engine_version": entry.engine_version,
        "harness_version": entry.harness_version,
        "attempts": entry.attempts,
        "attempt": entry.attempt,
        "note": result.note,
    }
    return [
        common
        | {
            "workload": member.workload,
            "co_runners": sorted(job.workloads[:index] + job.workloads[index + 1 :]),
        }
        | _measured(member, round(job.limit_s * 1e9))
        for index, member in enumerate(result.members)
    ]


def _measured(member: MemberResult, limit_ns: int) -> dict[str, Any]:
    samples = [_counted(sample) for sample in member.samples]
    covered = [sample["wall_ns"] for sample in samples if sample["covered"]]
    count = len(covered) + member.more_count
    timeout_ns = limit_ns if member.cut_off_ns is None else member.cut_off_ns
    return {
        "status": member.status,
        "reason": member.reason,
        "wall_ns_mean": (sum(covered) + member.more_wall_ns) / count if member.status == "ok" else None,
        "n_covered": count,
        "lower_bound_ns": timeout_ns if member.status == "timeout" else None,
        "samples": samples,
        "regime": member.regime or MIXED,
        "cold_samples": [msgspec.structs.asdict(sample) for sample in member.cold_samples],
        "cold_ns": _mean(member.cold_samples, "wall_ns"),
        **{f"cold_{part}_ns": _mean(member.cold_samples, f"{part}_ns") for part in _COLD_PARTS},
        **{name: getattr(member, name) for name in _AS_TOLD},
    }


_COLD_PARTS = ("load", "instantiate", "first")


def _counted(sample: Sample) -> dict[str, Any]:
    """A warm-up is never ``covered``, so that who selects by that alone takes what counts."""
    row = msgspec.structs.asdict(sample)
    return row | {"covered": sample.covered and not sample.warm}


def _mean(samples: Sequence[ColdSample], part: str) -> float | None:
    told = [value for sample in samples if (value := getattr(sample, part)) is not None]
    return sum(told) / len(told) if told else None
