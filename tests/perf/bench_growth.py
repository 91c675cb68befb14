"""What training costs as rows and co-runner sets grow: `python -m tests.perf growth`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from pitot_core import Observations, Pitot
from tests.perf.bench_pitot import peak_mb, table
from tests.published import PLACE, published


def synthetic(rows: int, seed: int = 0, sets: int | None = None) -> Observations:
    """Rows of degrees 0 to 3 on the published tables' sizes; `sets` limits how many co-runner sets exist."""
    rng = np.random.default_rng(seed)
    co = np.full((rows, 3), -1)
    n_co = rng.integers(0, 4, rows)
    pool = rng.integers(0, 249, (sets or rows, 3))
    drawn = pool[rng.integers(0, len(pool), rows)]
    co = np.where(np.arange(3) < n_co[:, None], drawn, -1)
    log_ns = rng.normal(18, 1, rows)
    return Observations(rng.integers(0, 231, rows), rng.integers(0, 249, rows), co, log_ns, np.arange(rows))


def growth(most: int = 10_000_000) -> None:
    """CPU seconds of a fit, as rows and co-runner sets grow; with a plot."""
    _, features = published()
    rows: list[tuple[int, str, float, float]] = []
    size = 10_000
    while size <= most:
        for sets, told in ((100, "100"), (None, "all distinct")):
            given = synthetic(size, sets=sets)
            model = Pitot(bounds="plain", threads=1)
            start = time.process_time()
            model.fit(given, features, calibration=given[np.arange(1000)])
            rows.append((size, told, time.process_time() - start, peak_mb()))
            print(f"done: {size:,} rows, {told}", file=sys.stderr, flush=True)
        size *= 10
    table(
        "Growth with rows of degrees 0 to 3: a fit, folds included, one thread",
        ("rows", "co-runner sets", "CPU s", "µs per row", "peak MB so far"),
        ((f"{n:,}", sets, f"{s:.1f}", f"{1e6 * s / n:.1f}", f"{peak:,.0f}") for n, sets, s, peak in rows),
    )
    _draw_growth([row[:3] for row in rows], Path("docs/growth.png"))


def _draw_growth(found: list[tuple[int, str, float]], path: Path) -> None:
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(5.2, 3.6), layout="constrained")
    for sets, marker in (("100", "o"), ("all distinct", "x")):
        points = [(n, seconds) for n, told, seconds in found if told == sets]
        axis.loglog(*zip(*points, strict=True), marker=marker, label=f"co-runner sets: {sets}")
    largest, slowest = max((n, seconds) for n, _, seconds in found)
    smallest = min(n for n, *_ in found)
    axis.loglog(
        [smallest, largest], [slowest * smallest / largest, slowest], "k:", label="in proportion to rows"
    )
    axis.set(xlabel="rows of degrees 0 to 3", ylabel="CPU seconds of a fit")
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    print(f"drawn: {path}")


def main() -> None:
    if not (PLACE / "data.npz").exists():
        print(f"growth: the published data is not at {PLACE}; nothing to measure")
        return
    growth()


if __name__ == "__main__":
    main()
