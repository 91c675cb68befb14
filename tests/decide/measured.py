"""A dataset of alone and paired times with a known law, and a model that held half of its jobs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import synthetic


def write_published(folder: Path, rows: int = 2400) -> Path:
    """`synthetic` times in the published layout: alone and in pairs, each pair with its mirror."""
    observations, features = synthetic(rows)
    alone = observations[observations.n_co_runners == 0]
    beside = observations[observations.n_co_runners == 1]
    folder.mkdir()
    tables: dict[str, Any] = {
        "n_platform": np.array(features.platform_names),
        "f_platform": np.array(["cpufreq", "a"]),
        "d_platform": features.platforms.astype(np.float32),
        "n_workload": np.array(features.workload_names),
        "f_workload": np.array(["x04", "x20"]),
        "d_workload": np.abs(features.workloads).astype(np.float32),
    }
    np.savez(
        folder / "data.npz", t=np.exp(alone.log_ns) / 1000, i_platform=alone.platform, i_workload=alone.workload,
        **tables,
    )  # fmt: skip
    times = {
        (p, w, c): t
        for p, w, c, t in zip(
            beside.platform.tolist(), beside.workload.tolist(), beside.co_runners[:, 0].tolist(),
            np.exp(beside.log_ns).tolist(), strict=True,
        )
    }  # fmt: skip
    both = [(*key, time) for key, time in times.items() if (key[0], key[2], key[1]) in times]
    p, w, c, t = (np.array(column) for column in zip(*both, strict=True))
    np.savez(folder / "if2.npz", t=t / 1000, i_platform=p, i_workload=w, i_interference0=c)
    return folder
