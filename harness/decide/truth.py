"""Measured times that a model was not shown, to judge decisions by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.dataset.store import Dataset
from harness.errors import ModelError
from harness.learn.arrays import load_training
from harness.learn.heldout import held_out
from pitot_core import Observations, Pitot


def held_out_rows(model: Pitot, root: Path) -> Observations:
    """The rows of a dataset that the model held out, numbered as in its tables. Raises DatasetError, ModelError."""
    rows, features = load_training(Dataset.open(root))
    rows = rows[held_out(model, rows, features)]
    assert model.features is not None
    workloads, platforms = (
        _numbers(ours, theirs)
        for ours, theirs in (
            (features.workload_names, model.features.workload_names),
            (features.platform_names, model.features.platform_names),
        )
    )
    together = np.where(rows.co_runners >= 0, workloads[rows.co_runners], -1)
    rows = Observations(platforms[rows.platform], workloads[rows.workload], together, rows.log_ns, rows.job)
    rows = rows[model.knows(rows)]
    if not len(rows):
        raise ModelError(f"{root} has no held-out row that the model could be judged by; train it again.")
    return rows


def _numbers(names: tuple[str, ...], of_model: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    known = {name: i for i, name in enumerate(of_model)}
    missing = [name for name in names if name not in known]
    if missing:
        raise ModelError(f"the model knows no {missing[0]}; name the model that was trained on this dataset.")
    return np.array([known[name] for name in names], np.int32)
