"""What a workload costs when it is started anew: a target of its own beside the steady time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.store import Dataset
from harness.errors import DatasetError, ModelError, typed
from harness.learn.arrays import matrix, workload_features
from harness.learn.platforms import platform_features
from pitot_core import Features, Observations

COLUMNS = ("job", "purpose", "platform", "workload", "status", "cold_ns")


def load_cold(dataset: Dataset) -> tuple[Observations, Features]:
    """The mean cold time of each workload on each platform, alone, and their features.

    Raises DatasetError where none was measured.
    """
    table = dataset.observations(COLUMNS)
    table = table.filter(pc.and_(pc.equal(table["status"], "ok"), pc.is_valid(table["cold_ns"])))
    if not len(table):
        raise DatasetError(
            f"{dataset.root} has no cold start to learn from; collect some with `harness collect --cold 5`."
        )
    rows = {
        "platform": {row["platform"]: platform_features(row) for row in dataset.platforms().to_pylist()},
        "workload": {row["workload"]: workload_features(row) for row in dataset.workloads().to_pylist()},
    }
    names = {kind: sorted(table[kind].unique().to_pylist()) for kind in rows}
    for kind, seen in names.items():
        if missing := [name for name in seen if name not in rows[kind]]:
            raise DatasetError(
                f"{dataset.root}: {kind} {missing[0]} is observed but not in {kind}s.parquet; "
                "copy that table too where datasets are merged."
            )
    observations = Observations.of(
        platform=pc.index_in(table["platform"], pa.array(names["platform"])).to_numpy(),
        workload=pc.index_in(table["workload"], pa.array(names["workload"])).to_numpy(),
        log_ns=np.log(table["cold_ns"].to_numpy()),
        job=pc.index_in(table["job"], table["job"].unique()).to_numpy(),
    )
    features = Features(
        workloads=matrix([rows["workload"][name] for name in names["workload"]]),
        platforms=matrix([rows["platform"][name] for name in names["platform"]]),
        workload_names=tuple(names["workload"]),
        platform_names=tuple(names["platform"]),
    )
    return observations, features


def cold_path(model: Path) -> Path:
    """Where the model of cold times lies: beside that of steady times, as `lab.npz` and `lab-cold.npz`."""
    return model.with_name(f"{model.stem}-cold{model.suffix}")


def need_cold(model: Path) -> Path:
    """`cold_path`. Raises ModelError where there is none."""
    path = cold_path(model)
    if not path.exists():
        raise ModelError(
            f"no model of cold times at {path}; make it with `harness train DATASET -o {typed(model)} --cold`, from a "
            "dataset collected with --cold."
        )
    return path
