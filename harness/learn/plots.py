"""Pictures like the paper's figures 4 to 7, of an evaluation and of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError
from harness.learn.cells import BOUNDS, EPSILONS
from harness.learn.layout import layouts
from harness.learn.paper import SHARES, published_mape
from pitot_core import Observations, Pitot

NAMES = {"chosen": "quantiles chosen by margin", "naive": "naive CQR", "plain": "plain split conformal"}


def new_axes(count: int, width: float = 4.2) -> tuple[Any, Any]:
    """A figure and its plots side by side. Raises ModelError without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        raise ModelError("plots need matplotlib; install it with: pip install 'harness[plots]'.") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, count, figsize=(width * count, 3.6), squeeze=False, layout="constrained"
    )
    for axis in axes[0]:
        axis.grid(alpha=0.25)
    return figure, axes[0]


def save_figure(figure: Any, path: Path) -> Path:
    """As PNG, or what the extension says."""
    from matplotlib import pyplot

    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path


def error_by_share(summary: Sequence[dict[str, Any]], path: Path) -> Path:
    """Figures 4 and 6: MAPE against the training share, isolated and beside others, published values dashed."""
    groups = sorted({row["co_runners"] for row in summary})
    figure, axes = new_axes(len(groups))
    for axis, group in zip(axes, groups, strict=True):
        for method in dict.fromkeys(row["method"] for row in summary):
            rows = sorted(
                (row for row in summary if row["method"] == method and row["co_runners"] == group),
                key=lambda row: float(row["share"]),
            )
            shares, errors = [100 * r["share"] for r in rows], [100 * r["mape"] for r in rows]
            spread = [100 * (r["mape_2se"] or 0) for r in rows]
            line = axis.errorbar(shares, errors, spread, marker="o", markersize=3, label=method)
            told = [published_mape(method, share, group) for share in SHARES]
            if any(value is not None for value in told):
                known = [(100 * s, v) for s, v in zip(SHARES, told, strict=True) if v is not None]
                axis.plot(*zip(*known, strict=True), "--", color=line.lines[0].get_color(), alpha=0.5)
        axis.set(xlabel="training share, %", ylabel="MAPE, %", title=_group(group), yscale="log")
    axes[0].legend(fontsize=7, title="dashed: published", title_fontsize=7)
    return save_figure(figure, path)


def margin_by_eps(summary: Sequence[dict[str, Any]], share: float, path: Path) -> Path:
    """Figure 5: margin (Eq. 11) against ε at one training share, for three kinds of bounds."""
    rows = [row for row in summary if row["method"] == "ours" and row["share"] == share]
    figure, axes = new_axes(max(1, len(rows)))
    for axis, row in zip(axes, sorted(rows, key=lambda row: str(row["co_runners"])), strict=False):
        for bound, key in BOUNDS.items():
            known = [(eps, 100 * row[f"{key}_{eps:g}"]) for eps in EPSILONS if f"{key}_{eps:g}" in row]
            if known:
                axis.plot(*zip(*known, strict=True), marker="o", label=NAMES[bound])
        axis.set(xlabel="ε", ylabel="margin, %", title=_group(row["co_runners"]))
        axis.legend(fontsize=7)
    return save_figure(figure, path)


def embeddings(model: Pitot, path: Path, seed: int = 0) -> Path:
    """Figure 7: workloads and platforms in two dimensions, by suite and engine."""
    figure, axes = new_axes(2, 5.0)
    for axis, layout, what in zip(
        axes, layouts(model, seed), ("workloads by suite", "platforms by engine"), strict=True
    ):
        if layout is None:
            continue
        for group in sorted(set(layout.groups)):
            chosen = np.array(layout.groups) == group
            axis.scatter(*layout.places[chosen].T, s=10, label=group)
        axis.set(title=what, xticks=[], yticks=[])
        axis.legend(fontsize=6)
    return save_figure(figure, path)


def interference(model: Pitot, observations: Observations, path: Path) -> Path:
    """Predicted against measured slowdown of every observation and of every platform, and the platform's norm.

    The norm is that of the interference matrix of a platform (`Pitot.interference_norms`): how strongly a
    platform can slow workloads down according to the model, whatever runs there.
    """
    rows = observations[observations.n_co_runners > 0]
    alone = {
        (p, w): t
        for p, w, t, n in zip(
            observations.platform.tolist(), observations.workload.tolist(), observations.log_ns.tolist(),
            observations.n_co_runners.tolist(), strict=True,
        )
        if n == 0
    }  # fmt: skip
    pairs = list(zip(rows.platform.tolist(), rows.workload.tolist(), strict=True))
    known = np.array([pair in alone for pair in pairs])
    measured = rows.log_ns[known] - np.array([alone[pair] for pair, k in zip(pairs, known, strict=True) if k])
    parts = model.explain(rows[known])
    predicted = np.log(parts.total_ns) - np.log(parts.startup_ns + parts.work_ns)
    figure, axes = new_axes(3)
    axes[0].hexbin(
        np.exp(predicted), np.exp(measured), gridsize=60, bins="log", xscale="log", yscale="log", mincnt=1
    )
    axes[0].set(xlabel="predicted slowdown", ylabel="measured slowdown", title="observations beside others")
    platform = rows.platform[known]
    count = np.bincount(platform)
    seen = np.flatnonzero(count)
    told, true = (np.exp(np.bincount(platform, x)[seen] / count[seen]) for x in (predicted, measured))
    axes[1].scatter(told, true, s=8)
    axes[1].set(xlabel="predicted", ylabel="measured", title="mean slowdown per platform")
    norms = model.interference_norms()[seen]
    axes[2].scatter(norms, true, s=8)
    title = f"interference norm; rank correlation {_rank_correlation(norms, true):.2f}"
    axes[2].set(
        xlabel="norm of the platform's interference matrix",
        ylabel="measured slowdown",
        title=title,
        xscale="log",
    )
    return save_figure(figure, path)


def _rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's ρ of distinct values."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def _group(co_runners: str) -> str:
    return {"0": "isolated", "any": "beside others"}.get(co_runners, f"beside {co_runners}")
