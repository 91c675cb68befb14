"""The Parquet shape of a dataset, and what each column means.

`python -m harness.dataset.schema_page` writes docs/dataset.md from it. History: see HISTORY.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

VERSION = 2
OLDEST = 1  # the oldest version that is still read
HISTORY = {
    1: "2026-11: first",
    2: "2026-11: regime, warm-up executions, cold starts, executions asked, made and cut off, status "
    "`device_unfit` and `out_of_memory`, memory a workload needs, median and 95th percentile, attempts that supersede "
    "earlier ones; read from version 1: what it lacks is null, `regime` is `process` or `mixed`, `attempt` is 1",
}


@dataclass(frozen=True)
class Field:
    """A column: what it means, with its unit, and when it is null (never, where that is empty)."""

    name: str
    type: pa.DataType
    meaning: str
    null: str = ""


def arrow(fields: Sequence[Field]) -> pa.Schema:
    """The columns of a file."""
    return pa.schema([(field.name, field.type) for field in fields])


_TEXT, _INTEGER, _NUMBER, _YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_UNTOLD = "where the device does not tell it"
_IMPORTED = "imported"
_NO_SAMPLES = "imported, or where no sample is covered"
_NOT_RUN = "imported, or where it did not come so far"
_IMPORTED_OR_1 = "imported, from before version 2"
_BEFORE_2 = f"{_IMPORTED_OR_1}, or where it did not come so far"
_COLD = "imported, or where no cold start was measured"
_COLD_PART = f"{_COLD}, or the engine does not tell it apart"
_NO_COUNTS = f"{_IMPORTED_OR_1}, or where the device does not count or allow it"
_NO_ENERGY = f"{_IMPORTED_OR_1}, beside others, or where the device does not measure or allow it"
_UNSPLIT = "where the engine does not tell it apart"

SAMPLE_FIELDS = [
    Field("start_ns", _INTEGER, "when it began, ns of the device's monotonic clock"),
    Field("wall_ns", _INTEGER, "how long it took, ns; what that contains is `wall_contains` of the platform"),
    Field("user_ns", _INTEGER, "processor time of its own, ns"),
    Field("sys_ns", _INTEGER, "processor time in the kernel, ns"),
    Field("max_rss_kb", _INTEGER, "the engine's most memory so far, kB"),
    Field(
        "covered",
        _YES,
        "it counts: all co-runners ran from its start to its end; false for warm-ups, else always true alone",
    ),
    Field("warm", _YES, "executed to warm up: kept, so that another rule can be applied, but in no mean"),
]
COLD_FIELDS = [
    Field("wall_ns", _INTEGER, "starting a new runner up to the end of its first execution, ns"),
    Field("load_ns", _INTEGER, "of that compiling, or reading what was compiled before, ns", _UNSPLIT),
    Field("instantiate_ns", _INTEGER, "of that instantiating the module, ns", _UNSPLIT),
    Field("first_ns", _INTEGER, "of that the first execution, ns", _UNSPLIT),
]
STATE_FIELDS = [
    Field("clock_mhz", _NUMBER, "clock of the first processor, MHz", _UNTOLD),
    Field("governor", _TEXT, "what sets that clock", _UNTOLD),
    Field("temperature_c", _NUMBER, "of the hottest sensor, °C", _UNTOLD),
    Field("throttle_count", _INTEGER, "how often the processors were throttled since they started", _UNTOLD),
    Field("load_1m", _NUMBER, "processes that wanted to run, mean of the last minute", _UNTOLD),
    Field("free_memory_bytes", _INTEGER, "memory that was available, bytes", _UNTOLD),
    Field(
        "quota_throttled", _INTEGER, "how often a CPU quota has stopped the agent's control group", _UNTOLD
    ),
    Field(
        "steal_s",
        _NUMBER,
        "time that a hypervisor gave to others since the start, s, all processors",
        _UNTOLD,
    ),
    Field(
        "yardstick_ns",
        _INTEGER,
        "the same small work each time, mean over its processors (see measuring.md), ns",
        _UNTOLD,
    ),
]
_SAMPLE = pa.struct([(field.name, field.type) for field in SAMPLE_FIELDS])
_COLD_SAMPLE = pa.struct([(field.name, field.type) for field in COLD_FIELDS])
_STATE = pa.struct([(field.name, field.type) for field in STATE_FIELDS])

OBSERVATION_FIELDS = [
    Field("job", _TEXT, "identity of the job; the members of one job share it"),
    Field(
        "purpose",
        _TEXT,
        "`measure`, `startup` (an empty module), `anchor` (repeated to see drift), `placebo` (its slowdown is known), "
        "`cold` (started anew each time) or `place` (a placement that was run; not trained on)",
    ),
    Field("platform", _TEXT, "engine:device"),
    Field("engine", _TEXT, "the platform's engine"),
    Field("device", _TEXT, "the platform's device"),
    Field("workload", _TEXT, "suite/size/name"),
    Field("co_runners", pa.list_(_TEXT), "workloads beside it, sorted"),
    Field("n_co_runners", pa.int8(), "how many they are, 0 to 3"),
    Field("status", _TEXT, "`ok`, or why there is no time (see measuring.md)"),
    Field("reason", _TEXT, "what the device said of it; empty where `status` is `ok`", _IMPORTED),
    Field("wall_ns_mean", _NUMBER, "mean time over covered samples, ns", "unless `status` is `ok`"),
    Field(
        "n_covered",
        _INTEGER,
        "executions in that mean; `samples` keeps the first 200 of a co-run, the mean has all",
        _IMPORTED,
    ),
    Field("wall_ns_median", _NUMBER, "half of the covered samples take no longer than this, ns", _NO_SAMPLES),
    Field("wall_ns_p95", _NUMBER, "95 of 100 covered samples take no longer than this, ns", _NO_SAMPLES),
    Field(
        "lower_bound_ns",
        _INTEGER,
        "a censored observation: the time is longer than this, ns",
        "unless `status` is `timeout`",
    ),
    Field(
        "time_ns",
        _NUMBER,
        "what to reckon with: the mean time where an execution that the limit ended counts like those that took "
        "longer than it had (see measuring.md), ns",
        "unless `status` is `ok` or `timeout`",
    ),
    Field("censored", _YES, "the time is only known to be more than `time_ns`: always of a `timeout`"),
    Field("samples", pa.list_(_SAMPLE), "each execution: the fields below", _IMPORTED),
    Field("compile_ns", _INTEGER, "compiling the module, ns", f"{_NOT_RUN}, or each execution compiles anew"),
    Field("load_ns", _INTEGER, "reading what was compiled before, ns", _NOT_RUN),
    Field("cached", _YES, "`compile_ns` was taken from when the artefact was made", _NOT_RUN),
    Field("warmup_ns", _INTEGER, "the first execution, kept apart, ns", _NOT_RUN),
    Field("loop_start_ns", _INTEGER, "when its first sample began, ns of the monotonic clock", _NOT_RUN),
    Field("loop_end_ns", _INTEGER, "until when it surely ran, ns of the monotonic clock", _NOT_RUN),
    Field(
        "regime",
        _TEXT,
        "what a sample is: `steady` (after warm-ups in a resident engine), `process` (each in a new process) or "
        "`mixed` (from before version 2: alone it holds warm-ups that it does not hold together)",
    ),
    Field("warm_executions", _INTEGER, "executions to warm up, before the samples", _BEFORE_2),
    Field("warm_ns", _INTEGER, "how long those took together, ns", _BEFORE_2),
    Field(
        "unsteady",
        _TEXT,
        "why its times do not belong to one steady state, with numbers",
        f"{_IMPORTED_OR_1}, or steady",
    ),
    Field(
        "other_load",
        _NUMBER,
        "processors that were used meanwhile by other programs, or taken away by a hypervisor, on average",
        f"{_IMPORTED_OR_1}, or where the kernel does not tell",
    ),
    Field("executions_asked", _INTEGER, "whole executions that would have been enough", _BEFORE_2),
    Field("executions", _INTEGER, "whole executions that were made, without warm-ups", _BEFORE_2),
    Field(
        "cut_off_ns",
        _INTEGER,
        "a censored sample: how long the execution had run that the limit ended, ns",
        f"{_IMPORTED_OR_1}, or where the limit ended none",
    ),
    Field(
        "standard_error",
        _NUMBER,
        "of `wall_ns_mean`, as a share of it, from means of blocks (see measuring.md)",
        f"{_IMPORTED_OR_1}, or with fewer than five executions in that mean",
    ),
    Field(
        "energy_j",
        _NUMBER,
        "energy of the processor packages per execution, with what else ran there, J (see measuring.md)",
        _NO_ENERGY,
    ),
    Field(
        "instructions",
        _NUMBER,
        "that the processors completed per execution, outside of the kernel",
        _NO_COUNTS,
    ),
    Field("cycles", _NUMBER, "that they took for them", _NO_COUNTS),
    Field("cache_misses", _NUMBER, "of their last cache, per execution", _NO_COUNTS),
    Field("cold_ns", _NUMBER, "mean of a start in a new runner to the end of its first execution, ns", _COLD),
    Field("cold_load_ns", _NUMBER, "of that compiling or reading, mean, ns", _COLD_PART),
    Field("cold_instantiate_ns", _NUMBER, "of that instantiating, mean, ns", _COLD_PART),
    Field("cold_first_ns", _NUMBER, "of that the first execution, mean, ns", _COLD_PART),
    Field(
        "cold_samples",
        pa.list_(_COLD_SAMPLE),
        "each such start: the fields below",
        "imported, or from before version 2",
    ),
    Field("position", pa.int32(), "tells repetitions of a job apart: round, or start and end", _IMPORTED),
    Field("repeats", pa.int32(), "samples that were asked for", _IMPORTED),
    Field("limit_s", _NUMBER, "after which the job ends, s"),
    Field("co_run_s", _NUMBER, "how long workloads run together at least, s", _IMPORTED),
    Field(
        "pin",
        _TEXT,
        "`one`: all members of the job were held to one processor; `each`: each to one of its own",
        f"{_IMPORTED}, or where they were not, as in most jobs",
    ),
    Field(
        "precision",
        _NUMBER,
        "the job was to end once no `standard_error` of its members was above this",
        f"{_IMPORTED}, or where all executions asked for were to be made",
    ),
    Field(
        "drawn",
        _TEXT,
        "how an adaptive collection came to this job: `random` (only such jobs test and calibrate) or `chosen`",
        f"{_IMPORTED}, or where the whole plan was to be measured",
    ),
    Field("started_at", pa.timestamp("us", tz="UTC"), "by the device's clock, UTC", _IMPORTED),
    Field("state_before", _STATE, "the device before the job: the fields below", _IMPORTED),
    Field("state_after", _STATE, "and after it", _IMPORTED),
    Field("engine_version", _TEXT, "of the engine", _IMPORTED),
    Field("harness_version", _TEXT, "of this program", _IMPORTED),
    Field("attempts", pa.int16(), "how often the job was begun until this end of it", _IMPORTED),
    Field(
        "attempt",
        pa.int16(),
        "which end of the job this is, from 1: only the highest one counts, of those without `device_unfit` first",
    ),
    Field("note", _TEXT, "what else the device said, such as how long it waited to be cool", _IMPORTED),
]
OBSERVATIONS = arrow(OBSERVATION_FIELDS)

PLATFORM_FIELDS = [
    Field("platform", _TEXT, "engine:device"),
    Field("engine", _TEXT, "a WebAssembly implementation in one mode"),
    Field("device", _TEXT, "a machine, as devices.yaml names it"),
    Field("engine_version", _TEXT, "as the engine tells it", _IMPORTED),
    Field("family", _TEXT, "what engines of one code base share, such as `wasmtime`", _IMPORTED),
    Field("kind", _TEXT, "`compiler`, `baseline` or `interpreter`", _IMPORTED),
    Field("ahead_of_time", _YES, "it runs what was compiled before", _IMPORTED),
    Field("wall_contains", _TEXT, "what `wall_ns` is: `instance` or `process` (see measuring.md)"),
    Field("facts", pa.map_(_TEXT, _TEXT), "what the device told of itself, as text", _IMPORTED),
    Field(
        "features", pa.map_(_TEXT, _NUMBER), "of the model, by name", "unless imported: `facts` says it all"
    ),
]
PLATFORMS = arrow(PLATFORM_FIELDS)

WORKLOAD_FIELDS = [
    Field("workload", _TEXT, "suite/size/name"),
    Field("module_sha256", _TEXT, "of the module", _IMPORTED),
    Field("identity_sha256", _TEXT, "of module, argv, stdin and files", _IMPORTED),
    Field("module_bytes", _INTEGER, "size of the module, bytes", _IMPORTED),
    Field("argv", pa.list_(_TEXT), "its arguments, the name first", _IMPORTED),
    Field("opcodes", pa.map_(_TEXT, _INTEGER), "how often each opcode is executed, exactly", _IMPORTED),
    Field(
        "memory_bytes", _INTEGER, "the most linear memory it has, bytes, where nothing limits it", _IMPORTED
    ),
    Field(
        "features",
        pa.map_(_TEXT, _NUMBER),
        "ln(1 + count) by `xHH`",
        "unless imported: `opcodes` says it all",
    ),
]
WORKLOADS = arrow(WORKLOAD_FIELDS)

PLAN_FIELDS = [
    Field("job", _TEXT, "identity: a hash of what defines it"),
    Field("device", _TEXT, "where"),
    Field("engine", _TEXT, "under what"),
    Field("workloads", pa.list_(_TEXT), "one to four together"),
    Field("purpose", _TEXT, "as in observations"),
    Field("position", pa.int32(), "as in observations"),
    Field("repeats", pa.int32(), "samples asked for"),
    Field("limit_s", _NUMBER, "after which the job ends, s"),
    Field("co_run_s", _NUMBER, "how long is measured at least, s"),
    Field("pin", _TEXT, "as in observations", "as the device's file says"),
    Field("precision", _NUMBER, "as in observations", "where all executions asked for are to be made"),
    Field("drawn", _TEXT, "as in observations", "where the whole plan is to be measured"),
]
PLAN = arrow(PLAN_FIELDS)
