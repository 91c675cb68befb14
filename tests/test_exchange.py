"""The published files become a dataset without loss, and a model of theirs is as good as promised."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.dataset import Dataset
from harness.errors import DatasetError
from harness.exchange import import_published
from harness.features import load_training
from tests.conftest import ROOT

PUBLISHED = ROOT.parent / "shared" / "data" / "pitot-dev"
needs_published = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="the published rows are not beside this checkout"
)


def write(folder: Path, **changes) -> Path:
    """A tiny data.npz and if2.npz in the published layout."""
    tables = {
        "n_platform": np.array(["e:one", "e:two"]), "f_platform": np.array(["cpufreq"]),
        "d_platform": np.array([[0.5], [1.5]], np.float32),
        "n_workload": np.array(["s/a", "s/b", "s/c"]), "f_workload": np.array(["xA0", "xA2"]),
        "d_workload": np.array([[1, 2], [3, 4], [5, 6]], np.float32),
    }  # fmt: skip
    rows = {
        "t": np.array([10.0, 20.5], np.float32),
        "i_platform": np.array([0, 1]),
        "i_workload": np.array([2, 0]),
    }
    pairs = {
        "t": np.array([1.0, 2.0, 1.0, 3.0]), "i_platform": np.array([1, 1, 1, 1]),
        "i_workload": np.array([0, 2, 0, 1]), "i_interference0": np.array([2, 0, 2, 0]),
    }  # fmt: skip
    folder.mkdir()
    np.savez(folder / "data.npz", **tables | rows | changes)
    np.savez(folder / "if2.npz", **pairs)
    return folder


def test_microseconds_become_nanoseconds_and_names_and_features_are_kept(tmp_path: Path) -> None:
    dataset, rows = import_published(write(tmp_path / "in"), tmp_path / "out")
    assert rows == {0: 2, 1: 4}
    table = dataset.observations(
        ["platform", "engine", "device", "workload", "co_runners", "wall_ns_mean"]
    ).to_pylist()
    assert table[1] == {
        "platform": "e:two", "engine": "e", "device": "two", "workload": "s/a", "co_runners": [],
        "wall_ns_mean": 20500.0,
    }  # fmt: skip
    assert [(row["workload"], row["co_runners"]) for row in table[2:4]] == [
        ("s/a", ["s/c"]),
        ("s/c", ["s/a"]),
    ]
    assert dict(dataset.workloads().to_pylist()[2]["features"]) == {"xA0": 5.0, "xA2": 6.0}
    assert dict(dataset.platforms().to_pylist()[0]["features"]) == {"cpufreq": 0.5}


def test_a_row_and_its_mirror_are_one_job_and_a_repetition_is_another(tmp_path: Path) -> None:
    dataset, _ = import_published(write(tmp_path / "in"), tmp_path / "out")
    jobs = dataset.observations(["job"])["job"].to_pylist()[2:]
    assert jobs[0] == jobs[1]
    assert len({jobs[0], jobs[2], jobs[3]}) == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"i_workload": np.array([2, 3])}, "i_workload has a row number outside the 3 rows"),
        ({"t": np.array([1.0, -1.0])}, "t has a time that is not positive"),
        ({"i_platform": np.array([0])}, "i_platform has shape"),
        ({"n_platform": np.array(["one", "two"])}, "a platform is not named engine:device"),
    ],
)
def test_files_that_are_not_of_the_layout_are_refused_and_nothing_is_written(
    changes, told: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=told):
        import_published(write(tmp_path / "in", **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    (folder / "if2.npz").write_bytes(b"PK but not really")
    with pytest.raises(DatasetError, match=r"if2\.npz cannot be read as npz"):
        import_published(folder, tmp_path / "out")


@needs_published
def test_every_published_row_arrives(tmp_path: Path) -> None:
    dataset, rows = import_published(PUBLISHED, tmp_path / "out")
    assert rows == {0: 42867, 1: 79093}
    with np.load(PUBLISHED / "if2.npz") as published:
        expected = np.sort(published["t"] * 1000.0)
    table = dataset.observations(["n_co_runners", "wall_ns_mean"])
    found = table["wall_ns_mean"].to_numpy()[table["n_co_runners"].to_numpy() == 1]
    assert np.array_equal(np.sort(found), expected)
    observations, features = load_training(dataset)
    sizes = Counter(
        np.unique(observations.job[observations.n_co_runners == 1], return_counts=True)[1].tolist()
    )
    assert sizes[2] > 0.8 * sum(sizes.values())
    assert (features.workloads.shape, features.platforms.shape) == ((249, 141), (231, 39))


def test_export_is_the_published_layout_and_imports_again(tmp_path: Path, harness) -> None:
    import_published(write(tmp_path / "in"), tmp_path / "out")
    ran = harness("export", tmp_path / "out", "-o", tmp_path / "again")
    assert ran.code == 0, ran.err
    for name in ("data.npz", "if2.npz"):
        with np.load(tmp_path / "in" / name) as given, np.load(tmp_path / "again" / name) as found:
            assert set(found) == set(given)
            for key in given:
                assert found[key].dtype.kind == given[key].dtype.kind
                if given[key].dtype.kind == "U":
                    assert found[key].tolist() == given[key].tolist()
                else:
                    np.testing.assert_allclose(found[key], given[key], rtol=1e-6)
    assert "data.npz exists" in harness("export", tmp_path / "out", "-o", tmp_path / "again").err


@needs_published
def test_train_keeps_the_promises_it_prints(tmp_path: Path, harness) -> None:
    import_published(PUBLISHED, tmp_path / "data")
    ran = harness("train", tmp_path / "data", "-o", tmp_path / "model.npz", "--json")
    assert ran.code == 0, ran.err
    isolated, two_way = json.loads(ran.out)
    assert isolated["mape"] <= 0.06
    assert two_way["mape"] <= 0.065
    for row in (isolated, two_way):
        for eps in ("0.1", "0.05"):
            assert row[f"coverage_{eps}_low"] <= 1 - float(eps) <= row[f"coverage_{eps}_high"]
    asked = harness(
        "predict", tmp_path / "model.npz", "-w", "polybench/small/gemm", "-p", "wasmtime-a:hc-10",
        "--with", "polybench/small/lu", "--json",
    )  # fmt: skip
    [answer] = json.loads(asked.out)
    assert answer["mean_ns"] < answer["bound_ns"] < 2 * answer["mean_ns"]
    refused = harness(
        "predict", tmp_path / "model.npz", "-w", "polybench/small/gemm", "-d", "hc-10",
        "--with", "polybench/small/lu,polybench/small/mvt",
    )  # fmt: skip
    assert (refused.code, refused.out) == (2, "")
    assert "no bound for 2 co-runners" in refused.err


def test_training_on_a_dataset_without_observations_says_so(tmp_path: Path, harness) -> None:
    Dataset.create(tmp_path / "empty")
    ran = harness("train", tmp_path / "empty", "-o", tmp_path / "model.npz")
    assert ran.code == 2
    assert "has no finished observation to learn from" in ran.err
    assert not (tmp_path / "model.npz").exists()
