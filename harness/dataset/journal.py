"""Finished jobs, appended and synced to disk before they count: one file of JSON lines per device."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import msgspec

from harness.dataset.records import Entry
from harness.errors import DatasetError

_ENTRIES = msgspec.json.Decoder(Entry)  # made here, as several threads must not prepare a type at once


class Journal:
    """Appends entries. A line that a crash cut short is removed when the journal is opened again."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = _whole_lines(path)
        self.entries = len(lines)
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        self._size = sum(map(len, lines))
        self._file.truncate(self._size)

    def append(self, entry: Entry) -> None:
        """On return the entry is on disk. Where the disk is full (OSError) the journal is as before."""
        line = msgspec.json.encode(entry) + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self.entries += 1

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> list[Entry]:
    """The whole entries; a torn last line is left out. Raises DatasetError for damage anywhere else."""
    return read_more(path)[0]


def read_more(path: Path, start: int = 0) -> tuple[list[Entry], int]:
    """As `read_journal` from a byte on, at which a line begins; and the byte after the last whole line."""
    entries, end = [], start
    for number, line in enumerate(_whole_lines(path, start), 1):
        try:
            entries.append(_ENTRIES.decode(line))
        except msgspec.DecodeError as error:
            where = f"line {number}{f' from byte {start} on' if start else ''}"
            raise DatasetError(
                f"{path}, {where} is damaged ({error}); remove that line to lose only its job."
            ) from error
        end += len(line)
    return entries, end


def _whole_lines(path: Path, start: int = 0) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        data = b""
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]
