"""What a training keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pitot_core import Step
from pitot_core.settings import Settings
from pitot_core.towers import TowerOptions
from pitot_core.towers.losses import Loss
from pitot_core.towers.training import Task, train
from tests.pitot_core.problems import made_up


def test_the_checkpoint_kept_is_the_best_on_rows_the_member_was_not_trained_on() -> None:
    """On pure noise every further step lowers the training loss and raises that of the fold left out."""
    rows, features = made_up(rows=300)
    noise = replace(rows, log_ns=14.0 + np.random.default_rng(0).standard_normal(len(rows)))
    fold = np.arange(len(rows)) % 4
    options = TowerOptions(
        members=1, folds=4, steps=200, hidden=(64,), rank=16, check_every=5, weight_decay=0.0
    )
    task = Task(
        "training", noise, features.workloads, features.platforms, np.full((1, len(rows)), 14.0), fold
    )
    told: list[Step] = []
    loss = Loss("squared")
    trained = train(task, Settings(threads=1), options, options.sized(len(rows)), loss, told.append)
    error = trained.predictions[0, :, 0] - noise.log_ns
    held = fold == 0
    assert trained.best_step[0] < 100
    assert trained.best_loss[0] == min(step.held_out for step in told) < told[-1].held_out
    n_co = noise.n_co_runners
    weight = np.where(n_co > 0, options.co_run_weight, 1.0)
    kept = np.average(error[held] ** 2, weights=weight[held])
    np.testing.assert_allclose(kept, trained.best_loss[0], rtol=1e-4)
    assert np.average(error[~held] ** 2, weights=weight[~held]) < kept
