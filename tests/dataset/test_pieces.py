"""A dataset that is read in pieces elsewhere comes to what it does here: each row once, and faults told."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from harness.dataset import pieces
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from tests.dataset.test_store import entry

COLUMNS = ["job", "status", "workload"]


class Rows(Counter[tuple[str, ...]]):
    def add(self, part: pa.Table) -> None:
        self.update(tuple(row.values()) for row in part.select(COLUMNS).to_pylist())

    def join(self, other: Rows) -> None:
        self.update(other)


def elsewhere(work: Callable[[Any], Any], given: Iterable[Any]) -> Iterator[Any]:
    """As other processes answer: by copies, and not in order."""
    found = [pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(one))))) for one in given]
    return iter([found[k] for k in np.random.default_rng(0).permutation(len(found))])


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three parts, one of them twice, a job that failed and was done again, and a journal."""
    made = Dataset.create(tmp_path / "data")
    for number in range(1, 5):
        with made.journal("local") as journal:
            for job in (number, 10 + number):
                journal.append(entry(job, "s/small/a", "s/small/b"))
            if number == 2:
                journal.append(entry(99, status="device_unfit"))
            if number > 3:
                journal.append(msgspec.structs.replace(entry(99), attempt=2))
                break
        made.compact()
    return made


@pytest.mark.parametrize("size", [1, 10**9])
@pytest.mark.parametrize("twice", [False, True])
def test_rows_count_once_wherever_they_are_read(
    size: int, twice: bool, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", size)
    parts = sorted((dataset.root / "observations").iterdir())
    if twice:
        shutil.copy(parts[1], parts[1].with_name("copied.parquet"))
    now = dataset.snapshot()
    assert len(pieces.divided(now.paths)) == (1 if size > 1 else len(now.paths))
    across = now.counted_across(COLUMNS, lambda so_far: Rows(), elsewhere)
    assert across == now.counted(COLUMNS, Rows)
    assert across["job99", "ok", "s/small/a"] == 1
    assert (across["job99", "device_unfit", "s/small/a"], across["job2", "ok", "s/small/b"]) == (0, 1)
    assert across.total() == 17


def test_who_does_not_see_the_same_files_says_so(dataset: Dataset) -> None:
    now = dataset.snapshot()
    [files] = pieces.divided(now.paths)
    asked = pieces.Piece(0, files, COLUMNS, {}, Rows())
    path = now.paths[1]
    path.rename(path.with_suffix(".moved"))
    with pytest.raises(
        DatasetError, match=rf"cannot read {path} \(No such file or directory\); who works at"
    ):
        pieces.count(asked)
    path.write_bytes(b"another")
    with pytest.raises(DatasetError, match=rf"{path} is another file for .* than here \(7 bytes, not "):
        pieces.count(asked)
