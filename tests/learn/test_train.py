"""`harness train` on small, lopsided and ordinary datasets: what it cannot know, and where bounds hold least."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.dataset import snapshot
from harness.dataset.published import CO_RUN, ISOLATED, import_published
from harness.dataset.store import Dataset
from harness.errors import ModelError
from harness.learn.arrays import load_training
from harness.learn.heldout import held_out
from harness.learn.train import train
from tests.pitot_core.problems import made_up


def dataset(place: Path, **problem: int) -> Path:
    """A made-up problem as a dataset: workloads of two suites on engines and devices."""
    rows, features = made_up(**problem)
    folder = place / "npz"
    folder.mkdir(parents=True)
    tables = {
        "n_platform": np.array([f"e{k % 3}:d{k // 3}" for k in range(len(features.platform_names))]),
        "d_platform": features.platforms,
        "f_platform": np.array([f"f{k}" for k in range(features.platforms.shape[1])]),
        "n_workload": np.array([f"s{k % 2}/small/w{k}" for k in range(len(features.workload_names))]),
        "d_workload": features.workloads,
        "f_workload": np.array([f"x{k:02X}" for k in range(features.workloads.shape[1])]),
    }
    for n, name in enumerate((ISOLATED, *CO_RUN)):
        some = rows[rows.n_co_runners == n]
        if n == 0 or len(some):
            arrays = {
                "t": np.exp(some.log_ns) / 1000,
                "i_platform": some.platform,
                "i_workload": some.workload,
            }
            arrays |= {f"i_interference{k}": some.co_runners[:, k] for k in range(n)}
            np.savez(folder / name, **arrays | (tables if n == 0 else {}))
    import_published(folder, place / "data")
    return place / "data"


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            {"platforms": 1, "workloads": 20, "rows": 20, "degrees": 1},
            [
                "Every job ran on e0:d0: nothing is known of other engines or devices; collect on a second one.",
                "No job had co-runners",
                "No job could be held out for testing",
            ],
        ),
        (
            {"platforms": 2, "workloads": 3, "rows": 3, "degrees": 1},
            ["3 rows alone calibrate no bound below ε = 0.25; for ε = 0.05 collect at least 16 more."],
        ),
        (
            {"platforms": 3, "workloads": 10, "rows": 90, "degrees": 2},
            [
                "The accuracy comes from 17 rows and is rough: that bounds at ε = 0.1 held in ",
                " of 17 tells little, since bounds that hold anywhere from ",
                " % of the time would often do the same; collect more to know it better.",
            ],
        ),
    ],
)
def test_a_small_dataset_trains_predicts_and_is_told_what_it_cannot_support(
    problem: dict, told: list[str], tmp_path: Path, harness
) -> None:
    data = dataset(tmp_path, **problem)
    ran = harness("train", data, "-o", tmp_path / "m.npz", "--json")
    assert ran.code == 0, ran.err
    for sentence in told:
        assert sentence in ran.err
    assert "which also calibrated it (CV+)" in ran.err
    asked = harness("predict", tmp_path / "m.npz", "-w", "s0/small/w0", "-p", "e0:d0", "--json")
    assert asked.code == 0, asked.err
    assert json.loads(asked.out)[0]["mean_ns"] > 0


def test_very_many_rows_are_read_once_and_train_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Dataset.open(dataset(tmp_path, platforms=6, workloads=12, rows=4000, degrees=3))
    usual = train(data)
    reads = []
    everything = snapshot.read_parts
    monkeypatch.setattr(snapshot, "read_parts", lambda *asked: reads.append(1) or everything(*asked))
    monkeypatch.setattr("harness.learn.arrays.MANY", 1000)
    merged = train(data)
    assert (len(reads), merged.rows) == (1, 4000)
    used = merged.model.rows_used
    assert used["training"] + used["calibration"] + merged.test_rows == 4000
    assert merged.test_rows == pytest.approx(usual.test_rows, rel=0.2)
    for one, other in zip(merged.accuracy, usual.accuracy, strict=True):
        assert one["mape"] == pytest.approx(other["mape"], abs=0.005)
        assert one["coverage_0.1_high"] >= 0.9
    with pytest.raises(ModelError, match="more rows than are kept in memory"):
        held_out(merged.model, *load_training(data))


@pytest.mark.parametrize("many", [1000, 10_000])
def test_the_order_of_files_and_rows_means_nothing(
    many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.learn.arrays.MANY", many)
    data = Dataset.open(dataset(tmp_path, platforms=4, workloads=8, rows=3200, degrees=2))
    train(data).model.save(tmp_path / "before.npz")
    [path] = (data.root / "observations").iterdir()
    rows = pq.read_table(path)
    mixed = rows.take(np.random.default_rng(0).permutation(len(rows)))
    for name, part in (("b", mixed[:900]), ("a", mixed[900:])):
        pq.write_table(part, path.with_name(f"{name}.parquet"))
    path.unlink()
    train(data).model.save(tmp_path / "after.npz")
    assert (tmp_path / "after.npz").read_bytes() == (tmp_path / "before.npz").read_bytes()


def test_where_bounds_hold_least_is_told_beside_the_average(tmp_path: Path, harness) -> None:
    data = dataset(tmp_path, platforms=6, workloads=12, rows=4000, degrees=2)
    ran = harness("train", data, "-o", tmp_path / "m.npz", "--json")
    assert ran.code == 0, ran.err
    for row in json.loads(ran.out):
        assert row["worst_device"] in ("d0", "d1")
        assert row["worst_engine"] in ("e0", "e1", "e2")
        assert row["worst_suite"] in ("s0", "s1")
        for kind in ("device", "engine", "suite", "spread"):
            assert 0.5 < row[f"worst_{kind}_coverage"] <= row["coverage_0.1"]
    assert "calibrated on" in ran.err
    shown = harness("train", data, "-o", tmp_path / "m.npz")
    assert "Where bounds at ε = 0.1 held least" in shown.out


def test_a_negative_seed_is_refused(tmp_path: Path, harness) -> None:
    data = dataset(tmp_path, platforms=3, workloads=4, rows=60)
    ran = harness("train", data, "-o", tmp_path / "m.npz", "--seed", "-1")
    assert ran.code == 2
    assert "--seed" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "m.npz").exists()


def test_a_model_that_no_job_can_judge_says_so_and_shows_no_empty_table(tmp_path: Path, harness) -> None:
    data = dataset(tmp_path, platforms=1, workloads=20, rows=20, degrees=1)
    assert harness("train", data, "-o", tmp_path / "m.npz").out == ""
    asked = harness("simulate", tmp_path / "m.npz", "--check", data, "-e", "e0")
    assert (asked.code, "training kept no job for testing" in asked.err) == (2, True), asked.err
