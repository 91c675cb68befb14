"""What the columns of a file hold, as text of a CSV or of JSON, whichever of Arrow's types they have."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitot_core.buffers import arrow_names, numbers_of


def is_text(values: Any) -> bool:
    """Whether a column holds text, as it is or coded."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def unfolded(table: pa.Table) -> pa.Table:
    """The table with text as other programs keep it (views, run lengths) in the one way that everything here reads."""
    for place, field in enumerate(table.schema):
        if str(field.type) == "string_view" or "run_end_encoded<" in str(field.type):
            kind = getattr(field.type, "value_type", pa.string())
            table = table.set_column(place, field.name, pa.array(table[field.name].to_pylist(), kind))
    return table


def is_plain(kind: Any) -> bool:
    """Whether a cell of CSV holds such a value as it is."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_interval(kind):
        return False
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)) or (
        pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )


def in_one_cell(column: Any) -> Any:
    """Lists of names joined by ";", everything else as JSON."""
    kind = column.type
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and (
        pa.types.is_string(kind.value_type)
        or pa.types.is_large_string(kind.value_type)
        or pa.types.is_null(kind.value_type)
    ):
        return arrow_names([";".join(filter(None, names or ())) for names in column.to_pylist()])
    return arrow_names([_json(value) for value in column.to_pylist()])


def _json(value: Any) -> str:
    """As JSON, which has no number that is not finite, and nothing of what only Arrow has but its text."""
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(json.loads(json.dumps(value, default=str), parse_constant=lambda name: None))


def texts(column: Any) -> list[str]:
    """Every value as JSON; a number that is not finite as null."""
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
        words = [json.dumps(word, default=str) for word in coded.dictionary.to_pylist()]
        return ["null" if at is None else words[at] for at in coded.indices.to_pylist()]
    if pa.types.is_list(kind) and is_text(column.values):
        words = texts(column.flatten())
        ends = np.cumsum(numbers_of(pc.fill_null(pc.list_value_length(column), 0))).tolist()
        lists = [f"[{', '.join(words[a:b])}]" for a, b in zip([0, *ends], ends, strict=False)]
        return [
            one if there else "null" for one, there in zip(lists, column.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, None)
    if len(column) and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return json.dumps(column.to_pylist())[1:-1].split(", ")
    return [_json(value) for value in column.to_pylist()]
