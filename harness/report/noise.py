"""How far the measurements of each platform can be trusted, and plain warnings where they cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.store import Dataset
from harness.measure.placebo import PACE
from harness.report.listing import Column, percent, sentences, table
from harness.report.markup import Section, join, tag
from harness.report.rows import Rows
from harness.spelling import several

Array = NDArray[Any]
Found = dict[str, Any]

# Thresholds from which on the page warns; it also prints them.
SPREAD = 0.10
WIDE = 0.50
TAIL = 1.5
DRIFT = 0.05
HOT_C = 80.0
LOADED = 0.3  # load per processor, beyond what the collection itself causes
CLOCK = 0.15
NAMED = 8  # most platforms named in one warning

THRESHOLDS = (
    f"Warned about: a median spread of samples above {percent(SPREAD)}, or one observation in twenty above "
    f"{percent(WIDE)}; a 95th percentile of samples above {TAIL:g} times their median, for half of the observations "
    f"alone; anchors that changed by more than {percent(DRIFT)} between start and end, and by more than "
    "twice the error that their samples and their differences from each other explain; "
    f"{HOT_C:.0f} °C and more; any throttling, by heat or by a quota of processors; time that a hypervisor gave to "
    "others; a mean load before jobs of more "
    f"than the workloads that ran together there and {LOADED:g} per processor besides; fixed work that after "
    f"half of the jobs took more than {PACE:g} times as long as at best; a clock that varied by more "
    f"than {percent(CLOCK)}; a governor other than performance; gates that gave up."
)

COLUMNS = {
    "spread": Column("spread of samples, median", "percent"),
    "spread_95": Column("95 of 100 below", "percent"),
    "tail": Column("p95 over median", "ratio"),
    "drift": Column("anchors, end over start", "percent"),
    "heat": Column("°C, median", "count"),
    "heat_most": Column("°C, most", "count"),
    "throttled": Column("throttled, times", "count"),
    "quota": Column("stopped by a quota, times", "count"),
    "steal": Column("s stolen by the hypervisor", "number"),
    "load": Column("load before, mean", "number"),
    "pace": Column("fixed work over its fastest", "ratio"),
    "clock_low": Column("MHz, least", "count"),
    "clock_high": Column("MHz, most", "count"),
    "governor": Column("governor"),
    "waited": Column("gates that waited", "count"),
    "gave_up": Column("gates that gave up", "count"),
}

TOLD = {
    "heat": "temperature",
    "throttled": "throttling",
    "quota": "a quota of processors",
    "steal": "stolen time",
    "load": "load",
    "pace": "how long fixed work takes",
    "clock_low": "clock",
    "governor": "governor",
}


def noise(dataset: Dataset, rows: Rows) -> list[Section]:
    processors = {
        row["platform"]: _processors(dict(row["facts"] or [])) for row in dataset.platforms().to_pylist()
    }
    found = [_platform(rows, p, processors.get(name, 1)) for p, name in enumerate(rows.platforms)]
    told = {key: column for key, column in COLUMNS.items() if any(one[key] is not None for one in found)}
    if not told:
        said = "Nothing here tells how noisy the measurements are: there are means without samples, anchors or states."
        return [Section("noise", "Noise", "", tag("p", said))]
    silent = [what for key, what in TOLD.items() if key not in told]
    body = [[one["platform"], *(one[key] for key in told)] for one in found]
    note = (
        "Spread is the standard deviation of an observation's samples over their mean, alone. Anchors are workloads "
        "measured at the start and again at the end of a collection."
    )
    warned = warnings(found)
    content = join(
        sentences(warned, "warnings") or tag("p", "No platform passes a threshold.", class_="good"),
        table([Column("platform"), *told.values()], body, "Noise by platform"),
        tag("p", f"No device told: {', '.join(silent)}.", class_="note") if silent else None,
        tag("p", THRESHOLDS, class_="note"),
    )
    gist = f"{several(len(warned), 'warning')}." if warned else "no warning."
    return [Section("noise", "Noise", note, content, gist=gist)]


def warnings(found: list[Found]) -> list[str]:
    """A sentence for each threshold that is exceeded, naming the platforms or devices that exceed it."""

    def over(key: str, limit: float) -> list[Found]:
        return [one for one in found if one[key] is not None and one[key] > limit]

    drifted = [
        one
        for one in found
        if one["drift"] is not None and abs(one["drift"]) > max(DRIFT, 2 * one["drift_error"])
    ]
    wide = [one for one in over("spread_95", WIDE) if one["spread"] <= SPREAD]
    loaded = [
        one
        for one in found
        if one["load"] is not None and one["load"] > one["together"] + LOADED * one["processors"]
    ]
    varied = [one for one in over("clock_high", 0) if 1 - one["clock_low"] / one["clock_high"] > CLOCK]
    governed = [one for one in found if one["governor"] not in (None, "performance")]
    lines = [
        _line(
            "half of the workloads alone have samples that spread by more than", over("spread", SPREAD), "platform",
            "spread", lambda one: percent(one["spread"]),
        ),
        _line(
            "one in twenty of the workloads alone has samples that spread by more than", wide, "platform",
            "spread_95", lambda one: percent(one["spread_95"]),
        ),
        _line(
            "half of the workloads alone have a 95th percentile far above their median:", over("tail", TAIL),
            "platform", "tail", lambda one: f"{one['tail']:.2f}×",
        ),
        _line(
            "the anchors changed between start and end:", drifted, "platform", "drift",
            lambda one: f"{percent(abs(one['drift']))} {'slower' if one['drift'] > 0 else 'faster'}",
        ),
        _line(
            "hot:", over("heat_most", HOT_C - 1e-9), "device", "heat_most", lambda one: f"{one['heat_most']:.0f} °C"
        ),
        _line(
            "throttled during jobs:", over("throttled", 0), "platform", "throttled",
            lambda one: several(round(one["throttled"]), "time"),
        ),
        _line(
            "stopped by a quota of processors during jobs, so that times are of two kinds:", over("quota", 0),
            "platform", "quota", lambda one: several(round(one["quota"]), "time"),
        ),
        _line(
            "a hypervisor gave time to others during jobs:", over("steal", 0), "platform", "steal",
            lambda one: f"{one['steal']:.3g} s",
        ),
        _line(
            "other work ran beside the measurements; load before jobs:", loaded, "device", "load",
            lambda one: f"{one['load']:.2f}, of at most {several(one['together'], 'workload')} run together",
        ),
        _line(
            "fixed work took longer than at best after half of the jobs, so a clock is lower or another guest of the "
            "host uses the same cores, and times are longer by about as much:", over("pace", PACE), "device", "pace",
            lambda one: f"{one['pace']:.2f}×",
        ),
        _line(
            "the clock varied:", varied, "device", "clock_high",
            lambda one: f"{one['clock_low']:.0f} to {one['clock_high']:.0f} MHz",
        ),
        _line(
            "the clock follows the load:", governed, "device", "clock_high", lambda one: f"governor {one['governor']}"
        ),
        _line(
            "jobs began although the device was not cool and idle within the gate's limit:", over("gave_up", 0),
            "platform", "gave_up", lambda one: f"{several(one['gave_up'], 'job')}",
        ),
    ]  # fmt: skip
    return [line for line in lines if line]


def _line(said: str, found: Iterable[Found], who: str, key: str, figure: Callable[[Found], str]) -> str:
    """The sentence ``said`` with the names it is about and their figures, each name once, the largest figure first."""
    named: dict[str, str] = {}
    for one in sorted(found, key=lambda one: -abs(one[key] or 0.0)):
        named.setdefault(one[who], figure(one))
    told = [f"{name} {words}" for name, words in list(named.items())[:NAMED]]
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return f"{said[0].upper()}{said[1:]} {', '.join(told)}{more}." if told else ""


def drift(rows: Rows, platform: int) -> float | None:
    """Geometric mean over the anchor workloads of (time at the end / time at the start), minus 1."""
    return drift_and_error(rows, platform)[0]


def drift_and_error(rows: Rows, platform: int) -> tuple[float | None, float]:
    """The drift, and the standard error of its log: the larger of what the spread of samples and what the
    differences between anchors say.
    """
    at = np.flatnonzero(rows.ok & (rows.purpose == "anchor") & (rows.platform == platform))
    workload, position, logs = rows.workload[at], rows.position[at], np.log(rows.time_ns[at])
    variance = np.nan_to_num(rows.spread[at]) ** 2 / np.maximum(rows.samples[at], 1)
    changes, known = [], []
    for anchor in np.unique(workload).tolist():
        first, last = ((workload == anchor) & (position == place) for place in (0, 1))
        if first.any() and last.any():
            changes.append(logs[last].mean() - logs[first].mean())
            known.append(sum(variance[some].sum() / some.sum() ** 2 for some in (first, last)))
    if not changes:
        return None, 0.0
    within = float(np.sqrt(np.sum(known))) / len(changes)
    between = float(np.std(changes, ddof=1) / np.sqrt(len(changes))) if len(changes) > 1 else 0.0
    return float(np.expm1(np.mean(changes))), max(within, between)


def _platform(rows: Rows, p: int, processors: int) -> Found:
    mine = rows.platform == p
    by_itself = mine & rows.measured & (rows.n_co_runners == 0)
    alone, tail = _known(rows.spread[by_itself]), _known(rows.tail[by_itself])
    at = np.flatnonzero(mine)
    at = at[
        np.unique(rows.job[at], return_index=True)[1]
    ]  # all members of a job carry the same device state and note, so each job is counted once
    state = {key: values[at] for key, values in rows.states.items()}
    heat = _known(np.concatenate([state[when, "temperature_c"] for when in ("before", "after")]))
    throttled, quota, steal = (
        _known(state["after", name] - state["before", name])
        for name in ("throttle_count", "quota_throttled", "steal_s")
    )
    pace = _known(rows.pace[at])
    load, clock = _known(state["before", "load_1m"]), _known(state["before", "clock_mhz"])
    governors = (
        pc.drop_null(pc.struct_field(rows.table["state_before"], "governor").take(at)).unique().to_pylist()
    )
    notes = pc.drop_null(rows.table["note"].take(at)).to_pylist()
    drifted, error = drift_and_error(rows, p)
    return {
        "platform": rows.platforms[p],
        "device": rows.device(p),
        "processors": processors,
        "together": int(rows.n_co_runners[at].max(initial=0)) + 1,
        "spread": _of(np.median, alone),
        "spread_95": _of(lambda values: np.quantile(values, 0.95), alone),
        "tail": _of(np.median, tail),
        "drift": drifted,
        "drift_error": error,
        "heat": _of(np.median, heat),
        "heat_most": _of(np.max, heat),
        "throttled": _of(_sum, throttled),
        "quota": _of(_sum, quota),
        "steal": _of(_sum, steal),
        "load": _of(np.mean, load),
        "pace": _of(np.median, pace),
        "clock_low": _of(np.min, clock),
        "clock_high": _of(np.max, clock),
        "governor": ", ".join(governors) or None,
        "waited": sum(re.match(r"waited \d+ s to be cool and idle", note) is not None for note in notes)
        or None,
        "gave_up": sum(note.startswith("not cool and idle after") for note in notes) or None,
    }


def _processors(facts: dict[str, str]) -> int:
    told = str(facts.get("cpus_allowed") or facts.get("cores"))
    return int(told) if told.isdecimal() else 1


def _sum(growth: Array) -> float:
    """Of counters that begin anew when a device does."""
    return float(np.maximum(growth, 0).sum())


def _known(values: Array) -> Array:
    return values[~np.isnan(values)]


def _of(summary: Callable[[Array], Any], values: Array) -> float | None:
    return float(summary(values)) if len(values) else None
