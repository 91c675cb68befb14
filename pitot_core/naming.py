"""From names to row numbers and back: questions and observations as tables that people and other programs keep.

A table has a column `workload`, a column `platform` and, for co-runners, a column `with` or `co_runners`: a list of
names or one text with ";" between them. Anything that Arrow can read will do: an Arrow table, a pandas or polars frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pitot_core.buffers import arrow_names, arrow_numbers, numbers_of
from pitot_core.errors import ObservationsError, UnknownEntity

Array = NDArray[Any]
BESIDE = ("with", "co_runners")
SEPARATOR = ";"


class Named(Protocol):
    """Whatever has the names that row numbers stand for, such as Features."""

    @property
    def workload_names(self) -> tuple[str, ...]: ...

    @property
    def platform_names(self) -> tuple[str, ...]: ...


def arrow(table: Any) -> Any:
    """An Arrow table of an Arrow table, a frame or a mapping of columns. Raises ObservationsError for anything else."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    try:
        if hasattr(table, "to_arrow"):  # polars
            return table.to_arrow()
        if hasattr(table, "dtypes") and hasattr(table, "columns"):  # pandas
            return pa.Table.from_pandas(table, preserve_index=False)
        return pa.table(table)
    except (TypeError, ValueError, pa.ArrowException) as problem:
        raise ObservationsError(
            f"{type(table).__name__} is not a table that can be read: {problem}"
        ) from None


def numbers(table: Any, names: Named, most: int) -> tuple[Array, Array, Array]:
    """platform (M,), workload (M,) and co_runners (M, most) row numbers of an Arrow table's rows.

    Raises ObservationsError where a column is missing or a row has too many co-runners, UnknownEntity by name.
    """
    workload = _of_column(table, "workload", "workload", names.workload_names)
    platform = _of_column(table, "platform", "platform", names.platform_names)
    beside = np.full((table.num_rows, most), -1, np.int32)
    column = next((name for name in BESIDE if name in table.column_names), None)
    if column is not None:
        _fill_beside(beside, table[column], names.workload_names)
    return platform, workload, beside


def table_of(rows: Iterable[Sequence[Any]]) -> Any:
    """An Arrow table of tuples (workload, platform) or (workload, platform, co-runners)."""
    import pyarrow as pa

    listed = list(rows)
    beside = []
    for number, row in enumerate(listed):
        if isinstance(row, str) or not 2 <= len(row) <= 3:
            raise ObservationsError(
                f"is {row!r}; a question is (workload, platform) or (workload, platform, co-runners)", number
            )
        names = row[2] if len(row) == 3 else ()
        beside.append(SEPARATOR.join([names] if isinstance(names, str) else names or ()))
    columns = {"workload": [row[0] for row in listed], "platform": [row[1] for row in listed], "with": beside}
    try:
        return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    except (TypeError, pa.ArrowException) as problem:
        raise ObservationsError(f"a question names its workload and platform by text: {problem}") from None


def _of_column(table: Any, column: str, kind: str, known: tuple[str, ...]) -> Array:
    if column not in table.column_names:
        raise ObservationsError(
            f"there is no column {column!r} among {', '.join(map(repr, table.column_names)) or 'none'}"
        )
    return _numbers(table[column], kind, known)


def _numbers(values: Any, kind: str, known: tuple[str, ...], rows: Array | None = None) -> Array:
    """Of each text its number among the known ones; ``rows`` are where they stand, by default one in each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        if len(values) and not pa.types.is_null(values.type):
            raise ObservationsError(f"a {kind} is named by text, not by {values.type}")
        values = values.cast(pa.string())
    names = arrow_names(known)
    found = numbers_of(
        pc.index_in(values, value_set=names if values.type == names.type else names.cast(values.type))
    )
    if len(found) and found.min() < 0:
        first = int(np.flatnonzero(found < 0)[0])
        row, name = first if rows is None else int(rows[first]), values[first].as_py()
        raise UnknownEntity(
            f"row {row} names no {kind}"
            if name is None
            else f"{kind} {name!r} (row {row}) is not in the tables",
            kind=kind,
            name=name,
            row=row,
        )
    return np.asarray(found, np.int32)


def _fill_beside(beside: Array, column: Any, known: tuple[str, ...]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_null(column.type) or not len(column):
        return
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.split_pattern(column, SEPARATOR)
    elif not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise ObservationsError(
            f"co-runners are a list of names, or one text with ; between, not {column.type}"
        )
    row = numbers_of(pc.list_parent_indices(column))
    names = pc.list_flatten(column)
    if pa.types.is_dictionary(names.type):
        names = names.cast(names.type.value_type)
    if len(names) and (pa.types.is_string(names.type) or pa.types.is_large_string(names.type)):
        names = pc.utf8_trim_whitespace(names)
        named = np.flatnonzero(numbers_of(pc.utf8_length(names)) > 0)
        row, names = row[named], names.take(arrow_numbers(named))
    count = np.bincount(row, minlength=len(beside))
    if count.max(initial=0) > beside.shape[1]:
        worst = int(count.argmax())
        raise ObservationsError(f"has {count[worst]} co-runners; at most {beside.shape[1]} fit", worst)
    place = np.arange(len(row)) - (np.cumsum(count) - count)[row]
    beside[row, place] = _numbers(names, "workload", known, row)
