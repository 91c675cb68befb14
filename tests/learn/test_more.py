"""`harness update`: a lab adds a device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
from harness.errors import ModelError
from harness.learn.arrays import load_training
from harness.learn.heldout import held_out
from pitot_core import Features, Observations, Pitot, mape
from tests.conftest import synthetic


def _dataset(root: Path, rows: Observations, features: Features) -> Path:
    made = Dataset.create(root)
    made.put_workloads(
        {"workload": name, "features": [("a", row[0]), ("b", row[1])]}
        for name, row in zip(features.workload_names, features.workloads.tolist(), strict=True)
    )
    made.put_platforms(
        {"platform": name, "features": [("a", row[0]), ("b", row[1])]}
        for name, row in zip(features.platform_names, features.platforms.tolist(), strict=True)
    )
    made.add_part(
        pa.Table.from_pylist(
            [
                {
                    "job": f"j{rows.job[i]}",
                    "purpose": "measure",
                    "platform": features.platform_names[rows.platform[i]],
                    "device": features.platform_names[rows.platform[i]].partition(":")[2],
                    "workload": features.workload_names[rows.workload[i]],
                    "co_runners": [features.workload_names[k] for k in rows.co_runners[i] if k >= 0],
                    "n_co_runners": int(rows.n_co_runners[i]),
                    "status": "ok",
                    "wall_ns_mean": float(np.exp(rows.log_ns[i])),
                }
                for i in range(len(rows))
            ],
            OBSERVATIONS,
        )
    )
    return made.root


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Observations, Features]:
    rows, features = synthetic(1500)
    return tmp_path_factory.mktemp("lab"), rows, features


def test_a_device_that_comes_later_is_predicted(lab, harness) -> None:
    place, rows, features = lab
    new = rows.platform == 5
    before = _dataset(place / "before", rows[~new], features)
    assert harness("train", before, "-o", place / "m.npz").code == 0
    mine = np.flatnonzero(new & (rows.n_co_runners == 0))
    after = _dataset(place / "after", rows[np.concatenate([np.flatnonzero(~new)[:50], mine[:8]])], features)
    learned, files = [], []
    for _ in range(2):  # the second time as where the first was killed when its file was in place
        ran = harness("update", place / "m.npz", after, "-o", place / "m.npz", "--json")
        last = json.loads(ran.out)[-1]
        assert (ran.code, last["name"], last["rows"]) == (0, "engine2:device1", 6), ran.err
        learned.append(last["learned"])
        files.append((place / "m.npz").read_bytes())
    assert learned == [6, 0]
    assert files[0] == files[1]
    assert "all 6 observations were learned before: the model stays as it was" in " ".join(ran.err.split())
    model = Pitot.load(place / "m.npz")
    assert model.features is not None
    at = model.features.platform_names.index("engine2:device1")
    names = [features.workload_names[i] for i in rows.workload[mine[8:]]]
    asked = [(name, "engine2:device1") for name in names]
    assert at == 5
    assert mape(model.predict(asked), np.exp(rows.log_ns[mine[8:]])) < 0.15


def test_a_dataset_without_anything_new_is_refused(lab, harness) -> None:
    place, _, _ = lab
    ran = harness("update", place / "m.npz", place / "before", "-o", place / "again.npz")
    assert ran.code == 2
    assert "nothing that the model was not trained on" in ran.err
    assert not (place / "again.npz").exists()


def test_rows_learned_once_are_not_learned_twice_nor_judge_the_model(lab, harness) -> None:
    place, rows, features = lab
    whole = _dataset(place / "whole", rows, features)
    assert harness("train", whole, "-o", place / "t.npz").code == 0
    trained = Pitot.load(place / "t.npz")
    observations, mine = load_training(Dataset.open(whole))
    kept = held_out(trained, observations, mine)
    ran = harness("update", place / "t.npz", whole, "--all", "-o", place / "u.npz", "--json")
    told = f"{len(kept):,} observations learned, {len(observations) - len(kept):,} were before"
    assert (ran.code, told in " ".join(ran.err.split())) == (0, True), ran.err
    with pytest.raises(ModelError, match="nothing is left to judge it by"):
        held_out(Pitot.load(place / "u.npz"), observations, mine)
    ran = harness("update", place / "u.npz", whole, "--all", "-o", place / "v.npz", "--json")
    assert {row["learned"] for row in json.loads(ran.out)} == {0}
    assert (place / "v.npz").read_bytes() == (place / "u.npz").read_bytes()
