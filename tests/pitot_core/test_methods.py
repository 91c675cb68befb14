"""The published configuration, the ablations and the baselines: each fits and answers like the others."""

from __future__ import annotations

import numpy as np
import pytest

from pitot_core import Pitot, mape, split
from pitot_core.baselines import (
    Attention,
    Boosting,
    LogLinear,
    MatrixFactorisation,
    NeuralNetwork,
    PointModel,
    StartUp,
)
from pitot_core.towers.network import Network, Shape
from tests.pitot_core.problems import made_up

ABLATIONS = {
    "log": {"objective": "log"},
    "proportional": {"objective": "proportional", "learning_rate": 3e-3},
    "ignored": {"interference": "ignored"},
    "discarded": {"interference": "discarded"},
    "no workload features": {"workload_features": False},
    "no features": {"workload_features": False, "platform_features": False, "learned": 3},
    "identity": {"negative_slope": 1.0},
    "no learned features": {"learned": 0},
    "one type": {"interference_types": 1},
    "linear towers": {"hidden": ()},
    "log-linear": {"baseline": "log-linear"},
    "pinball": {"loss": "pinball"},
    "mini-batches": {"batch": 64},
    "adamaxw": {"optimiser": "adamaxw"},
    "degree weights": {"degree_weights": (1.0, 0.2, 0.2, 0.2)},
    "heads": {"bounds": "heads"},
    "shared": {"bounds": "shared", "quantiles": (0.5, 0.9)},
    "plain": {"bounds": "plain"},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_fits_and_answers(name: str) -> None:
    rows, features = made_up(rows=700)
    model = Pitot(
        **({"method": "towers", "steps": 60, "members": 2, "calibration_share": 0.2} | ABLATIONS[name])
    ).fit(rows, features)
    assert mape(model.predict(rows), np.exp(rows.log_ns)) < (1.2 if name == "log" else 0.6)
    for method in ("chosen", "naive", "plain"):
        covered = np.mean(model.bound(rows, 0.2, method=method) >= np.exp(rows.log_ns))
        assert 0.6 < covered <= 1.0


def test_the_published_network_has_the_published_number_of_parameters() -> None:
    network = Network(
        Shape(249, 231, 141, 39, 32, 2, 1, (128, 128), 8), np.zeros((249, 141)), np.zeros((231, 39)), 1
    )
    baseline = 249 + 231
    assert network.parameters.flat.size + baseline == 111_200


def test_the_published_configuration_learns_by_mini_batches() -> None:
    rows, features = made_up(rows=1500, noise=0.01)
    parts = split(rows, train=0.8, test=0.2, seed=0)
    model = Pitot.published(steps=400, batch=64, bounds="heads", learning_rate=3e-3).fit(
        rows[parts.train], features
    )
    test = rows[parts.test]
    assert mape(model.predict(test), np.exp(test.log_ns)) < 0.15
    assert model.get_params()["quantiles"] == (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (LogLinear(), 1.2),
        (StartUp(), 0.5),
        (MatrixFactorisation(rank=4), 0.8),
        (NeuralNetwork(hidden=(32, 32), steps=400), 0.2),
        (Attention(hidden=(32, 32), steps=400), 0.2),
        (Boosting(iterations=30), 0.3),
    ],
)
def test_every_baseline_fits_and_answers(model: PointModel, limit: float) -> None:
    rows, features = made_up(rows=1500)
    model.fit(rows, features)
    measured = np.exp(rows.log_ns)
    assert mape(model.predict(rows), measured) < limit
    assert 0.8 < np.mean(model.bound(rows, 0.1) >= measured) <= 1.0
    assert set(model.pools()) == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", [NeuralNetwork, Attention])
def test_gradients_of_the_networks_agree_with_finite_differences(kind: type[NeuralNetwork]) -> None:
    rows, features = made_up(rows=60)
    model = kind(hidden=(6, 5), steps=1)
    model.fit(rows, features, calibration=rows[:10])
    rng = np.random.default_rng(0)
    model.x_w, model.x_p = model.x_w.astype(np.float64), model.x_p.astype(np.float64)
    for part in model.parts:
        part.weights = [rng.standard_normal(w.shape) * 0.5 for w in part.weights]
        part.biases = [rng.standard_normal(b.shape) * 0.5 for b in part.biases]
    values = [value for part in model.parts for value in part.values]
    upstream = rng.standard_normal(len(rows))
    model._residual(rows)
    gradients = model._gradient(rows, upstream)
    for value, gradient in zip(values, gradients, strict=True):
        direction = rng.standard_normal(value.shape)
        value += 1e-6 * direction
        above = float(upstream @ model._residual(rows))
        value -= 2e-6 * direction
        below = float(upstream @ model._residual(rows))
        value += 1e-6 * direction
        np.testing.assert_allclose(np.sum(gradient * direction), (above - below) / 2e-6, rtol=2e-5, atol=1e-6)
