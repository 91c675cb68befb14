"""A dataset's observations as CSV, one row each, for whatever does not read Parquet."""

from __future__ import annotations

from collections.abc import Callable
from io import RawIOBase
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from harness.dataset.schema import OBSERVATION_FIELDS, OBSERVATIONS, STATE_FIELDS, Field
from harness.dataset.store import Dataset
from harness.output import Column

_LEFT_OUT = ("loop_start_ns", "loop_end_ns", "cold_samples")
_MADE = {
    "wall_ns_sd": Column("wall_ns_sd", "spread", True, "standard deviation of the kept covered samples, ns"),
    "n_kept": Column("n_kept", "kept", True, "covered samples kept one by one, at most 200 of a co-run"),
}
_STATES = [field.name for field in STATE_FIELDS]


def _columns() -> list[Column]:
    """Those of the schema: a state's fields with the time they are of, and samples by number and spread."""
    found: list[Column] = []
    for field in OBSERVATION_FIELDS:
        if field.name.startswith("state_"):
            when = field.name.removeprefix("state_")
            found += [
                Column(f"{when}_{part.name}", part.name, _number(part), f"{when} the job: {part.meaning}")
                for part in STATE_FIELDS
            ]
        elif field.name not in (*_LEFT_OUT, "samples"):
            found.append(Column(field.name, field.name, _number(field), field.meaning))
            found += {"wall_ns_mean": [_MADE["wall_ns_sd"]], "n_covered": [_MADE["n_kept"]]}.get(
                field.name, []
            )
    return found


def _number(field: Field) -> bool:
    return bool(pa.types.is_integer(field.type) or pa.types.is_floating(field.type))


COLUMNS = _columns()


def write_csv(
    dataset: Dataset, file: IO[bytes] | RawIOBase, at: Callable[[int, int], None] | None = None
) -> int:
    """Write every observation, a file of the dataset at a time; the number of rows.

    ``at`` is told how many are written, of a number that is not known (0).
    """
    rows = 0
    read = [name for name in OBSERVATIONS.names if name not in _LEFT_OUT]
    for number, part in enumerate(dataset.parts(read)):
        options = pcsv.WriteOptions(include_header=number == 0, quoting_style="needed")
        pcsv.write_csv(_flat(part), file, options)
        rows += len(part)
        if at:
            at(rows, 0)
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
