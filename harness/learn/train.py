"""`harness train`: a model from a dataset, and how good it is on jobs it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.dataset.regimes import Regimes
from harness.dataset.store import Dataset
from harness.errors import ModelError, UsageError, typed
from harness.learn import groups
from harness.learn.arrays import Described, Training, gather_training
from harness.learn.cluster import workers_at
from harness.learn.cold import load_cold
from harness.learn.heldout import card_entry, card_entry_of_many, hold_out
from harness.learn.peak_memory import Peaks
from harness.learn.support import unsupported
from harness.output import Column, Form, show
from harness.spelling import several
from pitot_core import Observations, Pitot, PitotError, SettingsError, coverage, mape, margin

EPSILONS = (0.1, 0.05)
ACCURACY_COLUMNS = [
    Column("co_runners", "co-runners", True, "how many"),
    Column("test_rows", "rows", True, "observations used for nothing but this table"),
    Column("calibration_rows", "calibration rows", True, "observations that the bounds were calibrated on"),
    Column("smallest_eps", "smallest ε", True, "below it no bound can be promised; null without calibration"),
    Column("mape", "MAPE", True, "mean |predicted − measured| / measured, as a share"),
    *(
        Column(f"{key}_{eps:g}{end}", key, True, f"at ε = {eps:g}: {meaning}")
        for eps in EPSILONS
        for key, end, meaning in (
            ("margin", "", "by what share the bound is above the measured time; null where infinite"),
            ("coverage", "", "share of rows whose bound held"),
            ("coverage", "_low", "lower end of its 99 % interval"),
            ("coverage", "_high", "upper end of it"),
        )
    ),
    Column("target", "target", meaning="`steady`, or `cold`: what starting anew takes"),
    *groups.COLUMNS,
]


@dataclass(frozen=True)
class Trained:
    """A model, how it did by number of co-runners on held-out jobs, and what it took.

    rows are all of the dataset, test_rows those of them that were used for the accuracy alone; unsupported has a
    sentence for everything that such a dataset cannot support, with what to collect next.
    """

    model: Pitot
    accuracy: list[dict[str, Any]]
    rows: int
    test_rows: int
    seconds: float
    unsupported: list[str]

    def told(self, what: str = "observation") -> str:
        """How many rows trained, calibrated and tested."""
        used, kinds = self.model.rows_used, {pool.kind for pool in self.model.pools().values()}
        if kinds == {"cross"}:
            trained = f"{several(used['training'], what)}, which also calibrated it (CV+)"
        else:
            trained = (
                f"{several(used['training'], what)}, calibrated on {several(used['calibration'], 'other')}"
            )
        return f"trained on {trained}, tested on {self.test_rows:,} more"


def train(
    dataset: Dataset,
    *,
    test_share: float = 0.2,
    calibration_share: float = 0.1,
    seed: int = 0,
    cold: bool = False,
    dask: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Fit on all jobs but a random ``test_share`` of them, calibrate on jobs that neither trained nor chose anything.

    The test jobs are used for nothing but the accuracy that is reported. With ``cold`` the times are those of starting
    anew. The workers of a ``dask`` scheduler at that address read the observations. Raises DatasetError, ModelError.
    """
    if cold:
        rows, features = load_cold(dataset)
        given = Training(rows, features, Described.of(dataset), None, None, len(rows), 1.0)
    else:
        apart = {"calibration": (1 - test_share) * calibration_share, "test": test_share}
        with workers_at(dask) as across:
            given = gather_training(
                dataset, **apart, seed=seed, watch=lambda: (Peaks(dataset), Regimes()), across=across
            )
    features, started = given.features, time.perf_counter()
    try:
        if given.test is None:
            parts = hold_out(given.rows, test_share, seed)
            rows, test = given.rows[parts.train], given.rows[parts.test]
            entry = card_entry(given.rows, features, parts.test, test_share, seed)
        else:
            rows, test = given.rows, given.test
            entry = card_entry_of_many(test, features)
        model = Pitot(seed=seed, calibration_share=calibration_share).fit(
            rows,
            features,
            calibration=given.calibration,
            progress=(lambda step: progress(step.done, step.total)) if progress else None,
        )
    except SettingsError as error:
        raise UsageError(f"{error}.") from error
    except PitotError as error:
        raise ModelError(
            f"{dataset.root} is too small or not fit to train on: {error}; "
            f"collect more, see `harness status {typed(dataset.root)}`."
        ) from error
    seconds = time.perf_counter() - started
    target = "cold" if cold else "steady"
    accuracy = [row | {"target": target} for row in measure_accuracy(model, test)]
    model.card = {
        "dataset": dataset.info.id,
        "source": dataset.info.source,
        "target": target,
        "rows": given.total,
        "columns": given.described.columns(features),
        "usual": dict(given.usual),
        "held_out": entry,
        "accuracy": accuracy,
    }
    told = unsupported(model, given.rows, features, test)
    for one in given.watched:
        if isinstance(one, Peaks):
            model.card |= one.entry(features)
        elif isinstance(one, Regimes) and (sentence := one.told()):
            told.insert(0, sentence)
    return Trained(model, accuracy, given.total, len(test), seconds, told)


def measure_accuracy(model: Pitot, test: Observations) -> list[dict[str, Any]]:
    """A row per number of co-runners: MAPE, then margin (Eq. 11) and coverage with its 99 % interval per ε.

    Rows beside a workload that was itself measured nowhere are left out: nothing can be predicted there.
    """
    found = []
    pools = model.pools()
    test = test[test.measured]
    test = test[model.knows(test)]
    for count in np.unique(test.n_co_runners).tolist():
        rows = test[test.n_co_runners == count]
        measured = np.exp(rows.log_ns)
        row: dict[str, Any] = {
            "co_runners": count,
            "test_rows": len(rows),
            "calibration_rows": pools[count].rows if count in pools else 0,
            "smallest_eps": pools[count].smallest_eps if count in pools else None,
            "mape": mape(model.predict(rows), measured),
        }
        for eps in EPSILONS if count in pools else ():
            bound = model.bound(rows, eps)
            held = coverage(bound, measured, job=rows.job)
            finite = bool(np.isfinite(bound).all())
            row |= {
                f"margin_{eps:g}": margin(bound, measured) if finite else None,
                f"coverage_{eps:g}": held.share,
                f"coverage_{eps:g}_low": held.low,
                f"coverage_{eps:g}_high": held.high,
            }
            if eps == groups.EPS:
                row |= groups.worst(model, rows, measured <= bound)
        found.append(row)
    return found


def show_accuracy(accuracy: list[dict[str, Any]], form: Form = Form.table) -> None:
    """Print it: in percent for people, as it is for programs."""
    if form is not Form.table:
        show(accuracy, ACCURACY_COLUMNS, form)
        return
    if not accuracy:  # a sentence says so already
        return
    columns = [
        Column("co_runners", "co-runners", True),
        Column("test_rows", "rows", True),
        Column("mape", "MAPE", True),
        *(
            column
            for eps in EPSILONS
            for column in (
                Column(f"margin_{eps:g}", f"ε={eps:g}: margin", True),
                Column(f"held_{eps:g}", "held (99 % interval)", True),
            )
        ),
        Column("calibration_rows", "calibration rows", True),
    ]
    rows = []
    for row in accuracy:
        told = row | {"mape": _percent(row["mape"])}
        for eps in EPSILONS:
            if f"coverage_{eps:g}" in row:
                low, high = row[f"coverage_{eps:g}_low"], row[f"coverage_{eps:g}_high"]
                held = f"{_percent(row[f'coverage_{eps:g}'])} ({100 * low:.1f}–{100 * high:.1f})"
                margin = row[f"margin_{eps:g}"]
                told |= {
                    f"margin_{eps:g}": "∞" if margin is None else _percent(margin),
                    f"held_{eps:g}": held,
                }
        rows.append(told)
    show(rows, columns, title="On jobs that were used for nothing else")
    groups.show_worst(accuracy)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
