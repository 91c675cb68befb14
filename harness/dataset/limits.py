"""Numbers and gaps that no file may hold: what is read is checked once, here, for every command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.schema import Field
from harness.errors import DatasetError

MOST = 2.0**62  # ns are 146 years; of anything else it is out of the question too
LARGEST = 1e18  # of a number that may also be negative
_RANGES: dict[str, tuple[float, float]] = {
    "wall_ns": (1, MOST),
    "wall_ns_mean": (1, MOST),
    "wall_ns_median": (1, MOST),
    "wall_ns_p95": (1, MOST),
    "time_ns": (1, MOST),
    "lower_bound_ns": (1, MOST),
    "n_co_runners": (0, 3),
    "attempt": (1, 2**15 - 1),
    "limit_s": (1e-9, 1e9),
    "co_run_s": (0, 1e9),
    "energy_j": (0, LARGEST),
    "instructions": (0, LARGEST),
    "cycles": (0, LARGEST),
    "cache_misses": (0, LARGEST),
}


def check(path: Path, table: pa.Table, fields: Iterable[Field], first: int = 0) -> None:
    """Raises DatasetError with file, column and row for a number out of range, a NaN, or a gap where none may be.

    ``first`` is the number of the table's first row in the file.
    """
    there = set(table.column_names)
    for field in fields:
        if field.name not in there:
            continue
        column = table[field.name]
        if not field.null and column.null_count:
            _refuse(
                path,
                field.name,
                "nothing",
                first + _first(column.is_null()),
                "every row must have a value there",
            )
        if pa.types.is_nested(column.type) or _number(column.type):
            for chunk, start in zip(column.chunks, _starts(column), strict=True):
                rows = np.arange(first + start, first + start + len(chunk))
                _check(path, field.name, field.name, chunk, rows)


def check_times(path: Path, status: pa.ChunkedArray, times: pa.ChunkedArray, name: str, first: int) -> None:
    """Raises DatasetError where a row is ``ok`` and has no time."""
    without = pc.and_(pc.equal(status, "ok"), times.is_null())
    if pc.any(without).as_py():
        _refuse(path, name, "nothing", first + _first(without), "a row whose status is ok has a time")


def _check(path: Path, shown: str, name: str, array: pa.Array, rows: NDArray[np.int64]) -> None:
    """An array whose elements belong to ``rows`` of the file."""
    kind = array.type
    if pa.types.is_struct(kind):
        there = array.is_valid()
        for field in kind:
            part = (
                pc.struct_field(array, field.name).filter(there)
                if array.null_count
                else pc.struct_field(array, field.name)
            )
            kept = rows[there.to_numpy(zero_copy_only=False)] if array.null_count else rows
            _check(path, f"{shown}.{field.name}", field.name, part, kept)
    elif pa.types.is_map(kind):
        lists = array.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        _check(path, shown, name, lists, rows)
    elif pa.types.is_list(kind):
        if pa.types.is_nested(kind.value_type) or _number(kind.value_type):
            _check(path, shown, name, array.flatten(), rows[pc.list_parent_indices(array).to_numpy()])
    elif _number(kind) and len(array) > array.null_count:
        least, most = _range(name, kind)
        found = pc.min_max(array)
        whole = pa.types.is_integer(kind) or not pc.any(pc.is_nan(array)).as_py()
        if whole and least <= found["min"].as_py() and found["max"].as_py() <= most:
            return
        value = array.cast(pa.float64())
        fits = pc.and_(pc.greater_equal(value, least), pc.less_equal(value, most))
        at = _first(pc.invert(pc.fill_null(fits, True)))
        _refuse(path, shown, f"{array[at].as_py()}", int(rows[at]), f"it must be from {least:g} to {most:g}")


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _range(name: str, kind: pa.DataType) -> tuple[float, float]:
    if name in _RANGES:
        return _RANGES[name]
    return (0, MOST) if pa.types.is_integer(kind) else (-LARGEST, LARGEST)


def _starts(column: pa.ChunkedArray) -> list[int]:
    lengths = [len(chunk) for chunk in column.chunks]
    return [sum(lengths[:k]) for k in range(len(lengths))]


def _first(mask: pa.ChunkedArray) -> int:
    found: int = pc.index(mask, pa.scalar(True)).as_py()
    return found


def _refuse(path: Path, column: str, found: str, row: int, rule: str) -> None:
    raise DatasetError(
        f"{path}: {column} is {found} in row {row + 1}, and {rule}; correct that row or remove it."
    )
