"""`harness update`: learning workloads and platforms that a model was not trained on, from the rows of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset.store import Dataset
from harness.errors import ModelError
from harness.learn.arrays import load_training
from harness.output import Column
from harness.spelling import several
from pitot_core import Features, Observations, Pitot, PitotError

LEARNED_COLUMNS = [
    Column("kind", "kind", meaning="workload or platform"),
    Column("name", "name", meaning="suite/size/name of a workload, engine:device of a platform"),
    Column("rows", "rows", True, "observations of it in the dataset"),
    Column("learned", "learned now", True, "those of them that the model had not learned before"),
    Column("before", "before", meaning="new, updated before, or trained"),
]


@dataclass(frozen=True)
class Learned:
    """The updated model, a row per workload and platform that it learned of, and what a person is told of it."""

    model: Pitot
    rows: list[dict[str, Any]]
    told: str


def learn_more(model: Pitot, dataset: Dataset, *, everything: bool = False) -> Learned:
    """Update a model from the rows of newcomers; with `everything` also from further rows of what it was trained on.

    Rows that it learned before, in training or in an update, are recognised and not learned twice; where none is
    left the model stays as it is.
    Raises DatasetError, and ModelError where nothing is new or the model does not tell what its features are.
    """
    columns = model.card.get("columns")
    if not isinstance(columns, dict) or model.features is None:
        raise ModelError(
            "the model does not tell what its features are called; train it again with this version."
        )
    if model.card.get("target") == "cold":
        raise ModelError("the model predicts what starting anew takes, which is not updated; train it again.")
    usual = model.card.get("usual")
    observations, given = load_training(dataset, columns, usual=usual if isinstance(usual, dict) else None)
    observations, features = _numbered(observations, given, model.features)
    n_w, n_p = len(model.features.workload_names), len(model.features.platform_names)
    known = model.known.grown(len(features.workload_names) - n_w, len(features.platform_names) - n_p)
    trained = {side: known.trained(side) for side in ("workload", "platform")}
    if not everything:
        beside = np.append(trained["workload"], True)[observations.co_runners].all(axis=1)
        old = trained["platform"][observations.platform] & trained["workload"][observations.workload] & beside
        observations = observations[~old]
    if not len(observations):
        raise ModelError(
            f"{dataset.root} has nothing that the model was not trained on; "
            "collect something new, or learn further rows of what it knows with --all."
        )
    fresh = ~model.remembered(observations)
    rows = []
    for side, names, numbers in (
        ("workload", features.workload_names, observations.workload),
        ("platform", features.platform_names, observations.platform),
    ):
        count, learned = (np.bincount(numbers[rows], minlength=len(names)) for rows in (slice(None), fresh))
        for number in np.flatnonzero(count):
            before = (
                "trained" if trained[side][number] else "updated" if known.of_side(side)[number] else "new"
            )
            if everything or before != "trained":
                row = {"kind": side, "name": names[number], "rows": int(count[number])}
                rows.append(row | {"learned": int(learned[number]), "before": before})
    try:
        model.update(observations, features)
    except PitotError as error:
        raise ModelError(
            f"{dataset.root} does not tell enough: {str(error).rstrip('.')}; collect more of it."
        ) from error
    return Learned(model, rows, _told(fresh))


def _told(fresh: NDArray[np.bool_]) -> str:
    now, before = np.count_nonzero(fresh), np.count_nonzero(~fresh)
    if not now:
        were = several(before, "observation was", "observations were")
        return f"{'the' if before == 1 else 'all'} {were} learned before: the model stays as it was"
    return f"{several(now, 'observation')} learned" + (
        f", {several(before, 'was', 'were')} before" if before else ""
    )


def _numbered(observations: Observations, given: Features, have: Features) -> tuple[Observations, Features]:
    """The same rows by the numbers of a model's tables, which newcomers follow at the end."""
    places, tables = [], []
    for names, known, table, old in (
        (given.workload_names, have.workload_names, given.workloads, have.workloads),
        (given.platform_names, have.platform_names, given.platforms, have.platforms),
    ):
        at = {name: number for number, name in enumerate(known)}
        new = [i for i, name in enumerate(names) if name not in at]
        at |= {names[i]: len(known) + place for place, i in enumerate(new)}
        places.append(np.array([at[name] for name in names], np.int64))
        tables.append((np.concatenate([old, table[new]]), (*known, *(names[i] for i in new))))
    (workloads, workload_names), (platforms, platform_names) = tables
    beside = observations.co_runners
    moved = Observations.of(
        places[1][observations.platform],
        places[0][observations.workload],
        np.where(beside >= 0, places[0][beside], -1),
        log_ns=observations.log_ns,
        job=observations.job,
        censored=observations.censored,
        pace=observations.pace,
    )
    return moved, Features(workloads, platforms, workload_names, platform_names)
