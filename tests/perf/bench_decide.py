"""What decisions from predictions are worth, on the published data: placement and scheduling policies.

    python -m tests.perf.bench_decide [placement] [replay] [selection] [together] [speed] [policies]

Rows are deduplicated and split by job: 40 % train (a quarter of them calibrates), the rest is half A, which may
choose, and half B, on which everything printed is measured.
"""

from __future__ import annotations

import sys
import time
from functools import lru_cache
from typing import Any

import numpy as np

from harness.decide.assignment import assign, copies_of
from harness.decide.colocations import grow
from harness.decide.deadlines import Deadlines, Places, places_of
from harness.decide.demands import Demand
from harness.decide.place_check import EPS_GRID, Measured, Replay, measured_sets
from harness.decide.policies import policy, squared_variation
from harness.decide.policy_study import study
from harness.decide.simulate import Job, simulate
from harness.decide.traces import Pool
from pitot_core import Features, Observations, Pitot, Queries, split
from tests.perf.bench_pitot import table
from tests.pitot_core.problems import made_up
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
            for name, eps in (
                ("oracle", 0),
                ("bound", 0.05),
                ("bound", 0.01),
                ("mean", 0),
                ("alone", 0),
                ("share", 0),
            ):
                hosted, missed, some = measure(asked, name, eps or 0.05)
                body.append(
                    [factor, f"{name} {eps or ''}", f"{hosted:.1f}", f"{hosted / oracle:.3f}",
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


def selection() -> None:
    """Share of the placed whose time exceeded their bound: more than ε where all that may be chosen is marginal."""
    model, _, rows, features = world()
    body: list[list[Any]] = []
    for factor in (1.0, 1.5):
        asked = replays(rows, factor, model, features)
        body.append([f"{factor} × median alone", *(over_bounds(asked, eps) for eps in (0.1, 0.05, 0.01))])
    for factor in (1.1, 1.35):
        asked = [slowdown_limited(rows, seed, factor, model, features) for seed in range(INSTANCES)]
        body.append([f"{factor} × own time alone", *(over_bounds(asked, eps) for eps in (0.1, 0.05, 0.01))])
    table(
        "Placed residents above their bound (of how many), and missed deadlines",
        ("deadline", ".1", ".05", ".01"),
        body,
    )


def over_bounds(asked: list[Replay], eps: float) -> str:
    outcomes = [one.outcome("bound", eps) for one in asked]
    over, missed, hosted = (
        int(sum(getattr(one, name)[0] for one in outcomes)) for name in ("over", "missed", "hosted")
    )
    return f"{over / max(hosted, 1):.1%} ({hosted:,}), {missed / max(hosted, 1):.1%}"


def slowdown_limited(
    rows: Observations, seed: int, factor: float, model: Pitot, features: Features
) -> Replay:
    """Pairs only; each deadline is factor times what its own workload measured alone on that very platform.

    Such deadlines are one per platform and workload, so every platform has demands of its own.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.choice(len(features.platform_names), 30, replace=False)
    every = published()[0]
    alone = every[every.n_co_runners == 0]
    own = {
        (p, w): t
        for p, w, t in zip(
            alone.platform.tolist(), alone.workload.tolist(), np.exp(alone.log_ns), strict=True
        )
    }
    beside = rows[(rows.n_co_runners == 1) & np.isin(rows.platform, numbers)]
    chosen = set(rng.permutation(np.unique(beside.workload))[:100].tolist())
    pairs = [(int(p), int(w)) for p, w in own if p in numbers and w in chosen]
    demands = [
        Demand(
            features.workload_names[w],
            factor * float(own[p, w]),
            1,
            (features.platform_names[p].replace(":", "/"),),
        )
        for p, w in pairs
    ]
    places = own_places(features, numbers)
    deadlines = Deadlines(model, demands, np.array([w for _, w in pairs]), places, "bound", 0.05)
    measured = measured_sets(deadlines, beside, 2)
    whole = np.ones(len(places.devices), bool), np.ones(len(demands), bool)
    return Replay(deadlines, measured, [whole])


def together() -> None:
    """8 platforms × 30 workloads of a made-up world, four together (bars: bound reached in 5 of 6, < 3 CPU s)."""
    rows, features = made_up(12, 40, 10_000, noise=0.05, seed=1)
    model = Pitot(calibration_share=0.25).fit(rows, features)
    body = []
    for seed in range(6):
        deadlines = predicted_deadlines(model, features, 8, 30, (1.1, 1.5, 2.0)[seed % 3], seed)
        started = time.process_time()
        sets = len(grow(deadlines, copies_of(deadlines), 4))
        found = assign(deadlines, 4, seed=seed)
        body.append(
            [seed, sets, found.hosted, found.at_most, found.optimal, f"{time.process_time() - started:.2f}"]
        )
    table(
        "Four together, made-up world",
        ("instance", "sets", "hosted", "at most", "optimal", "CPU s, sets twice"),
        body,
    )


def speed() -> None:
    """30 platforms × 100 workloads, two together, every set the model allows (bar: < 2 CPU s with all tables)."""
    model, _, _, features = world()
    body = []
    for seed, factor in ((0, 1.0), (1, 1.5), (2, 2.0)):
        started = time.process_time()
        deadlines = predicted_deadlines(model, features, 30, 100, factor, seed)
        found = assign(deadlines, 2)
        sets = len(grow(deadlines, copies_of(deadlines), 2))
        body.append([factor, sets, found.hosted, found.at_most, f"{time.process_time() - started:.2f}"])
    table("30 × 100, two together", ("deadline ×", "sets", "hosted", "at most", "CPU s, sets twice"), body)


def predicted_deadlines(
    model: Pitot, features: Features, platforms: int, workloads: int, factor: float, seed: int
) -> Deadlines:
    """Random platforms and workloads; a deadline is factor · median over them of the predicted time alone."""
    rng = np.random.default_rng(seed)
    places = own_places(features, rng.choice(len(features.platform_names), platforms, replace=False))
    names = rng.choice(len(features.workload_names), workloads, replace=False)
    asked = Queries.of(np.repeat(places.number, workloads), np.tile(names, platforms))
    alone = np.median(model.predict(asked).reshape(platforms, workloads), axis=0)
    demands = [
        Demand(features.workload_names[w], float(factor * t)) for w, t in zip(names, alone, strict=True)
    ]
    return Deadlines(model, demands, names, places, "bound", 0.05)


Sizes = tuple[list[float], list[float]]  # true and predicted


def lognormal(c2: float, wrong: float = 0.04) -> Sizes:
    """20,000 sizes of mean 1 and this C², predicted to 4 %."""
    rng = np.random.default_rng(int(c2 * 10))
    spread = np.sqrt(np.log1p(c2))
    sizes = np.exp(spread * rng.standard_normal(20_000) - spread**2 / 2)
    return sizes.tolist(), (sizes * np.exp(wrong * rng.standard_normal(20_000))).tolist()


def all_sizes() -> dict[str, Sizes]:
    """Made-up sizes, and measured times of half B with their predictions: of one platform, of all."""
    model, _, rows, _ = world()
    alone = rows[rows.n_co_runners == 0]
    one = alone[alone.platform == np.bincount(alone.platform).argmax()]
    rng = np.random.default_rng(0)
    uniform, exponential = rng.uniform(0, 2, 20_000), rng.exponential(1, 20_000)
    return {
        "uniform": (uniform.tolist(), uniform.tolist()),
        "exponential": (exponential.tolist(), exponential.tolist()),
        "lognormal, C² 3": lognormal(3),
        "lognormal, C² 4": lognormal(4),
        "lognormal, C² 40": lognormal(40),
        "measured, one platform": ((np.exp(one.log_ns) / 1e9).tolist(), (model.predict(one) / 1e9).tolist()),
        "measured, all": ((np.exp(alone.log_ns) / 1e9).tolist(), (model.predict(alone) / 1e9).tolist()),
    }


def trace(sizes: Sizes, jobs: int, processors: int, seed: int, load: float = 0.8) -> list[Job]:
    true, predicted = sizes
    return Pool(("",) * len(true), tuple(true), tuple(predicted), processors).poisson(jobs, load, seed)


def policies() -> None:
    """2D against FIFO and PS, and PCS's front, as in DECIDE 3.1 and 3.2; M/M/1 against theory."""
    means = {}
    for name in ("fifo", "ps"):
        done = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            arrivals, sizes = (
                np.cumsum(rng.exponential(1.25, 20_000)).tolist(),
                rng.exponential(1, 20_000).tolist(),
            )
            queue = [Job(at, size, size) for at, size in zip(arrivals, sizes, strict=True)]
            done.append(np.mean(simulate(queue, policy(name, 1, [1.0])).jct_s))
        means[name] = f"{np.mean(done):.2f}"
    print(f"M/M/1 at load .8, mean completion (theory 5, bar 6 %): {means}")
    every, body = all_sizes(), []
    for name, sizes in every.items():
        row: list[Any] = [name, f"{squared_variation(sizes[0]):.1f}"]
        for processors in (1, 4):
            tails: dict[str, list[float]] = {}
            for seed in range(4):
                jobs = trace(sizes, 4000, processors, seed)
                for one in ("fifo", "ps", "2d"):
                    made = policy(one, processors, sizes[1])
                    tails.setdefault(one, []).append(float(np.quantile(simulate(jobs, made).jct_s, 0.995)))
            tail = {one: float(np.mean(values)) for one, values in tails.items()}
            row += [
                f"{tail['2d'] / min(tail['fifo'], tail['ps']):.2f}",
                f"{max(tail['fifo'], tail['ps']) / tail['2d']:.1f}",
            ]
        body.append(row)
    table(
        "2D: p99.5 over the better of FIFO and PS, and the worse of the two over it",
        ("sizes", "C²", "1 server", "worse ÷ 2D", "4 servers", "worse ÷ 2D"),
        body,
    )
    for name in ("lognormal, C² 4", "lognormal, C² 3", "measured, one platform", "measured, all"):
        search, *tests = (trace(every[name], 1500, 4, seed) for seed in (100, 200, 300, 400))
        rows = study(search, tests, 4, [], ("mean_s", "err_p99"))
        best = min(row["mean_s"] for row in rows)
        told = [
            [row["policy"], row["queues"], f"{row['mean_s'] / best:.2f}", f"{row['err_mean']:.1%}",
             f"{row['err_p99']:.1%}", "yes" if row["on_front"] else ""]
            for row in rows
        ]  # fmt: skip
        table(
            f"PCS: {name}, 4 servers",
            ("policy", "queues", "mean / best", "err mean", "err p99", "front"),
            told,
        )


def main() -> None:
    known = {f.__name__: f for f in (placement, replay, selection, together, speed, policies)}
    for name in sys.argv[1:] if __name__ == "__main__" and sys.argv[1:] else known:
        started = time.process_time()
        known[name]()
        print(f"({time.process_time() - started:.0f} CPU s)", flush=True)


if __name__ == "__main__":
    main()
