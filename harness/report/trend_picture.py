"""`harness trend --plot`: the ratios of several datasets to the first, with intervals, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import replacing
from harness.learn.plots import new_axes

KINDS = (".png", ".svg", ".pdf")


def check_name(path: Path) -> None:
    """Raises UsageError where the name tells no kind of picture."""
    if path.suffix.lower() not in KINDS or path.is_dir():
        raise UsageError(f"--plot {path} must end in .png, .svg or .pdf, and be no directory.")


def draw_trend(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw rows of `trend.TREND_COLUMNS`, a line per series, logarithmically. Raises ModelError without matplotlib."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    figure, (axis,) = new_axes(1, max(5.0, 1.0 * len(datasets)))
    names: dict[str, str] = {}
    series = list(dict.fromkeys(row["series"] for row in rows))
    for number, name in enumerate(series):
        mine = [row for row in rows if row["series"] == name]
        apart = 0.06 * (number - (len(series) - 1) / 2)  # so that intervals do not hide each other
        at = [datasets.index(row["dataset"]) + apart for row in mine]
        ratios = [row["ratio"] for row in mine]
        below = [row["ratio"] - (row["low"] or row["ratio"]) for row in mine]
        above = [(row["high"] or row["ratio"]) - row["ratio"] for row in mine]
        axis.errorbar(at, ratios, [below, above], marker="o", markersize=4, capsize=2, label=name)
        names |= {row["dataset"]: row["label"] or Path(row["dataset"]).name for row in mine}
    axis.axhline(1.0, color="0.5", linewidth=0.8)
    axis.set_yscale("log")
    told = [names[one].replace("$", r"\$") for one in datasets]
    axis.set_xticks(range(len(datasets)), told, rotation=30, ha="right")
    axis.set_ylabel("time over that in the first dataset")
    axis.legend(fontsize="small")
    with replacing(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=150)
