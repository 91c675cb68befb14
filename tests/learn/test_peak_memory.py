"""Memory as a target: bounds hold on cells that were and were not measured; `predict` and `place` go by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.decide.room import Room
from harness.errors import ModelError
from harness.learn.peak_memory import Memory, entry_of
from harness.learn.train import train
from pitot_core import Pitot

MB = 1_000_000
ENGINE_KB, OWN_KB = (20_000, 45_000, 3_000), [2_000 * (w + 1) for w in range(10)]
FREE = {"small": 40 * MB, "large": 8_000 * MB}


def drawn(seed: int, jobs: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 4) peaks in a third of 12 × 80 cells, ``jobs`` of each, and (P, W) what each cell would take another time."""
    rng = np.random.default_rng(seed)
    base, own = rng.uniform(2e3, 6e4, 12), rng.lognormal(9, 1, 80)
    cell = (base[:, None] + own) * rng.lognormal(0, 0.03, (12, 80))
    again = cell[:, :, None] * rng.lognormal(0, 0.01, (12, 80, jobs + 1))
    platform, workload = np.nonzero(rng.random((12, 80)) < 1 / 3)
    rows = [
        (p, w, 1000 * j + k, again[p, w, j])
        for k, (p, w) in enumerate(zip(platform.tolist(), workload.tolist(), strict=True))
        for j in range(jobs)
    ]
    return np.array(rows), again[:, :, jobs]


def test_bounds_hold_as_often_as_promised_on_measured_and_on_other_cells() -> None:
    over = {True: np.zeros(2, int), False: np.zeros(2, int)}
    for seed in range(8):
        peaks, another = drawn(seed, 3)
        memory = Memory.restored(json.loads(json.dumps(entry_of(peaks, (12, 80), {})))["memory"], (12, 80))
        above, known = another * 1024 > memory.bound(0.1), ~np.isnan(memory.measured)
        for cells in (True, False):
            some = known == cells
            over[cells] += [int(above[some].sum()), int(some.sum())]
    known, other = (over[cells][0] / over[cells][1] for cells in (True, False))
    # Careful on both sides: ratios were taken over fewer jobs, and fits of fewer cells, than stand behind a bound.
    assert 0.02 < known < 0.11
    assert 0.02 < other < 0.11


def test_what_was_measured_is_expected_and_what_nobody_knows_is_not() -> None:
    peaks = np.array([[0, 0, 0, 100], [0, 0, 1, 120], [0, 1, 2, 300], [1, 0, 3, 500]])
    memory = Memory.restored(entry_of(peaks, (3, 3), {"d": 5})["memory"], (3, 3))
    assert (memory.expected[:2, :2] / 1024).tolist() == [[120, 300], [500, 680]]
    assert np.isnan(memory.expected[2]).all()
    assert np.isnan(memory.expected[:, 2]).all()
    assert np.isinf(memory.bound(0.05)).all()  # too few rows to promise anything
    assert memory.free == {"d": 5 * 1024}
    assert entry_of(np.zeros((0, 4)), (3, 3), {}) == {}


@pytest.mark.parametrize(
    "change", [{"cells": [[9, 0, 5]]}, {"cells": [[-1, 0, 5]]}, {"own": "x"}, {"engine": [1.0] * 9}]
)
def test_a_damaged_entry_is_one_sentence(change: dict) -> None:
    entry = entry_of(np.array([[0, 0, 0, 100], [0, 1, 1, 100]]), (2, 2), {})["memory"]
    with pytest.raises(ModelError, match=r"memory is damaged .* train it again"):
        Memory.restored(entry | change, (2, 2))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three engines on a small and a large device; what the process of each holds follows ENGINE_KB and OWN_KB."""
    root, number = tmp_path_factory.mktemp("memory"), 0
    dataset, draw = Dataset.create(root / "data"), np.random.default_rng(0)
    dataset.put_platforms(
        {"platform": f"e{e}:{d}", "engine": f"e{e}", "device": d, "wall_contains": "instance", "facts": []}
        for e in range(3) for d in FREE
    )  # fmt: skip
    dataset.put_workloads(
        {"workload": f"s/small/w{w}", "opcodes": [("i32.add", 10**4 * (w + 1)), ("i32.mul", 10 * w + 1)]}
        for w in range(10)
    )
    for d, free in FREE.items():
        with dataset.journal(d) as journal:
            for e in range(3):
                for w in range(10):
                    for position in range(2):
                        number += 1
                        wall = round(1e6 * (e + 1) * (w + 2) * np.exp(draw.normal(0, 0.01)))
                        job = Job(
                            f"j{number}", d, f"e{e}", (f"s/small/w{w}",), "measure", position, 5, 10.0, 1.0
                        )
                        sample = Sample(1, wall, 0, 0, ENGINE_KB[e] + OWN_KB[w], True)
                        told = MemberResult(job.workloads[0], "ok", "", [sample], regime="steady")
                        journal.append(
                            Entry(job, JobResult(job.id, 0, State(free_memory_bytes=free), [told]), "1", "1")
                        )
    dataset.compact()
    train(dataset).model.save(root / "lab.npz")
    return root / "lab.npz"


def test_predict_tells_the_memory_and_its_bound(model: Path, tmp_path: Path, harness) -> None:
    asked = harness("predict", model, "-w", "s/small/w9", "-e", "e1", "--memory", "--eps", 0.2, "--json")
    assert asked.code == 0, asked.err
    for row in json.loads(asked.out):
        assert row["memory_bytes"] == row["memory_bound_bytes"] == 1024 * (ENGINE_KB[1] + OWN_KB[9])
    assert (
        "66.6 MB" in harness("predict", model, "-w", "s/small/w9", "-e", "e1", "--memory", "--eps", 0.2).out
    )
    file = tmp_path / "asked.csv"
    file.write_text("workload,platform,with\ns/small/w9,e1:small,\ns/small/w0,e2:large,s/small/w1\n")
    batch = harness("predict", model, "--memory", "--batch", file, "--eps", 0.2, "--json")
    assert batch.code == 0, batch.err
    told = [1024 * (ENGINE_KB[1] + OWN_KB[9]), 1024 * (ENGINE_KB[2] + OWN_KB[0])]
    for name in ("memory_bytes", "memory_bound_bytes"):
        assert [row[name] for row in json.loads(batch.out)] == told


def test_a_model_that_knows_of_no_memory_says_so(model: Path, tmp_path: Path, harness) -> None:
    without = Pitot.load(model)
    del without.card["memory"]
    without.save(tmp_path / "old.npz")
    asked = tmp_path / "asked.csv"
    asked.write_text("workload,platform\ns/small/w1,e1:small\n")
    for question in (("-w", "s/small/w1"), ("--batch", asked)):
        ran = harness("predict", tmp_path / "old.npz", *question, "--memory")
        assert (ran.code, "told of no memory" in ran.err) == (2, True)


def test_place_refuses_what_does_not_fit_into_memory(model: Path, tmp_path: Path, harness) -> None:
    asked = tmp_path / "asked.csv"
    asked.write_text("workload,deadline_ms\ns/small/w9,1000\ns/small/w0,1000\n")
    options = ("--eps", 0.2, "-e", "e0", "--json")
    both = harness("place", model, asked, *options)
    assert both.code == 0, both.err
    heavy, light = json.loads(both.out)
    assert (heavy["device"], heavy["memory_bytes"]) == ("large", 1024 * (ENGINE_KB[0] + OWN_KB[9]))
    assert light["device"] == "small"
    small = harness("place", model, asked, *options, "-d", "small")
    heavy, light = json.loads(small.out)
    assert (small.code, heavy["device"], light["device"]) == (1, None, "small")
    assert heavy["reason"] == (
        "it takes up to 41.0 MB of memory, and the device that lacks least has 40.0 MB free"
    )


def test_who_lives_together_shares_the_memory() -> None:
    room = Room(np.array([[30.0, 20.0, 0.0], [30.0, 20.0, 0.0]]), np.array([45.0, np.inf]))
    sets = np.array([[0, 1, 2], [0, 2, 2], [0, 1, 2]])
    assert room.holds(np.array([0, 0, 1]), sets).tolist() == [False, True, True]
