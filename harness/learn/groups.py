"""Where bounds hold least: coverage by device, engine, suite and tenth of predicted spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.output import Column, show
from pitot_core import Observations, Pitot

GROUPS = ("device", "engine", "suite", "spread")
FEWEST = 30  # test rows of a group below which its coverage says nothing
EPS = 0.1
COLUMNS = [
    Column(f"worst_{group}{end}", f"worst {group}", bool(end), meaning)
    for group in GROUPS
    for end, meaning in (
        (
            "",
            f"the {'tenth of predicted spread' if group == 'spread' else group} whose bounds held least at ε = {EPS:g}",
        ),
        ("_coverage", f"share of its rows whose bound held; null where none has {FEWEST} rows"),
    )
]


def worst(model: Pitot, rows: Observations, held: NDArray[np.bool_]) -> dict[str, Any]:
    """Of each kind of group the one with the smallest share of held bounds, among those with enough rows."""
    found: dict[str, Any] = {}
    for kind, (names, number) in _groups(model, rows).items():
        count = np.bincount(number, minlength=len(names))
        share = np.bincount(number, held, len(names)) / np.maximum(count, 1)
        share[count < FEWEST] = np.inf
        at = int(share.argmin()) if len(share) else 0
        enough = len(share) > 0 and bool(np.isfinite(share[at]))
        found[f"worst_{kind}"] = names[at] if enough else None
        found[f"worst_{kind}_coverage"] = float(share[at]) if enough else None
    return found


def show_worst(accuracy: list[dict[str, Any]]) -> None:
    """Print for people where bounds held least, beside the average."""
    told = []
    for row in accuracy:
        if f"coverage_{EPS:g}" not in row:
            continue
        line = {"co_runners": row["co_runners"], "all": f"{100 * row[f'coverage_{EPS:g}']:.1f} %"}
        for kind in GROUPS:
            share = row.get(f"worst_{kind}_coverage")
            line[kind] = "–" if share is None else f"{100 * share:.1f} % ({row[f'worst_{kind}']})"
        told.append(line)
    if told:
        columns = [Column("co_runners", "co-runners", True), Column("all", "all", True)]
        columns += [Column(kind, f"worst {kind}") for kind in GROUPS]
        show(told, columns, title=f"Where bounds at ε = {EPS:g} held least")


def _groups(model: Pitot, rows: Observations) -> dict[str, tuple[list[str], NDArray[np.int64]]]:
    """By kind, the names of the groups and the number of each row's."""
    features = model.features
    assert features is not None
    parts = [name.partition(":") for name in features.platform_names]
    found = {
        "device": _numbered([device for _, _, device in parts], rows.platform),
        "engine": _numbered([engine for engine, _, _ in parts], rows.platform),
        "suite": _numbered([name.partition("/")[0] for name in features.workload_names], rows.workload),
    }
    spread = model.spread(rows)
    tenth = spread.argsort(kind="stable").argsort(kind="stable") * 10 // max(len(rows), 1)
    names = [f"{k + 1} of 10, least certain last" for k in range(10)]
    return found | {"spread": (names, tenth.astype(np.int64))}


def _numbered(labels: list[str], of: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    names = sorted(set(labels))
    number = np.array([names.index(label) for label in labels], np.int64)
    return names, number[of]
