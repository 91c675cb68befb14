"""What is done, failed and left of a collection."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.ends import UNFIT, hashed
from harness.dataset.store import Dataset
from harness.output import Column

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
    Column("coverage", "workloads seen", meaning="workloads with a time, of all planned"),
]


def status_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """A row per platform, planned or observed."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    timed: dict[str, set[str]] = defaultdict(set)
    ended, ended_on, names = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], dict[str, int]()
    unsteady: Counter[str] = Counter()
    observed: set[str] = set()
    for part in dataset.parts(["job", "platform", "workload", "status", "censored", "unsteady"]):
        groups = part.group_by(["platform", "status", "workload", "censored"]).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            cut = row["status"] == "ok" and row["censored"]
            counts[row["platform"]][CUT_OFF if cut else row["status"]] += row["count_all"]
            observed.add(row["workload"])
            if row["status"] == "ok" and not cut:
                timed[row["platform"]].add(row["workload"])
        unsteady.update(part["platform"].filter(part["unsteady"].is_valid()).to_pylist())
        over = part.filter(pc.not_equal(part["status"], UNFIT))
        for name in over["platform"].unique().to_pylist():
            names.setdefault(name, len(names))
        ended.append(hashed(over["job"]))
        ended_on.append(pc.index_in(over["platform"], pa.array(list(names), pa.string())).to_numpy())
    jobs, first = np.unique(np.concatenate(ended), return_index=True)
    done = np.bincount(np.concatenate(ended_on)[first], minlength=len(names))
    plan = dataset.planned()
    planned_on = pc.binary_join_element_wise(plan["engine"], plan["device"], ":")
    planned = _counted(planned_on)
    left = _counted(planned_on.filter(pa.array(~np.isin(hashed(plan["job"]), jobs))))
    workloads = pc.list_flatten(plan["workloads"]).unique().to_pylist() or observed
    rows = []
    for platform in sorted({*counts, *planned}):
        mine = counts[platform]
        failed = Counter({status: count for status, count in mine.items() if status not in ("ok", CUT_OFF)})
        told = [*failed.most_common(), *[(CUT_OFF, mine[CUT_OFF])] * (CUT_OFF in mine)]
        rows.append(
            {
                "platform": platform,
                "planned": planned[platform],
                "done": int(done[names[platform]]) if platform in names else 0,
                "left": left[platform],
                "observations": mine.total(),
                "failed": failed.total(),
                "reasons": ", ".join(f"{count} {status}" for status, count in told),
                "unsteady": unsteady[platform],
                "coverage": f"{len(timed[platform])} of {len(workloads)}",
            }
        )
    return rows


def _counted(names: pa.ChunkedArray) -> Counter[str]:
    return Counter({row["values"]: row["counts"] for row in pc.value_counts(names).to_pylist()})
