"""The Parquet shape of a dataset, and how a finished job becomes rows of it.

History: version 1 (2026-11): first.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from harness.records import Entry, State

VERSION = 1

_SAMPLE = pa.struct(
    [
        ("start_ns", pa.int64()),
        ("wall_ns", pa.int64()),
        ("user_ns", pa.int64()),
        ("sys_ns", pa.int64()),
        ("max_rss_kb", pa.int64()),
        ("covered", pa.bool_()),
    ]
)
_STATE = pa.struct(
    [
        ("clock_mhz", pa.float64()),
        ("governor", pa.string()),
        ("temperature_c", pa.float64()),
        ("throttle_count", pa.int64()),
        ("load_1m", pa.float64()),
        ("free_memory_bytes", pa.int64()),
    ]
)

OBSERVATIONS = pa.schema(
    [
        ("job", pa.string()),
        ("purpose", pa.string()),  # measure, startup or anchor
        ("platform", pa.string()),
        ("engine", pa.string()),
        ("device", pa.string()),
        ("workload", pa.string()),
        ("co_runners", pa.list_(pa.string())),  # sorted
        ("n_co_runners", pa.int8()),
        ("status", pa.string()),  # ok, or why there is no time
        ("reason", pa.string()),
        ("wall_ns_mean", pa.float64()),  # over covered samples; null unless ok
        (
            "n_covered",
            pa.int64(),
        ),  # executions in that mean; `samples` keeps at most the first 200 of a co-run
        ("lower_bound_ns", pa.int64()),  # of a censored observation (status timeout)
        ("samples", pa.list_(_SAMPLE)),
        ("compile_ns", pa.int64()),
        ("load_ns", pa.int64()),
        ("cached", pa.bool_()),  # compile_ns was taken from when the artefact was made
        ("warmup_ns", pa.int64()),
        ("loop_start_ns", pa.int64()),
        ("loop_end_ns", pa.int64()),
        ("position", pa.int32()),
        ("repeats", pa.int32()),
        ("limit_s", pa.float64()),
        ("co_run_s", pa.float64()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("state_before", _STATE),
        ("state_after", _STATE),
        ("engine_version", pa.string()),
        ("harness_version", pa.string()),
        ("attempts", pa.int16()),
        ("note", pa.string()),
    ]
)

PLATFORMS = pa.schema(
    [
        ("platform", pa.string()),
        ("engine", pa.string()),
        ("device", pa.string()),
        ("engine_version", pa.string()),
        ("family", pa.string()),
        ("kind", pa.string()),  # compiler, baseline or interpreter
        ("ahead_of_time", pa.bool_()),
        ("wall_contains", pa.string()),  # instance or process
        ("facts", pa.map_(pa.string(), pa.string())),  # as the device told them
        ("features", pa.map_(pa.string(), pa.float64())),  # as imported; null where `facts` says it all
    ]
)

WORKLOADS = pa.schema(
    [
        ("workload", pa.string()),
        ("module_sha256", pa.string()),
        ("identity_sha256", pa.string()),  # of module, argv, stdin and files
        ("module_bytes", pa.int64()),
        ("argv", pa.list_(pa.string())),
        ("opcodes", pa.map_(pa.string(), pa.int64())),  # exact dynamic counts; null where unknown
        (
            "features",
            pa.map_(pa.string(), pa.float64()),
        ),  # ln(1 + count) as imported; null where `opcodes` is there
    ]
)

PLAN = pa.schema(
    [
        ("job", pa.string()),
        ("device", pa.string()),
        ("engine", pa.string()),
        ("workloads", pa.list_(pa.string())),
        ("purpose", pa.string()),
        ("position", pa.int32()),
        ("repeats", pa.int32()),
        ("limit_s", pa.float64()),
        ("co_run_s", pa.float64()),
    ]
)


def rows(entry: Entry) -> list[dict[str, Any]]:
    """One row of OBSERVATIONS for each member of the job."""
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
        "state_before": _state(result.state_before),
        "state_after": _state(result.state_after),
        "engine_version": entry.engine_version,
        "harness_version": entry.harness_version,
        "attempts": entry.attempts,
        "note": result.note,
    }
    found = []
    for index, member in enumerate(result.members):
        covered = [sample.wall_ns for sample in member.samples if sample.covered]
        count = len(covered) + member.more_count
        found.append(
            common
            | {
                "workload": member.workload,
                "co_runners": sorted(job.workloads[:index] + job.workloads[index + 1 :]),
                "status": member.status,
                "reason": member.reason,
                "wall_ns_mean": (sum(covered) + member.more_wall_ns) / count
                if member.status == "ok"
                else None,
                "n_covered": count,
                "lower_bound_ns": round(job.limit_s * 1e9) if member.status == "timeout" else None,
                "samples": [msgspec.to_builtins(msgspec.structs.asdict(sample)) for sample in member.samples],
            }
            | {
                name: getattr(member, name)
                for name in ("compile_ns", "load_ns", "cached", "warmup_ns", "loop_start_ns", "loop_end_ns")
            }
        )
    return found


def _state(state: State) -> dict[str, Any]:
    return msgspec.structs.asdict(state)
