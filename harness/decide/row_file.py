"""Files of rows that a person hands over: their form by their name, and why one cannot be read."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError

LINES = (".jsonl", ".ndjson", ".json")
FORMS = {".csv": "CSV", ".parquet": "Parquet", **dict.fromkeys(LINES, "JSON lines")}
BEGINS = {b"PAR1": "Parquet", b"\x89PNG": "a PNG picture", b"PK\x03\x04": "a zip file, as spreadsheets and .npz are",
          b"\x1f\x8b": "compressed with gzip", b"%PDF": "a PDF"}  # fmt: skip


def refused(path: Path, columns: str, error: Exception) -> UsageError:
    """The sentence for an error of reading ``path`` as its form, which is CSV for names of no other."""
    if isinstance(error, FileNotFoundError):
        return UsageError(f"no file {path}; name one with the columns {columns}.")
    if path.is_dir():
        return UsageError(f"{path} is a directory; name a file with the columns {columns}.")
    form = FORMS.get(path.suffix, "CSV")
    told = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    kind = _kind(path)
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
