"""The report's section on what to measure next: cells that have no time, and the error of adaptive collections."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from harness.dataset.store import Dataset
from harness.measure.course import PROGRESS, Progress, keep_progress, read_progress
from harness.report.next_jobs import next_jobs, pairs, untried
from harness.report.rows import load_rows
from tests.learn.test_train import dataset

FIRST = Progress(0.5, 20, 0.2, 0.1, 0.3, 11)


def test_cells_without_a_time_are_ranked_and_the_error_so_far_is_told(tmp_path: Path) -> None:
    data = Dataset.open(dataset(tmp_path, platforms=4, workloads=12, rows=40, degrees=1))
    rows = load_rows(data)
    assert len(untried(rows)) == 8
    told = [Progress(0.5, 20, 0.2, 0.1, 0.3, 11), Progress(1.0, 40, 0.081, 0.06, 0.1, 15)]
    (data.root / PROGRESS).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in told))
    [section] = next_jobs(data, rows)
    assert section.body.count("<tr>") == 1 + 8
    assert "8 workloads were never tried alone on a platform" in section.body
    assert section.gist == (
        "After 1 device-hours and 40 jobs the error is 8.1 % (6–10, on 15 jobs drawn at random)."
    )


def test_of_what_is_all_known_alone_pairs_are_told_but_none_that_was_tried(tmp_path: Path) -> None:
    rows = load_rows(Dataset.open(dataset(tmp_path, platforms=4, workloads=12, rows=300, degrees=2)))
    two = rows.n_co_runners == 1
    tried = {
        (rows.platforms[j], rows.workloads[i], rows.workloads[k])
        for j, i, k in zip(rows.platform[two], rows.workload[two], rows.co_runners[two, 0], strict=True)
    }
    told = pairs(rows)
    assert {len(set(job.workloads)) for job in told} == {2}
    assert tried.isdisjoint((job.platform, *job.workloads) for job in told)
    failed = replace(rows, status=np.full(len(rows), len(rows.statuses)), statuses=[*rows.statuses, "trap"])
    assert untried(failed) == untried(rows)  # what traps is not proposed again


def test_what_of_a_history_can_be_read_is_read_whatever_lies_beside_it(tmp_path: Path) -> None:
    data = Dataset.create(tmp_path / "d")
    assert read_progress(data) == []
    keep_progress(data, FIRST)
    history = data.root / PROGRESS
    with history.open("ab") as file:
        file.write(b'{"hours": 1}\n\xff\n{"hours": 0.1, "jo')  # of another kind, damaged, and cut short
    keep_progress(data, FIRST)
    assert read_progress(data) == [FIRST, FIRST]
    with history.open("ab") as file:
        file.truncate(1 << 30)
    assert read_progress(data) == []  # and not a gigabyte of it
    history.unlink()
    os.mkfifo(history)
    assert read_progress(data) == []
