"""How far the measurements of each platform can be trusted, and plain warnings where they cannot."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset import Dataset
from harness.report.markup import Section, join, tag
from harness.report.rows import Rows
from harness.report.tables import Column, percent, sentences, table

Array = NDArray[Any]

# From where on a warning is given; the page tells these numbers.
SPREAD = 0.10
DRIFT = 0.05
HOT_C = 80.0
LOADED = (
    0.3  # load over processors, as `harness devices` judges it, beyond what the jobs before make themselves
)
CLOCK = 0.15
MOST = 60  # warnings shown

THRESHOLDS = (
    f"Warned about: a median spread of samples above {percent(SPREAD)}; anchors that changed by more than "
    f"{percent(DRIFT)} between start and end; {HOT_C:.0f} °C and more; any throttling; a mean load before jobs of more "
    f"than the workloads that ran together there and {LOADED:g} per processor besides; a clock that varied by more "
    f"than {percent(CLOCK)}; a governor other than performance; gates that gave up."
)


def noise(dataset: Dataset, rows: Rows) -> list[Section]:
    processors = {
        row["platform"]: dict(row["facts"] or []).get("cpus_allowed") or dict(row["facts"] or []).get("cores")
        for row in dataset.platforms().to_pylist()
    }
    found = [_platform(rows, p, processors.get(name)) for p, name in enumerate(rows.platforms)]
    warned = [f"{one['platform']}: {told}" for one in found for told in one["warnings"]]
    more = [f"… and {len(warned) - MOST:,} more; the table has them all"] if len(warned) > MOST else []
    known = any(
        value is not None
        for one in found
        for key, value in one.items()
        if key not in ("platform", "together", "warnings")
    )
    columns = [
        Column("platform"), Column("spread of samples, median", "percent"), Column("95 of 100 below", "percent"),
        Column("anchors, end over start", "percent"), Column("°C, median"), Column("°C, most"),
        Column("throttled", "count"), Column("load before, mean", "number"), Column("clock, MHz"), Column("governor"),
        Column("gates waited", "count"), Column("gave up", "count"), Column("warnings", "count"),
    ]  # fmt: skip
    body = [
        (
            one["platform"], one["spread"], one["spread_95"], one["drift"], _degrees(one["heat"]),
            _degrees(one["heat_most"]), one["throttled"], one["load"], one["clock"], one["governor"], one["waited"],
            one["gave_up"], len(one["warnings"]),
        )
        for one in found
    ]  # fmt: skip
    if not known:
        said = "Nothing here tells how noisy the measurements are: there are means without samples, anchors or states."
        return [Section("noise", "Noise", "", tag("p", said))]
    warnings = sentences([*warned, *more], "warnings") or tag(
        "p", "No platform passes a threshold.", class_="good"
    )
    note = (
        "Spread is the standard deviation of an observation's samples over their mean, alone. Anchors are workloads "
        "measured at the start and again at the end of a collection."
    )
    return [
        Section(
            "noise",
            "Noise",
            note,
            join(warnings, table(columns, body, "Noise by platform"), tag("p", THRESHOLDS, class_="note")),
        )
    ]


def drift(rows: Rows, platform: int) -> tuple[float, int] | None:
    """Geometric mean over anchors of the time at the end over that at the start, less 1, and how many there are."""
    chosen = rows.ok & (rows.purpose == "anchor") & (rows.platform == platform)
    first, last = (chosen & (rows.position == place) for place in (0, 1))
    both = np.intersect1d(rows.workload[first], rows.workload[last])
    if not len(both):
        return None
    logs = [
        np.mean(np.log(rows.time_ns[last & (rows.workload == w)]))
        - np.mean(np.log(rows.time_ns[first & (rows.workload == w)]))
        for w in both.tolist()
    ]
    return float(np.expm1(np.mean(logs))), len(both)


def _platform(rows: Rows, p: int, processors: str | None) -> dict[str, Any]:
    mine = rows.platform == p
    at = np.flatnonzero(mine)
    alone = rows.spread[mine & rows.measured & (rows.n_co_runners == 0)]
    alone = alone[~np.isnan(alone)]
    heat = np.concatenate([rows.states[when, "temperature_c"][at] for when in ("before", "after")])
    heat = heat[~np.isnan(heat)]
    throttled = rows.states["after", "throttle_count"][at] - rows.states["before", "throttle_count"][at]
    throttled = throttled[~np.isnan(throttled)]
    load, clock = _known(rows.states["before", "load_1m"][at]), _known(rows.states["before", "clock_mhz"][at])
    governors = (
        pc.drop_null(pc.struct_field(rows.table["state_before"], "governor").take(at)).unique().to_pylist()
    )
    waits = [_wait(note) for note in pc.drop_null(rows.table["note"].take(at)).to_pylist() if note]
    drifted = drift(rows, p)
    found = {
        "platform": rows.platforms[p],
        "spread": float(np.median(alone)) if len(alone) else None,
        "spread_95": float(np.quantile(alone, 0.95)) if len(alone) else None,
        "drift": drifted and drifted[0],
        "heat": float(np.median(heat)) if len(heat) else None,
        "heat_most": float(heat.max()) if len(heat) else None,
        "throttled": int(np.maximum(throttled, 0).sum()) if len(throttled) else None,
        "load": float(load.mean()) if len(load) else None,
        "together": int(rows.n_co_runners[at].max(initial=0)) + 1,
        "clock": _span(clock),
        "governor": ", ".join(governors) or None,
        "waited": sum(1 for wait in waits if wait == "waited") or None,
        "gave_up": sum(1 for wait in waits if wait == "gave up") or None,
    }
    return found | {"warnings": _warnings(found, drifted, clock, governors, processors)}


def _warnings(
    found: dict[str, Any],
    drifted: tuple[float, int] | None,
    clock: Array,
    governors: list[str],
    processors: str | None,
) -> list[str]:
    told = []
    if found["spread"] is not None and found["spread"] > SPREAD:
        told.append(
            f"half of its workloads alone have samples that spread by more than {percent(found['spread'])}"
        )
    if drifted and abs(drifted[0]) > DRIFT:
        way = "slower" if drifted[0] > 0 else "faster"
        told.append(
            f"{drifted[1]} anchors were {percent(abs(drifted[0]))} {way} at the end than at the start"
        )
    if found["heat_most"] is not None and found["heat_most"] >= HOT_C:
        told.append(f"it was {found['heat_most']:.0f} °C hot")
    if found["throttled"]:
        told.append(f"its processor throttled {found['throttled']:,} times during jobs")
    count = int(str(processors)) if str(processors).isdecimal() else 1
    if found["load"] is not None and found["load"] > found["together"] + LOADED * count:
        told.append(
            f"other work ran beside the measurements: the load before jobs was {found['load']:.2f} on average, "
            f"and at most {found['together']} workloads were run together"
        )
    if len(clock) and (clock.max() - clock.min()) / clock.max() > CLOCK:
        told.append(f"its clock varied from {clock.min():.0f} to {clock.max():.0f} MHz")
    other = [name for name in governors if name != "performance"]
    if other:
        told.append(f"its clock follows the load (governor {', '.join(other)})")
    if found["gave_up"]:
        told.append(
            f"{found['gave_up']:,} observations began although it was not cool and idle within the gate's limit"
        )
    return told


def _wait(note: str) -> str:
    """What a gate left in the note of a job."""
    if re.match(r"waited \d+ s to be cool and idle", note):
        return "waited"
    return "gave up" if note.startswith("not cool and idle after") else ""


def _known(values: Array) -> Array:
    return values[~np.isnan(values)]


def _span(clock: Array) -> str | None:
    if not len(clock):
        return None
    low, high = f"{clock.min():.0f}", f"{clock.max():.0f}"
    return low if low == high else f"{low} to {high}"


def _degrees(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"
