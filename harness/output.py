"""How results reach a person or a program: a table, JSON or CSV on stdout, and talk on stderr.

Names and reasons come from devices, files and modules. Nothing in them is markup, an emoji code or a command to the
terminal: a character that would act instead of being seen is written as its escape (``\\x1b``), and a character that
the stream's encoding lacks is written in plain letters (``eps`` for ε), or as its escape. Both happen before lines are
laid out, so that each is as wide as it was thought to be.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from harness.spelling import plain, spelled, visible


class Form(Enum):
    table = "table"
    json = "json"
    csv = "csv"


@dataclass(frozen=True)
class Column:
    """``key`` names the value in each row and in JSON and CSV; ``title`` heads it for people.

    ``meaning`` is what docs/output.md says of it.
    """

    key: str
    title: str
    number: bool = False
    meaning: str = ""


def stderr() -> Console:
    """Where talk goes. On a terminal sentences break between words, into a pipe or a file they are one line."""
    console = Terminal(stderr=True)
    console.soft_wrap = not console.is_terminal
    return console


def show(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    form: Form = Form.table,
    *,
    title: str | None = None,
) -> None:
    """Print rows on stdout. In JSON and CSV numbers are exact; a missing or infinite value is null or empty."""
    if form is Form.json:
        json.dump([{c.key: _plain(row.get(c.key)) for c in columns} for row in rows], sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif form is Form.csv:
        writer = csv.writer(sys.stdout)
        writer.writerow([c.key for c in columns])
        writer.writerows([[_cell(_plain(row.get(c.key))) for c in columns] for row in rows])
    else:
        # Into a pipe or a file, rows are as long as they are.
        width = None if sys.stdout.isatty() else 10_000
        console = Terminal(width=width)
        console.print(_table(rows, columns, title, console.width, console.encoding))


def watching(tables: Callable[[], Sequence[tuple[Sequence[Mapping[str, Any]], Sequence[Column]]]]) -> None:
    """Show tables anew every two seconds, for ever."""
    from rich.live import Live  # not for `--help`, which is to be quick

    with Live(console=Terminal(), auto_refresh=False) as live:
        while True:
            width, encoding = live.console.width, live.console.encoding
            drawn = [_table(rows, columns, None, width, encoding) for rows, columns in tables()]
            apart = [part for one in drawn for part in (Text(), one)]
            live.update(Group(*apart[1:]), refresh=True)
            time.sleep(2)


def _table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    title: str | None,
    width: int,
    encoding: str = "utf-8",
) -> RenderableType:
    """Rows under titles, in which neither a number nor a name is broken.

    Where they do not fit, the names that begin each row have a line of their own above the rest; where even that
    does not fit, the rest is below one another.
    """
    cells = [[plain(_words(row.get(c.key), c.key), encoding) for c in columns] for row in rows]
    columns = [replace(column, title=plain(column.title, encoding)) for column in columns]
    title = title and spelled(title, encoding)
    if _least_width(columns, cells) <= width:
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column, wide in zip(
            columns, _shared_out(columns, cells, width - 2 * len(columns) + 2), strict=True
        ):
            table.add_column(column.title, justify=_side(column), overflow="fold", width=wide)
        for row in cells:
            table.add_row(*map(Text, row))
        return table
    names = next((i for i, column in enumerate(columns) if column.number), 1)
    rest, right = columns[names:], [row[names:] for row in cells]
    above = [Text(title, "bold")] if title else []
    for gap in (2, 1):
        if rest and names and _least_width(rest, right, gap) <= width:
            break
    else:
        return Group(*above, *_stacked(cells, columns, names))
    widths = _shared_out(rest, right, width - gap * (len(rest) - 1))

    def line(words: Sequence[str], style: str = "") -> Table:
        grid = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
        for column, least in zip(rest, widths, strict=True):
            grid.add_column(justify=_side(column), overflow="fold", width=least)
        grid.add_row(*(Text(word, style) for word in words))
        return grid

    drawn: list[RenderableType] = [Text("  ".join(c.title for c in columns[:names]), "bold")]
    drawn.append(line([column.title for column in rest], "bold"))
    for row in cells:
        drawn += [Text("  ".join(row[:names]), overflow="fold"), line(row[names:])]
    return Group(*above, *drawn)


def _side(column: Column) -> JustifyMethod:
    return "right" if column.number else "left"


def _least_widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """How narrow each column can be: numbers, and words between spaces, stay whole."""
    least = []
    for i, column in enumerate(columns):
        words = [row[i] for row in cells] if column.number else [w for row in cells for w in row[i].split()]
        heads = [column.title] if column.number and not words else column.title.split()
        least.append(max(map(cell_len, [*words, *heads]), default=0))
    return least


def _least_width(columns: Sequence[Column], cells: Sequence[Sequence[str]], gap: int = 2) -> int:
    return gap * (len(columns) - 1) + sum(_least_widths(columns, cells))


def _shared_out(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """How wide each column is: what all need at least, and what is left over to the first that can use it."""
    widths = _least_widths(columns, cells)
    for i, column in enumerate(columns):
        wanted = max(map(cell_len, [column.title, *(row[i] for row in cells)]), default=0)
        widths[i] += max(0, min(wanted - widths[i], width - sum(widths)))
    return widths


def _stacked(
    cells: Sequence[Sequence[str]], columns: Sequence[Column], names: int
) -> Iterator[RenderableType]:
    """The names of each row, and below them a line per value."""
    for number, row in enumerate(cells):
        if number:
            yield Text()
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", overflow="fold")
        table.add_column(overflow="fold")
        if names:
            yield Text("  ".join(row[:names]), "bold", overflow="fold")
        for column, cell in zip(columns[names:], row[names:], strict=True):
            table.add_row(column.title, Text(cell))
        yield table


def duration(ns: float | None) -> str:
    """Nanoseconds for a person: three digits and a unit."""
    if ns is None or math.isnan(ns):
        return "–"
    if ns < 0:
        return f"−{duration(-ns)}"
    return _three_digits(ns, {"s": 1e9, "ms": 1e6, "µs": 1e3}, "ns")


def size(count: float) -> str:
    """Bytes for a person: three digits and a decimal unit."""
    return _three_digits(count, {"GB": 1e9, "MB": 1e6, "kB": 1e3}, "bytes")


def _three_digits(value: float, units: Mapping[str, float], least: str) -> str:
    if math.isinf(value):
        return "∞"
    for unit, one in units.items():
        if value >= one * 0.9995:
            digits = max(0, 2 - int(math.log10(value / one))) if value < 1000 * one else 0
            return f"{value / one:.{digits}f} {unit}"
    return f"{value:.0f} {least}"


def _words(value: Any, key: str) -> str:
    if value is None:
        return "–"
    if key.startswith("memory_") and isinstance(value, int | float):
        return size(value)
    if key.endswith("_ns") and isinstance(value, int | float):
        return duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return visible(", ".join(map(str, value))) or "–"
    return visible(str(value))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    return ";".join(map(str, value)) if isinstance(value, list | tuple) else value


def _between_words(text: str, width: int) -> str:
    """The text in lines that are no wider, but for words that are."""
    lines = []
    for line in text.split("\n"):
        column, kept = 0, ""
        for word in re.findall(r"\s*\S+", line):
            if column and column + cell_len(word) > width:
                lines.append(kept)
                column, kept, word = 0, "", word.lstrip()
            column, kept = column + cell_len(word), kept + word
        lines.append(kept)
    return "\n".join(lines)


class Terminal(Console):
    """A console for text that is not ours: no markup, no emoji codes, no highlighting, no control characters.

    What is ours is styled by ``style=`` or by a `rich.text.Text`. A word longer than a line stays whole, so that a
    path or a command can be copied.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        if self.is_terminal and all(isinstance(one, str) for one in objects):
            told = spelled(" ".join(objects), self.encoding)
            super().print(_between_words(told, self.width), **options | {"soft_wrap": True})
        else:
            super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(spelled(text, self.encoding), **options)
