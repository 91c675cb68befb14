"""Import and export of 150,000 rows in the published layout, as commands: seconds, and ratios to copying the npz.

`python -m tests.perf.bench_exchange`
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS = {"data.npz": 53_637, "if2.npz": 96_363}
PLATFORMS, WORKLOADS = 231, 249
PROMISED_S = 3.0


def write_published(folder: Path) -> None:
    """Random rows over tables of the published size."""
    draw = np.random.default_rng(0)
    tables = {
        "n_platform": np.array([f"engine-{i % 10}:hc-{i // 10}" for i in range(PLATFORMS)]),
        "f_platform": np.array([f"f{i}" for i in range(39)]),
        "d_platform": draw.normal(size=(PLATFORMS, 39)).astype(np.float32),
        "n_workload": np.array([f"polybench/small/kernel-{i}" for i in range(WORKLOADS)]),
        "f_workload": np.array([f"x{i:02X}" for i in range(141)]),
        "d_workload": draw.random((WORKLOADS, 141)).astype(np.float32) * 20,
    }
    folder.mkdir()
    for name, rows in ROWS.items():
        arrays: dict[str, Any] = {
            "t": draw.lognormal(9, 2, rows),
            "i_platform": draw.integers(0, PLATFORMS, rows),
            "i_workload": draw.integers(0, WORKLOADS, rows),
        }
        if name == "data.npz":
            arrays |= tables | {"t": arrays["t"].astype(np.float32)}
        else:
            arrays["i_interference0"] = (arrays["i_workload"] + 1) % WORKLOADS
        np.savez_compressed(folder / name, **arrays)


def best(work: Callable[[int], object]) -> tuple[float, float]:
    """Of three turns the fewest seconds, and the fewest of a processor: these do not depend on what else runs."""
    times, processor = [], []
    for turn in range(3):
        began, used = time.perf_counter(), processor_s()
        work(turn)
        times.append(time.perf_counter() - began)
        processor.append(processor_s() - used)
    return min(times), min(processor)


def processor_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_published(folder / "in")

        def harness(*words: object) -> None:
            subprocess.run(
                [sys.executable, "-m", "harness.cli", *map(str, words)], check=True, capture_output=True
            )

        def copy(turn: int) -> None:
            for name in ROWS:
                np.savez_compressed(folder / f"copy-{turn}-{name}", **dict(np.load(folder / "in" / name)))

        _, plain = best(copy)
        print(
            f"{'150,000 rows':14} {'seconds':>8} {'of promised':>12} {'processor s':>12} {'of npz copy':>12}"
        )
        for title, work in (
            ("import", lambda turn: harness("import", folder / "in", "-o", folder / f"data-{turn}")),
            ("export", lambda turn: harness("export", folder / "data-0", "-o", folder / f"out-{turn}")),
            (
                "export --csv",
                lambda turn: harness("export", folder / "data-0", "--csv", "-o", folder / "o.csv"),
            ),
        ):
            seconds, used = best(work)
            print(f"{title:14} {seconds:8.2f} {seconds / PROMISED_S:12.0%} {used:12.2f} {used / plain:12.1f}")


if __name__ == "__main__":
    main()
