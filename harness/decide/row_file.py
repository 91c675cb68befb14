"""Files of rows that a person hands over: their form by their name, and why one cannot be read."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from harness.errors import UsageError, why
from harness.files import contents
from harness.spelling import noun, several

LINES = (".jsonl", ".ndjson", ".json")
FORMS = {".csv": "CSV", ".parquet": "Parquet", **dict.fromkeys(LINES, "JSON lines")}
LONGEST_ROW = 1 << 20  # bytes
BEGINS = {b"PAR1": "Parquet", b"\x89PNG": "a PNG picture", b"PK\x03\x04": "a zip file, as spreadsheets and .npz are",
          b"\x1f\x8b": "compressed with gzip", b"%PDF": "a PDF"}  # fmt: skip


class Empty(ValueError):
    """A file without a word in it, which `refused` tells."""


def read_rows(path: Path, columns: str) -> list[dict[str, Any]]:
    """The rows of a CSV, Parquet or JSON-lines file, by its extension. Raises UsageError."""
    try:
        return _read_rows(path)
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise refused(path, columns, error) from error


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(source(path)) as table:
            rows: list[dict[str, Any]] = table.read().to_pylist()
        return rows
    content = contents(path)
    if not content.strip():
        raise Empty
    check_lengths(path, content)
    text = content.decode("utf-8-sig")
    # A file splits at newlines only, as a line of text does not (U+2028); spreadsheets begin with a byte-order mark.
    if path.suffix in LINES:
        return objects(path, text)
    csv.field_size_limit(LONGEST_ROW)  # for all of this process; the usual one is an eighth
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    for number, row in enumerate(read, 1):
        if None in row:
            raise too_many_cells(path, number, len(row) - 1 + len(row[None]), len(row) - 1)
    return read


def source(path: Path) -> Path | io.BytesIO:
    """The file, or what came from a pipe, which has no size and no second reading.

    Raises OSError, and Empty where nothing is in it.
    """
    given = path if path.is_file() else io.BytesIO(contents(path))
    if not (path.stat().st_size if isinstance(given, Path) else len(given.getbuffer())):
        raise Empty
    return given


def check_lengths(path: Path, content: bytes) -> None:
    """Raises UsageError for a row that is longer than LONGEST_ROW, by its number."""
    if len(content) <= LONGEST_ROW:
        return
    by_lines = path.suffix in LINES
    number, row = (1 if by_lines else 0), 0
    whole = True  # whether quotation marks are closed, without which a line of CSV goes on in the next
    for line in io.BytesIO(content):
        row += len(line)
        if row > LONGEST_ROW:
            break
        whole = by_lines or whole == (line.count(b'"') % 2 == 0)
        if whole:
            number, row = number + bool(line.strip()), 0
    else:
        return
    where = row_of(path, number) if number else f"{path}, the line of column names"
    closed = "" if by_lines else ", or close its quotation marks"
    raise UsageError(
        f"{where}: it is longer than {LONGEST_ROW >> 20} MiB, the most that is read; correct it{closed}."
    )


def row_of(path: Path, number: int) -> str:
    """How a sentence names a row of a file, its first row being number 1."""
    return f"{path}, row {number}"


def too_many_cells(path: Path, number: int, cells: int, columns: int) -> UsageError:
    there = f"there {noun(columns, 'is', 'are')} {several(columns, 'column')}"
    return UsageError(f"{row_of(path, number)}: it has {several(cells, 'cell')}, and {there}; correct it.")


def objects(path: Path, text: str) -> list[dict[str, Any]]:
    """The JSON object of each line that is not empty. Raises UsageError with the row that is none.

    Lines end at newlines only, unlike in `str.splitlines`: text in JSON may hold other separators (U+2028).
    """
    rows = []
    for number, line in enumerate(filter(str.strip, text.split("\n")), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            told = (
                "it is nested too deeply"
                if isinstance(error, RecursionError)
                else f"it is not JSON ({error})"
            )
            raise UsageError(f"{row_of(path, number)}: {told}; correct it.") from error
        if not isinstance(row, dict):
            raise UsageError(f"{row_of(path, number)}: it is no JSON object; correct it.")
        rows.append(row)
    return rows


def refused(path: Path, columns: str, error: Exception) -> UsageError:
    """The sentence for an error of reading ``path`` as its form, which is CSV for names of no other."""
    if isinstance(error, FileNotFoundError):
        return UsageError(f"no file {path}; name one with the columns {columns}.")
    if isinstance(error, Empty):
        return UsageError(f"{path} is empty; give it rows with the columns {columns}.")
    if os.path.isdir(path):
        return UsageError(f"{path} is a directory; name a file with the columns {columns}.")
    if isinstance(error, OSError) and error.errno:
        return UsageError(f"{path} cannot be read: {why(error, path)}; name another file.")
    form = FORMS.get(path.suffix, "CSV")
    told = why(error)
    kind = _kind(path) if path.is_file() else None
    if kind and kind != form:
        told = f"it is {kind}"
    elif isinstance(error, UnicodeDecodeError):
        told = f"it is not text in UTF-8 (byte {error.start + 1} is 0x{error.object[error.start]:02x})"
    return UsageError(f"{path} cannot be read as {form}: {told}; correct it.")


def _kind(path: Path) -> str | None:
    """What a file begins as, where that is known."""
    try:
        with open(path, "rb") as file:
            first = file.read(8)
    except OSError:
        return None
    return next((kind for begin, kind in BEGINS.items() if first.startswith(begin)), None)
