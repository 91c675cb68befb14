"""Training from Parquet batches, in a process of its own: `python -m tests.perf stream`.

Prints wall and CPU seconds and the most memory by number of rows; making the rows is not counted. Rows are distinct,
with up to three co-runners. `HARNESS_STREAM_ROWS=1e8` sets the most rows (10⁷), `HARNESS_STREAM` a place to keep them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pitot_core import Features, Pitot, Queries, mape
from tests.perf.bench_pitot import table

BATCH = 1 << 20
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


def make(path: Path, count: int, law: Law) -> None:
    """A Parquet file of so many rows."""
    writer = None
    for number, first in enumerate(range(0, count, BATCH)):
        asked, log_ns = law.rows(min(BATCH, count - first), number)
        log_ns += NOISE * np.random.default_rng(-1 - number & 0xFFFF).standard_normal(len(asked))
        rows = asked.to_arrow(law.features).append_column("log_ns", pa.array(log_ns))
        rows = rows.append_column("job", pa.array(np.arange(first, first + len(asked))))
        writer = writer or pq.ParquetWriter(path, rows.schema, compression="zstd")
        writer.write_table(rows, row_group_size=1 << 17)
    assert writer is not None
    writer.close()


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(1 << 17)


def train(path: Path, law: Law) -> None:
    """What the measured process does."""
    started = time.perf_counter()
    model = Pitot().fit(batches(path), law.features)
    asked, log_ns = law.rows(100_000, 10**6)
    error = mape(model.predict(asked), np.exp(log_ns))
    print(f"{time.perf_counter() - started:.1f} {100 * error:.2f} {model.rows_used['training']}")


def measured(path: Path, count: int, platforms: int, workloads: int) -> tuple[str, ...]:
    asked = [sys.executable, "-m", "tests.perf.bench_stream", str(path), str(platforms), str(workloads)]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.read().split()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the process for {count:,} rows ended with {process.returncode}")
    cpu = f"{used.ru_utime + used.ru_stime:.1f}"
    tables = f"{platforms} × {workloads}"
    return f"{count:,}", tables, told[0], cpu, f"{used.ru_maxrss / 1e3:,.0f}", f"{int(told[2]):,}", told[1]


def main() -> None:
    most = int(float(os.environ.get("HARNESS_STREAM_ROWS", "1e7")))
    sizes = [(10**power, 231, 249) for power in range(5, 9) if 10**power <= most] + [WIDE]
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(os.environ.get("HARNESS_STREAM", scratch))
        for count, platforms, workloads in sizes:
            path = place / f"{count}-{platforms}.parquet"
            if not path.exists():
                make(path, count, Law(platforms, workloads))
            found.append(measured(path, count, platforms, workloads))
            print(f"done: {count:,} rows", file=sys.stderr, flush=True)
    table(
        "Training from Parquet batches, bounds included: a whole process, two threads",
        ("rows", "tables", "s", "CPU s", "peak MB", "rows that train", "MAPE against the law, %"),
        found,
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        train(Path(sys.argv[1]), Law(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
