"""What each column means and its unit, written into the Parquet files themselves: `description` and `unit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from harness.dataset import schema
from harness.dataset.schema import Field

UNITS = {
    "ns": "ns", "s": "s", "kb": "kB", "bytes": "byte", "mhz": "MHz", "c": "°C", "j": "J",
}  # fmt: skip
NESTED = {
    "samples": schema.SAMPLE_FIELDS,
    "cold_samples": schema.COLD_FIELDS,
    "state_before": schema.STATE_FIELDS,
    "state_after": schema.STATE_FIELDS,
}


def unit(name: str) -> str:
    """The unit that stands in a column's name; empty where it has none."""
    if name == "wall_ns_mean":
        return "ns"
    return UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""


def described(table: pa.Table, fields: Sequence[Field]) -> pa.Table:
    """The same table with `description`, `unit` and `null` (when it is missing) in the metadata of its columns."""
    by_name = {field.name: field for field in fields}
    shape = [_field(one, by_name) for one in table.schema]
    return table.cast(pa.schema(shape, table.schema.metadata))


def _field(column: pa.Field, by_name: Mapping[str, Field]) -> pa.Field:
    kind, inner = column.type, {field.name: field for field in NESTED.get(column.name, ())}
    if inner and pa.types.is_struct(kind):
        kind = pa.struct([_field(one, inner) for one in kind])
    elif inner and pa.types.is_list(kind):
        kind = pa.list_(pa.struct([_field(one, inner) for one in kind.value_type]))
    told = by_name.get(column.name)
    if told is None:
        return column.with_type(kind)
    metadata = {"description": told.meaning, "unit": unit(told.name), "null": told.null or "never"}
    return column.with_type(kind).with_metadata({key: text for key, text in metadata.items() if text})
