"""`harness update`: a lab adds a device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
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
    for _ in range(2):  # the second time knows the rows already
        ran = harness("update", place / "m.npz", after, "-o", place / "m.npz", "--json")
        assert (ran.code, json.loads(ran.out)[-1]["name"]) == (0, "engine2:device1"), ran.err
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
