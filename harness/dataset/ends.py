"""Which rows of a dataset count: each workload of a job once, as the newest end of that job has it.

A row is there twice where a file was copied under another name, and a job has several ends where it was done again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

UNFIT = "device_unfit"
KEY = ("job", "workload")
COLUMNS = ("job", "workload", "status", "attempt", "started_at")
PARTS, _TOP = 16, np.uint64(60)  # keys are compared by their first four bits at a time, to need less memory
_PRIME = np.uint64(0x9E3779B97F4A7C15)


def keys(table: pa.Table) -> NDArray[np.uint64]:
    """(n,) a hash of job and workload of each row."""
    mixed = hashed(table["job"]) * _PRIME ^ _hashed_few(table["workload"])
    return np.asarray(mixed * _PRIME, np.uint64)


def twice(keys: NDArray[np.uint64]) -> NDArray[np.bool_] | None:
    """(n,) whether another row has the same key; None where none has.

    Equal rows have equal keys, and different rows hardly ever: what these rows are is for `superseded` to tell.
    """
    repeated = [_repeated(keys[keys >> _TOP == part]) for part in np.arange(PARTS, dtype=np.uint64)]
    return np.isin(keys, np.concatenate(repeated)) if any(map(len, repeated)) else None


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


def hashed(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """(n,) 64-bit hashes of texts."""
    return np.concatenate([np.zeros(0, np.uint64), *map(_hashed_chunk, column.chunks)])


def _hashed_few(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """As `hashed`, of texts that are mostly the same ones."""
    encoded = column.combine_chunks().dictionary_encode()
    texts: NDArray[np.uint64] = hashed(pa.chunked_array([encoded.dictionary]))
    return np.asarray(texts[encoded.indices.to_numpy()], np.uint64)


def _hashed_chunk(chunk: pa.Array) -> NDArray[np.uint64]:
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    data = np.frombuffer(chunk.buffers()[2] or b"", np.uint8)
    lengths = np.diff(offsets)
    if len(lengths) and lengths[0] % 8 == 0 and (lengths == lengths[0]).all():
        return _mixed(data[offsets[0] : offsets[-1]].reshape(len(chunk), -1), int(lengths[0]))
    found = np.zeros(len(chunk), np.uint64)
    for length in np.unique(lengths).tolist():
        mine = lengths == length
        words = np.zeros((int(mine.sum()), -(-length // 8) * 8), np.uint8)
        words[:, :length] = data[offsets[:-1][mine][:, None] + np.arange(length)]
        found[mine] = _mixed(words, length)
    return found


def _mixed(texts: NDArray[np.uint8], length: int) -> NDArray[np.uint64]:
    """(n,) of texts (n, 8 k) of one length."""
    value = np.full(len(texts), length, np.uint64)
    for word in np.ascontiguousarray(texts).view(np.uint64).T:
        value = (value ^ word) * _PRIME
        value ^= value >> np.uint64(32)
    return value
