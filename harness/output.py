"""How results reach a person or a program: a table, JSON or CSV on stdout, and talk on stderr."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.live import Live
from rich.table import Table
from rich.text import Text

LEAST_WORDS = 12  # a column of words is not folded to fewer characters


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
    """Where talk goes. Into a pipe or a file, sentences are as long as they are."""
    console = Console(stderr=True, highlight=False)
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
        console = Console(highlight=False, width=width)
        console.print(_table(rows, columns, title, console.width))


def watching(rows_and_columns: Callable[[], tuple[Sequence[Mapping[str, Any]], Sequence[Column]]]) -> None:
    """Show a table anew every two seconds, until Ctrl-C."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(console=Console(highlight=False), auto_refresh=False) as live,
    ):
        while True:
            live.update(_table(*rows_and_columns(), None, live.console.width), refresh=True)
            time.sleep(2)


def _table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], title: str | None, width: int
) -> Table:
    """Rows under titles, where numbers are never broken; below one another where they do not fit beside."""
    cells = [[_words(row.get(c.key), c.key) for c in columns] for row in rows]
    if _least_width(columns, cells) > width:
        return _stacked(cells, columns, title)
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column.number else "left"
        table.add_column(column.title, justify=justify, overflow="fold", no_wrap=column.number)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _least_width(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> int:
    least = 2 * (len(columns) - 1)
    for i, column in enumerate(columns):
        widest = max((cell_len(row[i]) for row in cells), default=0)
        if column.number:
            least += max(widest, cell_len(column.title))
        else:
            least += max([min(widest, LEAST_WORDS), *map(cell_len, column.title.split())])
    return least


def _stacked(cells: Sequence[Sequence[str]], columns: Sequence[Column], title: str | None) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False
    )
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for number, row in enumerate(cells):
        if number:
            table.add_row()
        for column, cell in zip(columns, row, strict=True):
            table.add_row(column.title, Text(cell))
    return table


def duration(ns: float | None) -> str:
    """Nanoseconds for a person: three digits and a unit."""
    if ns is None or math.isnan(ns):
        return "–"
    if math.isinf(ns):
        return "∞"
    if ns < 0:
        return f"−{duration(-ns)}"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size * 0.9995:
            value = ns / size
            return (
                f"{value:.{max(0, 2 - int(math.log10(value)))}f} {unit}"
                if value < 1000
                else f"{value:.0f} {unit}"
            )
    return f"{ns:.0f} ns"


def _words(value: Any, key: str) -> str:
    if value is None:
        return "–"
    if key.endswith("_ns") and isinstance(value, int | float):
        return duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    return ";".join(map(str, value)) if isinstance(value, list | tuple) else value
