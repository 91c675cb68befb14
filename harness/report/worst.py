"""The predictions that were furthest off, what they are made of, and what might be the cause."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.output import duration
from harness.report.judged import Judged
from harness.report.listing import Column, percent, table
from harness.report.markup import Section
from harness.report.noise import DRIFT, drift
from harness.report.rows import Rows

Array = NDArray[Any]
SHOWN = 10
SHORT_NS = 2e5  # times shorter than this vary with the operating system's own activity
NOISY = 0.2
FEW = 3
FAR = 1.3  # an error by at least this factor is explained


def worst(rows: Rows, judged: Judged) -> list[Section]:
    off = np.log(judged.predicted_ns / judged.measured_ns)
    chosen = np.argsort(-np.abs(off), kind="stable")[:SHOWN]
    parts = judged.model.explain(judged.rows[chosen])
    columns = [
        Column("workload"), Column("measured", "time"), Column("predicted", "time"), Column("over measured", "ratio"),
        Column("made of"), Column("what might be the cause"), Column("workloads alike"),
    ]  # fmt: skip
    body = []
    for place, k in enumerate(chosen.tolist()):
        at = int(judged.at[k])
        beside = [rows.workloads[w] for w in rows.co_runners[at].tolist() if w >= 0]
        what = f"{rows.workloads[rows.workload[at]]} on {rows.platforms[rows.platform[at]]}"
        interference = float(parts.interference_ns[place])
        made = f"{duration(parts.startup_ns[place])} start-up, {duration(parts.work_ns[place])} work"
        body.append(
            (
                f"{what} beside {' and '.join(beside)}" if beside else what,
                judged.measured_ns[k], judged.predicted_ns[k], float(np.exp(off[k])),
                f"{made}, {duration(interference)} interference" if beside else made,
                _cause(rows, judged, k, interference / parts.total_ns[place]),
                ", ".join(parts.nearest_workloads[place]),
            )
        )  # fmt: skip
    note = (
        "Of the held-out observations, those whose prediction was off by the largest factor. Start-up, work and "
        "interference are the parts of the prediction; the causes are guesses from what was recorded."
    )
    return [
        Section(
            "worst",
            "The ten worst predictions",
            note,
            table(
                columns,
                body,
                "Held-out observations, those whose prediction was furthest off first",
                wide=(0, 4, 5, 6),
            ),
        )
    ]


def _cause(rows: Rows, judged: Judged, k: int, interference: float) -> str:
    """At most two possible causes that fit the row, the most convincing first."""
    at = int(judged.at[k])
    platform, workload = int(rows.platform[at]), int(rows.workload[at])
    guesses = [
        *_measurement(rows, at),
        *_knowledge(rows, judged, at, platform, workload),
        *_beside(rows, at, interference),
    ]
    drifted = drift(rows, platform)
    if drifted is not None and abs(drifted) > DRIFT:
        guesses.append(
            f"the anchors on this platform changed by {100 * drifted:+.0f} % during the collection"
        )
    device = rows.device(platform)
    mine = np.array([rows.device(p) == device for p in range(len(rows.platforms))])[rows.platform[judged.at]]
    there, everywhere = float(judged.error[mine].mean()), float(judged.error.mean())
    if there > 1.5 * everywhere and not mine.all():
        told = f"MAPE {percent(there)} there, {percent(everywhere)} everywhere"
        guesses.append(f"the device {device} is hard to predict: {told}")
    if not guesses:
        return "Nothing that was recorded explains it: the model is wrong here."
    told = "; ".join(guesses[:2])
    return f"{told[0].upper()}{told[1:]}."


def _measurement(rows: Rows, at: int) -> list[str]:
    """Signs that the measurement itself may be wrong."""
    told = []
    if rows.spread[at] > NOISY:
        told.append(f"its own samples spread by {percent(rows.spread[at])}")
    again = (rows.measured & (rows.platform == rows.platform[at]) & (rows.workload == rows.workload[at])
             & (rows.co_runners == rows.co_runners[at]).all(axis=1))  # fmt: skip
    again[at] = False
    if again.any():
        other = float(np.exp(np.log(rows.time_ns[again]).mean()))
        if not 1 / FAR < rows.time_ns[at] / other < FAR:
            told.append(f"measured again it took {duration(other)}")
    throttled = rows.states["after", "throttle_count"][at] - rows.states["before", "throttle_count"][at]
    if throttled > 0:
        told.append("the processor throttled during this job")
    limit = rows.table["limit_s"][at].as_py()
    if limit and rows.time_ns[at] > 0.4e9 * limit:
        told.append(f"near the limit of {limit:g} s longer executions are cut, so that the mean is too short")
    if rows.time_ns[at] < SHORT_NS:
        told.append("so short an execution is mostly the operating system's noise")
    return told


def _knowledge(rows: Rows, judged: Judged, at: int, platform: int, workload: int) -> list[str]:
    """Signs that the model had few rows to learn this from."""
    shown = rows.measured.copy()
    shown[judged.at] = False
    here = shown & (rows.workload == workload)
    told = []
    if rows.n_co_runners[at] and not (here & (rows.platform == platform)).any():
        told.append("the model was never shown this workload on this platform")
    for what, count in (
        ("of this workload", int(np.count_nonzero(here))),
        ("of this platform", int(np.count_nonzero(shown & (rows.platform == platform)))),
    ):
        if count <= FEW:
            told.append(f"the model was shown only {count} observation{'s' * (count != 1)} {what}")
    return told


def _beside(rows: Rows, at: int, interference: float) -> list[str]:
    """Whether the error lies in the slowdown and not in the time alone."""
    slowdown = rows.slowdown[at]
    if np.isnan(slowdown):
        return []
    expected = 1.0 / (1.0 - interference)
    if not 1 / FAR < slowdown / expected < FAR:
        return [
            f"beside these it took {slowdown:.2f} times the time alone, where the model expects {expected:.2f}"
        ]
    return ["the slowdown is as expected; the time alone on this platform is not"]
