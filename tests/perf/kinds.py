"""Datasets of many kinds, to judge settings on: parts of the published rows, changed ones, and ones by a known law.

Each is made by a seed: training rows, rows that are held out (without the noise that was added), and features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pitot_core import Features, Observations
from tests.published import published

Kind = tuple[Observations, Observations, Features]
LONGEST = 40.0  # ln ns


def part(seed: int, platforms: Sequence[int], workloads: int, rows: float) -> Kind:
    """Rows of some platforms and so many workloads drawn: a number or a share of them trains, by job."""
    every, features = published()
    rng = np.random.default_rng(seed)
    kept = np.array(platforms), rng.permutation(len(features.workload_names))[:workloads]
    p, w = (np.full(len(n) + 1, -1) for n in (features.platform_names, features.workload_names))
    p[kept[0]], w[kept[1]] = np.arange(len(kept[0])), np.arange(len(kept[1]))
    inside = (p[every.platform] >= 0) & (w[every.workload] >= 0)
    some = every[inside & ((every.co_runners < 0) | (w[every.co_runners] >= 0)).all(axis=1)]
    numbered = replace(
        some, platform=p[some.platform], workload=w[some.workload], co_runners=w[some.co_runners]
    )
    names = (features.workload_names, features.platform_names)
    chosen = Features(
        features.workloads[kept[1]], features.platforms[kept[0]],
        *(tuple(names[side][i] for i in kept[1 - side]) for side in (0, 1)),
    )  # fmt: skip
    jobs, place = np.unique(numbered.job, return_inverse=True)
    order = np.argsort(rng.permutation(len(jobs))[place], kind="stable")
    first = int(rows if rows > 1 else rows * len(order))
    return numbered[order[:first]], numbered[order[first:]], chosen


def devices(seed: int) -> list[np.ndarray]:
    """Platform numbers of each device, both in random order."""
    rng, found = np.random.default_rng(seed), published()[1].devices
    return [rng.permutation(np.flatnonzero(found == d)) for d in rng.permutation(found.max() + 1)]


def one_machine(seed: int, platforms: int = 7, workloads: int = 60, rows: float = 0.75) -> Kind:
    return part(seed, next(d for d in devices(seed) if len(d) >= platforms)[:platforms], workloads, rows)


def lab(seed: int, platforms: int, rows: float, workloads: int = 150) -> Kind:
    return part(seed, np.random.default_rng(seed).permutation(231)[:platforms], workloads, rows)


def strangers(seed: int, rows: float) -> Kind:
    """One platform of each device."""
    return part(seed, [d[0] for d in devices(seed)], 120, rows)


def everything(seed: int, share: float) -> Kind:
    return part(seed, range(231), 249, share)


def blind(kind: Kind) -> Kind:
    """Without features."""
    train, test, features = kind
    none = replace(
        features, workloads=0.0 * features.workloads, platforms=np.zeros((len(features.platforms), 0))
    )
    return train, test, none


def noisy(seed: int, kind: Kind, deviation: float) -> Kind:
    train, test, features = kind
    added = deviation * np.random.default_rng(seed + 1).standard_normal(len(train))
    return replace(train, log_ns=np.maximum(train.log_ns + added, 0.0)), test, features


def busy(seed: int, kind: Kind) -> Kind:
    """A machine at something else now and then: times of all rows are longer, a few of them many times."""
    rng, (train, test, features) = np.random.default_rng(seed + 2), kind
    train, test = (
        replace(o, log_ns=np.minimum(o.log_ns + 0.15 * np.abs(rng.standard_t(2.5, len(o))), LONGEST))
        for o in (train, test)
    )
    return train, test, features


def slowed(kind: Kind, times: float) -> Kind:
    """The logarithm of each slowdown so many times as large; only beside what was also measured alone."""
    train, test, features = kind
    size = len(features.platform_names), len(features.workload_names)
    total, count = np.zeros(size), np.zeros(size)
    for rows in (train, test):
        alone = rows[rows.n_co_runners == 0]
        np.add.at(total, (alone.platform, alone.workload), alone.log_ns)
        np.add.at(count, (alone.platform, alone.workload), 1.0)

    def changed(rows: Observations) -> Observations:
        rows = rows[count[rows.platform, rows.workload] > 0]
        base = (total / np.maximum(count, 1.0))[rows.platform, rows.workload]
        log_ns = np.where(rows.n_co_runners > 0, base + times * (rows.log_ns - base), rows.log_ns)
        return replace(rows, log_ns=np.clip(log_ns, 1.0, LONGEST))

    return changed(train), changed(test), features


def law(
    seed: int, *, shape: tuple[int, int] = (30, 80), rows: int = 6000, spread: float = 1.0, rough: float = 0.1,
    press: float = 0.3, noise: float = 0.01, uneven: bool = False,
) -> Kind:  # fmt: skip
    """Start-up and work, smooth (`spread`) and rough parts of F, and interference of up to three co-runners."""
    rng, (n_p, n_w) = np.random.default_rng(seed), shape
    x_w, x_p = rng.standard_normal((n_w, 8)), rng.standard_normal((n_p, 6))
    bent = np.sin(0.6 * x_p @ rng.standard_normal((6, 12))) @ np.sin(
        0.5 * rng.standard_normal((12, 8)) @ x_w.T
    )
    own = rng.standard_normal((n_p, 4)) @ rng.standard_normal((4, n_w)) / 2
    size = np.exp(rng.standard_normal(n_w)) if uneven else np.ones(n_w)
    start, speed = 14 + 0.4 * rng.standard_normal(n_p), 0.7 * rng.standard_normal(n_p)
    work = 16 + 2 * rng.standard_normal(n_w) + 0.5 * x_w[:, 0]
    alone = np.logaddexp(start[:, None], speed[:, None] + work + size * (0.06 * spread * bent + rough * own))
    suffers = np.exp(0.4 * np.sin(x_p[:, :1] + x_w[:, 0]) + 0.15 * rng.standard_normal(shape))
    presses = press * np.exp(0.5 * np.sin(x_p[:, 1:2] - x_w[:, 1]) + 0.3 * rng.standard_normal(n_w) - 0.3)
    count = rows + 3000
    p, w, n_co = rng.integers(n_p, size=count), rng.integers(n_w, size=count), rng.integers(4, size=count)
    co = np.stack([rng.permutation(n_w)[:3] for _ in range(count)])
    co[np.arange(3) >= n_co[:, None]] = -1
    true = alone[p, w] + suffers[p, w] * np.where(co >= 0, presses[p[:, None], co], 0.0).sum(axis=1)
    names = (
        tuple(f"w{i}" for i in range(n_w)),
        tuple(f"engine{j % 6}:device{j // 6}" for j in range(n_p)),
    )
    test = Observations.of(p, w, co, log_ns=true, job=np.arange(count))
    train = replace(test, log_ns=true + noise * rng.standard_t(4, count))
    return train[:rows], test[rows:], Features(x_w, x_p, *names)


KINDS: dict[str, Callable[[int], Kind]] = {
    "7 platforms of a machine × 60": one_machine,
    "the same without features": lambda s: blind(one_machine(s)),
    "the same with 10 % of noise": lambda s: noisy(s, one_machine(s), 0.1),
    "the same, a busy machine": lambda s: busy(s, one_machine(s)),
    "4 platforms of a machine × 30": lambda s: one_machine(s, 4, 30),
    "one platform × 249": lambda s: part(s, devices(s)[0][:1], 249, 0.75),
    "40 × 150, 1,000 rows": lambda s: lab(s, 40, 1000),
    "40 × 150, 2,900 rows": lambda s: lab(s, 40, 2900),
    "40 × 150, 3,100 rows": lambda s: lab(s, 40, 3100),
    "2,900 rows with 30 % of noise": lambda s: noisy(s, lab(s, 40, 2900), 0.3),
    "3,100 rows without features": lambda s: blind(lab(s, 40, 3100)),
    "a half, slowdowns to the fifth": lambda s: slowed(lab(s, 40, 0.5), 5.0),
    "a half, no slowdowns": lambda s: slowed(lab(s, 40, 0.5), 0.0),
    "24 devices, an engine each × 120": lambda s: strangers(s, 1500),
    "law, smooth": lambda s: law(s, rough=0.02),
    "law, rough": lambda s: law(s, rough=0.3, spread=0.3),
    "law, five times the residual": lambda s: law(s, rough=0.5, spread=5.0),
    "law, a tenth of the residual": lambda s: law(s, rough=0.01, spread=0.1, noise=0.003),
    "law, workloads of uneven spread": lambda s: law(s, uneven=True),
    "law, three times the slowdown": lambda s: law(s, press=1.0),
    "law, hardly a slowdown": lambda s: law(s, press=0.003),
    "law, 8 × 40, 1,000 rows": lambda s: law(s, shape=(8, 40), rows=1000),
    "all, 10 %": lambda s: everything(s, 0.1),
    "all, 10 % without features": lambda s: blind(everything(s, 0.1)),
    "all, 10 % with 10 % of noise": lambda s: noisy(s, everything(s, 0.1), 0.1),
    "all, 50 %": lambda s: everything(s, 0.5),
    "all, 90 %": lambda s: everything(s, 0.9),
}
