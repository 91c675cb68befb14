"""What pitot_core promises in numbers: accuracy, bounds, comparisons, newcomers and speed.

    python -m tests.perf.bench_pitot [accuracy] [methods] [newcomers] [speed]

Splits are seeded 0 … 4; no setting of the model was chosen with these seeds. All rows a model sees, calibration
included, come out of the training share; the rest is tested.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pitot_core import Observations, Pitot, coverage, mape, mape_reference, margin, split
from pitot_core.baselines import Attention, Boosting, LogLinear, MatrixFactorisation, NeuralNetwork, StartUp
from tests.published import PLACE, published

EPS = (0.1, 0.05, 0.01)
REPLICATES = 5
NEWCOMER_SEEDS = range(400, 420)


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    body = [[str(cell) for cell in row] for row in rows]
    head = list(header)
    widths = [max(len(row[c]) for row in [head, *body]) for c in range(len(head))]
    print(f"\n{title}")
    for row in [head, *body]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), flush=True)


def spread(values: list[float], digits: int = 2) -> str:
    """Mean ± two standard errors, in percent."""
    array = 100 * np.array(values)
    error = 2 * array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else float("nan")
    return f"{array.mean():.{digits}f} ± {error:.{digits}f}"


def fitted(make: Callable[[], Any], rows: Observations, features: Any) -> tuple[Any, float, float]:
    wall, user = time.perf_counter(), time.process_time()
    model = make().fit(rows, features)
    return model, time.perf_counter() - wall, time.process_time() - user


def accuracy() -> None:
    """The default model on row and job splits: error, margin of three kinds of bounds, coverage."""
    observations, features = published()
    errors, margins, cover = [], [], []
    for by, share in (("row", 0.1), ("row", 0.5), ("row", 0.9), ("job", 0.5), ("job", 0.8)):
        kept: dict[tuple[Any, ...], list[float]] = {}
        for seed in range(REPLICATES):
            parts = split(observations, train=share, test=1 - share, by=by, seed=seed)
            model, wall, user = fitted(
                lambda by=by, seed=seed: Pitot(split_by=by, seed=seed), observations[parts.train], features
            )
            kept.setdefault(("wall",), []).append(wall)
            kept.setdefault(("user",), []).append(user)
            test = observations[parts.test]
            for n in (0, 1):
                some = test[test.n_co_runners == n]
                measured = np.exp(some.log_ns)
                kept.setdefault(("mape", n), []).append(mape(model.predict(some), measured))
                kept.setdefault(("ref", n), []).append(mape_reference(model.predict(some), measured))
                size = model.pools()[n].rows
                for eps in EPS:
                    for method in ("chosen", "naive", "plain"):
                        bound = model.bound(some, eps, method=method)
                        kept.setdefault(("margin", n, eps, method), []).append(margin(bound, measured))
                    covered = coverage(model.bound(some, eps), measured)
                    kept.setdefault(("coverage", n, eps), []).append(covered.share)
                    inside = covered.low <= 1 - eps <= covered.high
                    kept.setdefault(("inside", n, eps), []).append(inside)
                    low, high = expected_coverage(size, len(some), eps)
                    kept.setdefault(("expected", n, eps), []).append(low <= covered.share <= high)
        errors.append(
            [
                by,
                f"{share:.0%}",
                *(spread(kept[kind, n]) for kind in ("mape", "ref") for n in (0, 1)),
                f"{np.mean(kept[('wall',)]):.1f}",
                f"{np.mean(kept[('user',)]):.1f}",
            ]
        )
        for n in (0, 1):
            for method in ("chosen", "naive", "plain"):
                margins.append(
                    [by, f"{share:.0%}", n, method, *(spread(kept["margin", n, eps, method]) for eps in EPS)]
                )
            cover.append(
                [
                    by,
                    f"{share:.0%}",
                    n,
                    *(
                        f"{spread(kept['coverage', n, eps])} ({sum(kept['inside', n, eps])}, "
                        f"{sum(kept['expected', n, eps])} of {REPLICATES})"
                        for eps in EPS
                    ),
                ]
            )
        print(f"done: {by} {share:.0%}", file=sys.stderr, flush=True)
    table(
        f"MAPE in percent, mean of {REPLICATES} ± 2 standard errors; training in seconds (wall, user CPU)",
        ("split", "share", "isolated", "two-way", "isolated, theirs", "two-way, theirs", "wall", "user"),
        errors,
    )
    table("Margin (Eq. 11) in percent", ("split", "share", "co-runners", "bound", *map(str, EPS)), margins)
    table(
        "Coverage in percent (replicates whose 99 % Clopper–Pearson interval holds 1 − ε, which ignores that "
        "calibration is a sample too; and replicates inside the exact 99 % beta-binomial interval)",
        ("split", "share", "co-runners", *map(str, EPS)),
        cover,
    )


def expected_coverage(
    calibration: int, test: int, eps: float, confidence: float = 0.99
) -> tuple[float, float]:
    """Where coverage of `test` exchangeable rows lies with this probability, by simulating its beta-binomial law."""
    rank = min(int(np.ceil((calibration + 1) * (1 - eps) - 1e-9)), calibration)
    rng = np.random.default_rng(0)
    share = rng.binomial(test, rng.beta(rank, calibration + 1 - rank, 40_000)) / max(test, 1)
    tail = (1 - confidence) / 2
    return float(np.quantile(share, tail)), float(np.quantile(share, 1 - tail))


def methods() -> None:
    """Baselines and ablations on one 50 % and one 10 % row split."""
    observations, features = published()
    row = {"split_by": "row"}
    plain = {"method": "towers", "split_by": "row", "bounds": "plain"}
    candidates: dict[str, Callable[[], Any]] = {
        "ours": lambda: Pitot(**row),
        "towers": lambda: Pitot("towers", **row),
        "towers, one member": lambda: Pitot(**plain, members=1),
        "published, repaired": lambda: Pitot.published(bounds="plain"),
        "log without residual": lambda: Pitot(**plain, objective="log"),
        "proportional": lambda: Pitot(**plain, objective="proportional", learning_rate=3e-3),
        "log-linear residual": lambda: Pitot(**plain, baseline="log-linear"),
        "squared loss": lambda: Pitot(**plain, loss="squared"),
        "platform features only": lambda: Pitot(**plain, workload_features=False),
        "workload features only": lambda: Pitot(**plain, platform_features=False),
        "no features": lambda: Pitot(**plain, workload_features=False, platform_features=False),
        "interference ignored": lambda: Pitot(**plain, interference="ignored"),
        "interference discarded": lambda: Pitot(**plain, interference="discarded"),
        "α identity": lambda: Pitot(**plain, negative_slope=1.0),
        "s = 1": lambda: Pitot(**plain, interference_types=1),
        "r = 4": lambda: Pitot(**plain, rank=4),
        "q = 0": lambda: Pitot(**plain, learned=0),
        "log-linear": lambda: LogLinear(**row),
        "start-up": lambda: StartUp(**row),
        "matrix factorisation": lambda: MatrixFactorisation(**row),
        "neural network": lambda: NeuralNetwork(**row),
        "attention": lambda: Attention(**row),
        "boosted trees": lambda: Boosting(**row),
    }
    rows = []
    for name, make in candidates.items():
        cells: list[str] = [name]
        for share in (0.5, 0.1):
            parts = split(observations, train=share, test=1 - share, by="row", seed=0)
            model, _, user = fitted(make, observations[parts.train], features)
            test = observations[parts.test]
            for n in (0, 1):
                some = test[test.n_co_runners == n]
                cells.append(f"{100 * mape(model.predict(some), np.exp(some.log_ns)):.2f}")
            cells.append(f"{user:.1f}")
        rows.append(cells)
        print("  ".join(cells), file=sys.stderr, flush=True)
    table(
        "MAPE in percent and user CPU seconds, row split, seed 0",
        ("method", "50 % isolated", "two-way", "s", "10 % isolated", "two-way", "s"),
        rows,
    )


def newcomers() -> None:
    """14 workloads and 12 platforms left out of training, then learned from a few isolated observations each."""
    observations, features = published()
    alone = observations.n_co_runners == 0
    found: dict[tuple[str, int], list[list[float]]] = {}
    for seed in NEWCOMER_SEEDS:
        rng = np.random.default_rng(1000 + seed)
        new = {
            "workload": rng.choice(len(features.workload_names), 14, replace=False),
            "platform": rng.choice(len(features.platform_names), 12, replace=False),
        }
        of_new = {
            "workload": np.isin(observations.workload, new["workload"]),
            "platform": np.isin(observations.platform, new["platform"]),
        }
        beside_new = np.isin(observations.co_runners, new["workload"]).any(axis=1)
        base = observations[~of_new["workload"] & ~of_new["platform"] & ~beside_new]
        model = Pitot(seed=seed).fit(base[split(base, train=0.5, test=0.5, seed=seed).train], features)
        with tempfile.TemporaryDirectory() as place:
            model.save(Path(place) / "model.npz")
            for side, other in (("workload", "platform"), ("platform", "workload")):
                mine = np.flatnonzero(alone & of_new[side] & ~of_new[other])
                who = (observations.workload if side == "workload" else observations.platform)[mine]
                order = np.lexsort((rng.random(len(mine)), who))
                mine, who = mine[order], who[order]
                turn = np.arange(len(mine)) - np.searchsorted(who, who)
                for n in (1, 2, 5, 10):
                    model = Pitot.load(Path(place) / "model.npz")
                    start = time.process_time()
                    model.update(observations[mine[turn < n]])
                    seconds = time.process_time() - start
                    for one in new[side]:
                        test = observations[mine[(who == one) & (turn >= n)]]
                        if len(test) < 20:
                            continue
                        measured, figures = np.exp(test.log_ns), [float(seed), seconds]
                        figures.append(mape(model.predict(test), measured))
                        for eps in (0.2, 0.1, 0.05):
                            bound = model.bound(test, eps)
                            figures += [coverage(bound, measured).share, margin(bound, measured)]
                        found.setdefault((side, n), []).append(figures)
    rows = []
    for (side, n), kept in found.items():
        values = np.array(kept)
        by_seed = np.stack([values[values[:, 0] == seed].mean(axis=0) for seed in NEWCOMER_SEEDS])
        rows.append(
            [
                side, n, len(kept), f"{100 * values[:, 2].mean():.1f}, {100 * np.median(values[:, 2]):.1f}",
                *(spread(by_seed[:, column].tolist(), 1) for column in (3, 5, 7)),
                *(f"{100 * np.median(values[:, column]):.0f}" for column in (4, 6, 8)),
                f"{values[:, 1].mean():.1f}",
            ]
        )  # fmt: skip
    header = (
        "new",
        "observations",
        "newcomers",
        "MAPE mean, median",
        *(f"held at {e}" for e in (0.2, 0.1, 0.05)),
    )
    margins = (f"median margin at {e}" for e in (0.2, 0.1, 0.05))
    table("Newcomers, isolated: percent", (*header, *margins, "CPU seconds"), rows)


def speed() -> None:
    """Training with bounds at 50 %, memory, batch prediction and a cold start."""
    observations, features = published()
    parts = split(observations, train=0.5, test=0.5, by="row", seed=0)
    model, wall, user = fitted(lambda: Pitot(split_by="row"), observations[parts.train], features)
    peak = peak_mb()
    rng = np.random.default_rng(0)
    rows = [
        ["training, wall s", f"{wall:.1f}"],
        ["training, user CPU s", f"{user:.1f}"],
        ["peak MB", f"{peak:.0f}"],
    ]
    queries = observations[rng.integers(0, len(observations), 1_000_000)]
    for name, ask in (("predict", model.predict), ("bound", lambda q: model.bound(q, 0.05))):
        ask(queries[np.arange(1000)])
        start = time.perf_counter()
        ask(queries)
        rows.append([f"{name}, queries/s", f"{len(queries) / (time.perf_counter() - start):,.0f}"])
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.npz"
        model.save(path)
        rows.append(["model file, MB", f"{path.stat().st_size / 1e6:.1f}"])
        code = (
            "from pitot_core import Pitot, Queries\n"
            f"m = Pitot.load({str(path)!r}); q = Queries.of([3], [5], [7]); m.predict(q), m.bound(q, 0.05)"
        )
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
        rows.append(["cold start: import, load, one bound, s", f"{time.perf_counter() - start:.2f}"])
    table("Speed", ("what", "value"), rows)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


SECTIONS = {
    "accuracy": accuracy,
    "methods": methods,
    "newcomers": newcomers,
    "speed": speed,
}


def main(names: Iterable[str] = ()) -> None:
    if not (PLACE / "data.npz").exists():
        print(f"pitot: the published data is not at {PLACE}; nothing to measure")
        return
    for name in tuple(names) or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
