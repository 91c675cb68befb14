"""How a finished job becomes rows of the Parquet schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from harness.dataset.quantiles import SHARES, quantile_of
from harness.dataset.records import ColdSample, Entry, MemberResult, Sample

MATTERS = 0.05  # an unknown part of a time by which it may be wrong
MIXED = "mixed"  # the regime of what was measured before schema version 2 in a resident engine
_COLD_PARTS = ("load", "instantiate", "first")
_AS_TOLD = (
    "compile_ns", "load_ns", "cached", "warmup_ns", "loop_start_ns", "loop_end_ns", "warm_executions", "warm_ns",
    "unsteady", "other_load", "executions_asked", "executions", "cut_off_ns", "standard_error",
    "energy_j", "instructions", "cycles", "cache_misses",
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
        "pin": job.pin,
        "precision": job.precision,
        "drawn": job.drawn,
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
    timeout_ns = max(1, limit_ns if member.cut_off_ns is None else member.cut_off_ns)
    mean_ns = time_ns = None
    censored = member.status == "timeout"
    if member.status == "ok":
        mean_ns = (sum(covered) + member.more_wall_ns) / count
        time_ns, censored = with_cut_off(mean_ns, count, covered, member.cut_off_ns)
    elif censored:
        time_ns = float(timeout_ns)
    return {
        "status": member.status,
        "reason": member.reason,
        "wall_ns_mean": mean_ns,
        "n_covered": count,
        **_quantiles(covered),
        "lower_bound_ns": timeout_ns if member.status == "timeout" else None,
        "time_ns": time_ns,
        "censored": censored,
        "samples": samples,
        "regime": member.regime or MIXED,
        "cold_samples": [msgspec.structs.asdict(sample) for sample in member.cold_samples],
        "cold_ns": _mean(member.cold_samples, "wall_ns"),
        **{f"cold_{part}_ns": _mean(member.cold_samples, f"{part}_ns") for part in _COLD_PARTS},
        **{name: getattr(member, name) for name in _AS_TOLD},
    }


def _quantiles(wall_ns: Sequence[int]) -> dict[str, float | None]:
    ordered = sorted(wall_ns)
    return {name: quantile_of(ordered, share) if wall_ns else None for name, share in SHARES.items()}


def with_cut_off(
    mean_ns: float, count: int, whole_ns: Sequence[int], cut_off_ns: int | None
) -> tuple[float, bool]:
    """The mean time with the execution that the limit ended, and whether the time is only known to be above it.

    Executions follow each other until the limit ends one of them, and a long one is more likely to be that one: the
    mean of those that came to their end is too small. With n whole ones and one that had run for c, the product-limit
    estimator (Kaplan and Meier; for gaps between recurring events Peña, Strawderman and Hollander, JASA 2001) lets
    the last one count like the whole ones that took longer than c:

        (n · mean + mean of the whole ones longer than c) / (n + 1)

    Where none took longer than c, nothing tells how long it would have been. Then c stands in, and the time is
    censored where that alone moves the mean by more than MATTERS. ``whole_ns`` are the n whole ones, or the first of
    them.
    """
    if cut_off_ns is None:
        return mean_ns, False
    longer = [wall_ns for wall_ns in whole_ns if wall_ns > cut_off_ns]
    last_ns = sum(longer) / len(longer) if longer else cut_off_ns
    time_ns = (count * mean_ns + last_ns) / (count + 1)
    return time_ns, not longer and time_ns > (1 + MATTERS) * mean_ns


def _counted(sample: Sample) -> dict[str, Any]:
    """A warm-up is never ``covered``, so that who selects by that alone takes what counts."""
    row = msgspec.structs.asdict(sample)
    if sample.warm:
        row["covered"] = False
    return row


def _mean(samples: Sequence[ColdSample], part: str) -> float | None:
    told = [value for sample in samples if (value := getattr(sample, part)) is not None]
    return sum(told) / len(told) if told else None
