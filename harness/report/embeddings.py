"""Which workloads and platforms a model finds alike."""

from __future__ import annotations

import numpy as np

from harness.learn.layout import Layout, layouts
from harness.report.charts import Panel, Scale, legend, scrolled
from harness.report.listing import Column, folded, table
from harness.report.markup import Html, Section, join, tag
from pitot_core import Pitot, Queries

ALIKE = 3


def embeddings(model: Pitot) -> list[Section]:
    workloads, platforms = layouts(model)
    pictures = [
        _picture(layout, what, group)
        for layout, what, group in ((workloads, "workloads", "suite"), (platforms, "platforms", "engine"))
        if layout
    ]
    note = (
        "t-SNE of the predicted log times alone: neighbours speed up and slow down together from platform to platform, "
        "or from workload to workload. Distances between far groups mean nothing."
    )
    body = join(tag("div", *pictures, class_="panels wide"), *_alike(model)) if pictures else Html("")
    return [Section("alike", "What the model finds alike", note, body)]


def _picture(layout: Layout, what: str, group: str) -> Html:
    ends = []
    for axis in layout.places.T:
        margin = 0.06 * float(np.ptp(axis)) or 1.0
        ends.append((float(axis.min()) - margin, float(axis.max()) + margin))
    label = f"{len(layout.names)} {what} in two dimensions, in the colour and shape of their {group}"
    panel = Panel(
        label, Scale("", *ends[0], marks=()), Scale("", *ends[1], marks=()), width=570, height=420, bare=True
    )
    groups = sorted(set(layout.groups))
    of = np.array(layout.groups)
    for k, name in enumerate(groups):
        mine = np.flatnonzero(of == name)
        names = [layout.names[i] for i in mine.tolist()]
        panel.named(layout.places[mine, 0], layout.places[mine, 1], names, k, 4.0)
    caption = (
        f"{what.capitalize()} by {group}; each mark tells its name. The tables below list which are nearest."
    )
    return tag("figure", scrolled(panel), legend(groups), tag("figcaption", caption))


def _alike(model: Pitot) -> list[Html]:
    """The nearest neighbours of each workload and platform, as `Pitot.explain` gives them."""
    assert model.features is not None
    features, found = model.features, []
    seen_w, seen_p = np.flatnonzero(model.seen_workloads), np.flatnonzero(model.seen_platforms)
    parts = model.explain(Queries.of(np.full(len(seen_w), seen_p[0]), seen_w), nearest=ALIKE)
    workloads = [
        (features.workload_names[w], ", ".join(near))
        for w, near in zip(seen_w, parts.nearest_workloads, strict=True)
    ]
    parts = model.explain(Queries.of(seen_p, np.full(len(seen_p), seen_w[0])), nearest=ALIKE)
    platforms = [
        (features.platform_names[p], ", ".join(near))
        for p, near in zip(seen_p, parts.nearest_platforms, strict=True)
    ]
    for kind, rows in (("workload", workloads), ("platform", platforms)):
        drawn = table([Column(kind), Column("nearest first")], rows, f"The {kind}s most alike")
        found.append(folded(f"Which {kind}s are alike, as a table", drawn))
    return found
