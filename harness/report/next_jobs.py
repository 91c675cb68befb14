"""What measuring would teach most now, and how the error fell with the device-hours of adaptive collections."""

from __future__ import annotations

import random

import numpy as np

from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.learn.teaching import Advice, advise, next_rows
from harness.measure.adaptive import USUAL
from harness.measure.course import Progress, read_progress, sentence
from harness.measure.plan import co_runner_sets
from harness.report.charts import Panel, Scale, side_by_side
from harness.report.listing import Column, table
from harness.report.markup import Html, Section, join, tag
from harness.report.rows import Rows
from harness.spelling import several

SHOWN = 12
CONSIDERED = 5000  # pairs at most
COLUMNS = [
    Column("platform"), Column("workloads"), Column("uncertain by", "percent"), Column("teaches, nats", "number"),
    Column("takes, s", "number"), Column("nats per second", "number"),
]  # fmt: skip
NOTE = (
    "The information that a job is expected to give about the model's tables, ½ ln(1 + variance / noise) summed over "
    "its members, and the seconds that it is expected to take: `harness collect --adaptive` takes jobs by both, and "
    "those that it is likeliest to take come first."
)


def next_jobs(dataset: Dataset, rows: Rows) -> list[Section]:
    """Of the jobs that are left of the plan, else of what was never tried alone, else of pairs that never were."""
    told, done = read_progress(dataset), dataset.finished()
    left = [job for job in dataset.plan() if job.purpose == "measure" and job.id not in done]
    jobs = left or untried(rows) or pairs(rows)
    advice: Advice | None = None
    if jobs:
        try:
            advice = advise(dataset, jobs, judged=False)
        except DatasetError:
            advice = None  # nothing that can be learned from: other sections say so
    parts: list[Html | None] = [_fall(told)]
    if advice:
        alone = (
            "workload was never tried alone on a platform",
            "workloads were never tried alone on a platform",
        )
        beside = "pair that was never measured", "pairs that were never measured, drawn at random"
        planned = "job of the plan is left", "jobs of the plan are left"
        what = planned if left else alone if jobs[0].degree == 1 else beside
        parts.append(
            tag("p", f"{several(len(jobs), *what)}: about {advice.hours:.3g} device-hours.", class_="note")
        )
        body = [tuple(row.values()) for row in next_rows(jobs, advice, SHOWN)]
        parts.append(table(COLUMNS, body, "What teaches most", wide=[1]))
    gist = sentence(told[-1])[0].upper() + sentence(told[-1])[1:] + "." if told else ""
    return [Section("next", "Measure next", NOTE, join(*parts), gist=gist)]


def untried(rows: Rows) -> list[Job]:
    """A job for every platform and workload that have no end of a job alone, well or not."""
    seen = ~np.tile(rows.asked, (len(rows.platforms), 1))
    alone = (rows.n_co_runners == 0) & (rows.purpose == "measure")
    seen[rows.platform[alone], rows.workload[alone]] = True
    return [_job(rows, j, i) for j, i in np.argwhere(~seen).tolist()]


def pairs(rows: Rows) -> list[Job]:
    """Pairs of what has a time alone, each workload in two of them on each platform, without those that were tried."""
    two = rows.n_co_runners == 1
    tried = np.column_stack([rows.platform[two], rows.workload[two], rows.co_runners[two, 0]])
    known, found = set(map(tuple, tried.tolist())), []
    for j in range(len(rows.platforms)):
        timed = np.flatnonzero(rows.asked & np.isfinite(rows.alone[j])).tolist()
        for one, other in co_runner_sets([str(i) for i in timed], 2, rows.platforms[j]):
            if (j, int(one), int(other)) not in known:
                found.append(_job(rows, j, int(one), int(other)))
    return random.Random(0).sample(found, min(len(found), CONSIDERED))


def _job(rows: Rows, platform: int, *workloads: int) -> Job:
    engine, _, device = rows.platforms[platform].partition(":")
    names = tuple(rows.workloads[i] for i in workloads)
    limits = USUAL.repeats, USUAL.limit_s, USUAL.co_run_s
    return Job(f"{platform}/{workloads}", device, engine, names, "measure", 0, *limits, None, USUAL.precision)


def _fall(told: list[Progress]) -> Html | None:
    """Error against device-hours, with the interval of each."""
    if len(told) < 2:
        return None
    hours, mape = np.array([one.hours for one in told]), np.array([one.mape for one in told])
    low, high = np.array([one.low for one in told]), np.array([one.high for one in told])
    x = Scale("device-hours", float(hours.min()) * 0.9, float(hours.max()) * 1.1, log=True)
    y = Scale("error", 0.0, float(high.max()) * 1.05, words=lambda value: f"{100 * value:.3g} %")
    panel = Panel("Error against device-hours, on jobs drawn at random", x, y)
    panel.line(hours, mape, told="mean |predicted − measured| / measured")
    for end in (low, high):
        panel.line(hours, end, class_="guide", told="95 % interval")
    return side_by_side((panel, "The error so far, with its 95 % interval"))
