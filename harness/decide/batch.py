"""`harness predict --batch`: a file of questions, answered column by column and slice by slice.

A question is a row with columns `workload`, `platform` and, where something runs beside it, `with`. Every column of the
file is kept; the answers are added behind them. Names become numbers once per column and answers are arrays, so that a
million questions take seconds and memory does not grow with what is asked about each.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.decide.cell_text import in_one_cell, is_plain, is_text, texts, unfolded
from harness.decide.footprint import need_memory
from harness.decide.predict import bounds, check_eps, shortage_at
from harness.decide.row_file import (
    LINES,
    LONGEST_ROW,
    Empty,
    check_lengths,
    objects,
    refused,
    row_of,
    source,
    too_many_cells,
)
from harness.errors import ModelError, UnknownName, UsageError
from harness.files import contents
from pitot_core import ObservationsError, Pitot, PitotError, Queries, UnknownEntity
from pitot_core.buffers import arrow_names, arrow_numbers, numbers_of

AT_ONCE = 1 << 16
NAMED = ("workload", "platform", "with", "co_runners")


class Batch:
    """The questions of one file, with `explain` and `memory` also about what goes by those names of `predict`.

    Raises UsageError for a file that cannot be read or a row that asks nothing, ModelError where memory is not known.
    """

    def __init__(self, path: Path, model: Pitot, *, explain: bool = False, memory: bool = False) -> None:
        self.path, self.model, self.explain = path, model, explain
        self.memory = need_memory(model) if memory else None
        try:
            self.asked = _read(path)
            if twice := [name for name, n in Counter(self.asked.column_names).items() if n > 1]:
                raise ValueError(f"column {twice[0]!r} is there twice")
        except (OSError, ValueError, pa.ArrowException) as error:
            raise refused(path, "workload, platform and with", error) from error
        for column in ("workload", "platform"):
            if column not in self.asked.column_names:
                there = ", ".join(map(repr, self.asked.column_names[:12])) or "none"
                raise UsageError(
                    f"{path} has no column {column!r}, its columns are: {there}; give it that one."
                )
        self.queries = self._queries()

    @property
    def lacks(self) -> str | None:
        """The sentence that says so where nothing is asked."""
        return (
            None if len(self.queries) else f"{self.path} has column names and no row, so nothing is answered"
        )

    def shortage(self, eps: float) -> str | None:
        """The sentence that says why bounds are missing, if any is."""
        return shortage_at(self.model, np.unique(self.queries.n_co_runners).tolist(), eps)

    def write(self, path: Path, eps: float) -> None:
        """CSV, Parquet or JSON lines by the file's extension; the file appears whole or not at all."""
        from harness.files import replacing

        check_eps(eps)
        with replacing(path) as partial:
            if path.suffix == ".parquet":
                import pyarrow.parquet as pq

                answers = self._answers(eps)
                first = next(answers)
                with pq.ParquetWriter(partial, first.schema) as writer:
                    writer.write_table(first)
                    for table in answers:
                        writer.write_table(table)
            elif path.suffix in LINES:
                with open(partial, "w", encoding="utf-8") as file:
                    self.print_lines(file, eps)
            else:
                with open(partial, "w", encoding="utf-8", newline="") as file:
                    self.print_csv(file, eps)

    def print_csv(self, file: TextIO, eps: float) -> None:
        """As CSV; lists are joined by ";" and a missing bound is empty."""
        import pyarrow.csv

        check_eps(eps)
        for number, table in enumerate(self._answers(eps, joined=True)):
            for place, field in enumerate(table.schema):
                if not is_plain(field.type):
                    table = table.set_column(place, field.name, in_one_cell(table[field.name]))
            stream = io.BytesIO()
            options = pyarrow.csv.WriteOptions(include_header=number == 0, quoting_style="needed")
            pyarrow.csv.write_csv(table, stream, options)
            text = stream.getvalue().decode()
            if number == 0:  # Arrow puts the names of columns in quotes whether they need it or not
                head, _, rest = text.partition("\n")
                file.write(",".join(map(_quoted, table.column_names)) + "\n" + (rest if head else ""))
            else:
                file.write(text)

    def print_lines(self, file: TextIO, eps: float) -> None:
        """As one JSON object a line; a missing bound is null."""
        file.writelines(f"{line}\n" for line in self._objects(eps))

    def print_json(self, file: TextIO, eps: float) -> None:
        """As one JSON list, an object a line; a missing bound is null."""
        before = "["
        for line in self._objects(eps):
            file.write(f"{before}\n {line}")
            before = ","
        file.write("[]\n" if before == "[" else "\n]\n")

    def _objects(self, eps: float) -> Iterator[str]:
        """Every row as a JSON object."""
        check_eps(eps)
        for table in self._answers(eps):
            keys = [json.dumps(name).replace("{", "{{").replace("}", "}}") for name in table.column_names]
            pattern = "{{" + ", ".join(f"{key}: {{}}" for key in keys) + "}}"
            columns = [texts(table[name].combine_chunks()) for name in table.column_names]
            for row in zip(*columns, strict=True):
                yield pattern.format(*row)

    def _answers(self, eps: float, *, joined: bool = False) -> Iterator[pa.Table]:
        """Slices of the file with the answers behind its own columns; one empty slice where nothing is asked.

        `joined`: lists as one text with ";" between.
        """
        for start in range(0, max(len(self.queries), 1), AT_ONCE):
            chunk = slice(start, start + AT_ONCE)
            queries, table = self.queries[chunk], self.asked.slice(start, AT_ONCE)
            with _told():
                mean, bound = self.model.predict(queries), bounds(self.model, queries, eps)
                added: dict[str, Any] = {
                    "mean_ns": arrow_numbers(mean),
                    "bound_ns": arrow_numbers(bound, np.isfinite(bound)),
                }
                if self.explain:
                    added |= self._explained(queries, joined)
            if self.memory is not None:
                cells = queries.platform, queries.workload
                expected, most = self.memory.expected[cells], self.memory.bound(eps)[cells]
                added |= {
                    "memory_bytes": arrow_numbers(expected, np.isfinite(expected)),
                    "memory_bound_bytes": arrow_numbers(most, np.isfinite(most)),
                }
            for name, values in added.items():
                kept = [column for column in table.column_names if column != name]
                table = table.select(kept).append_column(name, values)
            yield table

    def _explained(self, queries: Queries, joined: bool) -> dict[str, Any]:
        parts = self.model.explain(queries)
        found = {
            name: arrow_numbers(getattr(parts, name)) for name in ("startup_ns", "work_ns", "interference_ns")
        }
        for kind, numbers, near in (
            ("workloads", queries.workload, parts.nearest_workloads),
            ("platforms", queries.platform, parts.nearest_platforms),
        ):  # one list for every name that is asked about, not one for every row
            _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
            if joined:
                words = arrow_names([";".join(near[k]) for k in first])
                found[f"like_{kind}"] = words.take(arrow_numbers(which.reshape(-1).astype(np.int64)))
                continue
            ends = np.cumsum([0, *(len(near[k]) for k in first)]).astype(np.int32)
            names = arrow_names([name for k in first for name in near[k]])
            lists = pa.ListArray.from_arrays(arrow_numbers(ends), names)
            found[f"like_{kind}"] = lists.take(arrow_numbers(which.reshape(-1).astype(np.int64)))
        return found

    def _queries(self) -> Queries:
        features = self.model.features
        assert features is not None
        table, known = self.asked, {"workload": features.workload_names, "platform": features.platform_names}
        if not len(table):
            return Queries.of([], [])
        for column in ("workload", "platform"):
            values = table[column]
            if is_text(values):
                empty = np.flatnonzero(numbers_of(pc.utf8_length(values.cast(pa.string()))) <= 0)
            else:
                empty = np.zeros(1, np.int64)
            if len(empty):
                raise UsageError(
                    f"{row_of(self.path, empty[0] + 1)}: column {column!r} is missing or empty; put a name there."
                )
        try:
            return Queries.named(table, features)
        except UnknownEntity as error:
            if error.kind is None or error.name is None or error.row is None:
                raise ModelError(f"{error}.") from error
            where = f"the model (it was never observed; {row_of(self.path, error.row + 1)})"
            raise UnknownName(error.kind, error.name, known[error.kind], where=where) from error
        except ObservationsError as error:
            place = f"{self.path}:" if error.row is None else f"{row_of(self.path, error.row + 1)}: it"
            raise UsageError(f"{place} {error.what}; correct it.") from error


def _read(path: Path) -> pa.Table:
    """A CSV, Parquet or JSON-lines file, by its extension; names are text, whatever they look like."""
    given: Any = source(path)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(given) as file:
            return unfolded(file.read())
    content = contents(path) if isinstance(given, Path) else given.getvalue()
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise Empty
    if path.suffix in LINES:
        import pyarrow.json

        check_lengths(path, content)
        if re.search(rb"(?m)^\s*[^{\s]", content):  # a row of `null` ends the process in Arrow's reader
            objects(path, content.decode())
        try:
            options = pyarrow.json.ReadOptions(block_size=LONGEST_ROW)
            return pyarrow.json.read_json(pa.BufferReader(content), read_options=options)
        except pa.ArrowInvalid:
            objects(path, content.decode())  # tells which row is wrong
            raise
    import pyarrow.csv

    text = dict.fromkeys(NAMED, pa.string())
    wrong: list[Any] = []

    def keep(row: Any) -> str:
        wrong.append(row)
        return "error"

    content.decode()  # raises; Arrow would tell it in the middle of a call back
    if not content.endswith(b"\n"):
        content += b"\n"  # without which a line of column names alone is none for Arrow
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,  # else rows are not numbered
                block_size=LONGEST_ROW,
            ),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
            convert_options=pyarrow.csv.ConvertOptions(column_types=text, strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        if wrong and wrong[0].number:
            row = wrong[0]
            raise too_many_cells(path, row.number - 1, row.actual_columns, row.expected_columns) from None
        check_lengths(path, content)
        raise


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & set(',"\r\n') else name


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except PitotError as error:
        raise ModelError(f"{error}.") from error
