"""The manners people expect: settings by name, copies, questions and rows as tables."""

from __future__ import annotations

import numpy as np
import pytest

from pitot_core import Observations, ObservationsError, Pitot, Queries, SettingsError, UnknownEntity
from pitot_core.baselines import Boosting, NeuralNetwork
from tests.pitot_core.problems import made_up


def test_settings_are_read_changed_and_copied_by_name() -> None:
    model = Pitot("towers", steps=7, hidden=(3, 4), calibration_share=0.2)
    assert model.get_params()["hidden"] == (3, 4)
    assert model.set_params(steps=9) is model
    assert (model.get_params()["steps"], model.get_params()["hidden"]) == (9, (3, 4))
    assert Pitot(**model.get_params()).get_params() == model.get_params()
    with pytest.raises(SettingsError, match="there is no option 'stepz'"):
        model.set_params(stepz=1)
    with pytest.raises(SettingsError, match="must be at least 1"):
        model.set_params(steps=0)
    assert model.get_params()["steps"] == 9


@pytest.mark.parametrize(
    "model", [Pitot("towers", rank=3, steps=5), Boosting(iterations=7), NeuralNetwork(hidden=(4,), seed=2)]
)
def test_scikit_learn_can_clone_it(model: Pitot) -> None:
    base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    copy = base.clone(model)
    assert type(copy) is type(model)
    assert copy is not model
    assert copy.get_params() == model.clone().get_params() == model.get_params()


def test_every_option_is_told_where_it_differs() -> None:
    rows, features = made_up(rows=300)
    model = Pitot(calibration="cross")
    assert repr(model) == "Pitot(calibration='cross')"
    assert repr(model.fit(rows, features)) == (
        "<Pitot(calibration='cross'), fitted on 300 rows of 12 workloads on 6 platforms; bounds for "
        "0 co-runners (128 rows), 1 co-runners (55 rows), 2 co-runners (72 rows), 3 co-runners (45 rows)>"
    )
    assert repr(Boosting(leaves=4)) == "Boosting(leaves=4)"
    assert repr(rows) == (
        "<Observations: 300 rows (128 alone, 55 beside 1, 72 beside 2, 45 beside 3) of 12 workloads on 6 platforms>"
    )
    assert repr(features) == "<Features: 12 workloads with 5 features, 6 platforms with 3>"


@pytest.fixture(scope="module")
def model() -> Pitot:
    rows, features = made_up(rows=300)
    return Pitot().fit(rows, features)


def test_questions_are_tuples_frames_or_tables(model: Pitot) -> None:
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    asked = [("w0", "p1"), ("w3", "p0", "w1"), ("w2", "p5", ("w4", "w7")), ("w2", "p5", None)]
    columns = {
        "workload": ["w0", "w3", "w2", "w2"],
        "platform": ["p1", "p0", "p5", "p5"],
        "with": ["", "w1", " w7 ; w4", None],
    }
    lists = columns | {"with": [[], ["w1"], ["w4", "w7"], None]}
    numbers = Queries.of([1, 0, 5, 5], [0, 3, 2, 2], [[-1, -1], [1, -1], [4, 7], [-1, -1]])
    expected = model.predict(numbers)
    for form in (
        asked,
        columns,
        pa.table(columns),
        pa.table(lists),
        pa.table({name: pa.array(values).dictionary_encode() for name, values in columns.items()}),
        pd.DataFrame(columns),
        pd.DataFrame(lists),
        pd.DataFrame(columns).astype("category"),
    ):
        np.testing.assert_array_equal(model.predict(form), expected)
    np.testing.assert_array_equal(model.bound(asked, 0.3), model.bound(numbers, 0.3))
    assert model.knows(asked).all()


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        ([("w0",)], ObservationsError, "row 0 is"),
        (["w0"], ObservationsError, "row 0 is 'w0'"),
        ([("w0", 3)], ObservationsError, "by text"),
        ([("w0", "p0", ("w1", "w2", "w3", "w4"))], ObservationsError, "row 0 has 4 co-runners; at most 3"),
        ([("w0", "p0"), ("x", "p0")], UnknownEntity, r"workload 'x' \(row 1\)"),
        ([("w0", "p0", "x")], UnknownEntity, "workload 'x'"),
        ({"workload": ["w0"]}, ObservationsError, "no column 'platform'"),
        ({"workload": [1], "platform": ["p0"]}, ObservationsError, "named by text"),
        ({"workload": [None], "platform": ["p0"]}, UnknownEntity, "row 0 names no workload"),
        ({"workload": ["w0", "w1"], "platform": ["p0"]}, ObservationsError, "not a table"),
    ],
)
def test_questions_that_make_no_sense_are_refused_by_row(
    model: Pitot, asked: object, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        model.predict(asked)


def test_observations_go_to_tables_and_back(model: Pitot) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    rows, features = made_up(rows=200)
    cut = Observations(
        rows.platform,
        rows.workload,
        rows.co_runners,
        rows.log_ns,
        rows.job,
        rows.log_ns > np.median(rows.log_ns),
        pace=rows.log_ns - rows.log_ns.mean(),
    )
    for table in (cut.to_arrow(features), cut.to_pandas(features)):
        back = Observations.from_arrow(table, features)
        for name in ("platform", "workload", "co_runners", "censored", "pace"):
            np.testing.assert_array_equal(getattr(back, name), getattr(cut, name))
        np.testing.assert_allclose(back.log_ns, cut.log_ns, rtol=1e-14)
        assert len(np.unique(np.stack([back.job, cut.job]), axis=1)[0]) == len(np.unique(cut.job))
    assert rows.to_pandas(features).columns.tolist() == [
        "platform",
        "workload",
        "co_runners",
        "wall_ns_mean",
        "job",
    ]
    fitted = Pitot().fit(rows.to_pandas(features), features)
    assert fitted.rows_used["training"] == 200


def test_a_frame_without_times_is_refused(model: Pitot) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    rows, features = made_up(rows=80)
    frame = rows.to_pandas(features)
    with pytest.raises(ObservationsError, match="no column 'wall_ns_mean'"):
        Pitot().fit(frame.drop(columns="wall_ns_mean"), features)
    with pytest.raises(ObservationsError, match="row 3 has log_ns"):
        Pitot().fit(frame.assign(wall_ns_mean=np.where(np.arange(80) == 3, -1.0, 1e6)), features)
    with pytest.raises(ObservationsError, match="is not a table that can be read"):
        Pitot().fit(pd.Series([1.0]), features)
