"""Which rows of a dataset count: each workload of a job once, as the newest end of that job has it.

A row is there twice where a file was copied under another name, and a job has several ends where it was done again.
"""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitot_core.keys import hashed, mixed

UNFIT = "device_unfit"
KEY = ("job", "workload")
COLUMNS = ("job", "workload", "status", "attempt", "started_at")
IN_MEMORY = 1 << 24  # keys
_PARTS, _TOP = np.arange(16, dtype=np.uint64), np.uint64(60)  # compared by their first four bits at a time


class Keys:
    """A hash of job and workload of each row that was added, to find those that are there twice.

    Of very many rows they are on disk, in files without a name that go away with this.
    """

    def __init__(self) -> None:
        self._waiting: list[NDArray[np.uint64]] = []
        self._files: list[IO[bytes]] = []

    def add(self, table: pa.Table) -> None:
        self.put(keys(table))

    def put(self, found: NDArray[np.uint64]) -> None:
        """`keys` of rows."""
        self._waiting.append(found)
        if sum(map(len, self._waiting)) > IN_MEMORY:
            self._write()

    def twice(self) -> NDArray[np.uint64]:
        """Those that several rows have, sorted.

        Equal rows have equal keys, and different rows hardly ever: what these rows are is for `superseded` to tell.
        """
        if self._files:
            self._write()
            return np.concatenate([_repeated(_read(file)) for file in self._files])
        every = np.concatenate([np.zeros(0, np.uint64), *self._waiting])
        return np.concatenate([_repeated(every[every >> _TOP == part]) for part in _PARTS])

    def _write(self) -> None:
        self._files = self._files or [TemporaryFile() for _ in _PARTS]  # noqa: SIM115
        every, self._waiting = np.concatenate(self._waiting), []
        for part, file in zip(_PARTS, self._files, strict=True):
            file.write(every[every >> _TOP == part].data)


def keys(table: pa.Table) -> NDArray[np.uint64]:
    """(n,) a hash of job and workload of each row."""
    return mixed(hashed(table["job"]), _hashed_few(table["workload"]))


def _read(file: IO[bytes]) -> NDArray[np.uint64]:
    file.seek(0)
    return np.fromfile(file, np.uint64)


def _repeated(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys.sort()
    return np.unique(keys[1:][keys[1:] == keys[:-1]])


def superseded(rows: pa.Table) -> NDArray[np.bool_]:
    """(n,) of rows with COLUMNS, all that may belong together: whether a row does not count.

    Of each job the rows of one end count: the newest without ``device_unfit``, or else the newest; newest is the
    highest ``attempt``, then the latest ``started_at``. Of equal rows the first one counts.
    """
    job = rows["job"].to_pylist()
    status, attempt = rows["status"].to_pylist(), rows["attempt"].to_pylist()
    started = pc.fill_null(pc.cast(rows["started_at"], pa.int64()), 0).to_pylist()
    ends = list(zip(job, attempt, started, strict=True))
    unfit = {end for end, told in zip(ends, status, strict=True) if told == UNFIT}
    newest: dict[str, tuple[Any, ...]] = {}
    for end in set(ends):
        rank = (end not in unfit, *end[1:])
        newest[end[0]] = max(rank, newest.get(end[0], rank))
    seen, dropped = set(), np.zeros(len(job), bool)
    for row, (end, workload) in enumerate(zip(ends, rows["workload"].to_pylist(), strict=True)):
        dropped[row] = newest[end[0]] != (end not in unfit, *end[1:]) or (end[0], workload) in seen
        if not dropped[row]:
            seen.add((end[0], workload))
    return dropped


def _hashed_few(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """As `hashed`, of texts that are mostly the same ones."""
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(hashed(encoded.dictionary)[encoded.indices.to_numpy()], np.uint64)
