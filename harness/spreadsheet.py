"""A dataset's observations as CSV, one row each, for whatever does not read Parquet."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from harness.dataset import Dataset
from harness.schema import OBSERVATIONS
from harness.show import Column

_STATES = {
    "clock_mhz": "clock", "governor": "governor", "temperature_c": "temperature",
    "throttle_count": "how often the processor was throttled since it started", "load_1m": "load, one minute",
    "free_memory_bytes": "free memory",
}  # fmt: skip
COLUMNS = [
    Column("job", "job", meaning="identity of the job; the members of one job share it"),
    Column(
        "purpose", "purpose", meaning="measure, startup (an empty module) or anchor (repeated to see drift)"
    ),
    Column("platform", "platform", meaning="engine:device"),
    Column("engine", "engine", meaning="the platform's engine"),
    Column("device", "device", meaning="the platform's device"),
    Column("workload", "workload", meaning="suite/size/name"),
    Column("co_runners", "co-runners", meaning="workloads beside it, sorted, separated by ;"),
    Column("n_co_runners", "co-runners", True, "how many they are"),
    Column("status", "status", meaning="ok, or why there is no time"),
    Column("reason", "reason", meaning="what the device said of it"),
    Column("wall_ns_mean", "time", True, "mean over covered samples, ns; empty unless ok"),
    Column("wall_ns_sd", "spread", True, "standard deviation of the kept covered samples, ns"),
    Column("n_covered", "samples", True, "executions in the mean"),
    Column("n_kept", "kept", True, "covered samples kept one by one, at most 200 of a co-run"),
    Column("lower_bound_ns", "lower bound", True, "ns, of a job that ran into its limit"),
    Column("compile_ns", "compiling", True, "ns, apart from the time"),
    Column("load_ns", "loading", True, "ns, apart from the time"),
    Column("cached", "cached", meaning="compile_ns is from when the artefact was made"),
    Column("warmup_ns", "warm-up", True, "ns of the execution before the samples"),
    Column("position", "position", True, "place in the plan"),
    Column("repeats", "repeats", True, "samples asked for"),
    Column("limit_s", "limit", True, "s after which the job ends"),
    Column("co_run_s", "co-run", True, "s that workloads run together"),
    Column("started_at", "started", meaning="UTC"),
    *(
        Column(f"{when}_{key}", key, meaning=f"{what} {when} the job")
        for when in ("before", "after")
        for key, what in _STATES.items()
    ),
    Column("engine_version", "version", meaning="of the engine"),
    Column("harness_version", "harness", meaning="of this program"),
    Column("attempts", "attempts", True, "how often the job was begun"),
    Column("note", "note", meaning="anything else the device said"),
]


def write_csv(dataset: Dataset, file: IO[bytes]) -> int:
    """Write every observation, a file of the dataset at a time; the number of rows."""
    rows = 0
    read = [name for name in OBSERVATIONS.names if name not in ("loop_start_ns", "loop_end_ns")]
    for number, part in enumerate(dataset.parts(read)):
        options = pcsv.WriteOptions(include_header=number == 0, quoting_style="needed")
        pcsv.write_csv(_flat(part), file, options)
        rows += len(part)
    return rows


def _flat(part: pa.Table) -> pa.Table:
    kept, spread = _spread(part["samples"])
    made: dict[str, Any] = {
        "co_runners": pc.binary_join(part["co_runners"], ";"),
        "n_kept": kept,
        "wall_ns_sd": spread,
    }
    for when in ("before", "after"):
        for key in _STATES:
            made[f"{when}_{key}"] = pc.struct_field(part[f"state_{when}"], key)
    names = [column.key for column in COLUMNS]
    return pa.table({name: made[name] if name in made else part[name] for name in names})


def _spread(samples: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Of each observation the number of kept covered samples, and their standard deviation where there are two."""
    lists = samples.combine_chunks()
    parent = pc.list_parent_indices(lists).to_numpy()
    flat = pc.list_flatten(lists)
    covered = pc.struct_field(flat, "covered").to_numpy(zero_copy_only=False).astype(bool)
    parent = parent[covered]
    wall = pc.struct_field(flat, "wall_ns").to_numpy(zero_copy_only=False)[covered].astype(np.float64)
    count = np.bincount(parent, minlength=len(lists))
    mean = np.bincount(parent, wall, len(lists)) / np.maximum(count, 1)
    squares = np.bincount(parent, (wall - mean[parent]) ** 2, len(lists))
    spread = np.sqrt(squares / np.maximum(count - 1, 1))
    return pa.array(count), pa.array(spread, mask=count < 2)
