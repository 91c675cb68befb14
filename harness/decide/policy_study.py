"""Which scheduling policies nobody beats: found on one trace, reported on others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.decide.policies import NAMED, Policy, grid, policy
from harness.decide.simulate import Job, simulate
from harness.decide.traces import pool_of
from harness.decide.truth import held_out_rows
from harness.errors import UsageError
from harness.learn.plots import new_axes, save_figure
from harness.output import Column
from harness.spelling import several
from pitot_core import Pitot

TEST_TRACES = 3
FIGURES = {
    "mean": "mean_s",
    "p50": "p50_s",
    "p90": "p90_s",
    "p99": "p99_s",
    "err": "err_mean",
    "err90": "err_p90",
    "err99": "err_p99",
}
SIMULATE_COLUMNS = [
    Column("policy", "policy", meaning="fifo, ps, srpt, 2d, or wfq:T,W"),
    Column("queues", "queues", True, "classes of sizes it tells apart"),
    Column("mean_s", "mean, s", True, "from arrival to end, mean"),
    Column("p50_s", "p50, s", True, "median of it"),
    Column("p90_s", "p90, s", True, "90 of 100 jobs end within it"),
    Column("p99_s", "p99, s", True, "99 of 100 jobs end within it"),
    Column("err_mean", "error", True, "|time − time predicted at arrival| / the latter, mean"),
    Column("err_p90", "error p90", True, "of 90 of 100 jobs it is at most this"),
    Column("err_p99", "error p99", True, "of 99 of 100 jobs it is at most this"),
    Column("on_front", "on front", meaning="whether no other policy is better in one of the two figures of --front "
           "and at least as good in the other"),
]  # fmt: skip


@dataclass(frozen=True)
class Study:
    """What a user chooses of a study; ``policies`` empty: the named ones, and a search among weighted queues."""

    engine: str
    devices: Sequence[str]
    policies: Sequence[str]
    arrivals: str
    load: float
    jobs: int
    front: tuple[str, str]
    seed: int

    @classmethod
    def of(
        cls,
        engine: str,
        devices: Sequence[str],
        policies: Sequence[str],
        arrivals: str,
        load: float,
        jobs: int,
        front: str,
        seed: int,
    ) -> Self:
        """Raises UsageError where a policy, the load or the front is none."""
        for name in policies:
            policy(name, 1, [1.0, 2.0])
        if not load < 1:
            raise UsageError(
                f"--load {load:g} must be below 1: more work would come than the devices can do."
            )
        return cls(engine, devices, policies, arrivals, load, jobs, parse_front(front), seed)


def run_study(
    model: Pitot, root: Path, wish: Study, at: Callable[[int, int], None]
) -> tuple[list[dict[str, Any]], str]:
    """Rows, and a sentence of what was simulated. Raises UsageError, DatasetError, ModelError.

    Drawn: one trace to search on, TEST_TRACES others to report on. From a file: its first third, and the rest.
    """
    pool = pool_of(model, held_out_rows(model, root), wish.engine, wish.devices)
    if wish.arrivals == "poisson":
        search, *tests = (
            pool.poisson(wish.jobs, wish.load, wish.seed + 1000 * trace) for trace in range(1 + TEST_TRACES)
        )
    else:
        jobs = pool.from_file(Path(wish.arrivals), wish.seed)
        third = 0 if wish.policies else len(jobs) // 3
        search, tests = jobs[:third] or jobs, [jobs[third:]]
    total, done = (len(wish.policies) or len(NAMED) * 2 + len(grid())), itertools.count(1)
    rows = study(
        search, tests, pool.processors, wish.policies, wish.front, lambda: at(min(next(done), total), total)
    )
    best = [row["policy"] for row in rows if row["on_front"]]
    count = sum(map(len, tests))
    names = " and ".join(name for figure in wish.front for name, key in FIGURES.items() if key == figure)
    return rows, (
        f"{several(count, 'job')} of {several(len(pool.true_s), 'held-out time')} on "
        f"{several(pool.processors, 'device')} of {wish.engine}; "
        f"in {names} nothing beats {', '.join(best)}"
    )


def draw_study(rows: Sequence[dict[str, Any]], front: tuple[str, str], path: Path) -> Path:
    """A point per policy; those that nobody beats are joined."""
    figure, (axis,) = new_axes(1, 5.5)
    x, y = front
    for row in rows:
        axis.scatter(
            row[x], row[y], s=24 if row["on_front"] else 10, color="C0" if row["on_front"] else "0.6"
        )
        axis.annotate(row["policy"], (row[x], row[y]), xytext=(4, 3), textcoords="offset points", fontsize=7)
    best = sorted((row[x], row[y]) for row in rows if row["on_front"])
    axis.plot(*zip(*best, strict=True), "--", color="C0", alpha=0.5)
    axis.set(xlabel=x, ylabel=y, xscale="log")
    return save_figure(figure, path)


def parse_front(text: str) -> tuple[str, str]:
    """Two names of FIGURES. Raises UsageError."""
    names = [word.strip() for word in text.split(",")]
    if len(names) != 2 or not all(name in FIGURES for name in names):
        raise UsageError(f"--front {text} must be two of {', '.join(FIGURES)}, such as mean,err99.")
    return FIGURES[names[0]], FIGURES[names[1]]


def study(
    search: Sequence[Job],
    tests: Sequence[Sequence[Job]],
    processors: int,
    names: Sequence[str],
    front: tuple[str, str],
    advance: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """A row per policy over the jobs of all test traces.

    With ``names`` those policies; else the named ones and, of the weighted queues, those that nobody beats on the
    search trace. Classes of sizes are those of the search trace's predictions.
    """
    sizes = [job.predicted_s for job in search]

    def made(name: str) -> Policy:
        return policy(name, processors, sizes)

    chosen = [made(name) for name in names]
    if not names:
        searched = []
        for name in (*NAMED, *grid()):
            searched.append(figures(made(name), [search]))
            advance()
        mark_front(searched, front)
        chosen = [made(name) for name in NAMED]
        for row in searched:
            if (
                row["on_front"] and row["queues"] > 1 and row["policy"] not in NAMED
            ):  # one queue is fifo again
                chosen.append(made(row["policy"]))
    rows = []
    for one in chosen:
        rows.append(figures(one, tests))
        advance()
    mark_front(rows, front)
    return rows


def figures(one: Policy, traces: Sequence[Sequence[Job]]) -> dict[str, Any]:
    """Completion times and errors of the times predicted at arrival, over the jobs of all traces."""
    done = [simulate(trace, one) for trace in traces]
    jct: NDArray[np.float64] = np.array([time_s for each in done for time_s in each.jct_s])
    told = np.array([time_s for each in done for time_s in each.predicted_jct_s])
    error = np.abs(jct - told) / told
    p50, p90, p99 = np.quantile(jct, (0.5, 0.9, 0.99)).tolist()
    err90, err99 = np.quantile(error, (0.9, 0.99)).tolist()
    return {
        "policy": one.name,
        "queues": one.queues,
        "mean_s": float(jct.mean()),
        "p50_s": p50,
        "p90_s": p90,
        "p99_s": p99,
        "err_mean": float(error.mean()),
        "err_p90": err90,
        "err_p99": err99,
    }


def mark_front(rows: list[dict[str, Any]], front: tuple[str, str]) -> None:
    """Set ``on_front`` of each row."""

    def pair(row: dict[str, Any]) -> tuple[float, float]:
        return row[front[0]], row[front[1]]

    for row in rows:
        mine = pair(row)
        row["on_front"] = not any(
            pair(other) != mine and pair(other)[0] <= mine[0] and pair(other)[1] <= mine[1] for other in rows
        )
