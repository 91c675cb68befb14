"""Tables that can be read as they are, and that the page's script sorts and filters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.output import duration
from harness.report.markup import Html, join, tag
from harness.spelling import several

MARK = "¹"
LONG = 14  # above this many rows a table scrolls inside the page and gets a filter


class Single(float):
    """A figure that rests on one observation alone; a table marks it and says so."""


def counted(value: float, observations: int) -> float:
    """The figure, marked where it rests on one observation."""
    return Single(value) if observations == 1 else float(value)


@dataclass(frozen=True)
class Column:
    """kind: text, count, percent (of a share), time (ns), ratio, or number."""

    title: str
    kind: str = "text"


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage, with a non-breaking space and never as minus zero."""
    return f"{round(100 * share, digits) + 0.0:.{digits}f}\u00a0%".replace("-", "−")


def words(value: Any, kind: str) -> str:
    """A value as people read it; a missing one is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if kind == "text":
        return str(value) or "–"
    if math.isinf(value):
        return "∞"
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "percent":
        return percent(value, 1)
    if kind == "time":
        return duration(value)
    if kind == "ratio":
        return f"{value:.2f}×"
    return f"{value:.3g}"


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Any]], caption: str, *, wide: Sequence[int] = (),
    grid: bool = False,
) -> Html:  # fmt: skip
    """An HTML table, or nothing where there are no rows. ``wide`` holds the indices of columns whose text may wrap.

    In a ``grid`` all columns are alike, so that the page keeps the first one in view.
    """
    body = list(rows)
    if not body:
        return Html("")
    told = f"{caption} ({several(len(body), 'row')})" if len(body) > LONG else caption
    if any(isinstance(value, Single) and not math.isnan(value) for row in body for value in row):
        told += f"; {MARK} rests on one observation"
    kinds = [column.kind for column in columns]
    head = [
        tag("th", column.title, scope="col", class_=None if column.kind == "text" else "n")
        for column in columns
    ]
    lines = [
        tag(
            "tr",
            *(_cell(value, kind, i in wide) for i, (value, kind) in enumerate(zip(row, kinds, strict=True))),
        )
        for row in body
    ]
    drawn = tag(
        "table",
        tag("caption", told),
        tag("thead", tag("tr", *head)),
        tag("tbody", *lines),
        class_="data grid" if grid else "data",
    )
    long = len(body) > LONG
    return tag(
        "div",
        drawn,
        class_="table long" if long else "table",
        tabindex="0",  # on a narrow page any table scrolls, and what scrolls must be reachable by keyboard
        role="region",
        aria_label=caption,
    )


def folded(summary: str, *content: Html) -> Html:
    """Details that are closed until a reader opens them."""
    return tag("details", tag("summary", summary), *content) if any(content) else Html("")


def sentences(lines: Iterable[str], class_: str) -> Html:
    """A list of plain sentences."""
    items = [tag("li", line) for line in lines]
    return tag("ul", *items, class_=class_) if items else Html("")


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """A few figures, each with its label."""
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts"
    )


def _cell(value: Any, kind: str, wide: bool) -> Html:
    shown = value if isinstance(value, Html) else words(value, kind)
    if isinstance(value, Single) and not math.isnan(value):
        shown += MARK
    if kind == "text":
        return tag("td", _breakable(shown), class_="wide") if wide else tag("td", shown)
    known = value is not None and not (isinstance(value, float) and math.isnan(value))
    return tag("td", shown, class_="n", data_v=f"{value:.6g}" if known else "")


def _breakable(text: str) -> Html:
    """Allow a line break after each slash of a name; elsewhere only in parts too long for a line."""
    first, *others = text.split("/")
    return join(first, *(join("/", Html("<wbr>"), part) for part in others))
