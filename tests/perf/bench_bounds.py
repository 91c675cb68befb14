"""Bounds on jobs not shown: margins, and the worst tenth of spread, device and suite, over five splits."""

from __future__ import annotations

import numpy as np

from pitot_core import Pitot, split
from tests.pitot_core.fairness import fairness
from tests.published import PLACE, published

SEEDS = range(5)


def main() -> None:
    if not PLACE.exists():
        print("bounds: the published rows are not beside this checkout")
        return
    rows, features = published()
    found: dict[tuple[int, float], list[dict[str, float]]] = {}
    for seed in SEEDS:
        parts = split(rows, train=0.8, test=0.2, by="job", seed=seed)
        model = Pitot(seed=seed).fit(rows[parts.train], features)
        test = rows[parts.test]
        for n in (0, 1):
            for eps in (0.1, 0.05, 0.01):
                one = fairness(model, test[test.n_co_runners == n], features, eps)
                found.setdefault((n, eps), []).append(one)
    print("80 % of the jobs train, 20 % test; percent, mean of 5 splits ± 2 standard errors (least)")
    print("| co-runners | ε | margin | held | worst tenth of spread | worst device | worst suite |")
    print("|---|---|---|---|---|---|---|")
    for (n, eps), ones in found.items():
        values = {name: np.array([one[name] for one in ones]) for name in ones[0]}
        cells = [
            f"{v.mean():.2f} ± {2 * v.std(ddof=1) / len(v) ** 0.5:.2f}" for v in list(values.values())[:2]
        ]
        cells += [
            f"{values[name].mean():.1f} ({values[name].min():.1f})" for name in ("tenth", "device", "suite")
        ]
        print(f"| {n} | {eps:g} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
