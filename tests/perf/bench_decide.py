"""What decisions from predictions are worth, on the published data (DECIDE: placement, here or there, policies).

    python -m tests.perf.bench_decide [placement] [limits] [replay] [together] [speed] [forecasts] [offload] [policies]

Rows are deduplicated and split by job: 40 % train (a quarter of them calibrates), the rest is half A, which may
choose, and half B, on which everything printed is measured.
"""

from __future__ import annotations

import sys
import time
from functools import lru_cache
from typing import Any

import numpy as np

from harness.decide.deadlines import Deadlines, Places, places_of
from harness.decide.demands import Demand
from harness.decide.place_check import EPS_GRID, Measured, Replay, measured_sets
from pitot_core import Features, Observations, Pitot, split
from tests.perf.bench_pitot import table
from tests.published import published

FACTORS = (1.0, 1.5, 2.0, 3.0)
INSTANCES = 30


@lru_cache(maxsize=2)
def world(seed: int = 0) -> tuple[Pitot, Observations, Observations, Features]:
    """A model, half A and half B of what it was not shown."""
    rows, features = published()
    told = np.column_stack([rows.platform, rows.workload, rows.co_runners[:, 0], rows.log_ns.view(np.int64)])
    rows = rows[np.sort(np.unique(told, axis=0, return_index=True)[1])]
    parts = split(rows, train=0.4, validation=0.3, test=0.3, by="job", seed=seed)
    model = Pitot(calibration_share=0.25, seed=seed).fit(rows[parts.train], features)
    return model, rows[parts.validation], rows[parts.test], features


def own_places(features: Features, numbers: Any) -> Places:
    """Each of these platforms as a device of its own."""
    return places_of([(f"any:{features.platform_names[i].replace(':', '/')}", int(i)) for i in numbers])


def instance(
    rows: Observations, seed: int, factor: float, model: Pitot, features: Features
) -> tuple[Deadlines, Measured]:
    """30 random platforms, 100 random workloads; a deadline is factor · median over them of the measured time alone."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(len(features.platform_names), 30, replace=False)
    every = published()[0]
    alone = every[(every.n_co_runners == 0) & np.isin(every.platform, numbers)]
    names, medians = [], []
    for workload in rng.permutation(np.unique(alone.workload))[:100]:
        names.append(int(workload))
        medians.append(float(np.median(np.exp(alone.log_ns[alone.workload == workload]))))
    demands = [
        Demand(features.workload_names[name], factor * median)
        for name, median in zip(names, medians, strict=True)
    ]
    deadlines = Deadlines(model, demands, np.array(names), own_places(features, numbers), "bound", 0.05)
    return deadlines, measured_sets(deadlines, rows, 2)


def replays(
    rows: Observations, factor: float, model: Pitot, features: Features, first: int = 0
) -> list[Replay]:
    found = []
    for seed in range(first, first + INSTANCES):
        deadlines, measured = instance(rows, seed, factor, model, features)
        whole = np.ones(len(deadlines.places.devices), bool), np.ones(len(deadlines.demands), bool)
        found.append(Replay(deadlines, measured, [whole]))
    return found


def measure(asked: list[Replay], policy: str, eps: float = 0.05) -> tuple[float, float, float]:
    """Hosted per instance, share of the hosted that missed, share of instances where any did."""
    outcomes = [one.outcome(policy, eps) for one in asked]
    hosted = np.array([one.hosted[0] for one in outcomes])
    missed = np.array([one.missed[0] for one in outcomes])
    return float(hosted.mean()), float(missed.sum() / hosted.sum()), float((missed > 0).mean())


def placement() -> None:
    """Policies on measured sets: 30 × 100, two together (bars: bound .05 ≤ 1 % and ≥ .94; .01 ≤ .25 %; alone ≥ 8 %)."""
    for seed in (0, 1):
        model, _, rows, features = world(seed)
        body = []
        for factor in FACTORS:
            asked = replays(rows, factor, model, features)
            oracle = measure(asked, "oracle")[0]
            for policy, eps in (
                ("oracle", 0),
                ("bound", 0.05),
                ("bound", 0.01),
                ("mean", 0),
                ("alone", 0),
                ("share", 0),
            ):
                hosted, missed, some = measure(asked, policy, eps or 0.05)
                body.append(
                    [factor, f"{policy} {eps or ''}", f"{hosted:.1f}", f"{hosted / oracle:.3f}",
                     f"{missed:.2%}", f"{some:.0%}"]
                )  # fmt: skip
        table(
            f"Placement on measured sets, half B, seed {seed}",
            ("deadline ×", "policy", "hosted", "of oracle", "missed", "instances with any"),
            body,
        )


def replay() -> None:
    """ε chosen on half A so that at most 5, 2, 1 % miss; what then misses on half B (bar: at most that)."""
    model, chooses, tells, features = world()
    body = []
    for factor in (1.0, 1.5):
        a = replays(chooses, factor, model, features)
        b = replays(tells, factor, model, features, first=1000)
        rates = {eps: measure(a, "bound", eps) for eps in EPS_GRID}
        oracle = measure(b, "oracle")[0]
        for target in (0.05, 0.02, 0.01):
            chosen = next(eps for eps in EPS_GRID if rates[eps][1] <= target)
            hosted, missed, some = measure(b, "bound", chosen)
            body.append(
                [factor, f"{target:.0%}", chosen, f"{hosted / oracle:.3f}", f"{missed:.2%}", f"{some:.0%}"]
            )
    table(
        "ε chosen by replay on A, measured on B",
        ("deadline ×", "target", "ε", "of oracle", "missed", "instances with any"),
        body,
    )


def main() -> None:
    known = {f.__name__: f for f in (placement, replay)}
    for name in sys.argv[1:] if __name__ == "__main__" and sys.argv[1:] else known:
        started = time.process_time()
        known[name]()
        print(f"({time.process_time() - started:.0f} CPU s)", flush=True)


if __name__ == "__main__":
    main()
