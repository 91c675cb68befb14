"""Analytic gradients against central differences in float64."""

from __future__ import annotations

import numpy as np
import pytest

from pitot_core.towers.interference import Plan
from pitot_core.towers.losses import Loss
from pitot_core.towers.network import Network, Shape
from tests.pitot_core.problems import made_up

CONFIGURATIONS = {
    "default": {},
    "identity activation": {"slope": 1.0},
    "no interference": {"types": 0},
    "one type": {"types": 1},
    "three types": {"types": 3},
    "no learned features": {"learned": 0},
    "only learned features": {"dw": 0, "dp": 0, "learned": 3},
    "linear towers": {"hidden": ()},
    "one layer": {"hidden": (7,)},
    "three layers": {"hidden": (5, 6, 7)},
    "squared": {"loss": Loss("squared")},
    "proportional": {"loss": Loss("proportional")},
    "pinball heads": {"loss": Loss("pinball", quantiles=(0.5, 0.9, 0.99))},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    options = {
        "slope": 0.1,
        "types": 2,
        "learned": 1,
        "dw": 5,
        "dp": 3,
        "hidden": (8, 8),
        "loss": Loss("huber", 0.3),
    }
    options |= CONFIGURATIONS[name]
    loss = options["loss"]
    heads = max(1, len(loss.quantiles))
    rows, features = made_up(rows=150)
    rng = np.random.default_rng(1)
    shape = Shape(
        12, 6, options["dw"], options["dp"], 4, options["types"], options["learned"], options["hidden"], heads
    )
    network = Network(
        shape, features.workloads[:, : options["dw"]], features.platforms[:, : options["dp"]], 2, np.float64
    )
    network.initialise([3, 4], output_gain=1.0)
    gathered = network.gathered(Plan.of(rows, options["types"], 12), options["slope"])
    target = rng.standard_normal((2, len(rows), heads)) + 0.1
    weight = rng.random((2, len(rows), 1))

    def value() -> np.ndarray:
        return (loss.value(network.forward(gathered) - target) * weight).sum(axis=(1, 2))

    network.backward(gathered, loss.derivative(network.forward(gathered) - target) * weight)
    gradient = network.gradients.flat.copy()
    flat = network.parameters.flat
    for _ in range(4):
        direction = rng.standard_normal(flat.shape)
        h = 1e-6
        flat += h * direction
        above = value()
        flat -= 2 * h * direction
        below = value()
        flat += h * direction
        np.testing.assert_allclose(
            (gradient * direction).sum(axis=1), (above - below) / (2 * h), rtol=1e-6, atol=1e-7
        )


def test_members_train_as_if_they_were_alone() -> None:
    rows, features = made_up(rows=150)
    shape = Shape(12, 6, 5, 3, 4, 2, 1, (8,), 1)
    both = Network(shape, features.workloads, features.platforms, 2, np.float64)
    both.initialise([3, 4], output_gain=1.0)
    alone = Network(shape, features.workloads, features.platforms, 1, np.float64)
    alone.initialise([4], output_gain=1.0)
    plan = Plan.of(rows, 2, 12)
    predictions = []
    for network in (both, alone):
        gathered = network.gathered(plan, 0.1)
        network.backward(gathered, 2 * network.forward(gathered))
        predictions.append(network.gradients.flat[-1])
    np.testing.assert_allclose(predictions[0], predictions[1], rtol=1e-12, atol=1e-12)
