"""Columns as other programs write them (polars, DuckDB, pandas), made the types that the schema says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ABSENT = {"warm": False}  # fields of a struct that an older version does not have; any other is null


class NoSuchType(Exception):
    """A column cannot be read as the type that it must have; the text says why."""


def projected(shape: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """The schema of chosen columns, given by name or by Parquet path such as ``samples.list.element.wall_ns``."""
    asked: dict[str, list[str]] = {}
    for column in columns:
        name, _, path = column.partition(".")
        asked.setdefault(name, []).append(path.rpartition(".")[2])
    return pa.schema(
        [(name, shape.field(name).type if "" in leaves else _part(shape.field(name).type, leaves))
         for name, leaves in asked.items()]
    )  # fmt: skip


def conform(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column as ``kind``. Raises NoSuchType where a value has no place in it."""
    if column.type.equals(kind):
        return column
    try:
        return pa.chunked_array([_conform(chunk, kind) for chunk in column.chunks], kind)
    except (pa.ArrowException, ValueError) as error:
        raise NoSuchType(str(error).splitlines()[0][:200]) from error


def _part(kind: pa.DataType, leaves: Sequence[str]) -> pa.DataType:
    """A struct, or a list of structs, with only some fields."""
    if pa.types.is_list(kind):
        return pa.list_(_part(kind.value_type, leaves))
    return pa.struct([field for field in kind if field.name in leaves])


def _conform(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type.equals(kind):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_dictionary(array.type):
        return _conform(array.dictionary_decode(), kind)
    for is_kind, made in _NESTED:
        if is_kind(kind):
            return made(array, kind)
    safe = not pa.types.is_timestamp(kind)  # a part of a microsecond may go
    return array.cast(kind, safe=safe)


def _struct(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_struct(array.type):
        raise NoSuchType(f"{array.type} where a struct must be")
    there = [field.name for field in array.type]
    children = []
    for field in kind:
        if field.name in there:
            children.append(_conform(pc.struct_field(array, field.name), field.type))
        else:
            filled = pa.scalar(ABSENT.get(field.name), field.type)
            children.append(pa.repeat(filled, len(array)))
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())


def _list(array: pa.Array, kind: pa.DataType) -> pa.Array:
    offsets, values = _lists(array)
    return pa.ListArray.from_arrays(
        offsets, _conform(values, kind.value_type), type=kind, mask=array.is_null()
    )


def _map(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """A map, or as polars writes one: a list of structs of a key and a value."""
    offsets, values = _lists(array)
    if not pa.types.is_struct(values.type) or values.type.num_fields != 2:
        raise NoSuchType(f"{array.type} where a map must be")
    key, value = values.flatten()
    if array.null_count:  # a map's null stands in its offsets
        offsets = pa.array(offsets.to_numpy(), mask=np.append(array.is_null().to_numpy(False), False))
    return pa.MapArray.from_arrays(
        offsets, _conform(key, kind.key_type), _conform(value, kind.item_type), type=kind
    )


def _lists(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Offsets and values of any list or map."""
    if pa.types.is_map(array.type):
        array = array.cast(
            pa.list_(pa.struct([("key", array.type.key_type), ("value", array.type.item_type)]))
        )
    if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
        raise NoSuchType(f"{array.type} where a list must be")
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), array.flatten()


_NESTED: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, pa.DataType], pa.Array]], ...] = (
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
    (pa.types.is_list, _list),
)
