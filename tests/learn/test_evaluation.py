"""`harness evaluate`: every method runs, and cells resume."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
from harness.errors import ModelError, UnknownName
from harness.learn.cells import METHODS, Cell, Results, cells, evaluate_cell, summarise
from harness.learn.evaluation import markdown
from tests.conftest import synthetic


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic observations as a dataset on disk."""
    observations, features = synthetic(1500)
    made = Dataset.create(tmp_path_factory.mktemp("evaluate") / "data")
    made.put_workloads(
        {"workload": name, "features": [("a", row[0]), ("b", row[1])]}
        for name, row in zip(features.workload_names, features.workloads.tolist(), strict=True)
    )
    made.put_platforms(
        {"platform": name, "features": [("a", row[0]), ("b", row[1])]}
        for name, row in zip(features.platform_names, features.platforms.tolist(), strict=True)
    )
    rows = [
        {
            "job": f"j{observations.job[i]}",
            "purpose": "measure",
            "platform": features.platform_names[observations.platform[i]],
            "workload": features.workload_names[observations.workload[i]],
            "co_runners": [features.workload_names[k] for k in observations.co_runners[i] if k >= 0],
            "n_co_runners": int(observations.n_co_runners[i]),
            "status": "ok",
            "wall_ns_mean": float(np.exp(observations.log_ns[i])),
        }
        for i in range(len(observations))
    ]
    made.add_part(pa.Table.from_pylist(rows, OBSERVATIONS))
    return made.root


SLOW = (
    "published",
    "neural",
    "attention",
)  # half a minute each; tests/test_pitot_methods.py fits them smaller


@pytest.mark.parametrize("method", [name for name in METHODS if name not in SLOW])
def test_every_method_and_ablation_runs_behind_the_same_interface(method: str) -> None:
    observations, features = synthetic(700)
    rows = evaluate_cell(Cell(method, "job", 0.6, 0), observations, features)
    assert [row["co_runners"] for row in rows] == ["0", "1"]
    assert all(0 < row["mape"] < 5 and row["rows"] > 50 for row in rows)


def test_an_evaluation_is_written_down_and_resumes(dataset: Path, harness, tmp_path: Path) -> None:
    command = [
        "evaluate", dataset, "-o", tmp_path / "e", "-m", "start-up", "-m", "log-linear",
        "--shares", "40,80", "--by", "both", "--no-plots",
    ]  # fmt: skip
    first = harness(*command, "--replicates", 1, "--json")
    assert first.code == 0, first.err
    assert len(json.loads(first.out)) == 2 * 2 * 2 * 2
    second = harness(*command, "--replicates", 2, "--csv")
    assert "8 of 16 trainings are already there" in second.err
    with open(tmp_path / "e" / "replicates.csv") as file:
        rows = list(csv.DictReader(file))
    assert {(row["method"], row["by"], row["share"], row["replicate"]) for row in rows} == {
        (method, by, share, replicate)
        for method in ("start-up", "log-linear")
        for by in ("row", "job")
        for share in ("0.4", "0.8")
        for replicate in ("0", "1")
    }
    assert "| start-up | job | 80% | 0 |" in (tmp_path / "e" / "summary.md").read_text()


def test_a_cell_cut_short_is_computed_again_and_the_others_are_kept(tmp_path: Path) -> None:
    results = Results(tmp_path / "cells.jsonl", "d")
    one, two, three = cells(["ours"], ["row"], [0.1, 0.5, 0.9], 1)
    results.add(one, [{"mape": 0.1}])
    results.add(two, [{"mape": 0.2}])
    path = tmp_path / "cells.jsonl"
    path.write_text(path.read_text()[:-9])
    again = Results(path, "d")
    assert list(again.rows) == [one.key]
    again.add(three, [{"mape": 0.3}])
    assert list(Results(path, "d").rows) == [one.key, three.key]
    with pytest.raises(ModelError, match="about another dataset"):
        Results(path, "other")


def test_published_values_stand_beside_ours() -> None:
    row = {
        "method": "ours", "by": "row", "share": 0.5, "replicate": 0, "co_runners": "0", "seconds": 1.0, "rows": 9,
        "mape": 0.04, "mape_reference": 0.041, "margin_0.1": 0.07, "coverage_0.1": 0.9,
    }  # fmt: skip
    text = markdown(summarise([row, row | {"replicate": 1, "mape": 0.05}]))
    assert "| ours | row | 50% | 0 | 4.50 ± 1.00 | 4.10 | 5.81 | 2 |" in text
    assert "| ours | row | 50% | 0 | 0.1 | chosen | 7.00 | 7.99 | 90.00 |" in text


def test_plots_are_drawn(dataset: Path, harness, tmp_path: Path) -> None:
    ran = harness(
        "evaluate", dataset, "-o", tmp_path / "e", "-m", "ours", "--shares", "50,80", "--replicates", 2
    )
    assert ran.code == 0, ran.err
    drawn = {path.name: path.stat().st_size for path in (tmp_path / "e").glob("*.png")}
    assert set(drawn) == {"error-by-row.png", "margin-by-row.png", "embeddings.png", "interference.png"}
    assert all(size > 8000 for size in drawn.values())


def test_an_unknown_method_comes_with_the_nearest_names(harness, dataset: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean attention"):
        cells(["atention"], ["row"], [0.5], 1)
    ran = harness("evaluate", dataset, "--shares", "0,50")
    assert ran.code == 2
    assert "--shares 0,50 must list percentages between 0 and 100" in ran.err
