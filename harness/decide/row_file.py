"""Files of rows that a person hands over: their form by their name, and why one cannot be read."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from harness.errors import UsageError, why
from harness.files import contents

LINES = (".jsonl", ".ndjson", ".json")
FORMS = {".csv": "CSV", ".parquet": "Parquet", **dict.fromkeys(LINES, "JSON lines")}
BEGINS = {b"PAR1": "Parquet", b"\x89PNG": "a PNG picture", b"PK\x03\x04": "a zip file, as spreadsheets and .npz are",
          b"\x1f\x8b": "compressed with gzip", b"%PDF": "a PDF"}  # fmt: skip


def source(path: Path) -> Path | io.BytesIO:
    """The file, or what came from a pipe, which has no size and no second reading. Raises OSError."""
    return path if path.is_file() else io.BytesIO(contents(path))


def row_of(path: Path, number: int) -> str:
    """How a sentence names a row of a file, its first row being number 1."""
    return f"{path}, row {number}"


def too_many_cells(path: Path, number: int, cells: int, columns: int) -> UsageError:
    return UsageError(
        f"{row_of(path, number)}: it has {cells} cells, and there are {columns} columns; correct it."
    )


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
