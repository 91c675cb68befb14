"""Made-up problems with a known answer, for the tests of pitot_core."""

from __future__ import annotations

import numpy as np

from pitot_core import Features, Observations


def made_up(
    platforms: int = 6,
    workloads: int = 12,
    rows: int = 600,
    *,
    noise: float = 0.02,
    seed: int = 0,
    degrees: int = 4,
) -> tuple[Observations, Features]:
    """Times from a start-up, a work term and a slowdown that grows with the co-runners' weights."""
    rng = np.random.default_rng(seed)
    x_w, x_p = rng.standard_normal((workloads, 5)), rng.standard_normal((platforms, 3))
    start, speed = 14 + 0.3 * x_p[:, 0], 0.8 * x_p[:, 1]
    work, weight, nerve = 15 + 1.5 * x_w[:, 0], np.exp(0.3 * x_w[:, 1]), 0.1 * np.exp(0.3 * x_w[:, 2])
    platform, workload = rng.integers(0, platforms, rows), rng.integers(0, workloads, rows)
    platform[: platforms * workloads] = np.repeat(np.arange(platforms), workloads)[:rows]
    workload[: platforms * workloads] = np.tile(np.arange(workloads), platforms)[:rows]
    n_co = rng.integers(0, degrees, rows)
    n_co[: platforms * workloads] = 0
    co = np.stack([rng.permutation(workloads)[:3] for _ in range(rows)])
    co[np.arange(3)[None, :] >= n_co[:, None]] = -1
    pressure = np.where(co >= 0, weight[co], 0.0).sum(axis=1)
    log_ns = np.logaddexp(start[platform], speed[platform] + work[workload]) + nerve[workload] * pressure
    observations = Observations.of(platform, workload, co, log_ns=log_ns + noise * rng.standard_normal(rows))
    names = tuple(f"w{i}" for i in range(workloads)), tuple(f"p{j}" for j in range(platforms))
    return observations, Features(x_w, x_p, *names)
