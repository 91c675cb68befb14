"""The rows of a dataset as whole numbers, a part at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import DatasetError
from pitot_core import MAX_CO_RUNNERS, Observations
from pitot_core.keys import numbers_of_jobs

COLUMNS = [
    "job",
    "purpose",
    "platform",
    "workload",
    "co_runners",
    "n_co_runners",
    "status",
    "time_ns",
    "censored",
    "drawn",
    "state_before.yardstick_ns",
    "state_after.yardstick_ns",
]


class Numbered:
    """Rows to learn from by the numbers of everything described, which is sorted by name."""

    def __init__(self, root: Path, platforms: Iterable[str], workloads: Iterable[str]) -> None:
        self._root = root
        self._platforms, self._workloads = sorted(platforms), sorted(workloads)

    def rows(self, part: pa.Table) -> Observations:
        """Those of a table with COLUMNS."""
        status = pc.is_in(part["status"], pa.array(["ok", "timeout"]))
        wanted = pc.and_(pc.and_(status, pc.equal(part["purpose"], "measure")), part["time_ns"].is_valid())
        table = part
        if not pc.all(wanted).as_py():
            table = table.filter(wanted)
        return Observations.of(
            platform=_known(self._root, "platform", table["platform"], self._platforms),
            workload=_known(self._root, "workload", table["workload"], self._workloads),
            co_runners=_co_runners(self._root, table, self._workloads),
            log_ns=np.log(table["time_ns"].to_numpy()),
            censored=table["censored"].to_numpy(),
            chosen=pc.fill_null(pc.equal(table["drawn"], "chosen"), False).to_numpy(),
            job=numbers_of_jobs(table["job"]),
            pace=_log_yardstick(table),
        )


def _log_yardstick(table: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(N,) ln ns that fixed work took, mean of before and after the job; 0 where neither is known (or is 0)."""
    told = [
        np.log(np.maximum(pc.fill_null(pc.struct_field(table[when], "yardstick_ns"), 1).to_numpy(), 1))
        for when in ("state_before", "state_after")
    ]
    known = np.sum([one > 0 for one in told], axis=0)
    return np.asarray(np.sum(told, axis=0) / np.maximum(known, 1))


def _known(root: Path, kind: str, column: Any, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The number of each name. Raises DatasetError for a name that is not described."""
    places = pc.index_in(column, pa.array(names, pa.string()))
    if places.null_count:
        missing = sorted(column.filter(places.is_null()).unique().to_pylist())
        raise DatasetError(
            f"{root}: {kind} {missing[0]} is observed but not in {kind}s.parquet; "
            f"where datasets were merged, copy that table of the other one here too, as {kind}s-2.parquet."
        )
    found: np.ndarray[Any, np.dtype[np.int32]] = places.to_numpy()
    return found


def _co_runners(root: Path, table: Any, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """(N, 3) workload numbers, −1 where there is none."""
    counts = table["n_co_runners"].to_numpy()
    flat = _known(root, "workload", pc.list_flatten(table["co_runners"]), names)
    if len(flat) != counts.sum() or counts.max(initial=0) > MAX_CO_RUNNERS:
        raise DatasetError(
            "n_co_runners does not agree with co_runners; the observations are damaged; restore them from a copy."
        )
    numbers = np.full((len(table), MAX_CO_RUNNERS), -1, np.int32)
    row = np.repeat(np.arange(len(table)), counts)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers[row, place] = flat
    return numbers
