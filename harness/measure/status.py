"""What is done, failed and left of a collection."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from harness.dataset.store import Dataset
from harness.output import Column

STATUS_COLUMNS = [
    Column("platform", "platform", meaning="engine:device"),
    Column("planned", "jobs", True, "jobs of the last collection"),
    Column("done", "done", True, "jobs that ended, well or not"),
    Column("left", "left", True, "jobs of the last collection still to do"),
    Column("observations", "observations", True, "rows, one a workload in a job"),
    Column("failed", "failed", True, "rows without a time"),
    Column("reasons", "reasons", meaning="how many of which status"),
    Column("unsteady", "unsteady", True, "rows with a time whose executions are not of one steady state"),
    Column("coverage", "workloads seen", meaning="workloads with a time, of all planned"),
]


def status_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """A row per platform, planned or observed."""
    table = dataset.observations(["job", "platform", "workload", "status", "unsteady"])
    planned = Counter(job.platform for job in dataset.plan())
    left = Counter(planned)
    done_jobs = set(table["job"].unique().to_pylist())
    left.subtract(job.platform for job in dataset.plan() if job.id in done_jobs)
    workloads = {name for job in dataset.plan() for name in job.workloads} or set(
        table["workload"].unique().to_pylist()
    )
    rows = []
    for platform in sorted(set(table["platform"].unique().to_pylist()) | set(planned)):
        mine = table.filter(pc.equal(table["platform"], platform))
        failed = Counter(status for status in mine["status"].to_pylist() if status != "ok")
        seen = pc.count_distinct(mine.filter(pc.equal(mine["status"], "ok"))["workload"]).as_py()
        rows.append(
            {
                "platform": platform,
                "planned": planned[platform],
                "done": pc.count_distinct(mine["job"]).as_py(),
                "left": left[platform],
                "observations": len(mine),
                "failed": failed.total(),
                "reasons": ", ".join(f"{count} {status}" for status, count in failed.most_common()),
                "unsteady": len(mine) - mine["unsteady"].null_count,
                "coverage": f"{seen} of {len(workloads)}",
            }
        )
    return rows
