"""How good the light forecasts are beside all 24 of NWS, what they cost, and what decisions with them are worth.

    python -m tests.perf offload

Series are made up. Execution times of the decisions are held-out rows of the published data: a slow device is here, a
fast one there, as a person with a choice would have it.
"""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from typing import Any

import numpy as np

from harness.decide.forecast import Forecast
from tests.perf.bench_decide import world
from tests.perf.bench_pitot import table

WINDOWS = (5, 10, 20, 30, 50)
GAINS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 0.9)
CASES = 4000


class Everything:
    """24 forecasters in the manner of NWS: last, mean, smoothings, sliding means, medians and trimmed means."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=max(WINDOWS))
        self.smooth = [0.0] * len(GAINS)
        self.mean, self.samples = 0.0, 0
        self.errors: list[float] = []
        self.told: list[float] = []

    def update(self, value: float) -> float:
        if self.samples:
            for i, told in enumerate(self.told):
                self.errors[i] += (told - value) ** 2
        self.recent.append(value)
        self.samples += 1
        self.mean += (value - self.mean) / self.samples
        self.smooth = [
            s + g * (value - s) if self.samples > 1 else value
            for s, g in zip(self.smooth, GAINS, strict=True)
        ]
        recent = list(self.recent)
        told = [value, self.mean, *self.smooth]
        for window in WINDOWS:
            part = sorted(recent[-window:])
            told += [sum(part) / len(part), median(part)]
        for window in (30, 50):
            part = sorted(recent[-window:])
            cut = len(part) // 4
            kept = part[cut : len(part) - cut]
            told.append(sum(kept) / len(kept))
        self.told = told
        self.errors = self.errors or [0.0] * len(told)
        return told[min(range(len(told)), key=self.errors.__getitem__)]


class Last:
    def update(self, value: float) -> float:
        return value


def series(kind: str, seed: int, n: int = 1200) -> np.ndarray[Any, Any]:
    """Of a processor's share (steps and spikes), an AR(1) around 1, or independent values with Pareto spikes."""
    rng = np.random.default_rng(seed)
    if kind == "steps and spikes":
        level = np.repeat(rng.uniform(0.2, 1, n // 60 + 1), 60)[:n]
        spikes = np.where(rng.random(n) < 0.03, rng.uniform(0.2, 0.6, n), 0)
        return np.clip(level + 0.03 * rng.standard_normal(n) - spikes, 0.05, 1)
    if kind == "AR(1)":
        x = np.zeros(n)
        for i in range(1, n):
            x[i] = 0.8 * x[i - 1] + 0.1 * rng.standard_normal()
        return np.maximum(1 + x, 0.05)
    return 1 + 0.1 * rng.standard_normal(n) ** 2 + np.where(rng.random(n) < 0.05, rng.pareto(1.5, n) * 5, 0)


def relative_error(values: np.ndarray[Any, Any], maker: Any) -> float:
    told = [maker.update(float(value)) for value in values]
    return float(np.sqrt(np.mean((np.array(told[:-1]) - values[1:]) ** 2)) / values.mean())


def forecasts() -> None:
    """√MSE / mean on six made-up series of each kind (bar: at most 1.02 of the 24), and cost (bar: at most 6 %)."""
    body = []
    for kind in ("steps and spikes", "AR(1)", "i.i.d. with Pareto spikes"):
        errors = {
            name: float(np.mean([relative_error(series(kind, seed), make()) for seed in range(6)]))
            for name, make in (("five", Forecast), ("24", Everything), ("last", Last))
        }
        body.append(
            [kind, *(f"{errors[name]:.4f}" for name in errors), f"{errors['five'] / errors['24']:.3f}"]
        )
    table("Relative error", ("series", "five", "all 24", "last value", "five / 24"), body)
    values = series("AR(1)", 9, 4000).tolist()
    cost = {}
    for name, make in (("five", Forecast), ("24", Everything)):
        best = np.inf
        for _ in range(5):
            maker, started = make(), time.process_time()
            for value in values:
                maker.update(value)
            best = min(best, time.process_time() - started)
        cost[name] = best / len(values) * 1e6
    print(f"µs an update: five {cost['five']:.2f}, 24 {cost['24']:.2f} ({cost['five'] / cost['24']:.1%})")


def decisions() -> None:
    """4,000 cases on held-out times: how often right, and mean time over the best (bar: right ≥ 94 %)."""
    model, _, rows, features = world()
    alone = rows[rows.n_co_runners == 0]
    times = {
        (p, w): t
        for p, w, t in zip(
            alone.platform.tolist(), alone.workload.tolist(), np.exp(alone.log_ns), strict=True
        )
    }
    told = dict(zip(times, model.predict(alone), strict=False))
    order = np.argsort([np.median(alone.log_ns[alone.platform == p]) for p in np.unique(alone.platform)])
    by_speed = np.unique(alone.platform)[order].tolist()
    fast, slow = by_speed[: len(by_speed) // 3], by_speed[-len(by_speed) // 3 :]
    rng = np.random.default_rng(0)
    loads = [series("steps and spikes", seed) for seed in range(12)]
    links = [2e6 * series("AR(1)", 50 + seed) ** 2 for seed in range(12)]
    seen = {
        name: [[maker.update(float(v)) for v in one] for one in (*loads, *links) for maker in [make()]]
        for name, make in (("five", Forecast), ("last", Last))
    }
    outcomes: dict[str, list[tuple[bool, float]]] = {}
    while len(outcomes.get("true ET + five", [])) < CASES:
        here, there, workload = (
            int(rng.choice(slow)),
            int(rng.choice(fast)),
            int(rng.integers(len(features.workload_names))),
        )
        if (here, workload) not in times or (there, workload) not in times:
            continue
        a, b, link, at = rng.integers(12), rng.integers(12), rng.integers(12), int(rng.integers(60, 1190))
        size, rtt = np.exp(rng.uniform(np.log(20e3), np.log(2e6))), float(rng.lognormal(np.log(8e6), 0.5))

        def totals(
            et_here: float, et_there: float, cpu_a: float, cpu_b: float, rate: float, rtt: float, size: float
        ) -> Any:
            return et_here / cpu_a, et_there / cpu_b + size / rate * 1e9 + 4 * rtt

        true = totals(
            times[here, workload],
            times[there, workload],
            loads[a][at],
            loads[b][at],
            links[link][at],
            rtt,
            size,
        )
        guesses: dict[str, Any] = {"always here": (0, 1), "always there": (1, 0)}
        guesses["no forecasts"] = totals(told[here, workload], told[there, workload], 1, 1, 1.25e6, 8e6, size)
        for name, et in (("model", told), ("true ET", times)):
            for way in ("five", "last"):
                cpu_a, cpu_b, rate = seen[way][a][at - 1], seen[way][b][at - 1], seen[way][12 + link][at - 1]
                guesses[f"{name} + {way}"] = totals(
                    et[here, workload], et[there, workload], cpu_a, cpu_b, rate, 8e6, size
                )
        for name, guess in guesses.items():
            chosen = 0 if guess[0] <= guess[1] else 1
            outcomes.setdefault(name, []).append((true[chosen] == min(true), true[chosen] / min(true)))
    body = [
        [name, f"{np.mean([right for right, _ in found]):.1%}", f"{np.mean([over for _, over in found]):.3f}"]
        for name, found in outcomes.items()
    ]
    table("Here or there", ("by", "right", "mean time / best"), body)


def main() -> None:
    forecasts()
    decisions()


if __name__ == "__main__":
    main()
