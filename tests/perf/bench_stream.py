"""`harness train` on rows that lie on disk, the whole command in a process of its own: `python -m tests.perf stream`.

Prints wall and CPU seconds and the most memory by number of rows; making the rows is not counted, and they are removed
afterwards. They are distinct, with up to three co-runners, written as an imported dataset is: Parquet parts of a
million rows, without samples. `HARNESS_STREAM_ROWS=1e8` sets the most rows (10⁷), `HARNESS_STREAM` a folder to make
datasets in and keep them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
from pitot_core import Features, Pitot, Queries, mape
from pitot_core.keys import mixed
from tests.perf.bench_pitot import table

PART = 1 << 20
BYTES = 90  # of disk that a row takes at most
NOISE = 0.02
WIDE = (1_000_000, 1000, 1000)


class Law:
    """Times from start-up, work, a smooth rest and a slowdown by co-runners, on P platforms and W workloads."""

    def __init__(self, platforms: int, workloads: int) -> None:
        rng = np.random.default_rng(0)
        x_w, x_p = rng.standard_normal((workloads, 12)), rng.standard_normal((platforms, 6))
        names = (
            tuple(f"s/w{i}" for i in range(workloads)),
            tuple(f"e{j % 7}:d{j // 7}" for j in range(platforms)),
        )
        self.features = Features(x_w, x_p, *names)
        work = 15 + 1.5 * x_w[:, 0] + 0.8 * x_p[:, 1:2]
        rest = (
            0.1
            * np.tanh(x_p[:, 2:] @ rng.standard_normal((4, 8)))
            @ np.tanh(rng.standard_normal((8, 12)) @ x_w.T)
        )
        self.alone = np.logaddexp(14 + 0.3 * x_p[:, :1], work) + rest
        self.suffers = np.exp(0.3 * x_w[:, 2] + 0.2 * x_p[:, 3:4])
        self.presses = 0.1 * np.exp(0.3 * x_w[:, 1] + 0.2 * x_p[:, 4:5])

    def rows(self, count: int, seed: int) -> tuple[Queries, np.ndarray[Any, Any]]:
        """So many questions of every number of co-runners, and their ln ns without noise."""
        rng = np.random.default_rng(seed)
        platforms, workloads = self.alone.shape
        n_co = rng.integers(0, 4, count)
        co = np.where(np.arange(3) < n_co[:, None], rng.integers(0, workloads, (count, 3)), -1)
        asked = Queries(rng.integers(0, platforms, count), rng.integers(0, workloads, count), co)
        pressure = np.zeros(count)
        for column in asked.co_runners.T:
            pressure += np.where(column >= 0, self.presses[asked.platform, column], 0.0)
        cell = asked.platform, asked.workload
        return asked, self.alone[cell] + self.suffers[cell] * pressure


def make(root: Path, count: int, law: Law) -> None:
    """A dataset of so many rows."""
    features = law.features
    dataset = Dataset.create(root, "made by bench_stream")
    dataset.put_platforms(
        {
            "platform": name,
            "engine": name.partition(":")[0],
            "device": name.partition(":")[2],
            "wall_contains": "process",
            "features": {f"p{k}": value for k, value in enumerate(row.tolist())},
        }
        for name, row in zip(features.platform_names, features.platforms, strict=True)
    )
    dataset.put_workloads(
        {"workload": name, "features": {f"w{k}": value for k, value in enumerate(row.tolist())}}
        for name, row in zip(features.workload_names, features.workloads, strict=True)
    )
    for number, first in enumerate(range(0, count, PART)):
        dataset.add_part(part(law, number, first, min(PART, count - first)))


def part(law: Law, number: int, first: int, count: int) -> pa.Table:
    """Rows of the published import's kind, each a job of its own."""
    asked, log_ns = law.rows(count, number)
    time_ns = np.exp(log_ns + NOISE * np.random.default_rng((number, 1)).standard_normal(count))
    named = asked.to_arrow(law.features)
    sides = [name.partition(":") for name in law.features.platform_names]
    columns: dict[str, Any] = {
        "job": job_ids(np.arange(first, first + count)),
        "purpose": pa.repeat("measure", count),
        **{name: named[name].combine_chunks() for name in named.column_names},
        "engine": pa.array([engine for engine, _, _ in sides]).take(pa.array(asked.platform)),
        "device": pa.array([device for _, _, device in sides]).take(pa.array(asked.platform)),
        "n_co_runners": asked.n_co_runners,
        "status": pa.repeat("ok", count),
        "wall_ns_mean": time_ns,
        "time_ns": time_ns,
        "censored": np.zeros(count, bool),
        "limit_s": np.full(count, 30.0),
        "regime": pa.repeat("process", count),
        "attempt": np.ones(count, np.int16),
    }
    made = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in OBSERVATIONS
    ]
    return pa.table(made, schema=OBSERVATIONS)


def job_ids(number: np.ndarray[Any, Any]) -> pa.Array:
    """Texts of 64 hexadecimal digits, as the ids of jobs are."""
    bits = np.stack([mixed(number, np.full(len(number), k)) for k in range(4)], axis=1).view(np.uint8)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[np.stack([bits >> 4, bits & 15], axis=2)]
    ends = pa.py_buffer(64 * np.arange(len(number) + 1, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), len(number), [None, ends, pa.py_buffer(digits.tobytes())])


def measured(dataset: Path, count: int, law: Law) -> tuple[str, ...]:
    """A line of the table: the command, and then its model against the law."""
    model = dataset.with_suffix(".npz")
    asked = [sys.executable, "-c", "from harness.cli import main; main()", "train", dataset, "-o", model]
    started = time.perf_counter()
    with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"the process for {count:,} rows ended with {process.returncode}")
    trained = Pitot.load(model)
    questions, log_ns = law.rows(100_000, 10**6)
    error = mape(trained.predict(questions.to_arrow(law.features)), np.exp(log_ns))
    cpu, sizes = used.ru_utime + used.ru_stime, f"{law.alone.shape[0]} × {law.alone.shape[1]}"
    rows = trained.rows_used["training"]
    return (
        f"{count:,}",
        sizes,
        f"{wall:.1f}",
        f"{cpu:.1f}",
        f"{used.ru_maxrss / 1e3:,.0f}",
        f"{rows:,}",
        f"{100 * error:.2f}",
    )


def main() -> None:
    most, kept = int(float(os.environ.get("HARNESS_STREAM_ROWS", "1e7"))), os.environ.get("HARNESS_STREAM")
    sizes = [(10**power, 231, 249) for power in range(5, 9) if 10**power <= most] + [WIDE]
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(kept or scratch)
        for count, platforms, workloads in sizes:
            dataset, law = place / f"{count}-{platforms}", Law(platforms, workloads)
            if not (dataset / "dataset.json").exists():
                if shutil.disk_usage(place).free < count * BYTES:
                    print(f"skipped: {count:,} rows take {count * BYTES / 1e9:.0f} GB, which {place} has not")
                    continue
                make(dataset, count, law)
            found.append(measured(dataset, count, law))
            print("done: " + "  ".join(found[-1]), file=sys.stderr, flush=True)
            if not kept:
                shutil.rmtree(dataset)
    table(
        "`harness train` on a dataset on disk, bounds included: the whole process, two threads",
        ("rows", "tables", "s", "CPU s", "peak MB", "rows that train", "MAPE against the law, %"),
        found,
    )


if __name__ == "__main__":
    main()
