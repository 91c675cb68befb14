"""What `harness evaluate` writes: CSV, a Markdown table beside the published values, and plots."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.dataset.store import Dataset
from harness.errors import UsageError
from harness.files import replacing
from harness.learn.arrays import load_training
from harness.learn.cells import BOUNDS, EPSILONS, Results, cells, run, summarise
from harness.learn.paper import published_mape, published_margin
from harness.output import Column
from harness.progress import bar
from harness.spelling import noun, several
from pitot_core import Pitot


@dataclass(frozen=True)
class Request:
    dataset: Path
    output: Path
    methods: Sequence[str]
    by: Sequence[str]
    shares: Sequence[float]
    replicates: int
    workers: int
    dask: str | None
    plots: bool


def run_evaluation(request: Request, console: Console) -> list[dict[str, Any]]:
    """Compute the cells that are not there yet, then write all tables and plots. The summary, a row per group."""
    wanted = cells(request.methods, request.by, request.shares, request.replicates)
    dataset = Dataset.open(request.dataset)
    with bar(console, "reading", 0):
        observations, features = load_training(dataset)
    request.output.mkdir(parents=True, exist_ok=True)
    results = Results(request.output / "cells.jsonl", f"{dataset.info.id}/{len(observations)}")
    left = [cell for cell in wanted if cell.key not in results.rows]
    if len(left) < len(wanted):
        there = len(wanted) - len(left)
        console.print(
            f"{there} of {several(len(wanted), 'training')} {noun(there, 'is', 'are')} already there"
        )
    with bar(console, "training", len(wanted)) as progress:
        progress.skip(len(wanted) - len(left))
        for cell, rows in run(left, observations, features, workers=request.workers, dask=request.dask):
            results.add(cell, rows)
            progress.advance(f"{cell.method}, {cell.share:.0%} by {cell.by}")
    rows = results.of(wanted)
    summary = summarise(rows)
    _write_csv(request.output / "replicates.csv", rows)
    _write_csv(request.output / "summary.csv", summary)
    with replacing(request.output / "summary.md") as partial:
        partial.write_text(markdown(summary), encoding="utf-8")
    if request.plots:
        from harness.learn import plots

        for by in request.by:
            mine = [row for row in summary if row["by"] == by]
            plots.error_by_share(mine, request.output / f"error-by-{by}.png")
            if "ours" in request.methods:
                middle = min(request.shares, key=lambda share: abs(share - 0.5))
                plots.margin_by_eps(mine, middle, request.output / f"margin-by-{by}.png")
        with bar(console, "training for the plots", 1) as progress:
            model = Pitot().fit(
                observations, features, progress=lambda step: progress.at(step.done, step.total)
            )
        plots.embeddings(model, request.output / "embeddings.png")
        if (observations.n_co_runners > 0).any():
            plots.interference(
                model, observations[observations.measured], request.output / "interference.png"
            )
    return summary


def parse_shares(text: str) -> list[float]:
    """Percentages, separated by commas, as shares. Raises UsageError."""
    try:
        shares = [float(word) / 100 for word in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 < share < 1 for share in shares):
        raise UsageError(f"--shares {text} must list percentages between 0 and 100, such as 10,50,90.")
    return shares


SUMMARY_COLUMNS = [
    Column("method", "method", meaning="how it predicts"),
    Column("by", "split by", meaning="row or job"),
    Column("share", "share", True, "of the data that it learned from"),
    Column("co_runners", "co-runners", meaning="how many"),
    Column("mape", "MAPE %", True, "mean |predicted − measured| / measured, a share"),
    Column("mape_2se", "± 2 se", True, "two standard errors of it over replicates"),
    Column("published", "published", True, "the paper's value, a share; null where it has none"),
    *(
        Column(
            f"margin_{eps:g}", f"margin % ε={eps:g}", True, "of the bound above the measured time, a share"
        )
        for eps in EPSILONS
    ),
    *(
        Column(f"coverage_{eps:g}", f"held % ε={eps:g}", True, "share of bounds that held")
        for eps in EPSILONS
    ),
    Column("seconds", "seconds", True, "s that training took"),
    Column("replicates", "replicates", True, "splits behind the row"),
]


def with_published(summary: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the published MAPE beside ours (theirs is by `mape_reference`), as a share like all others."""
    rows = []
    for row in summary:
        told = published_mape(row["method"], row["share"], row["co_runners"])
        rows.append(row | {"published": None if told is None else told / 100})
    return rows


def in_percent(summary: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For people: shares as percentages."""
    shares = ("mape", "margin", "coverage", "share", "published")
    return [
        {
            key: round(100 * value, 2) if key.startswith(shares) and value is not None else value
            for key, value in row.items()
        }
        for row in summary
    ]


ACCURACY_HEAD = """# Accuracy, percent

Mean over replicates ± 2 standard errors. `MAPE` is mean |Ĉ − C*| / C*; `theirs` is the published code's mean
|C*/Ĉ − 1|, which the published values (2- to 4-way together for interference) are to be compared with.

| method | split | share | co-runners | MAPE | theirs | published | replicates |
|---|---|---|---|---|---|---|---|
"""
BOUNDS_HEAD = """
# Bounds, percent

Margin is Eq. 11; `held` is the share of test rows whose bound held.

| method | split | share | co-runners | ε | bound | margin | published | held |
|---|---|---|---|---|---|---|---|---|
"""


def markdown(summary: Sequence[dict[str, Any]]) -> str:
    """Two Markdown tables, accuracy and bounds; the columns named published hold the paper's values."""
    accuracy, bounds = [], []
    for row in summary:
        place = [row["method"], row["by"], f"{row['share']:.0%}", row["co_runners"]]
        spread = "" if row["mape_2se"] is None else f" ± {100 * row['mape_2se']:.2f}"
        told = published_mape(row["method"], row["share"], row["co_runners"])
        figures = [f"{100 * row['mape']:.2f}{spread}", f"{100 * row['mape_reference']:.2f}"]
        accuracy.append([*place, *figures, "–" if told is None else told, row["replicates"]])
        for eps in EPSILONS:
            for bound, key in BOUNDS.items():
                if f"{key}_{eps:g}" not in row:
                    continue
                ours = row["method"] in ("ours", "published")
                told = published_margin(bound, row["share"], row["co_runners"], eps) if ours else None
                held = f"{100 * row[f'coverage_{eps:g}']:.2f}" if bound == "chosen" else ""
                width = f"{100 * row[f'{key}_{eps:g}']:.2f}"
                bounds.append([*place, f"{eps:g}", bound, width, "–" if told is None else told, held])
    return ACCURACY_HEAD + _lines(accuracy) + BOUNDS_HEAD + _lines(bounds)


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(rows)
