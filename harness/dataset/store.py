"""A dataset: a directory of Parquet, complete at every moment whatever is killed.

dataset.json            schema version, identity, and the settings of each collection
plan.parquet            the jobs of the last collection
platforms.parquet       engine and device of each platform
workloads.parquet       module, argv and opcode counts of each workload
observations/*.parquet  what was measured
journal/*.jsonl         finished jobs that are not yet in observations/
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.dataset import schema
from harness.dataset.described import described
from harness.dataset.entry_rows import rows
from harness.dataset.info import Info, Origin, Settings
from harness.dataset.journal import Journal
from harness.dataset.parts import BATCH, read_tables
from harness.dataset.records import Job
from harness.dataset.snapshot import Snapshot
from harness.errors import DatasetError, typed, why
from harness.files import is_partial, replacing

NO_ORIGIN = Origin()


class Dataset:
    def __init__(self, root: Path, info: Info) -> None:
        self.root, self.info = root, info
        self._place: os.stat_result | None = None  # where it was when it was locked
        self._numbering = threading.Lock()
        self._read: dict[str, tuple[tuple[Any, ...], pa.Table]] = {}

    @classmethod
    def create(cls, root: str | Path, source: str = "collected by harness") -> Dataset:
        """A new dataset. Raises DatasetError where something else is already there."""
        root = Path(root)
        refuse_taken(root)
        dataset = cls(root, Info(schema.VERSION, uuid.uuid4().hex, _now(), source, with_parts=True))
        (root / "observations").mkdir(parents=True, exist_ok=True)
        dataset._write_info()
        return dataset

    @classmethod
    def open(cls, root: str | Path) -> Dataset:
        """An existing dataset. Raises DatasetError where there is none, half of one or one of another version."""
        root = Path(root)
        path = root / "dataset.json"
        try:
            info = msgspec.json.decode(path.read_bytes(), type=Info)
        except (FileNotFoundError, NotADirectoryError):
            if root.exists() and not root.is_dir():
                raise DatasetError(f"{root} is a file, and a dataset is a directory; name that.") from None
            raise DatasetError(
                f"{root} is not a dataset (no dataset.json in it); make one with `harness collect -o {typed(root)}`."
            ) from None
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {why(error, path)}; name another dataset.") from error
        except msgspec.DecodeError as error:
            raise DatasetError(f"{path} is damaged: {error}; restore it from a copy.") from error
        if not schema.OLDEST <= info.schema <= schema.VERSION:
            raise DatasetError(
                f"{root} has schema version {info.schema}, this harness reads {schema.OLDEST} to "
                f"{schema.VERSION}; use a newer harness."
            )
        if info.with_parts and not (root / "observations").is_dir():
            raise DatasetError(
                f"{root} is damaged: its directory observations is gone; restore it from a copy, or make an empty one "
                "if nothing had been measured."
            )
        return cls(root, info)

    @classmethod
    def open_or_create(cls, root: Path) -> Dataset:
        return cls.open(root) if (root / "dataset.json").exists() else cls.create(root)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second collection out of this dataset. Raises DatasetError where one is running."""
        with open(self.root / "lock", "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DatasetError(
                    f"another `harness` is collecting into {self.root}; wait for it."
                ) from None
            self._place = os.stat(self.root)
            try:
                yield
            finally:
                self._place = None

    def check_place(self) -> None:
        """Raises DatasetError where what this collects into was moved or removed since it was locked."""
        if self._place is None:
            return
        try:
            there = os.path.samestat(os.stat(self.root), self._place)
        except (FileNotFoundError, NotADirectoryError):
            there = False
        if not (there and (self.root / "dataset.json").exists()):
            raise DatasetError(
                f"{self.root} was moved or removed while this was collecting into it; repeat the command with its "
                "new place: what was finished is kept there."
            )

    def begin(
        self, settings: Settings, harness_version: str, jobs: Sequence[Job], origin: Origin = NO_ORIGIN
    ) -> None:
        """Record the plan, the settings and the origin of a collection that starts, or goes on as it was."""
        kept = self.info.begun(_now(), harness_version, settings, origin)
        self.info = msgspec.structs.replace(self.info, collections=kept, schema=schema.VERSION)
        self._write_info()
        found = [msgspec.structs.asdict(job) for job in jobs]
        for row in found:
            row["job"] = row.pop("id")
        self._write(self.root / "plan.parquet", pa.Table.from_pylist(found, schema.PLAN), schema.PLAN_FIELDS)

    def plan(self) -> list[Job]:
        """The jobs of the last collection; empty where nothing was planned (an imported dataset)."""
        found = self.planned().to_pylist()
        return [Job(id=row.pop("job"), **row | {"workloads": tuple(row["workloads"])}) for row in found]

    def planned(self) -> pa.Table:
        """`plan` as a table."""
        return pa.concat_tables(self.planned_parts())

    def planned_parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """`plan`, or chosen columns of it, as tables of some thousand rows each."""
        return self._tables(
            "plan", [one for one in schema.PLAN_FIELDS if columns is None or one.name in columns]
        )

    def journal(self, device: str) -> Journal:
        return Journal(self.root / "journal" / f"{device}.jsonl")

    def finished(self, *, but: Sequence[str] = ()) -> set[str]:
        """The ids of all jobs that are done, but those that ended with one of the statuses of ``but``.

        A job that ended as ``device_unfit`` is not done.
        """
        now = self.snapshot()
        return set(now.attempts()) - now.ended_as(["device_unfit", *but])

    def attempts(self) -> dict[str, int]:
        """Of each job that came to an end how often it has."""
        return self.snapshot().attempts()

    def snapshot(self) -> Snapshot:
        """What the dataset holds at this moment."""
        return Snapshot(self.root, self.wall_contains())

    def wall_contains(self) -> dict[str, str]:
        """What ``wall_ns`` is on each platform: ``instance`` or ``process``."""
        fields = [one for one in schema.PLATFORM_FIELDS if one.name in ("platform", "wall_contains")]
        return {row["platform"]: row["wall_contains"] for row in self._table("platforms", fields).to_pylist()}

    def compact(self, device: str = "*") -> None:
        """Turn the journals, or one device's, into one more Parquet part. Safe to kill at any point, and to repeat."""
        self.check_place()
        journals = sorted((self.root / "journal").glob(f"{device}.jsonl"))
        entries = self.snapshot().pending(device)
        if entries:
            found = [row for entry in entries for row in rows(entry)]
            self.add_part(pa.Table.from_pylist(found, schema.OBSERVATIONS))
        for path in journals:
            path.unlink()

    def add_part(self, observations: pa.Table) -> None:
        """Add observations as one more file; its name is unique, so that datasets merge by copying their parts."""
        folder, prefix = self.root / "observations", f"part-{self.info.id[:8]}-"
        with self._numbering:
            names = [path.name[len(prefix) :] for path in folder.glob(f"{prefix}*.parquet")]
            numbers = [int(found[0]) for name in names if (found := re.match(r"\d+", name))]
            self._write(
                folder / f"{prefix}{max(numbers, default=0) + 1:05}.parquet",
                observations,
                schema.OBSERVATION_FIELDS,
            )

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """All observations that count, some thousand at a time; those still in the journals come last.

        Each workload of a job is there once, whatever the files are called and how often the job was done: of several
        ends of a job the newest one counts, ``device_unfit`` only where there is no other. What is written while
        this is read does not show. A column may be a nested one by its Parquet path, such as
        ``samples.list.element.wall_ns``.
        """
        return self.snapshot().parts(list(columns or schema.OBSERVATIONS.names))

    def observations(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All observations, including those still in the journals."""
        return pa.concat_tables(self.parts(columns))

    def platforms(self) -> pa.Table:
        return self._table("platforms", schema.PLATFORM_FIELDS)

    def workloads(self) -> pa.Table:
        return self._table("workloads", schema.WORKLOAD_FIELDS)

    def put_platforms(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add platforms; those already there are replaced."""
        self._put("platforms", "platform", rows, schema.PLATFORM_FIELDS)

    def put_workloads(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add workloads; those already there are replaced."""
        self._put("workloads", "workload", rows, schema.WORKLOAD_FIELDS)

    def _put(
        self, name: str, key: str, new: Iterable[Mapping[str, Any]], fields: Sequence[schema.Field]
    ) -> None:
        by_key = {row[key]: row for row in [*self._table(name, fields).to_pylist(), *new]}
        shape = schema.arrow(fields)
        self._write(self.root / f"{name}.parquet", pa.Table.from_pylist(list(by_key.values()), shape), fields)

    def _table(self, name: str, fields: Sequence[schema.Field]) -> pa.Table:
        """Read once for as long as the files stay the same, by columns: a file is only ever replaced whole."""
        files = self._files(name)
        stats = [path.stat() for path in files]
        told = (
            *((now.st_ino, now.st_mtime_ns, now.st_size) for now in stats),
            *(hash(one.name) for one in fields),
        )
        kept = self._read.get(name)
        if kept is None or kept[0] != told:
            table = schema.arrow(fields).empty_table()
            for path in files:
                more = self._read_table(path, name[:-1], fields)
                if name[:-1] in more.column_names:
                    more = more.filter(
                        pc.invert(pc.is_in(more[name[:-1]], table[name[:-1]].combine_chunks()))
                    )
                table = pa.concat_tables([table, more])
            self._read[name] = kept = told, table
        return kept[1]

    def _tables(self, name: str, fields: Sequence[schema.Field]) -> Iterator[pa.Table]:
        path = self.root / f"{name}.parquet"
        yield schema.arrow(fields).empty_table()
        if path.exists():
            yield from read_tables(path, fields)

    def _files(self, name: str) -> list[Path]:
        """A table's own file, and those copied beside it when datasets were merged, such as NAME-2.parquet."""
        own = self.root / f"{name}.parquet"
        return [*([own] if own.exists() else []), *sorted(self.root.glob(f"{name}-*.parquet"))]

    def _read_table(self, path: Path, key: str, fields: Sequence[schema.Field]) -> pa.Table:
        table = pa.concat_tables([schema.arrow(fields).empty_table(), *read_tables(path, fields)])
        counts = pc.value_counts(table[key]).to_pylist() if key in table.column_names else []
        if wrong := [one["values"] for one in counts if one["counts"] > 1 or one["values"] is None]:
            raise DatasetError(
                f"{path} is no table of {key}s: it has more than one row of {wrong[0]!r}; restore it from a copy."
            )
        return table

    def _write(self, path: Path, table: pa.Table, fields: Sequence[schema.Field]) -> None:
        with replacing(path) as partial:
            pq.write_table(described(table, fields), partial, compression="zstd", row_group_size=BATCH)

    def _write_info(self) -> None:
        with replacing(self.root / "dataset.json") as partial:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(self.info), indent=1) + b"\n")


def refuse_taken(root: Path) -> None:
    """Raises DatasetError unless a new dataset can be made at ``root``."""
    if (root / "dataset.json").exists():
        raise DatasetError(f"{root} is a dataset already; name a new directory with -o.")
    if root.is_symlink() and not root.exists():
        raise DatasetError(f"{root} is a link that leads nowhere; name a new directory with -o.")
    if root.exists() and (not root.is_dir() or not all(map(_is_nothing, root.iterdir()))):
        raise DatasetError(f"{root} exists and is not a dataset; name a new directory with -o.")


def _is_nothing(path: Path) -> bool:
    """Whether a creation that was killed has left this, and no more."""
    return is_partial(path) or (path.name == "observations" and path.is_dir() and not any(path.iterdir()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
