"""Tables that can be read as they are, and that the page's script sorts and filters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.output import duration
from harness.report.markup import Html, join, tag

NARROW = 6  # columns that fit a page
LONG = 14  # rows beyond which a table scrolls by itself and can be filtered


@dataclass(frozen=True)
class Column:
    """kind: text, count, percent (of a share), time (ns), ratio, or number."""

    title: str
    kind: str = "text"


def percent(share: float, digits: int = 0) -> str:
    """With a space that no line breaks at, and no minus before a zero."""
    return f"{round(100 * share, digits) + 0.0:.{digits}f}\u00a0%".replace("-", "−")


def several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def words(value: Any, kind: str) -> str:
    """A value for people; what is missing is a dash."""
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
    columns: Sequence[Column], rows: Iterable[Sequence[Any]], caption: str, *, wide: Sequence[int] = ()
) -> Html:
    """Nothing where there are no rows. ``wide`` are the numbers of columns whose text may break into lines."""
    body = list(rows)
    if not body:
        return Html("")
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
        tag("caption", f"{caption} ({len(body):,} rows)" if len(body) > LONG else caption),
        tag("thead", tag("tr", *head)),
        tag("tbody", *lines),
        class_="data",
    )
    long = len(body) > LONG
    return tag(
        "div",
        drawn,
        class_="table long" if long else "table",
        tabindex="0"
        if long or len(columns) > NARROW
        else None,  # what scrolls must be reached by the keyboard
        role="region",
        aria_label=caption,
    )


def folded(summary: str, *content: Html) -> Html:
    """What is there for those who look for it."""
    return tag("details", tag("summary", summary), *content) if any(content) else Html("")


def sentences(lines: Iterable[str], class_: str) -> Html:
    """A list of plain sentences."""
    items = [tag("li", line) for line in lines]
    return tag("ul", *items, class_=class_) if items else Html("")


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """A few figures with what they are."""
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts"
    )


def _cell(value: Any, kind: str, wide: bool) -> Html:
    shown = value if isinstance(value, Html) else words(value, kind)
    if kind == "text":
        return tag("td", _breakable(shown), class_="wide") if wide else tag("td", shown)
    known = value is not None and not (isinstance(value, float) and math.isnan(value))
    return tag("td", shown, class_="n", data_v=f"{value:.6g}" if known else "")


def _breakable(text: str) -> Html:
    """Names may break after a slash, and only elsewhere where that does not do."""
    first, *others = text.split("/")
    return join(first, *(join("/", Html("<wbr>"), part) for part in others))
