"""How near the priors' numbers are to the best ones, on datasets of many kinds: `python -m tests.perf hyper`.

Of each dataset (see `kinds`) the mean absolute percentage error of rows that are held out, alone / beside others:

usual   the numbers of `Hyperparameters`
found   with the noise that `found_hyper` chooses, which is what `Pitot()` does
towers  `Pitot(method="towers")`, where rows are few
best    by the one multiplier of all that is least in hindsight on the same held-out rows, its name, and how much less
        the mean absolute error of ln times is than with `found`: what the most knowing choice of one number could gain
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from pitot_core import Features, Observations, Pitot
from pitot_core.settings import Settings
from pitot_core.steps import one_blas_thread
from pitot_core.tables.equation import Equation
from pitot_core.tables.hyperparameters import Hyperparameters, TableOptions
from pitot_core.tables.kernels import prior_kernels
from pitot_core.tables.left_out import fit_from_nothing
from pitot_core.tables.noise import found_hyper, noisier
from pitot_core.tables.sweeps import Sweeps
from tests.perf.bench_pitot import table
from tests.perf.kinds import KINDS

SEEDS = tuple(map(int, os.environ.get("HARNESS_HYPER_SEEDS", "200,201,202").split(",")))
KINDS_ASKED = os.environ.get("HARNESS_HYPER_KINDS", "")  # those whose name has this in it
FEW = 6000  # rows up to which towers are asked too
MOST = 1.0  # ln units that a row may count
WEIGHTS, LENGTHS = (1 / 16, 1 / 4, 4.0, 16.0), (1 / 2, 2.0, 4.0)
Scores = np.ndarray


def times(*names: str) -> Callable[[Hyperparameters, float], Hyperparameters]:
    return lambda hyper, by: replace(hyper, **{name: by * getattr(hyper, name) for name in names})


KNOBS: dict[str, tuple[Callable[[Hyperparameters, float], Hyperparameters], Iterable[float]]] = {
    "noise": (lambda hyper, by: noisier(hyper, round(math.log(by, 4))), (1 / 4, 4.0, 16.0)),
    "δ": (times("scale"), LENGTHS),
    "F": (times("work"), WEIGHTS),
    "S and G": (times("suffers", "presses"), WEIGHTS),
    "length of workloads": (times("workload_length"), LENGTHS),
    "length of platforms": (times("platform_length"), LENGTHS),
    "behaviour": (times("behaviour_workload", "behaviour_platform"), WEIGHTS),
    "length of behaviour": (times("behaviour_workload_length", "behaviour_platform_length"), LENGTHS),
    "behaviour beside": (times("behaviour_beside"), WEIGHTS),
    "own of a workload": (times("workload_own"), WEIGHTS),
    "features of platforms": (times("platform_features"), WEIGHTS),
    "all platforms": (times("any_device"), WEIGHTS),
    "slowdown of a platform": (times("platform_mean"), WEIGHTS),
}


class Solving:
    """Fits of one dataset's training rows."""

    def __init__(self, rows: Observations, features: Features) -> None:
        self.rows, self.features = rows, features
        self.shape = len(features.platforms), len(features.workloads)

    def fit(self, hyper: Hyperparameters) -> Equation:
        return fit_from_nothing(self._sweeps(hyper), self.rows, self._kernels(hyper))

    def found(self) -> Hyperparameters:
        usual = Hyperparameters()
        return found_hyper(self.rows, self._sweeps(usual), self._kernels(usual), Settings(threads=1))

    def _sweeps(self, hyper: Hyperparameters) -> Sweeps:
        options = TableOptions()
        return Sweeps(self.shape, options.interference_types, options.negative_slope, hyper)

    def _kernels(self, hyper: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
        return prior_kernels(self.features, TableOptions(), hyper, self.shape)


def scores(predicted: np.ndarray, test: Observations) -> Scores:
    """(2, 2) of rows alone and beside others: MAPE, and mean |log C* − log Ĉ|; nan where there are none."""
    off = predicted - test.log_ns
    found = np.full((2, 2), np.nan)
    for side, some in enumerate((test.n_co_runners == 0, test.n_co_runners > 0)):
        if some.any():
            found[side] = np.abs(np.expm1(off[some])).mean(), np.minimum(np.abs(off[some]), MOST).mean()
    return found


def tried(name: str, seed: int) -> tuple[int, float, dict[str, Scores]]:
    """Of one dataset: its rows, how many times the usual noise was found, and scores by setting."""
    train, test, features = KINDS[name](seed)
    solving = Solving(train, features)
    with one_blas_thread(1):
        usual, found = Hyperparameters(), solving.found()
        every = {"usual": usual, "found": found}
        every |= {
            f"{knob} × {by:g}": change(found, by) for knob, (change, steps) in KNOBS.items() for by in steps
        }
        told = {setting: scores(solving.fit(hyper)(test), test) for setting, hyper in every.items()}
    if len(train) <= FEW:
        towers = Pitot("towers", bounds="plain").fit(train, features)
        told["towers"] = scores(np.log(towers.predict(test)), test)
    return len(train), found.noise / usual.noise, told


def row_of(name: str) -> list[str]:
    found = [tried(name, seed) for seed in SEEDS[: 1 if name.startswith("all") else None]]
    rows, noise = found[0][0], " ".join(f"{times:g}" for _, times, _ in found)
    mean = {key: np.mean([told[key] for *_, told in found], axis=0) for key in found[0][2]}

    def told(key: str) -> str:
        return " / ".join(f"{100 * error:.1f}" for error in mean[key][:, 0]) if key in mean else ""

    def gain(key: str) -> float:
        return float(np.nanmean(np.log(mean[key][:, 1] / np.maximum(mean["found"][:, 1], 1e-9))))

    best = min((key for key in mean if " × " in key), key=gain)
    more = [told(best), best, f"{100 * np.expm1(gain(best)):+.1f} %"]
    return [name, f"{rows:,}", noise, told("usual"), told("found"), told("towers"), *more]


def main() -> None:
    print(f"mean of seeds {SEEDS}; of all rows the first alone")
    rows = []
    for name in KINDS:
        if KINDS_ASKED in name:
            rows.append(row_of(name))
            print("  ".join(rows[-1]), flush=True)
    header = ("dataset", "rows", "noise ×", "usual", "found", "towers", "best", "by", "and so less")
    table("MAPE in percent, alone / beside others", header, rows)


if __name__ == "__main__":
    main()
