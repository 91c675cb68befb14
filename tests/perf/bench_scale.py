"""What a large collection costs its controller: planning it, and telling its status: `python -m tests.perf scale`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from harness.dataset.info import Settings
from harness.dataset.records import Job
from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
from harness.measure.plan import Plan, make_plan
from harness.measure.workers import COMPACT_EVERY
from harness.suites.suite import Workload

WORKLOADS, DEVICES, ENGINES = 250, 155, 5  # about 780,000 jobs of together two million observations
CONSTANT = {"purpose": "measure", "status": "ok", "regime": "steady"}


def plan_of(folder: Path) -> Plan:
    workloads = []
    for number in range(WORKLOADS + 1):
        module = folder / f"w{number}"
        module.write_text(str(number))
        workloads.append(Workload(f"suite/small/w{number}", "suite", module, ("w",)))
    platforms = [(f"engine{e}", f"device{d}") for d in range(DEVICES) for e in range(ENGINES)]
    return make_plan(platforms, workloads[1:], workloads[0], Settings(rounds={2: 1, 3: 1, 4: 1}))


def part_of(jobs: list[Job]) -> pa.Table:
    """What a compaction writes of finished jobs, without samples."""
    rows = [(job, name) for job in jobs for name in job.workloads]
    count = len(rows)
    times = np.random.default_rng(0).lognormal(18, 2, count)
    columns = {
        "job": [job.id for job, _ in rows],
        "platform": [job.platform for job, _ in rows],
        "engine": [job.engine for job, _ in rows],
        "device": [job.device for job, _ in rows],
        "workload": [name for _, name in rows],
        "n_co_runners": [job.degree - 1 for job, _ in rows],
        "wall_ns_mean": times,
        "time_ns": times,
        "censored": np.zeros(count, bool),
        "attempt": np.ones(count, np.int16),
        **{name: pa.repeat(value, count) for name, value in CONSTANT.items()},
    }
    return pa.table(
        [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(count, field.type)
            for field in OBSERVATIONS
        ],
        schema=OBSERVATIONS,
    )


def fill(root: Path, plan: Plan) -> int:
    dataset = Dataset.create(root)
    dataset.begin(plan.settings, "bench", plan.jobs)
    rows = 0
    for start in range(0, len(plan.jobs), COMPACT_EVERY):
        part = part_of(list(plan.jobs[start : start + COMPACT_EVERY]))
        dataset.add_part(part)
        rows += len(part)
    return rows


def status(root: Path) -> None:
    """`harness status` in a process of its own: its processor time and its most memory."""
    command = [sys.executable, "-m", "harness.cli", "status", str(root), "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, code, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    told = f"{used.ru_utime:.1f} + {used.ru_stime:.1f} CPU s, {used.ru_maxrss / 1e3:.0f} MB at most"
    print(f"status of it (exit code {process.returncode}): {told}")


def make(place: Path) -> None:
    started = time.process_time()
    plan = plan_of(place)
    print(f"planning {len(plan.jobs):,} jobs: {time.process_time() - started:.1f} CPU s")
    print(f"{fill(place / 'data', plan):,} observations in parts of {COMPACT_EVERY:,} jobs", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(os.environ.get("HARNESS_SCALE", scratch))  # keeps what was made, to ask again
        if not (
            place / "data"
        ).exists():  # in a process of its own: the status is told of a small one's child
            place.mkdir(exist_ok=True)
            subprocess.run([sys.executable, "-m", "tests.perf.bench_scale", str(place)], check=True)
        status(place / "data")


if __name__ == "__main__":
    make(Path(sys.argv[1])) if sys.argv[1:] else main()
