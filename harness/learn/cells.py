"""`harness evaluate`: methods and ablations over splits and replicates, side by side with the published values.

A cell is one method trained on one random share of the rows and tested on the rest. Cells are independent; each is
written down when it is done, so an evaluation resumes, and runs on this machine's processors or a dask cluster.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from harness.errors import ModelError, UnknownName
from harness.learn.cluster import reached
from pitot_core import (
    Features,
    Observations,
    Pitot,
    coverage,
    mape,
    mape_reference,
    margin,
    split,
    width_reference,
)
from pitot_core.baselines import Attention, Boosting, LogLinear, MatrixFactorisation, NeuralNetwork, StartUp

EPSILONS = (0.1, 0.05, 0.01)
BOUNDS = {"chosen": "margin", "naive": "margin_naive", "plain": "margin_plain"}
Maker = Callable[..., Any]


def _ours(**changes: Any) -> Maker:
    return lambda by, seed: Pitot(split_by=by, seed=seed, **changes)


def _towers(**changes: Any) -> Maker:
    return _ours(method="towers", bounds="plain", **changes)


def _published(**changes: Any) -> Maker:
    return lambda by, seed: Pitot.published(split_by=by, seed=seed, **changes)


def _baseline(method: Any) -> Maker:
    return lambda by, seed: method(split_by=by, seed=seed)


METHODS: dict[str, Maker] = {
    "ours": _ours(),
    "towers": _ours(method="towers"),
    "published": _published(),
    "log-linear": _baseline(LogLinear),
    "start-up": _baseline(StartUp),
    "factorisation": _baseline(MatrixFactorisation),
    "neural": _baseline(NeuralNetwork),
    "attention": _baseline(Attention),
    "boosting": _baseline(Boosting),
    "log": _towers(objective="log"),
    "proportional": _towers(objective="proportional", learning_rate=3e-3),
    "platform-features": _towers(workload_features=False),
    "workload-features": _towers(platform_features=False),
    "no-features": _towers(workload_features=False, platform_features=False),
    "discarded": _towers(interference="discarded"),
    "ignored": _towers(interference="ignored"),
    "identity": _towers(negative_slope=1.0),
    **{f"rank-{r}": _towers(rank=r) for r in (4, 8, 16, 32, 64)},
    **{f"learned-{q}": _towers(learned=q) for q in (0, 1, 2, 4)},
    **{f"types-{s}": _towers(interference_types=s) for s in (1, 2, 4)},
}
DEFAULT_METHODS = ("ours", "factorisation", "neural", "attention", "boosting")


@dataclass(frozen=True)
class Cell:
    """One training: which method, on which random share of the rows, split by row or by job."""

    method: str
    by: str
    share: float
    replicate: int

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def cells(methods: Sequence[str], by: Sequence[str], shares: Sequence[float], replicates: int) -> list[Cell]:
    """Every combination, replicates outermost so that an interrupted evaluation has a little of everything.

    Raises UnknownName.
    """
    for name in methods:
        if name not in METHODS:
            raise UnknownName("method", name, METHODS)
    found = itertools.product(range(replicates), by, shares, methods)
    return [Cell(method, how, share, replicate) for replicate, how, share, method in found]


def evaluate_cell(cell: Cell, observations: Observations, features: Features) -> list[dict[str, Any]]:
    """A row per number of co-runners in the test rows, and one for all interference together.

    Nothing that the method sees comes from the test rows; what it calibrates on is part of the training share.
    """
    parts = split(observations, train=cell.share, test=1 - cell.share, by=cell.by, seed=cell.replicate)
    started = time.perf_counter()
    model = METHODS[cell.method](cell.by, cell.replicate).fit(observations[parts.train], features)
    seconds = time.perf_counter() - started
    test = observations[parts.test]
    test = test[test.measured]
    learned = np.isin(np.arange(len(features.workload_names) + 1), observations.workload[parts.train])
    learned[-1] = True  # −1: no co-runner
    test = test[learned[test.co_runners].all(axis=1)]
    groups = {str(n): test.n_co_runners == n for n in np.unique(test.n_co_runners).tolist()}
    if len(groups) > 2:
        groups["any"] = test.n_co_runners > 0
    return [
        asdict(cell) | {"co_runners": name, "seconds": seconds} | measure(model, test[rows])
        for name, rows in groups.items()
    ]


def measure(model: Any, test: Observations) -> dict[str, Any]:
    """Errors, margins and coverage of a model on test rows."""
    measured, predicted = np.exp(test.log_ns), model.predict(test)
    found: dict[str, Any] = {
        "rows": len(test),
        "mape": mape(predicted, measured),
        "mape_reference": mape_reference(predicted, measured),
    }
    pools = model.pools()
    if not set(test.n_co_runners.tolist()) <= set(pools):
        return found
    for eps in EPSILONS:
        for method, name in BOUNDS.items():
            if method != "chosen" and not isinstance(model, Pitot):
                continue
            bound = (
                model.bound(test, eps, method=method) if isinstance(model, Pitot) else model.bound(test, eps)
            )
            if np.isfinite(bound).all():
                found[f"{name}_{eps:g}"] = margin(bound, measured)
                if method == "chosen":
                    held = coverage(bound, measured)
                    found[f"width_reference_{eps:g}"] = width_reference(bound, measured)
                    found[f"coverage_{eps:g}"] = held.share
                    found[f"coverage_low_{eps:g}"], found[f"coverage_high_{eps:g}"] = held.low, held.high
    return found


class Results:
    """Finished cells, one JSON line each, appended as they come. A line cut short by a crash is computed again."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Raises ModelError where the file is of another dataset."""
        self.path, self.fingerprint = path, fingerprint
        self.rows: dict[str, list[dict[str, Any]]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if found["dataset"] != fingerprint:
                    raise ModelError(f"{path} is about another dataset; name another place with -o.")
                self.rows[found["cell"]] = found["rows"]

    def add(self, cell: Cell, rows: list[dict[str, Any]]) -> None:
        self.rows[cell.key] = rows
        with open(self.path, "a", encoding="utf-8") as file:
            line = json.dumps({"dataset": self.fingerprint, "cell": cell.key, "rows": rows})
            file.write(f"\n{line}\n" if _cut_short(self.path) else f"{line}\n")

    def of(self, wanted: Iterable[Cell]) -> list[dict[str, Any]]:
        return [row for cell in wanted if cell.key in self.rows for row in self.rows[cell.key]]


def _cut_short(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, 2):
            return False
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def run(
    wanted: Sequence[Cell],
    observations: Observations,
    features: Features,
    *,
    workers: int = 1,
    dask: str | None = None,
) -> Iterator[tuple[Cell, list[dict[str, Any]]]]:
    """Compute cells in any order, in worker processes or on the dask cluster of that address.

    Raises ModelError as `cluster.reached` does.
    """
    options: dict[str, Any] = {"n_jobs": workers}
    if dask:  # the cluster that was reached last is the one that joblib finds
        options = {"backend": "dask", "scatter": [observations, features]}
    with reached(dask), joblib.parallel_config(**options):
        parallel = joblib.Parallel(return_as="generator_unordered")
        yield from parallel(joblib.delayed(_one)(cell, observations, features) for cell in wanted)


def _one(cell: Cell, observations: Observations, features: Features) -> tuple[Cell, list[dict[str, Any]]]:
    return cell, evaluate_cell(cell, observations, features)


def summarise(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over replicates: the mean of every figure, and two standard errors of the MAPE."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["by"], row["share"], row["co_runners"]), []).append(row)
    found = []
    for (method, by, share, co_runners), members in groups.items():
        figures = [key for key, value in members[0].items() if isinstance(value, float) and key != "share"]
        means = {key: float(np.mean([m[key] for m in members if key in m])) for key in figures}
        errors = [m["mape"] for m in members]
        spread = 2 * float(np.std(errors, ddof=1)) / len(errors) ** 0.5 if len(errors) > 1 else None
        head = {
            "method": method,
            "by": by,
            "share": share,
            "co_runners": co_runners,
            "replicates": len(members),
        }
        found.append(head | means | {"mape_2se": spread})
    return found
