"""What was collected, where and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from harness import __version__
from harness.dataset.info import Info, Settings
from harness.dataset.store import Dataset
from harness.fleet.allotment import limits
from harness.output import duration
from harness.report.factors import Fit
from harness.report.listing import Column, facts, percent, sentences, table
from harness.report.markup import Html, Section, join
from harness.report.rows import Rows, suite
from harness.spelling import several


def overview(dataset: Dataset, rows: Rows, found: Fit | None) -> list[Section]:
    return [
        Section(
            "collected",
            "What was collected",
            "",
            join(facts(_figures(dataset.info, rows)), _settings(dataset.info)),
        ),
        Section(
            "platforms",
            "Platforms",
            "The last three columns say how many times as long it takes as the fastest platform (see Which is "
            "fastest), with a 95 % interval.",
            _platforms(dataset, rows, found),
        ),
        Section(
            "devices",
            "Devices",
            "As the devices told it; what one does not tell is a dash.",
            _devices(dataset),
        ),
    ]


def when(rows: Rows) -> str:
    """The first and last day of measuring as text; empty where they are not known."""
    span = pc.min_max(rows.table["started_at"]).as_py()
    if span["min"] is None:
        return ""
    first, last = (span[end].date().isoformat() for end in ("min", "max"))
    return first if first == last else f"{first} to {last}"


def _figures(info: Info, rows: Rows) -> list[tuple[str, str]]:
    devices = {name.partition(":")[2] for name in rows.platforms}
    engines = {name.partition(":")[0] for name in rows.platforms}
    jobs = len(np.unique(rows.job))
    workloads = [name for name, asked in zip(rows.workloads, rows.asked.tolist(), strict=True) if asked]
    by_degree = np.bincount(rows.n_co_runners[rows.measured], minlength=1).tolist()
    degrees = ", ".join(
        f"{count:,} {'alone' if k == 0 else f'beside {k}'}" for k, count in enumerate(by_degree) if count
    )
    failed = int(np.count_nonzero(~rows.ok))
    versions = pc.drop_null(rows.table["harness_version"].unique()).to_pylist()
    return [
        ("observations", f"{len(rows):,}"),
        ("of them finished", degrees or "none"),
        ("without a time", f"{failed:,} ({percent(failed / max(1, len(rows)), 1)})"),
        ("jobs", f"{jobs:,}"),
        (
            "platforms",
            f"{len(rows.platforms):,} ({several(len(engines), 'engine')} on {several(len(devices), 'device')})",
        ),
        ("workloads", f"{len(workloads):,} of {', '.join(sorted({suite(name) for name in workloads}))}"),
        ("measured (UTC)", when(rows) or "not known"),
        ("harness", f"{', '.join(sorted(versions)) or 'not known'}; this page by {__version__}"),
    ]


def _settings(info: Info) -> Html:
    columns = [
        Column("collection started"), Column("harness"), Column("seed", "count"), Column("repeats", "count"),
        Column("limit", "time"), Column("together", "time"), Column("rounds by degree"), Column("anchors", "count"),
        Column("gate"),
    ]  # fmt: skip
    body = [
        (
            one.started_at[:16].replace("T", " "), one.harness_version, s.seed, s.repeats, s.limit_s * 1e9,
            s.co_run_s * 1e9, ", ".join(f"{degree}: {count}" for degree, count in sorted(s.rounds.items())),
            s.anchors, _gate(s),
        )
        for one in info.collections
        for s in [one.settings]
    ]  # fmt: skip
    return table(columns, body, "Settings of each collection")


def _gate(settings: Settings) -> str:
    gate = settings.gate
    told = [] if gate.temperature_c is None else [f"{gate.temperature_c:g} °C"]
    told += [] if gate.busy is None else [f"{percent(gate.busy)} busy"]
    return f"{' and '.join(told)}, at most {duration(gate.limit_s * 1e9)}" if told else ""


def _platforms(dataset: Dataset, rows: Rows, found: Fit | None) -> Html:
    known = {row["platform"]: row for row in dataset.platforms().to_pylist()}
    planned = dataset.planned()
    planned_on = pc.binary_join_element_wise(planned["engine"], planned["device"], ":")
    in_plan = _counted(planned_on.to_pylist())
    waiting = pc.invert(pc.is_in(planned["job"], value_set=rows.table["job"].unique()))
    left = _counted(planned_on.filter(waiting).to_pylist())
    size = len(rows.platforms)
    observations = np.bincount(rows.platform, minlength=size)
    failed = np.bincount(rows.platform[~rows.ok], minlength=size)
    jobs = _distinct(rows.platform, rows.job, size)
    ok = rows.measured
    workloads = _distinct(rows.platform[ok], rows.workload[ok], size)
    factors = found.platforms if found else None
    against = factors.interval if factors else np.full((2, size), np.nan)
    columns = [
        Column("platform"), Column("version"), Column("a time contains"), Column("jobs done", "count"),
        *([Column("planned", "count"), Column("left", "count")] if in_plan else []),
        Column("observations", "count"), Column("without a time", "count"), Column("workloads measured", "count"),
        Column("time, of the fastest", "ratio"), Column("from", "ratio"), Column("to", "ratio"),
    ]  # fmt: skip
    body = []
    for k, name in enumerate(rows.platforms):
        row = known.get(name, {})
        plan = [in_plan.get(name, 0), left.get(name, 0)] if in_plan else []
        body.append(
            (
                name, row.get("engine_version"), row.get("wall_contains"), jobs[k], *plan, observations[k], failed[k],
                workloads[k], factors.ratio[k] if factors else None, *against[:, k],
            )
        )  # fmt: skip
    return table(columns, body, "Jobs, observations and times by platform")


def _devices(dataset: Dataset) -> Html:
    told: dict[str, dict[str, Any]] = {}
    for row in dataset.platforms().to_pylist():
        told.setdefault(row["device"], {}).update(dict(row["facts"] or []))
    rows = []
    for device, known in sorted(told.items()):
        clock = _number(known.get("max_mhz")) or _number(known.get("mhz"))
        cores, memory = _number(known.get("cores")), _number(known.get("memory_bytes"))
        rows.append(
            (
                device, known.get("model_name") or known.get("machine"),
                f"{cores:.0f}" if cores else None,
                f"{clock:.0f} MHz" if clock else None, f"{memory / 2**30:.1f} GiB" if memory else None,
                known.get("kernel"),
            )
        )  # fmt: skip
    if not any(any(row[1:]) for row in rows):
        return Html("")
    heads: Sequence[str] = ("device", "processor", "cores", "clock", "memory", "kernel")
    limited = [
        f"{device}: {said}"
        for device, known in sorted(told.items())
        for said in limits({key: _number(text) or text == "True" for key, text in known.items()})
    ]
    return join(
        table([Column(head) for head in heads], rows, "What the devices are"),
        sentences(limited, "warnings"),
    )


def _counted(names: list[str]) -> dict[str, int]:
    values, counts = np.unique(np.array(names, str), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _distinct(group: Any, member: Any, size: int) -> Any:
    """(size,) the number of different members of each group."""
    width = int(member.max(initial=0)) + 1
    return np.bincount(np.unique(group.astype(np.int64) * width + member) // width, minlength=size)


def _number(text: Any) -> float:
    """The number a device reported, or 0 where it reported none."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
