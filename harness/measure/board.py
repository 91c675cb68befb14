"""How a collection stands, kept up to date at the cost of what is new: what `status --devices` and `watch` show.

All that is remembered is as large as the plan: a number per job of it, a cell per platform and workload, and the last
few jobs of each device. However long one watches, it does not grow.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.changes import Changes
from harness.dataset.ends import UNFIT
from harness.dataset.now import Now, read_now
from harness.dataset.store import Dataset
from harness.measure.vitals import Vitals
from pitot_core.keys import hashed

COLUMNS = (
    "job", "purpose", "platform", "device", "workload", "n_co_runners", "status", "time_ns", "started_at", "attempt",
    "state_after",
)  # fmt: skip
# What a cell of the map shows, the worst news first; a later one takes the place of an earlier one.
CELLS = ("not planned", "left to do", "failed", "measured beside others", "measured alone")
UNPLANNED, LEFT, FAILED, BESIDE, ALONE = range(len(CELLS))


class Board:
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.version = 0  # rises with every look that found something new
        self.plans = 0  # how often the plan was read
        self.now: Now | None = None
        self._plan_stamp: tuple[int, int] | None = (-1, -1)
        self._begin()

    def look(self) -> bool:
        """Take in what is new; whether anything is. Raises DatasetError."""
        stamp = self._stamp()
        anew = stamp != self._plan_stamp
        if anew:
            self._plan_stamp = stamp
            self._begin()
        now = read_now(self.dataset.root)
        changed = anew or now != self.now
        self.now = now
        self.version += 1
        for part in self._changes.fresh():
            changed |= bool(len(part))
            self._add(part)
        self.vitals.settle()
        return changed

    def done(self, device: int) -> int:
        mine = self._status[self._device == device]
        return int(np.count_nonzero((mine >= 0) & (mine != self._code(UNFIT))))

    def planned(self, device: int) -> int:
        return int(np.count_nonzero(self._device == device))

    def failures(self, device: int) -> Counter[str]:
        """Jobs of the plan by the status with which they failed."""
        codes = np.bincount(self._status[(self._device == device) & (self._status >= 0)])
        return Counter({self._statuses[k]: int(n) for k, n in enumerate(codes) if n and k})

    def _begin(self) -> None:
        """Read the plan, and all observations again at the next look."""
        self.plans += 1
        plan = self.dataset.planned()
        plan = plan.take(pc.sort_indices(pa.array(hashed(plan["job"])))) if len(plan) else plan
        self._jobs = hashed(plan["job"])
        on = pc.binary_join_element_wise(plan["engine"], plan["device"], ":")
        proper = pc.equal(plan["purpose"], "measure")
        self.devices: list[str] = sorted(plan["device"].unique().to_pylist())
        self.platforms: list[str] = sorted(on.unique().to_pylist())
        self.workloads: list[str] = sorted(
            pc.list_flatten(plan["workloads"].filter(proper)).unique().to_pylist()
        )
        self._device = _numbers(plan["device"], self.devices)
        self._status = np.full(len(plan), -1, np.int16)  # of each job: none yet, 0 for ok, or how it failed
        self._attempt = np.zeros(len(plan), np.int16)
        self._statuses = ["ok"]
        shape = len(self.platforms), len(self.workloads)
        self.cells = np.full(shape, UNPLANNED, np.int8)
        self.changed = np.full(shape, self.version, np.int64)  # at which version each cell last did
        asked = plan.filter(proper)
        counts = pc.list_value_length(asked["workloads"]).to_numpy()
        rows = np.repeat(_numbers(on.filter(proper), self.platforms), counts)
        self.cells[rows, _numbers(pc.list_flatten(asked["workloads"]), self.workloads)] = LEFT
        self.vitals = Vitals()
        self._changes = Changes(self.dataset, COLUMNS)

    def _add(self, part: pa.Table) -> None:
        self.vitals.add(part)
        coded = part["status"].combine_chunks().dictionary_encode()
        texts = np.array([self._code(text) for text in coded.dictionary.to_pylist()], np.int16)
        status = texts[coded.indices.to_numpy()] if len(part) else np.zeros(0, np.int16)
        self._add_jobs(hashed(part["job"]), part["attempt"].to_numpy(), status)
        if not len(self.workloads):
            return
        platform = _numbers(part["platform"], self.platforms)
        workload = _numbers(part["workload"], self.workloads)
        proper = pc.equal(part["purpose"], "measure").to_numpy().astype(bool)
        known = proper & (platform >= 0) & (workload >= 0) & (status != self._code(UNFIT))
        alone = part["n_co_runners"].to_numpy() == 0
        told = np.where(status != 0, FAILED, np.where(alone, ALONE, BESIDE)).astype(np.int8)
        at = platform[known], workload[known]
        before = self.cells[at]
        np.maximum.at(self.cells, at, told[known])
        self.changed[at] = np.where(self.cells[at] != before, self.version, self.changed[at])

    def _add_jobs(self, jobs: Any, attempt: Any, status: Any) -> None:
        """Of each job of the plan keep the newest attempt, and of its members the one that failed."""
        if not len(self._jobs):
            return
        place = np.searchsorted(self._jobs, jobs).clip(max=len(self._jobs) - 1)
        mine = self._jobs[place] == jobs
        for number in np.unique(attempt[mine]):
            at = place[mine & (attempt == number)]
            code = status[mine & (attempt == number)]
            newer = at[self._attempt[at] < number]
            self._status[newer], self._attempt[newer] = -1, number
            same = self._attempt[at] == number
            np.maximum.at(self._status, at[same], code[same])

    def _code(self, status: str) -> int:
        if status not in self._statuses:
            self._statuses.append(status)
        return self._statuses.index(status)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            told = (self.dataset.root / "plan.parquet").stat()
        except FileNotFoundError:
            return None
        return told.st_ino, told.st_mtime_ns


def _numbers(column: pa.ChunkedArray, names: list[str]) -> Any:
    """(n,) the place of each text among the names, −1 where it is not there."""
    found = pc.index_in(column, pa.array(names, pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)
