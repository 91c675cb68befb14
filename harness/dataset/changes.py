"""What a dataset has more of than at the last look, for who looks on while a collection writes to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from harness.dataset.journal import read_more
from harness.dataset.parts import read_parts
from harness.dataset.snapshot import files, table_of
from harness.dataset.store import Dataset

Stamp = tuple[int, int, int]


class Changes:
    """Reads each part once, and of each journal only what was appended.

    A job that moves from a journal to a part is given twice, and one that was done again as often as it was done:
    who counts goes by `job` and `attempt`. What is remembered is a few numbers a file.
    """

    def __init__(self, dataset: Dataset, columns: Sequence[str]) -> None:
        self._dataset, self._columns = dataset, list(columns)
        self._parts: dict[Path, Stamp] = {}
        self._journals: dict[Path, tuple[int, int]] = {}  # its inode, and up to where it was read

    def fresh(self) -> Iterator[pa.Table]:
        """Rows that came since this was last called, all of them at first. Raises DatasetError."""
        # Journals first: one that goes away meanwhile is in a part that is listed after it.
        journals = files(self._dataset.root / "journal", ".jsonl")
        for path in journals:
            inode, start = self._journals.get(path, (0, 0))
            stamp = _stamp(path)
            if stamp is None or (stamp[0] == inode and stamp[1] == start):
                continue
            entries, start = read_more(path, start if stamp[0] == inode and stamp[1] > start else 0)
            self._journals[path] = stamp[0], start
            if entries:
                yield table_of(entries, self._columns)
        self._journals = {path: self._journals[path] for path in journals if path in self._journals}
        known: dict[Path, Stamp] = {}
        contains: dict[str, str] | None = None
        for path in files(self._dataset.root / "observations", ".parquet"):
            stamp = _stamp(path)
            if stamp is None:
                continue
            known[path] = stamp
            if self._parts.get(path) != stamp:
                contains = contains if contains is not None else self._dataset.wall_contains()
                yield from read_parts([path], self._columns, contains)
        self._parts = known


def _stamp(path: Path) -> Stamp | None:
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns
