"""The published dataset's development part, read straight from its .npz files, for tests and benchmarks.

It is not part of the project: it lies beside the repository, and where it is absent its tests are skipped.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from pitot_core import Features, Observations

PLACE = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "pitot-dev"
ABSENT = f"no published data; it would lie at {PLACE}"


@lru_cache(maxsize=1)
def published() -> tuple[Observations, Features]:
    """All rows (42,867 isolated, 79,093 two-way) and the feature tables; skips the test where absent."""
    if not (PLACE / "data.npz").exists():
        pytest.skip(ABSENT)
    with np.load(PLACE / "data.npz") as alone, np.load(PLACE / "if2.npz") as beside:
        microseconds = np.concatenate([alone["t"], beside["t"]])
        observations = Observations.of(
            np.concatenate([alone["i_platform"], beside["i_platform"]]),
            np.concatenate([alone["i_workload"], beside["i_workload"]]),
            np.concatenate([np.full(len(alone["t"]), -1), beside["i_interference0"]]),
            log_ns=np.log(microseconds * 1000.0),
        )
        features = Features(
            alone["d_workload"], alone["d_platform"], tuple(alone["n_workload"]), tuple(alone["n_platform"])
        )
    return observations, features
