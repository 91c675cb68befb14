"""Eq. 9 through the tables, against the formula written out row by row."""

from __future__ import annotations

import numpy as np
import pytest

from pitot_core import Pitot, Queries
from pitot_core.towers import Towers
from pitot_core.towers.interference import Plan
from pitot_core.towers.network import Network, Shape
from tests.pitot_core.problems import made_up


@pytest.mark.parametrize("types", [0, 1, 2])
def test_tables_give_eq_9_row_by_row(types: int) -> None:
    rows, features = made_up(rows=300)
    rank, heads = 3, 2
    network = Network(
        Shape(12, 6, 5, 3, rank, types, 1, (8,), heads), features.workloads, features.platforms, 2, np.float64
    )
    network.initialise([0, 1], output_gain=1.0)
    plan = Plan.of(rows, types, 12)
    found = np.empty((2, len(rows), heads))
    found[:, plan.order] = network.forward(network.gathered(plan, 0.1))
    platforms, workloads = network.embed()
    expected = np.empty_like(found)
    for e in range(2):
        p, v = platforms[e].reshape(6, 1 + 2 * types, rank), workloads[e].reshape(12, heads, rank)
        for n in range(len(rows)):
            j, i, K = rows.platform[n], rows.workload[n], [k for k in rows.co_runners[n] if k >= 0]
            for h in range(heads):
                total = v[i, h] @ p[j, 0]
                for t in range(1, types + 1):
                    load = sum(v[k, h] @ p[j, types + t] for k in K)
                    total += (v[i, h] @ p[j, t]) * (load if load > 0 else 0.1 * load)
                expected[e, n, h] = total
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_order_of_co_runners_never_matters() -> None:
    rows, features = made_up()
    model = Pitot("towers", steps=5).fit(rows, features)
    some = rows[rows.n_co_runners == 3]
    shuffled = Queries(some.platform, some.workload, some.co_runners[:, [2, 0, 1]])
    np.testing.assert_array_equal(model.predict(some), model.predict(shuffled))


def test_an_isolated_prediction_does_not_depend_on_interference_embeddings() -> None:
    rows, features = made_up()
    model = Pitot("towers", steps=5).fit(rows, features)
    alone = rows[rows.n_co_runners == 0]
    before = model.predict(alone)
    assert isinstance(model.completion, Towers)
    model.completion.point.forecast.suffers[...] = 7.0
    model.completion.point.forecast.presses[...] = 7.0
    np.testing.assert_array_equal(model.predict(alone), before)


def test_relabelling_platforms_and_workloads_relabels_the_prediction() -> None:
    from pitot_core import Features, Observations

    rows, features = made_up(noise=0.0)
    new_p, new_w = np.random.default_rng(0).permutation(6), np.random.default_rng(1).permutation(12)
    back_p, back_w = np.argsort(new_p), np.argsort(new_w)
    co = np.where(rows.co_runners >= 0, new_w[rows.co_runners], -1)
    renamed = Observations(new_p[rows.platform], new_w[rows.workload], co, rows.log_ns, rows.job)
    names_w = tuple(features.workload_names[i] for i in back_w)
    names_p = tuple(features.platform_names[j] for j in back_p)
    moved = Features(features.workloads[back_w], features.platforms[back_p], names_w, names_p)
    settings = {"steps": 30, "learned": 0, "members": 1, "weight_decay": 0.1}
    first = Pitot("towers", **settings).fit(rows, features).predict(rows)
    second = Pitot("towers", **settings).fit(renamed, moved).predict(renamed)
    np.testing.assert_allclose(np.log(first), np.log(second), atol=2e-3)


def test_scaling_every_time_scales_every_prediction() -> None:
    from dataclasses import replace

    rows, features = made_up()
    settings = {"steps": 30, "members": 2}
    first = Pitot("towers", **settings).fit(rows, features).predict(rows)
    tripled = replace(rows, log_ns=rows.log_ns + np.log(3.0))
    second = Pitot("towers", **settings).fit(tripled, features).predict(rows)
    np.testing.assert_allclose(second / first, 3.0, rtol=2e-3)
