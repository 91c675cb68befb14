"""What is done, failed and left of a collection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.ends import UNFIT
from harness.dataset.regimes import Regimes
from harness.dataset.store import Dataset
from harness.output import Column
from pitot_core.keys import hashed

COLUMNS = (
    "job", "platform", "workload", "n_co_runners", "status", "censored", "unsteady", "regime", "wall_ns_median",
    "wall_ns_p95",
)  # fmt: skip
CUT_OFF = "cut off"  # ended well, but the limit ended an execution longer than all whole ones

STATUS_COLUMNS = [
    Column("platform", "platform", meaning="engine:device"),
    Column("planned", "jobs", True, "jobs of the last collection"),
    Column("done", "done", True, "jobs that ended, well or not"),
    Column("left", "left", True, "jobs of the last collection still to do"),
    Column("observations", "observations", True, "rows, one a workload in a job"),
    Column("failed", "failed", True, "rows without a time"),
    Column("reasons", "reasons", meaning="how many of which status, and how many were cut off by the limit"),
    Column("unsteady", "unsteady", True, "rows with a time whose executions are not of one steady state"),
    Column(
        "tail",
        "p95/median",
        True,
        "p95 of samples over their median; half of the rows alone have more",
    ),
    Column("coverage", "workloads seen", meaning="workloads with a time, of all planned or seen"),
]


def status_rows(dataset: Dataset, said: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """A row per platform, planned or observed; ``said`` is told of rows measured by the rule of before."""
    seen = dataset.snapshot().counted(COLUMNS, _Seen)
    if old := seen.regimes.told():
        said(old)
    pa.default_memory_pool().release_unused()  # before the plan takes as much again
    planned, left, asked = Counter[str](), Counter[str](), set[str]()
    jobs, places, where = [], dict[str, int](), []
    for part in dataset.planned_parts(["job", "device", "engine", "workloads"]):
        on = pc.binary_join_element_wise(part["engine"], part["device"], ":")
        where.append(_renumbered(*_coded(on), places))
        jobs.append(hashed(part["job"]))
        asked.update(pc.list_flatten(part["workloads"]).unique().to_pylist())
    place, ended = np.concatenate(where), seen.ended(np.concatenate(jobs))
    for jobs_of, here in ((planned, place), (left, place[~ended])):
        jobs_of.update(dict(zip(places, np.bincount(here, minlength=len(places)).tolist(), strict=True)))
    done, timed = seen.done(), seen.timed()
    rows = []
    for platform in sorted({*seen.counts, *planned}):
        mine = seen.counts[platform]
        failed = Counter({status: count for status, count in mine.items() if status not in ("ok", CUT_OFF)})
        told = [*failed.most_common(), *[(CUT_OFF, mine[CUT_OFF])] * (CUT_OFF in mine)]
        rows.append(
            {
                "platform": platform,
                "planned": planned[platform],
                "done": done[platform],
                "left": left[platform],
                "observations": mine.total(),
                "failed": failed.total(),
                "reasons": ", ".join(f"{count} {status}" for status, count in told),
                "unsteady": seen.unsteady[platform],
                "tail": seen.tail(platform),
                "coverage": f"{timed[platform]} of {len(asked.union(seen.workloads))}",
            }
        )
    return rows


class _Seen:
    """What the observations come to, some thousand at a time."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)  # rows by platform and status
        self.unsteady: Counter[str] = Counter()
        self._tails: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self._ended, self._on = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        self._platforms: dict[str, int] = {}
        self.workloads: dict[str, int] = {}
        self.regimes = Regimes()
        self._timed = [np.zeros(0, np.int64)]  # platform and workload in one number

    def add(self, part: pa.Table) -> None:
        self.regimes.add(part)
        platform = _renumbered(*_coded(part["platform"]), self._platforms)
        workload = _renumbered(*_coded(part["workload"]), self.workloads)
        status, statuses = _coded(part["status"])
        censored = part["censored"].to_numpy() & (
            status == (statuses.index("ok") if "ok" in statuses else -1)
        )
        for number, told in enumerate([*statuses, CUT_OFF]):
            rows = censored if told == CUT_OFF else (status == number) & ~censored
            counts = np.bincount(platform[rows], minlength=len(self._platforms)).tolist()
            for name, count in zip(self._platforms, counts, strict=True):
                if count:
                    self.counts[name][told] += count
            if told == "ok":
                self._timed.append(_distinct(platform[rows] << 32 | workload[rows]))
        self.unsteady.update(part["platform"].filter(part["unsteady"].is_valid()).to_pylist())
        self._add_tails(part)
        over = np.flatnonzero(status != (statuses.index(UNFIT) if UNFIT in statuses else -1))
        job = hashed(part["job"])[over]
        changes = np.append(True, job[1:] != job[:-1])[
            : len(job)
        ]  # the members of a job are mostly neighbours
        first = np.flatnonzero(changes)
        self._ended.append(job[first])
        self._on.append(platform[over][first])

    def _add_tails(self, part: pa.Table) -> None:
        ended_well = pc.and_(pc.equal(part["status"], "ok"), part["wall_ns_median"].is_valid())
        alone = part.filter(pc.and_(pc.equal(part["n_co_runners"], 0), ended_well))
        ratio = pc.divide(alone["wall_ns_p95"], alone["wall_ns_median"]).to_numpy()
        platform, names = _coded(alone["platform"])
        for number, name in enumerate(names):
            self._tails[name].append(ratio[platform == number])

    def tail(self, platform: str) -> float | None:
        """The median over what ran alone there of the 95th percentile over the median of its samples."""
        found = self._tails.get(platform)
        return float(np.median(np.concatenate(found))) if found else None

    @cached_property
    def _jobs(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Sorted hashes of the jobs that ended, each once, and the number of the platform of each."""
        jobs, first = np.unique(np.concatenate(self._ended), return_index=True)
        return jobs, np.concatenate(self._on)[first]

    def ended(self, jobs: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(n,) of jobs given by their hashes: whether each ended."""
        known, _ = self._jobs
        if not len(known):
            return np.zeros(len(jobs), bool)
        order, found = np.argsort(jobs), np.zeros(len(jobs), bool)  # neighbours are found in half the time
        asked = jobs[order]
        found[order] = known[np.minimum(np.searchsorted(known, asked), len(known) - 1)] == asked
        return found

    def timed(self) -> Counter[str]:
        """How many workloads have a time by platform."""
        cells = _distinct(np.concatenate(self._timed))
        counts = np.bincount(cells >> 32, minlength=len(self._platforms))
        return Counter(dict(zip(self._platforms, counts.tolist(), strict=True)))

    def done(self) -> Counter[str]:
        """How many jobs ended by platform."""
        counts = np.bincount(self._jobs[1], minlength=len(self._platforms))
        return Counter(dict(zip(self._platforms, counts.tolist(), strict=True)))


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each of these once, sorted; NumPy's own `unique` hashes them, which takes several times as long."""
    ordered = np.sort(numbers)
    return np.asarray(ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]])


def _coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """(n,) numbers of texts, and the texts."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist()


def _renumbered(codes: NDArray[np.int32], texts: list[str], numbers: dict[str, int]) -> NDArray[np.int64]:
    """(n,) the codes of these texts as the numbers that they have, or get, among all texts so far."""
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)[codes]
