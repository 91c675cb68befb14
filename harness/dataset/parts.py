"""One Parquet part of any readable version, written by whatever program, as a table of the current schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.dataset import schema
from harness.dataset.conform import NoSuchType, conform, projected
from harness.dataset.entry_rows import MIXED
from harness.dataset.limits import check, check_times
from harness.dataset.quantiles import SHARES, column_of
from harness.errors import DatasetError, why

BATCH = 1 << 17  # rows: what is held in memory of a file
MANY = 1 << 15  # rows: of less, what each table costs is more than what its rows do
MUCH = 8 << 20  # bytes of such rows: of more there is no need to wait for others
FEW = 10_000  # rows that one thread reads with less work than several
PLAIN_BATCH = 1 << 15  # rows of other tables, long and narrow: several threads would only take more memory
_NULLABLE = {field.name for field in schema.OBSERVATION_FIELDS if field.null}
_NEEDED_FOR: dict[str, tuple[str, ...]] = {  # what fills in that which rows of version 1 do not have
    "regime": ("platform",),
    "censored": ("status",),
    "time_ns": ("wall_ns_mean", "lower_bound_ns", "status"),
    "attempt": (),
}
_NEEDED_WITH = {"time_ns": ("status",), "wall_ns_mean": ("status",)}  # what is needed to judge it


@dataclass(frozen=True)
class _Read:
    """Some rows of a file as they are there, from row number ``first`` on."""

    path: Path
    first: int
    table: pa.Table


def read_parts(
    paths: Iterable[Path], columns: Sequence[str], contains: Mapping[str, str]
) -> Iterator[pa.Table]:
    """The rows of parts one after another, with columns as the schema says: at most BATCH at a time of a large part,
    and of neighbours that are alike what makes MANY or MUCH.

    A column is given by name or Parquet path (``samples.list.element.wall_ns``). What version 1 lacks is filled in;
    ``contains`` says what ``wall_ns`` is on each platform, which decides the regime. Raises DatasetError where a
    file is damaged, or a column is missing, of a type that cannot be read, or holds a number that cannot be.
    """
    shape = projected(schema.OBSERVATIONS, columns)
    wanted = list(columns)
    for name in shape.names:
        wanted += _NEEDED_FOR.get(name, _NEEDED_WITH.get(name, ()))
    waiting: list[_Read] = []
    for path in paths:
        for one in _read(path, wanted, shape):
            if waiting and not one.table.schema.equals(waiting[0].table.schema):
                yield from _together(waiting, shape, contains)
                waiting = []
            waiting.append(one)
            rows = sum(len(other.table) for other in waiting)
            if rows >= MANY or sum(other.table.get_total_buffer_size() for other in waiting) >= MUCH:
                yield from _together(waiting, shape, contains)
                waiting = []
    if waiting:
        yield from _together(waiting, shape, contains)


def _together(parts: Sequence[_Read], shape: pa.Schema, contains: Mapping[str, str]) -> Iterator[pa.Table]:
    """Made as ``shape`` at once, which of small ones takes a fraction of the time; one by one to say which is wrong."""
    if len(parts) > 1:
        with contextlib.suppress(DatasetError):
            table = pa.concat_tables([one.table for one in parts]).combine_chunks()
            yield _as_shape(parts[0].path, table, shape, contains, 0)
            return
    for one in parts:
        yield _as_shape(one.path, one.table, shape, contains, one.first)


def _read(path: Path, wanted: list[str], shape: pa.Schema) -> Iterator[_Read]:
    first = 0
    with _opened(path) as file:
        if not (SHARES.keys() & set(shape.names)).issubset(file.schema.names):  # an older file
            wanted = wanted + [f"samples.list.element.{field}" for field in ("wall_ns", "covered")]
        leaves, threads = list(dict.fromkeys(_leaves(file, wanted))), file.metadata.num_rows > FEW
        for batch in file.iter_batches(BATCH, columns=leaves, use_threads=threads):
            yield _Read(path, first, _table(path, batch))
            first += len(batch)


def _as_shape(
    path: Path, table: pa.Table, shape: pa.Schema, contains: Mapping[str, str], first: int
) -> pa.Table:
    """What was read, whose rows begin with number ``first`` of the file, as ``shape``."""
    made = {}
    for name in table.column_names:
        kind = (shape if name in shape.names else schema.OBSERVATIONS).field(name).type
        made[name] = _conformed(path, name, table[name], kind)
    for field in shape:
        name = field.name
        if name in SHARES and "samples" in made and (name not in made or made[name].null_count):
            whole = _conformed(path, "samples", table["samples"], schema.OBSERVATIONS.field("samples").type)
            taken = column_of(name, whole)
            made[name] = pc.coalesce(made[name], taken) if name in made else taken
        elif name not in made:
            made[name] = _filled(path, field, made, len(table), contains)
        elif name in _NEEDED_FOR and made[name].null_count:
            made[name] = pc.coalesce(made[name], _filled(path, field, made, len(table), contains))
    found = pa.table(made)
    check(path, found, schema.OBSERVATION_FIELDS, first)
    for name in _NEEDED_WITH:
        if name in shape.names:
            check_times(path, made["status"], made[name], name, first)
    found = found.select(shape.names)
    return found if found.schema.equals(shape) else found.cast(shape)


def read_tables(path: Path, fields: Sequence[schema.Field]) -> Iterator[pa.Table]:
    """A file of other rows than observations, whose first column has no gaps, or chosen columns of it, in batches.

    Raises DatasetError as `read_parts` does.
    """
    first, lenient = 0, [fields[0], *(replace(field, null="anywhere") for field in fields[1:])]
    names = [field.name for field in fields]
    with _opened(path) as file:
        for batch in file.iter_batches(PLAIN_BATCH, columns=names, use_threads=False):
            table = _table(path, batch)
            made = []
            for field in fields:
                if field.name not in table.column_names:
                    made.append(_empty(path, field.name, field is not fields[0], field.type, len(table)))
                else:
                    made.append(_conformed(path, field.name, table[field.name], field.type))
            found = pa.table(made, schema=schema.arrow(fields))
            check(path, found, lenient, first)
            yield found
            first += len(found)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except UnicodeEncodeError as error:
        raise DatasetError(f"{path} has a name that is not text in UTF-8; rename it.") from error
    except (OSError, pa.ArrowException) as error:
        problem = why(error, path)[:200]
        raise DatasetError(f"{path} is damaged: {problem}; restore or remove it.") from error


def _table(path: Path, batch: pa.RecordBatch) -> pa.Table:
    names = batch.schema.names
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DatasetError(
            f"{path} has two columns {twice[0]}; write it with one, or restore the file from a copy."
        )
    return pa.Table.from_batches([batch])


def _conformed(path: Path, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return conform(column, kind)
    except NoSuchType as problem:
        raise DatasetError(
            f"{path}: column {name} cannot be read as {kind}: {problem}; "
            "write it as docs/dataset.md says, or restore the file from a copy."
        ) from problem


def _leaves(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[str]:
    """What to ask the file for: whole columns by name, parts of one by its own paths, which differ between writers."""
    for asked in columns:
        name, nested, field = asked.partition(".")
        if not nested:
            yield name
            continue
        paths = [file.schema.column(i).path for i in range(len(file.schema))]
        mine = [path for path in paths if path.startswith(f"{name}.")]
        leaf = field.rpartition(".")[2]
        wanted = [path for path in mine if path.endswith(f".{leaf}")]
        yield from wanted or mine[:1]  # one of them, to know how many there are


def _filled(
    path: Path, field: pa.Field, made: Mapping[str, pa.ChunkedArray], rows: int, contains: Mapping[str, str]
) -> pa.ChunkedArray:
    """A column that is not in the file, from those that are."""
    needed = _NEEDED_FOR.get(field.name, ())
    if all(name in made for name in needed):
        if field.name == "regime":
            processes = [platform for platform, kind in contains.items() if kind == "process"]
            return pc.if_else(pc.is_in(made["platform"], pa.array(processes, pa.string())), "process", MIXED)
        if field.name == "censored":
            return pc.equal(made["status"], "timeout")
        if field.name == "time_ns":
            return pc.coalesce(made["wall_ns_mean"], made["lower_bound_ns"].cast(pa.float64()))
        if field.name == "attempt":
            return pa.chunked_array([pa.repeat(pa.scalar(1, field.type), rows)])
    return _empty(path, field.name, field.name in _NULLABLE, field.type, rows)


def _empty(path: Path, name: str, may_be: bool, kind: pa.DataType, rows: int) -> pa.ChunkedArray:
    if not may_be:
        raise DatasetError(f"{path} has no column {name}; restore the file from a copy, or remove it.")
    return pa.chunked_array([pa.nulls(rows, kind)])
