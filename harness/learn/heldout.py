"""Which jobs of a dataset a model was never shown: the same split again, checked against the model's card."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError
from pitot_core import Features, Observations, Pitot, PitotError, Split, split

Array = NDArray[np.int64]


def hold_out(observations: Observations, share: float, seed: int) -> Split:
    """Whole jobs for testing only, and the others for training; a row of unknown time tests nothing.

    Where jobs were chosen for what they teach, half of those drawn at random test, whatever the share: the other half
    is to calibrate.
    Raises PitotError where there are too few.
    """
    share = share if observations.chosen is None else 0.5
    parts = split(observations, train=1 - share, test=share, by="job", seed=seed)
    return parts._replace(test=parts.test[observations.measured[parts.test]])


def card_entry(
    observations: Observations, features: Features, test: Array, share: float, seed: int
) -> dict[str, Any]:
    """What a model's card keeps of `hold_out`, so that `held_out` finds the same rows or none."""
    digest = _digest(observations[test], features)
    return {"by": "job", "share": share, "seed": seed, "rows": len(test), "sha256": digest}


def card_entry_of_many(test: Observations, features: Features) -> dict[str, Any]:
    """The same where rows were so many that jobs were held out by a hash while they were read."""
    return {"by": "hash", "rows": len(test), "sha256": _digest(test, features)}


def held_out(model: Pitot, observations: Observations, features: Features) -> Array:
    """Row numbers of what neither trained nor calibrated nor chose anything, in all that `load_training` gave.

    Jobs that an update learned since are left out. Raises ModelError where none is left, and where the model's card
    does not tell, or tells of other rows than these.
    """
    entry: Any = model.card.get("held_out")
    if isinstance(entry, dict) and entry.get("by") == "hash":
        raise ModelError(
            "the model was trained on more rows than are kept in memory, so that it is not told which jobs it was not "
            "shown; see the accuracy that `harness train` printed, or train on a part of the dataset."
        )
    try:
        share, seed, digest = float(entry["share"]), int(entry["seed"]), str(entry["sha256"])
        test = hold_out(observations, share, seed).test
    except PitotError as error:
        raise ModelError(
            f"the model was not trained on this dataset: {error}; name the model that was, or train one."
        ) from error
    except (TypeError, KeyError, ValueError):
        raise ModelError(
            "the model does not tell which jobs it was not shown; train it again with `harness train`."
        ) from None
    if _digest(observations[test], features) != digest:
        raise ModelError(
            "the model was trained on another dataset, or on this one before it changed, so it is not known which "
            "of these jobs it was shown; train it again with `harness train`."
        )
    if not len(test):
        raise ModelError(
            "training kept no job for testing, since each was all that is known of its workload or platform, so there "
            "is nothing to judge the model by; collect more and train again."
        )
    learned = observations.job[test][model.remembered(observations[test])]
    test = test[~np.isin(observations.job[test], learned)]
    if not len(test):
        raise ModelError(
            "the model has learned every job that its training had kept for testing (`harness update --all`), so "
            "nothing is left to judge it by; name the model as it was trained."
        )
    return test


def _digest(rows: Observations, features: Features) -> str:
    """SHA-256 of what was measured, with names, so that no other rows have it; in whatever order they come."""
    rows = rows[np.lexsort((rows.workload, rows.job))]
    digest = hashlib.sha256("\0".join([*features.platform_names, "", *features.workload_names]).encode())
    for array in (rows.platform, rows.workload, rows.co_runners, rows.log_ns):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
