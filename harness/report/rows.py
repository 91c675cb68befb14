"""A dataset's observations as arrays: names once, a number per row. Nothing here is a loop over rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.peaks import PEAK, peak_kb
from harness.dataset.store import Dataset
from pitot_core import MAX_CO_RUNNERS

Array = NDArray[Any]

COLUMNS = (
    "job", "purpose", "platform", "workload", "co_runners", "n_co_runners", "status", "reason", "time_ns",
    "censored",
    "position", "compile_ns", "limit_s", "started_at", "state_before", "state_after", "harness_version", "note",
    "regime", "unsteady", "wall_ns_mean", "wall_ns_median", "wall_ns_p95",
)  # fmt: skip
SAMPLES = (*(f"samples.list.element.{name}" for name in ("wall_ns", "covered")), PEAK)
FEWEST = 5  # with fewer samples no spread is computed


@dataclass(frozen=True)
class Rows:
    """N observations. Numbers refer to the lists of names; times are ns, NaN where there is none.

    spread is the standard deviation of the covered samples over their mean, samples their number; max_rss_kb is the
    most of any sample.
    """

    platforms: list[str]
    workloads: list[str]
    statuses: list[str]
    platform: NDArray[np.int32]
    workload: NDArray[np.int32]
    co_runners: NDArray[np.int32]  # (N, 3), −1 where there is none
    n_co_runners: NDArray[np.int64]
    status: NDArray[np.int32]
    purpose: Array  # array of str
    job: NDArray[np.int32]
    position: NDArray[np.int64]
    time_ns: NDArray[np.float64]
    censored: NDArray[np.bool_]  # the time is only known to be above a limit
    spread: NDArray[np.float64]
    samples: NDArray[np.int64]
    max_rss_kb: NDArray[np.float64]
    asked: NDArray[np.bool_]  # (W,) workloads of the plan proper, not the empty one of start-up
    table: pa.Table  # tables that are read only when a section needs them

    def __len__(self) -> int:
        return len(self.platform)

    @cached_property
    def ended_well(self) -> NDArray[np.bool_]:
        code = self.statuses.index("ok") if "ok" in self.statuses else -1
        return np.asarray(self.status == code)

    @cached_property
    def ok(self) -> NDArray[np.bool_]:
        """Ended well and with a time: not those of which the limit ended an execution longer than all whole ones."""
        return np.asarray(self.ended_well & ~self.censored)

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Finished observations of the plan proper: no start-up, no anchors."""
        return np.asarray(self.ok & (self.purpose == "measure"))

    @cached_property
    def alone(self) -> NDArray[np.float64]:
        """(P, W) geometric mean time in ns of each workload alone, NaN where it was not measured."""
        rows = self.measured & (self.n_co_runners == 0)
        return np.asarray(np.exp(self.mean_by(np.log(self.time_ns), rows)))

    def mean_by(self, values: Array, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(P, W) means of values over chosen rows, NaN where there is none."""
        shape = len(self.platforms), len(self.workloads)
        cell = self.platform[rows].astype(np.int64) * shape[1] + self.workload[rows]
        count = np.bincount(cell, minlength=shape[0] * shape[1])
        total = np.bincount(cell, values[rows], minlength=shape[0] * shape[1])
        mean = np.divide(total, count, where=count > 0, out=np.full(len(count), np.nan))
        return np.asarray(mean.reshape(shape), np.float64)

    @cached_property
    def slowdown(self) -> NDArray[np.float64]:
        """(N,) time over the time alone on the same platform; NaN for what ran alone or has no such time."""
        base = self.alone[self.platform, self.workload]
        return np.where(self.measured & (self.n_co_runners > 0), self.time_ns / base, np.nan)

    @cached_property
    def states(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """(N,) values of ``state_before`` and ``state_after`` by ("before" or "after", name); NaN where the
        device does not report one.
        """
        return {
            (when, name): pc.cast(
                pc.struct_field(self.table[f"state_{when}"], name), pa.float64(), safe=False
            ).to_numpy()
            for when in ("before", "after")
            for name in (
                "clock_mhz",
                "temperature_c",
                "throttle_count",
                "load_1m",
                "quota_throttled",
                "steal_s",
                "yardstick_ns",
            )
        }

    @cached_property
    def pace(self) -> NDArray[np.float64]:
        """(N,) how long fixed work took after the job, over the least that it ever took on that device; NaN untold."""
        before, after = (self.states[when, "yardstick_ns"] for when in ("before", "after"))
        devices = np.unique([self.device(p) for p in range(len(self.platforms))], return_inverse=True)[1]
        least = np.full(len(self.platforms), np.inf)
        np.fmin.at(least, devices[self.platform], np.fmin(before, after))
        return np.asarray(after / least[devices[self.platform]], np.float64)

    @cached_property
    def tail(self) -> NDArray[np.float64]:
        """(N,) the 95th percentile of the covered samples over their median; NaN where there are none."""
        p95, median = (
            pc.fill_null(self.table[f"wall_ns_{name}"], np.nan).to_numpy() for name in ("p95", "median")
        )
        return np.asarray(p95 / median, np.float64)

    def texts(self, name: str, rows: Array) -> list[str | None]:
        found: list[str | None] = self.table[name].take(pa.array(rows)).to_pylist()
        return found

    def device(self, platform: int) -> str:
        return self.platforms[platform].partition(":")[2]


def load_rows(dataset: Dataset) -> Rows:
    """All observations of a dataset. Raises DatasetError."""
    tables, spreads, peaks = [], [], []
    for part in dataset.parts([*COLUMNS, *SAMPLES]):
        spreads.append(_spread(part["samples"]))
        peaks.append(peak_kb(part["samples"]))
        tables.append(part.select(list(COLUMNS)))
    table = pa.concat_tables(tables)
    planned = dataset.planned()
    planned_on = pc.binary_join_element_wise(planned["engine"], planned["device"], ":")
    platforms = _names(table["platform"], planned_on)
    workloads = _names(
        table["workload"], pc.list_flatten(table["co_runners"]), pc.list_flatten(planned["workloads"])
    )
    statuses, jobs = _names(table["status"]), table["job"].unique()
    purpose = pc.fill_null(table["purpose"], "").to_numpy().astype(str)
    workload, co_runners = _numbers(table["workload"], workloads), _co_runners(table, workloads)
    proper = planned.filter(pc.equal(planned["purpose"], "measure"))
    asked = np.isin(np.arange(len(workloads)), _numbers(pc.list_flatten(proper["workloads"]), workloads))
    asked[workload[purpose == "measure"]] = True
    beside = co_runners[purpose == "measure"]
    asked[beside[beside >= 0]] = True
    censored = table["censored"].to_numpy()
    time_ns = np.where(censored, np.nan, pc.fill_null(table["time_ns"], float("nan")).to_numpy())
    return Rows(
        platforms, workloads, statuses,
        platform=_numbers(table["platform"], platforms),
        workload=workload,
        co_runners=co_runners,
        n_co_runners=table["n_co_runners"].to_numpy().astype(np.int64),
        status=_numbers(table["status"], statuses),
        purpose=purpose,
        job=np.asarray(pc.index_in(table["job"], jobs).to_numpy(), np.int32),
        position=pc.fill_null(table["position"], 0).to_numpy().astype(np.int64),
        time_ns=time_ns,
        censored=censored,
        spread=np.concatenate([spread for spread, _ in spreads]),
        samples=np.concatenate([count for _, count in spreads]),
        max_rss_kb=np.concatenate(peaks),
        asked=asked,
        table=table,
    )  # fmt: skip


def suite(workload: str) -> str:
    """The suite of a workload: what stands before the first slash, or colon in some published names."""
    return re.split("[/:]", workload, maxsplit=1)[0]


def natural(name: str) -> list[Any]:
    """A key that puts hc-9 before hc-10."""
    return [int(word) if word.isdecimal() else word for word in re.split(r"(\d+)", name)]


def geometric(values: Array) -> float:
    """Geometric mean; NaN of an empty array."""
    known = values[~np.isnan(values)]
    return float(np.exp(np.log(known).mean())) if len(known) else float("nan")


def _names(*columns: Any) -> list[str]:
    return sorted({name for column in columns for name in column.unique().to_pylist()}, key=natural)


def _numbers(column: Any, names: list[str]) -> NDArray[np.int32]:
    return np.asarray(pc.index_in(column, pa.array(names, pa.string())).to_numpy(), np.int32)


def _co_runners(table: pa.Table, names: list[str]) -> NDArray[np.int32]:
    """(N, 3) workload numbers, −1 where there is none; at most three of a row are taken."""
    column = table["co_runners"].combine_chunks()
    row = pc.list_parent_indices(column).to_numpy()
    found = np.full((len(table), MAX_CO_RUNNERS), -1, np.int32)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < MAX_CO_RUNNERS
    found[row[kept], place[kept]] = _numbers(pc.list_flatten(column), names)[kept]
    return found


def _spread(samples: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(n,) standard deviation of the covered samples over their mean, NaN with fewer than FEWEST; and their number."""
    column = samples.combine_chunks()
    row, flat = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
    covered = pc.fill_null(pc.struct_field(flat, "covered"), False).to_numpy(zero_copy_only=False)
    wall = pc.fill_null(pc.struct_field(flat, "wall_ns"), 0).to_numpy().astype(np.float64)[covered]
    row = row[covered]
    count = np.bincount(row, minlength=len(column))
    enough = count >= FEWEST
    mean = np.bincount(row, wall, len(column)) / np.maximum(count, 1)
    square = np.bincount(row, (wall - mean[row]) ** 2, len(column)) / np.maximum(count - 1, 1)
    spread = np.where(enough & (mean > 0), np.sqrt(square) / np.where(mean > 0, mean, 1.0), np.nan)
    return spread, count
