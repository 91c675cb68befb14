"""How fair bounds are: coverage in every tenth of spread, on every device and in every suite of the published rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from pitot_core import Features, Observations, Pitot, margin

ENOUGH = 100  # test rows of a group below which its coverage says nothing


def fairness(
    model: Pitot, test: Observations, features: Features, eps: float, method: str = "chosen"
) -> dict[str, float]:
    """In percent: the margin, the coverage, and the coverage of the worst tenth of spread, device and suite."""
    measured, bound = np.exp(test.log_ns), model.bound(test, eps, method=method)
    held = measured <= bound
    suites = np.array([name.partition("/")[0] for name in features.workload_names])
    groups: dict[str, Any] = {
        "tenth": model.spread(test).argsort().argsort() * 10 // len(test),
        "device": features.devices[test.platform],
        "suite": np.unique(suites, return_inverse=True)[1][test.workload],
    }
    found = {"margin": 100 * margin(bound, measured), "held": 100 * float(held.mean())}
    for name, group in groups.items():
        rows = np.bincount(group)
        share = np.bincount(group, held) / np.maximum(rows, 1)
        found[name] = 100 * float(share[rows >= ENOUGH].min())
    return found
