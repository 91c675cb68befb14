"""Rows as whole numbers: which of them are equal, and draws that depend on what a row is and not on where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Words = list[NDArray[np.int64]]
MOST = 2**62
AT_ONCE = 1 << 14


def packed(columns: Sequence[tuple[Array, int]]) -> Words:
    """(n,) numbers that order rows as their columns do; each column comes with how many values it may have."""
    words: Words = []
    room = MOST + 1
    for values, size in columns:
        if room > MOST // max(size, 1):
            words.append(np.zeros(len(values), np.int64))
            room = 1
        words[-1] *= size
        words[-1] += values
        room *= size
    return words


def unpacked(words: Words, sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    """The columns of these sizes again."""
    room, parts = MOST + 1, list[list[int]]()
    for size in sizes:
        if room > MOST // max(size, 1):
            parts.append([])
            room = 1
        parts[-1].append(size)
        room *= size
    found: list[NDArray[np.int64]] = []
    for word, mine in zip(words, parts, strict=True):
        columns, left = [], word
        for size in reversed(mine):
            left, value = np.divmod(left, size)
            columns.append(value)
        found += reversed(columns)
    return found


def sorted_runs(words: Words) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order (n,) that sorts rows, and where in it each run of equal ones begins."""
    order = np.argsort(words[0], kind="stable") if len(words) == 1 else np.lexsort(words[::-1])
    begins = np.zeros(len(order), bool)
    begins[:1] = True
    for word in words:
        there = word[order]
        begins[1:] |= there[1:] != there[:-1]
    return order, np.flatnonzero(begins)


def mixed(*columns: Array) -> NDArray[np.uint64]:
    """(n,) 64 bits that look random and are the same for the same whole numbers (the finish of SplitMix64)."""
    found = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        found += np.asarray(column).astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(30)
        found *= np.uint64(0xBF58476D1CE4E5B9)
        found ^= found >> np.uint64(27)
        found *= np.uint64(0x94D049BB133111EB)
        found ^= found >> np.uint64(31)
    return found


def shares(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(n,) numbers in [0, 1) of mixed bits."""
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def numbers_of_jobs(column: Any) -> NDArray[np.int64]:
    """(n,) of an Arrow column of text the same number for the same text in whatever batch; whole numbers stay."""
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return np.asarray(column, np.int64)
    return (hashed(column) >> np.uint64(1)).astype(np.int64)


def hashed(column: Any) -> NDArray[np.uint64]:
    """(n,) 64 bits of every text of an Arrow column, the same for the same text in whatever batch."""
    import pyarrow as pa

    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.zeros(0, np.uint64), *map(_hashed, chunks)])


def _hashed(chunk: Any) -> NDArray[np.uint64]:
    import pyarrow as pa

    if not pa.types.is_string(chunk.type):
        chunk = chunk.cast(pa.large_string())
    found = np.zeros(len(chunk), np.uint64)
    if not len(chunk):
        return found
    _, ends, text = chunk.buffers()
    wide = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    at = np.frombuffer(ends, wide)[chunk.offset : chunk.offset + len(chunk) + 1]
    letters, lengths = np.frombuffer(text or b"", np.uint8), np.diff(at)
    if lengths[0] and lengths[0] % 8 == 0 and (lengths == lengths[0]).all():  # as those of jobs are
        return _mixed_texts(letters[at[0] : at[-1]].reshape(len(chunk), -1), int(lengths[0]))
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        words = np.zeros((len(rows), -(-length // 8) * 8), np.uint8)
        if length:
            words[:, :length] = letters[at[rows][:, None] + np.arange(length)]
        found[rows] = _mixed_texts(words, length)
    return found


def _mixed_texts(texts: NDArray[np.uint8], length: int) -> NDArray[np.uint64]:
    """(n,) of texts (n, 8 k) of one length, some at a time: what is made on the way stays in the cache."""
    words, found = texts.view(np.int64), np.empty(len(texts), np.uint64)
    for first in range(0, len(texts), AT_ONCE):
        some = words[first : first + AT_ONCE]
        found[first : first + AT_ONCE] = mixed(np.full(len(some), length), *some.T)
    return found
