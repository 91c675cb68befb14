"""`harness compare`: two datasets, or two parts of one, workload by workload and all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.compare.histogram import histogram
from harness.compare.limited import limited
from harness.compare.machines import check_machines
from harness.compare.pairing import STATISTICS, Choice, Pairing, Side, pair, read_side
from harness.compare.ratios import adjusted, estimate, geometric_interval
from harness.dataset.store import Dataset
from harness.errors import UsageError
from harness.output import Column
from harness.spelling import several

OVERALL = "all"
SUITE_COLUMNS = [
    Column("suite", "suite", meaning="or `all` of them together"),
    Column("workloads", "workloads", True, "workloads measured on both sides"),
    Column("cells", "cells", True, "workload, place and co-runners measured on both sides"),
    Column("ratio", "B/A", True, "geometric mean over workloads of the time in B over the time in A"),
    Column("low", "from", True, "95 % interval of `ratio` over programs like these; null below 6 programs"),
    Column("high", "to", True, "its upper end"),
    Column("faster", "faster", True, "workloads that B executes faster, more than noise explains"),
    Column("slower", "slower", True, "workloads that B executes slower, more than noise explains"),
    Column("unknown", "unknown", True, "workloads of whose noise too little is known"),
    Column("minimum", "least", True, "smallest ratio of a workload"),
    Column("quartile_1", "quarter", True, "a quarter of the workloads' ratios are below"),
    Column("median", "half", True, "half of them are below"),
    Column("quartile_3", "3 quarters", True, "three quarters of them are below"),
    Column("maximum", "most", True, "largest ratio of a workload"),
]  # fmt: skip
HISTOGRAM_COLUMNS = [
    Column("edges", "edges", meaning="bounds of the classes of a histogram of the workloads' ratios"),
    Column("counts", "counts", meaning="workloads in each class"),
]
WORKLOAD_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name"),
    Column("cells", "cells", True, "places and co-runners in which both sides measured it"),
    Column("jobs_a", "jobs A", True, "jobs behind it in A"),
    Column("jobs_b", "jobs B", True, "jobs behind it in B"),
    Column("ratio", "B/A", True, "geometric mean over cells of the time in B over the time in A"),
    Column("low", "from", True, "95 % interval of `ratio`; null where nothing is known of the noise"),
    Column("high", "to", True, "its upper end"),
    Column("p", "p", True, "chance of such a ratio without any difference"),
    Column("q", "q", True, "p after Benjamini–Hochberg over all workloads"),
    Column("verdict", "verdict", meaning="faster, slower, no difference shown, unknown, at least, at most"),
]  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """``suites`` and ``workloads`` are table rows; ``notes`` are sentences about what was paired, left out
    or differs; ``broken`` says how workloads that A has a time of ended in B, where that was their own doing.
    """

    a: str
    b: str
    suites: list[dict[str, Any]]
    workloads: list[dict[str, Any]]
    notes: list[str]
    broken: Mapping[str, str] = field(default_factory=dict)


def compare(
    first: Path,
    second: Path | None,
    *,
    engine: str | None = None,
    device: str | None = None,
    platform: str | None = None,
    false_share: float = 0.05,
    anyway: bool = False,
    rebuilt: bool = False,
    statistic: str = "mean",
) -> Comparison:
    """Times of B over times of A: their means, medians or 95th percentiles (``statistic``).

    With ``rebuilt`` workloads are paired by name, also where their modules differ.

    ``engine``, ``device``, ``platform`` are a name for both sides, or ``A,B``.
    Raises UsageError where nothing can be paired, and, unless ``anyway``, where the sides differ in more than what was
    asked for.
    """
    if statistic not in STATISTICS:
        raise UsageError(f"--statistic {statistic} must be one of {', '.join(STATISTICS)}.")
    choices, meant = sides(engine, device, platform)
    if second is None and not meant:
        raise UsageError(
            "name a second dataset, or two sides of one with -e A,B, -d A,B or -p ENGINE:DEVICE,ENGINE:DEVICE."
        )
    datasets = [Dataset.open(first), Dataset.open(second or first)]
    titles = [_title(dataset, choice, meant) for dataset, choice in zip(datasets, choices, strict=True)]
    a, b = (
        read_side(dataset, choice, title, meant, statistic)
        for dataset, choice, title in zip(datasets, choices, titles, strict=True)
    )
    pairing = pair(a, b, rebuilt=rebuilt)
    if not pairing.cells:
        raise UsageError(
            f"no workload was measured on both sides in the same place and company: {left_out(pairing)}; "
            "see `harness status` of both."
        )
    notes = check_machines(a, b, meant, anyway)
    notes += [f"{side.title}: {told}" for side in (a, b) if (told := side.regimes.told())]
    if statistic != "mean":
        notes.append(f"compared are the samples' {statistic}s")
    notes.append(f"{several(len(pairing.cells), 'cell')} paired; not paired: {left_out(pairing) or 'none'}")
    if pairing.by_name:
        notes.append(
            f"{several(pairing.by_name, 'workload was', 'workloads were')} paired by name alone: nothing tells that "
            "the modules are the same"
        )
    return paired_rows(a, b, pairing, false_share, notes)


def sides(
    engine: str | None, device: str | None, platform: str | None
) -> tuple[tuple[Choice, Choice], frozenset[str]]:
    """The filter of each side, and the properties in which the two are meant to differ. Raises UsageError."""
    if platform and (engine or device):
        raise UsageError("give either -p or -e and -d, not both.")
    engines, devices = _two("-e", engine), _two("-d", device)
    if platform:
        words = [name.partition(":") for name in _two("-p", platform)]  # type: ignore[union-attr]
        if not all(one and other for one, _, other in words):
            raise UsageError(f"-p {platform} must be ENGINE:DEVICE,ENGINE:DEVICE.")
        engines, devices = ([one for one, _, _ in words], [other for _, _, other in words])
    meant = frozenset(kind for kind, (x, y) in (("engine", engines), ("device", devices)) if x != y)
    return (Choice(engines[0], devices[0]), Choice(engines[1], devices[1])), meant


def _two(option: str, text: str | None) -> list[str] | list[None]:
    if text is None:
        return [None, None]
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(names) > 2:
        raise UsageError(f"{option} {text} must be one name for both sides, or two: A,B.")
    return [names[0], names[-1]]


def _title(dataset: Dataset, choice: Choice, meant: frozenset[str]) -> str:
    named = [name for kind in ("engine", "device") if kind in meant and (name := getattr(choice, kind))]
    label = dataset.info.named()
    return ":".join(named) or (f"{dataset.root} [{label}]" if label else str(dataset.root))


def left_out(pairing: Pairing) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in pairing.left_out.most_common())


def paired_rows(a: Side, b: Side, pairing: Pairing, false_share: float, notes: list[str]) -> Comparison:
    cut = {cell.workload for cell in pairing.cells if a.censored(cell) or b.censored(cell)}
    cells = [cell for cell in pairing.cells if cell.workload not in cut]
    ended = [limited(name, a, b, pairing.cells) for name in sorted(cut)]
    if cut:
        notes.append(
            f"in {several(len(cut), 'workload')} the limit ended executions on one side, so that the time there is "
            "only known to be more: no summary has them; --workloads says by how much at least or at most they differ"
        )
    if not cells:
        return Comparison(a.title, b.title, [], ended, notes, pairing.broken)
    names = sorted({cell.workload for cell in cells})
    groups = {place: i for i, place in enumerate(sorted({cell.place for cell in cells}))}
    number = {name: i for i, name in enumerate(names)}
    workload = np.array([number[cell.workload] for cell in cells])
    jobs_a, jobs_b = a.jobs(cells, groups), b.jobs(cells, groups)
    found = estimate(jobs_a, jobs_b, workload, len(names), len(groups))
    q = adjusted(found.p)
    verdicts = [_verdict(float(x), r, false_share) for x, r in zip(q, found.log_ratio, strict=True)]
    per_job = [np.bincount(workload[jobs.cell], minlength=len(names)) for jobs in (jobs_a, jobs_b)]
    rows: list[dict[str, Any]] = [
        {
            "workload": name,
            "cells": int((workload == i).sum()),
            "jobs_a": int(per_job[0][i]),
            "jobs_b": int(per_job[1][i]),
            "ratio": float(np.exp(found.log_ratio[i])),
            "low": _number(np.exp(found.low[i])),
            "high": _number(np.exp(found.high[i])),
            "p": _number(found.p[i]),
            "q": _number(q[i]),
            "verdict": verdicts[i],
            "log_error": _number(found.error[i]),
            "freedom": _number(found.freedom[i]),
        }
        for i, name in enumerate(names)
    ]
    suites = sorted({_suite(name) for name in names})
    summary = [
        _summary(suite, [row for row in rows if suite in (OVERALL, _suite(row["workload"]))])
        for suite in [*suites, *([OVERALL] if len(suites) > 1 else [])]
    ]
    unknown = int(np.isnan(found.p).sum())
    if unknown:
        notes.append(
            f"of {several(unknown, 'workload')} nothing is said about chance: the platforms have too few cells "
            "measured in more than one job; collect with --rounds or --anchors, or once more with another --seed"
        )
    listed = sorted(rows + ended, key=lambda row: str(row["workload"]))
    return Comparison(a.title, b.title, summary, listed, notes, pairing.broken)


def _verdict(q: float, log_ratio: float, false_share: float) -> str:
    if np.isnan(q):
        return "unknown"
    if q > false_share:
        return "no difference shown"
    return "slower" if log_ratio > 0 else "faster"


def _summary(suite: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    log_ratio = np.log([row["ratio"] for row in rows])
    interval = geometric_interval(log_ratio, [_program(row["workload"]) for row in rows])
    low, high = np.exp(interval) if interval else (None, None)
    minimum, first, median, third, maximum = np.exp(np.quantile(log_ratio, [0, 0.25, 0.5, 0.75, 1]))
    edges, counts = histogram(np.exp(log_ratio))
    verdicts = [row["verdict"] for row in rows]
    return {
        "suite": suite,
        "workloads": len(rows),
        "cells": sum(row["cells"] for row in rows),
        "ratio": float(np.exp(log_ratio.mean())),
        "low": _number(low),
        "high": _number(high),
        "faster": verdicts.count("faster"),
        "slower": verdicts.count("slower"),
        "unknown": verdicts.count("unknown"),
        "minimum": float(minimum),
        "quartile_1": float(first),
        "median": float(median),
        "quartile_3": float(third),
        "maximum": float(maximum),
        "edges": edges,
        "counts": counts,
    }


def _suite(workload: str) -> str:
    """The suite of a workload: the text before the first slash, or before a colon in published names of scripts."""
    return workload.partition("/")[0].partition(":")[0]


def _program(workload: str) -> str:
    """A workload without its size: sizes of one program are not independent of each other."""
    words = workload.split("/")
    return "/".join([words[0], *words[2:]]) if len(words) > 2 else workload


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
