"""A row per device: what it does now, what is done and left, how it is, and when it was last heard."""

from __future__ import annotations

import time
from typing import Any

from harness.dataset.now import STALE_S
from harness.measure.board import Board
from harness.output import Column
from harness.progress import clock

LANE_COLUMNS = [
    Column("device", "device", meaning="as devices.yaml names it"),
    Column(
        "state", "state",
        meaning="`measuring`, `waiting` (for the device to be fit), `set aside` (it failed too often), `ended`, or "
        "`not running` (no collection is at work)",
    ),
    Column("platform", "now under", meaning="of the current job: engine:device; null without one"),
    Column("workloads", "now", meaning="its workloads"),
    Column("for_s", "for", True, "how long it has been at that, s"),
    Column("done", "done", True, "jobs of the plan that are done"),
    Column("left", "left", True, "jobs of the plan that are not"),
    Column("left_s", "time left", True, "for those, by the pace of its last 50 jobs, s"),
    Column("temperature_c", "°C", True, "of its hottest sensor after its newest job"),
    Column("throttled", "throttled", True, "how often its processors were throttled since its first job here"),
    Column("drift", "drift", True, "anchors: last time over first, geometric mean, less 1"),
    Column("heard_s", "heard", True, "how long ago the device last said anything, s"),
    Column("reasons", "failed", meaning="jobs by the status with which they failed"),
    Column("said", "said", meaning="the last trouble that was told of it"),
    Column("why", "because", meaning="adaptive collections: why the current job and no other"),
]  # fmt: skip


def lanes(board: Board, now_s: float | None = None) -> list[dict[str, Any]]:
    """Rows of LANE_COLUMNS, after `Board.look`."""
    now_s = time.time() if now_s is None else now_s
    told = board.now
    running = bool(told and told.running and now_s - told.at < STALE_S)
    doing = {one.device: one for one in told.devices} if told else {}
    rows = []
    for number, device in enumerate(board.devices):
        one, done = doing.get(device), board.done(number)
        left, each_s = board.planned(number) - done, board.vitals.each_s(device)
        at_work = running and one is not None and one.state in ("measuring", "waiting")
        failures = board.failures(number)
        heard = one.heard if one and one.heard else board.vitals.last_s(device)
        state = one.state if one and (running or one.state in ("set aside", "ended")) else "not running"
        rows.append(
            {
                "device": device,
                "state": state,
                "platform": one.platform if one and at_work and one.platform else None,
                "workloads": list(one.workloads) if one and at_work else [],
                "for_s": max(0.0, now_s - one.since) if one and at_work else None,
                "done": done,
                "left": left,
                "left_s": each_s * left if each_s is not None and at_work else None,
                "temperature_c": board.vitals.temperature_c(device),
                "throttled": board.vitals.throttled(device),
                "drift": board.vitals.drift(device),
                "heard_s": max(0.0, now_s - heard) if heard else None,
                "reasons": ", ".join(f"{count} {status}" for status, count in failures.most_common()),
                "said": one.said if one else "",
                "why": one.why if one and at_work else "",
            }
        )
    return rows


def for_people(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with times in words and drift in percent."""
    told = []
    for row in rows:
        words = {key: None if row[key] is None else clock(row[key]) for key in ("for_s", "left_s", "heard_s")}
        drift = None if row["drift"] is None else f"{100 * row['drift']:+.1f} %"
        told.append(row | words | {"drift": drift})
    return told
