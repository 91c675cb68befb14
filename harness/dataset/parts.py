"""One Parquet part of any readable version, written by whatever program, as a table of the current schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.dataset import schema
from harness.dataset.conform import NoSuchType, conform, projected
from harness.dataset.entry_rows import MIXED
from harness.errors import DatasetError

_NULLABLE = {field.name for field in schema.OBSERVATION_FIELDS if field.null}


def read_part(path: Path, columns: Sequence[str], contains: Mapping[str, str]) -> pa.Table:
    """The columns of one part, given by name or Parquet path (``samples.list.element.wall_ns``), as the schema says.

    What version 1 lacks is filled in; ``contains`` says what ``wall_ns`` is on each platform, which decides the
    regime. Raises DatasetError where the file is damaged, or a column is missing or of a type that cannot be read.
    """
    shape = projected(schema.OBSERVATIONS, columns)
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            wanted = _leaves(file, columns)
            if "regime" in shape.names and "regime" not in there:
                wanted.append("platform")
            table = file.read(list(dict.fromkeys(wanted)))
    except (OSError, pa.ArrowException) as error:
        problem = str(error).splitlines()[0][:200]
        raise DatasetError(f"{path} is damaged: {problem}; restore or remove it.") from error
    made = []
    for field in shape:
        column = table[field.name] if field.name in there else _filled(path, field, table, contains)
        try:
            made.append(conform(column, field.type))
        except NoSuchType as problem:
            raise DatasetError(
                f"{path}: column {field.name} cannot be read as {field.type}: {problem}; "
                "write it as docs/dataset.md says, or restore the file from a copy."
            ) from problem
    return pa.table(made, schema=shape)


def _leaves(file: pq.ParquetFile, columns: Sequence[str]) -> list[str]:
    """The file's own paths of the columns asked for: what stands between name and field differs between writers."""
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    found = []
    for asked in columns:
        name, _, rest = asked.partition(".")
        leaf = rest.rpartition(".")[2]
        mine = [path for path in paths if path == name or path.startswith(f"{name}.")]
        chosen = [path for path in mine if not leaf or path.endswith(f".{leaf}")]
        found += chosen or mine[:1]  # one of them, to know how many there are
    return found


def _filled(path: Path, field: pa.Field, table: pa.Table, contains: Mapping[str, str]) -> pa.ChunkedArray:
    """A column that is not in the file."""
    if field.name == "regime":
        processes = [platform for platform, kind in contains.items() if kind == "process"]
        alike = pc.is_in(table["platform"].cast(pa.string()), pa.array(processes, pa.string()))
        return pc.if_else(alike, "process", MIXED)
    if field.name == "attempt":
        return pa.chunked_array([pa.repeat(pa.scalar(1, field.type), len(table))])
    if field.name not in _NULLABLE:
        raise DatasetError(f"{path} has no column {field.name}; restore the file from a copy, or remove it.")
    return pa.chunked_array([pa.nulls(len(table), field.type)])
