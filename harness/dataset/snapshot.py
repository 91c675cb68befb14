"""What a dataset held at one moment, also while a collection writes to it: each workload of each job once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset import ends, schema
from harness.dataset.conform import conform, projected
from harness.dataset.entry_rows import rows
from harness.dataset.journal import read_journal
from harness.dataset.parts import read_parts
from harness.dataset.pieces import Across, Adds, Joined, Piece, count, divided
from harness.dataset.records import Entry

Counts = TypeVar("Counts", bound=Adds)


class Snapshot:
    """The parts and journals of a dataset as they are when this is made.

    A collection turns journals into parts: it writes the part, then removes the journal. The journals are read
    first here, so a job that moves meanwhile is seen twice, never missed, and twice is once after `kept`.
    """

    def __init__(self, root: Path, contains: Mapping[str, str]) -> None:
        self._contains = contains
        self.journals = {  # one that went away since is in a part by now
            path.stem: read_journal(path) for path in files(root / "journal", ".jsonl")
        }
        self.entries = [entry for entries in self.journals.values() for entry in entries]
        self.paths = files(root / "observations", ".parquet")

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows that count, some at a time, the journals' last."""
        kept, first = self.kept, 0
        for part in self._everything(columns):
            mask = None if kept is None else kept[first : first + len(part)]
            yield part if mask is None or mask.all() else part.filter(pa.array(mask))
            first += len(part)

    def counted(self, columns: Sequence[str], fresh: Callable[[], Counts]) -> Counts:
        """What ``fresh().add(table)`` comes to over the rows that count, read once unless some row is there twice."""
        counts, keys = fresh(), ends.Keys()
        for part in self._everything(list(dict.fromkeys([*columns, *ends.KEY]))):
            keys.add(part)
            counts.add(part)
        if not len(keys.twice()):
            return counts
        counts = fresh()
        for part in self.parts(columns):
            counts.add(part)
        return counts

    def counted_across(
        self, columns: Sequence[str], fresh: Callable[[Joined | None], Joined], across: Across
    ) -> Joined:
        """As `counted`, where others read the files: ``across`` calls a function there (see `pieces.Across`).

        ``fresh`` makes what counts a piece, and is shown what there is so far.
        """
        pieces, every = divided(self.paths), list(dict.fromkeys([*columns, *ends.KEY]))
        counts, keys, rows = fresh(None), ends.Keys(), [0] * len(pieces)
        asked = (Piece(n, files, every, self._contains, fresh(counts)) for n, files in enumerate(pieces))
        for found in across(count, asked):
            counts.join(found.counts)
            keys.put(found.keys)
            rows[found.number] = len(found.keys)
        own = table_of(self.entries, every)
        keys.add(own)
        counts.add(own)
        if not len(keys.twice()):
            return counts
        kept = self.kept
        assert kept is not None
        *masks, mine = np.split(kept, np.cumsum(rows))
        counts = fresh(None)
        asked = (
            Piece(n, files, columns, self._contains, fresh(counts), masks[n])
            for n, files in enumerate(pieces)
        )
        for found in across(count, asked):
            counts.join(found.counts)
        counts.add(table_of(self.entries, columns).filter(pa.array(mine)))
        return counts

    @cached_property
    def kept(self) -> NDArray[np.bool_] | None:
        """Of all rows, the journals' last, which count; None where all do."""
        keys = ends.Keys()
        for part in self._everything(ends.KEY):
            keys.add(part)
        twice = keys.twice()
        if not len(twice):
            return None
        several, masks = [], []
        for part in self._everything(ends.COLUMNS):
            masks.append(np.isin(ends.keys(part), twice))
            several.append(part.filter(pa.array(masks[-1])))
        again = np.concatenate(masks)
        kept = ~again
        kept[again] = ~ends.superseded(pa.concat_tables(several))
        return kept

    def attempts(self) -> dict[str, int]:
        """Of each job how many ends it has had."""
        every = pa.concat_tables(self._everything(["job", "attempt"]))
        most = every.group_by("job").aggregate([("attempt", "max")])
        return dict(zip(most["job"].to_pylist(), most["attempt_max"].to_pylist(), strict=True))

    def ended_as(self, statuses: Sequence[str]) -> set[str]:
        """The ids of all jobs of which the rows that count have one of these statuses."""
        found: set[str] = set()
        for part in self.parts(["job", "status"]):
            mine = part.filter(pc.is_in(part["status"], pa.array(list(statuses), pa.string())))
            found.update(mine["job"].to_pylist())
        return found

    def pending(self, device: str = "*") -> list[Entry]:
        """The entries of all journals, or of one device's, that are in no part yet, each once."""
        entries = self.entries if device == "*" else self.journals.get(device, [])
        if not entries:
            return []
        ids = pa.array([entry.job.id for entry in entries], pa.string())
        seen: set[tuple[str, int]] = set()
        for part in read_parts(self.paths, ["job", "attempt"], self._contains):
            mine = part.filter(pc.is_in(part["job"], ids))
            seen.update(zip(mine["job"].to_pylist(), mine["attempt"].to_pylist(), strict=True))
        found = []
        for entry in entries:
            if (entry.job.id, entry.attempt) not in seen:
                seen.add((entry.job.id, entry.attempt))
                found.append(entry)
        return found

    def members(self, jobs: Collection[str], regime: str) -> dict[str, set[str]]:
        """Of those of these jobs that were measured in this regime the names of their workloads."""
        asked, found = pa.array(list(jobs), pa.string()), defaultdict(set)
        for part in self._everything([*ends.KEY, "regime"]):
            mine = part.filter(pc.and_(pc.is_in(part["job"], asked), pc.equal(part["regime"], regime)))
            for job, workload in zip(mine["job"].to_pylist(), mine["workload"].to_pylist(), strict=True):
                found[job].add(workload)
        return dict(found)

    def _everything(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        yield from read_parts(self.paths, columns, self._contains)
        yield table_of(self.entries, columns)


def table_of(entries: Sequence[Entry], columns: Sequence[str]) -> pa.Table:
    """What a journal's entries come to, as columns of the schema given by name or Parquet path."""
    shape = projected(schema.OBSERVATIONS, columns)
    if not entries:
        return shape.empty_table()
    found = [row for entry in entries for row in rows(entry)]
    table = pa.Table.from_pylist(found, schema.OBSERVATIONS)
    return pa.table([conform(table[field.name], field.type) for field in shape], schema=shape)


def files(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder and of those in it, sorted, without hidden ones such as copying programs make."""
    found = [(path, path.relative_to(folder).parts) for path in folder.rglob(f"*{suffix}")]
    return sorted(path for path, names in found if not any(name.startswith((".", "~")) for name in names))
