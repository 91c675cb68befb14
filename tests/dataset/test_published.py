"""The published files become a dataset without loss, and a model of theirs is as good as promised."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.dataset.published import import_published
from harness.dataset.spreadsheet import COLUMNS
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.learn.arrays import load_training
from tests.conftest import ROOT
from tests.dataset.test_store import entry
from tests.perf.bench_pitot import expected_coverage
from tests.published import ABSENT

PUBLISHED = ROOT.parent / "shared" / "data" / "pitot-dev"
needs_published = pytest.mark.skipif(not PUBLISHED.exists(), reason=ABSENT)


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


# What the published loader reads: for each file it takes data.npz and lays the file's arrays over it, logs t, and
# indexes d_platform and d_workload by the i_ arrays. So no if file may hold a d_, n_ or f_ array.
ROWS = {"t": "f", "i_platform": "int64", "i_workload": "int64"}
TABLES = {
    f"{part}_{kind}": dtype
    for kind in ("platform", "workload")
    for part, dtype in (("d", "float32"), ("n", "U"), ("f", "U"))
}
LAYOUT = {
    "data.npz": TABLES | ROWS | {"t": "float32"},
    "if2.npz": ROWS | {"t": "float64", "i_interference0": "int64"},
    "if3.npz": ROWS | {"t": "float64", "i_interference0": "int64", "i_interference1": "int64"},
    "if4.npz": ROWS | {"t": "float64"} | {f"i_interference{k}": "int64" for k in range(3)},
}


def check_layout(folder: Path) -> None:
    """The keys, types, shapes and ranges of LAYOUT, of every file there."""
    alone = dict(np.load(folder / "data.npz"))
    sizes = {kind: len(alone[f"n_{kind}"]) for kind in ("platform", "workload")}
    for kind, size in sizes.items():
        assert alone[f"d_{kind}"].shape == (size, len(alone[f"f_{kind}"]))
        assert np.isfinite(alone[f"d_{kind}"]).all()
        assert len(set(alone[f"n_{kind}"])) == size
    for path in folder.glob("*.npz"):
        arrays = dict(np.load(path))
        wanted = LAYOUT[path.name]
        assert set(arrays) == set(wanted)
        for key, dtype in wanted.items():
            found = arrays[key].dtype
            assert found == dtype if dtype != "U" else found.kind == "U", f"{path.name}: {key} is {found}"
            if key in ("t",) or key.startswith("i_"):
                assert arrays[key].shape == arrays["t"].shape
            if key.startswith("i_"):
                size = sizes["platform" if key == "i_platform" else "workload"]
                assert ((arrays[key] >= 0) & (arrays[key] < size)).all()
        assert np.isfinite(np.log(arrays["t"])).all()


def with_rising_co_runners(arrays: dict) -> dict:
    keys = sorted(key for key in arrays if key.startswith("i_interference"))
    if not keys:
        return arrays
    beside = np.sort(np.stack([arrays[key] for key in keys], axis=1), axis=1)
    return arrays | {key: beside[:, k] for k, key in enumerate(keys)}


def check_same(given: Path, found: Path) -> None:
    assert {path.name for path in given.glob("*.npz")} == {path.name for path in found.glob("*.npz")}
    for path in given.glob("*.npz"):
        before, after = with_rising_co_runners(dict(np.load(path))), dict(np.load(found / path.name))
        assert set(before) == set(after)
        for key, values in before.items():
            assert (values.dtype, values.shape) == (after[key].dtype, after[key].shape), key
            if key == "t":
                np.testing.assert_allclose(after[key], values, rtol=1e-14 if values.dtype == "f8" else 2e-7)
            else:
                assert np.array_equal(after[key], values), f"{path.name}: {key}"


def write_all(folder: Path, rows: int = 300, seed: int = 0) -> Path:
    """Four files in an order of names and columns that no sorting gives, with rows that are never observed."""
    draw = np.random.default_rng(seed)
    n_platforms, n_workloads = 5, 9
    tables = {
        "n_platform": np.array([f"e{i % 2}:dev-{9 - i}" for i in range(n_platforms)]),
        "f_platform": np.array(["uarch=z", "cpufreq", "l2:ind", "a"]),
        "d_platform": draw.normal(size=(n_platforms, 4)).astype(np.float32),
        "n_workload": np.array([f"s/{'zyxwvutsr'[i]}" for i in range(n_workloads)]),
        "f_workload": np.array(["xFC", "x04", "x20"]),
        "d_workload": draw.random((n_workloads, 3)).astype(np.float32) * 20,
    }
    folder.mkdir()
    for n, name in enumerate(("data.npz", "if2.npz", "if3.npz", "if4.npz")):
        together = np.argsort(draw.random((rows, n_workloads - 1)), axis=1)[:, : n + 1]
        arrays = {"t": draw.lognormal(9, 3, rows), "i_platform": draw.integers(0, n_platforms - 1, rows)}
        arrays |= {"i_workload": together[:, 0]}
        arrays |= {f"i_interference{k}": together[:, k + 1] for k in range(n)}
        if n == 0:
            arrays = arrays | tables | {"t": arrays["t"].astype(np.float32)}
        np.savez(folder / name, **arrays)
    return folder


def test_what_is_imported_is_exported_as_it_was(tmp_path: Path, harness) -> None:
    given = write_all(tmp_path / "in")
    check_layout(given)
    assert harness("import", given, "-o", tmp_path / "data").code == 0
    ran = harness("export", tmp_path / "data", "-o", tmp_path / "out")
    assert (ran.code, ran.err.split(" are ")[0]) == (
        0, "300 isolated, 300 2-way, 300 3-way, 300 4-way observations",
    )  # fmt: skip
    check_layout(tmp_path / "out")
    check_same(given, tmp_path / "out")


def test_an_export_completes_its_own_leftovers_and_refuses_what_is_not_its_own(
    tmp_path: Path, harness
) -> None:
    assert harness("import", write_all(tmp_path / "in"), "-o", tmp_path / "data").code == 0
    assert harness("export", tmp_path / "data", "-o", tmp_path / "out").code == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "data.npz").unlink()
    (tmp_path / "out" / "if3.npz").unlink()
    (tmp_path / "out" / "notes").write_text("mine")
    assert harness("export", tmp_path / "data", "-o", tmp_path / "out").code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == whole | {
        "notes": b"mine"
    }
    (tmp_path / "out" / "data.npz").unlink()
    np.savez(tmp_path / "out" / "if2.npz", t=np.ones(3))
    again = harness("export", tmp_path / "data", "-o", tmp_path / "out")
    told = f"{tmp_path / 'out' / 'if2.npz'} exists and holds something else than this export"
    assert (again.code, told in again.err, (tmp_path / "out" / "data.npz").exists()) == (2, True, False)


def test_an_import_of_the_same_files_is_there_already_and_of_others_is_refused(
    tmp_path: Path, harness
) -> None:
    given, data = write_all(tmp_path / "in"), tmp_path / "data"
    assert harness("import", given, "-o", data).code == 0
    before = (data / "dataset.json").read_bytes()
    assert (harness("import", given, "-o", data).code, (data / "dataset.json").read_bytes()) == (0, before)
    refused = harness("import", write_all(tmp_path / "other", seed=1), "-o", data)
    assert (refused.code, "is a dataset already; name a new directory" in refused.err) == (2, True)


@needs_published
def test_the_published_files_come_out_as_they_came_in(tmp_path: Path, harness) -> None:
    check_layout(PUBLISHED)
    assert harness("import", PUBLISHED, "-o", tmp_path / "data").code == 0
    assert harness("export", tmp_path / "data", "-o", tmp_path / "out").code == 0
    check_layout(tmp_path / "out")
    check_same(PUBLISHED, tmp_path / "out")


def test_what_is_collected_is_exported_in_the_published_layout(tmp_path: Path, harness) -> None:
    dataset = Dataset.create(tmp_path / "data")
    with dataset.journal("local") as journal:
        for number, name in enumerate(("s/small/b", "s/small/a")):
            journal.append(entry(number, name))
    dataset.put_platforms([{"platform": "wasmtime-j:local", "engine": "wasmtime-j", "device": "local", "family": "e",
                            "kind": "compiler", "facts": {"mhz": "1500", "vendor": "x"}}])  # fmt: skip
    dataset.put_workloads(
        [{"workload": f"s/small/{x}", "opcodes": {"i32.add": 7, "local.get": 9}} for x in "bac"]
    )
    ran = harness("export", dataset.root, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    check_layout(tmp_path / "out")
    found = np.load(tmp_path / "out" / "data.npz")
    assert found["n_workload"].tolist() == ["s/small/a", "s/small/b"]
    assert found["f_workload"].tolist() == ["x20", "x6A"]
    np.testing.assert_allclose(found["d_workload"], np.log([[10, 8]] * 2), rtol=1e-6)


def test_a_csv_has_a_row_per_observation_and_the_documented_columns(tmp_path: Path, harness) -> None:
    dataset = Dataset.create(tmp_path / "data")
    with dataset.journal("local") as journal:
        journal.append(entry(1))
        journal.append(entry(2, "s/small/b", status="trap"))
    dataset.compact()
    with dataset.journal("local") as journal:
        journal.append(entry(3, 's/small/"c",d'))
    ran = harness("export", dataset.root, "--csv")
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(ran.out.splitlines()))
    assert list(rows[0]) == [column.key for column in COLUMNS]
    table = dataset.observations().to_pylist()
    assert [(row["job"], row["workload"], row["status"]) for row in rows] == [
        (row["job"], row["workload"], row["status"]) for row in table
    ]
    walls = [sample["wall_ns"] for sample in table[0]["samples"] if sample["covered"]]
    assert float(rows[0]["wall_ns_mean"]) == table[0]["wall_ns_mean"]
    assert rows[0]["wall_ns_sd"] == ("" if len(walls) < 2 else str(np.std(walls, ddof=1)))
    assert rows[1]["wall_ns_mean"] == ""
    to_file = harness("export", dataset.root, "--csv", "-o", tmp_path / "o.csv")
    assert (to_file.code, (tmp_path / "o.csv").read_text()) == (0, ran.out)
    assert harness("export", dataset.root).code == 2
    assert harness("export", dataset.root, "--csv", "-o", tmp_path).code == 2


@needs_published
def test_train_keeps_the_promises_it_prints(tmp_path: Path, harness) -> None:
    import_published(PUBLISHED, tmp_path / "data")
    ran = harness("train", tmp_path / "data", "-o", tmp_path / "model.npz", "--json")
    assert ran.code == 0, ran.err
    isolated, two_way = json.loads(ran.out)
    assert isolated["mape"] <= 0.06
    assert two_way["mape"] <= 0.065
    # What exchangeable rows allow, since calibration is a sample too; two rows of one job say as much as 1.76 apart.
    for row, alike in ((isolated, 1.0), (two_way, 1.14)):
        for eps in ("0.1", "0.05"):
            low, high = expected_coverage(
                round(row["calibration_rows"] / alike), round(row["test_rows"] / alike), float(eps)
            )
            assert low <= row[f"coverage_{eps}"] <= high
    asked = harness(
        "predict", tmp_path / "model.npz", "-w", "polybench/small/gemm", "-p", "wasmtime-a:hc-10",
        "--with", "polybench/small/lu", "--json",
    )  # fmt: skip
    [answer] = json.loads(asked.out)
    assert answer["mean_ns"] < answer["bound_ns"] < 2 * answer["mean_ns"]
    three = harness(
        "predict", tmp_path / "model.npz", "-w", "polybench/small/gemm", "-p", "wasmtime-a:hc-10",
        "--with", "polybench/small/lu,polybench/small/mvt", "--json",
    )  # fmt: skip
    [unbounded] = json.loads(three.out)
    assert unbounded["bound_ns"] is None
    assert unbounded["mean_ns"] > answer["mean_ns"]
    assert "no measured job had 2 co-runners" in three.err


def test_training_on_a_dataset_without_observations_says_so(tmp_path: Path, harness) -> None:
    Dataset.create(tmp_path / "empty")
    ran = harness("train", tmp_path / "empty", "-o", tmp_path / "model.npz")
    assert ran.code == 2
    assert "has no finished observation to learn from" in ran.err
    assert not (tmp_path / "model.npz").exists()
