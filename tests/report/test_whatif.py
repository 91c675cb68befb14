"""The page answers as `harness predict` does, to the digits that it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.decide.predict import Question, answer, explain
from harness.learn.arrays import load_training
from harness.output import duration
from harness.report import write_report
from harness.report.embedded import EPSILONS, embedded
from harness.report.thin_tables import Pack
from harness.report.whatif import what_if
from pitot_core import Pitot
from tests.published import ABSENT as NO_DATA
from tests.report.browser import ABSENT, CHROMIUM, Browser, browser
from tests.report.report_data import collected, imported

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)
QUESTIONS = 100
# Answers as the page gives them; a co-runner stands in any order.
ASK = """(async () => {{
    document.getElementById('asking').scrollIntoView();
    while (!document.getElementById('asking').dataset.ready) await new Promise(done => setTimeout(done, 20));
    return {asked}.map(([j, i, beside, e]) => {{
        const found = whatIf.answer(j, i, beside, e);
        const words = (ns) => ns === Infinity ? '∞' : duration(ns);
        return ['mean', 'bound', 'startup', 'work', 'interference'].map(key => [words(found[key]), String(found[key])]);
    }});
}})()"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Pitot] | None]:
    """Of a model with bounds by CV+ and of one with calibration rows kept apart."""
    folder = tmp_path_factory.mktemp("what-if")
    made: dict[str, tuple[Path, Pitot] | None] = {}
    for name, dataset in (
        ("cross", collected(folder / "cross")),
        ("split", imported(folder / "split")),
    ):
        made[name] = None
        if dataset:
            observations, features = load_training(dataset)
            model = Pitot(calibration=name, calibration_share=0.3).fit(observations, features)
            model.save(folder / f"{name}.npz")  # as `harness report` gets it: a file has fewer digits
            model = Pitot.load(folder / f"{name}.npz")
            write_report(dataset, model, folder / f"{name}.html")
            made[name] = folder / f"{name}.html", model
    return made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as driven:
        yield driven


def drawn(model: Pitot, seed: int = 0) -> list[tuple[int, int, list[int], int]]:
    """Questions by numbers: platform, workload, co-runners, place of ε."""
    draw = np.random.default_rng(seed)
    platforms, workloads = np.flatnonzero(model.seen_platforms), np.flatnonzero(model.seen_workloads)
    most = max(model.pools())
    return [
        (
            int(draw.choice(platforms)),
            int(draw.choice(workloads)),
            sorted(draw.choice(workloads, draw.integers(0, most + 2) % 4).tolist()),
            int(draw.integers(len(EPSILONS))),
        )
        for _ in range(QUESTIONS)
    ]


def predicted(model: Pitot, asked: list[tuple[int, int, list[int], int]]) -> list[list[float]]:
    assert model.features is not None
    workloads, platforms = model.features.workload_names, model.features.platform_names
    found = []
    for j, i, beside, e in asked:
        question = [Question(workloads[i], platforms[j], tuple(workloads[k] for k in beside))]
        [one], [parts] = answer(model, question, EPSILONS[e]), explain(model, question)
        keys = ("startup_ns", "work_ns", "interference_ns")
        found.append([one["mean_ns"], one["bound_ns"], *(parts[key] for key in keys)])
    return found


@needs_browser
@pytest.mark.parametrize("kind", ["cross", "split"])
def test_a_hundred_random_questions_are_answered_as_predict_does(
    kind: str, chromium: Browser, reports: dict[str, tuple[Path, Pitot] | None]
) -> None:
    report = reports[kind]
    if report is None:
        pytest.skip(NO_DATA)
    page, model = report
    asked = drawn(model)
    chromium.problems.clear()
    chromium.open(page)
    told: list[list[list[str]]] = chromium.run(ASK.format(asked=json.dumps(asked)))
    truth = predicted(model, asked)
    values = np.array([[float(value.replace("Infinity", "inf")) for _, value in row] for row in told])
    total = np.array(truth)[:, [0]]
    finite = np.isfinite(truth)
    assert np.array_equal(np.isfinite(values), finite)
    assert finite[:, 1].sum() > 40
    assert np.abs((values[:, 1] / np.array(truth)[:, 1])[finite[:, 1]] - 1).max() < 1e-5
    rest = [0, 2, 3, 4]  # all but the bound, which may be infinite
    assert np.abs((values[:, rest] - np.array(truth)[:, rest]) / total).max() < 1e-5
    for words, value in (cell for row in told for cell in row):  # three digits of what is as exact as above
        ns = float(value.replace("Infinity", "inf"))
        assert words in {duration(ns * (1 + side * 1e-9)) for side in (-1, 0, 1)}
    assert chromium.problems == []


@needs_browser
def test_the_form_is_filled_in_by_hand(
    chromium: Browser, reports: dict[str, tuple[Path, Pitot] | None]
) -> None:
    report = reports["cross"]
    assert report is not None
    page, model = report
    assert model.features is not None
    chromium.open(page)
    chromium.run(ASK.format(asked="[]"))
    i = 4
    chromium.run(
        f"""(() => {{
            const [workload, device, engine, beside] = document.querySelectorAll('.ask select');
            const tell = (select) => select.dispatchEvent(new Event('change', {{ bubbles: true }}));
            workload.value = {i}; device.selectedIndex = 1; tell(device);
            engine.selectedIndex = 1; beside.value = 2; tell(beside);
        }})()"""
    )
    j = int(chromium.run("document.querySelectorAll('.ask select')[2].value"))
    [[mean, bound, *parts]] = predicted(model, [(j, i, [2], EPSILONS.index(0.05))])
    read = "document.querySelector('.answer .{}').textContent"
    assert chromium.run(read.format("mean")) == duration(mean)
    assert chromium.run(read.format("bound")) == duration(bound)
    assert [chromium.run(read.format(name)) for name in ("start-up", "work", "interference")] == [
        duration(part) for part in parts
    ]
    first = chromium.run("[...document.querySelector('#asking tbody').rows].map(r => r.cells[0].textContent)")
    names = model.features.platform_names
    assert sorted(first) == sorted(names)
    means = [predicted(model, [(k, i, [2], 0)])[0][0] for k in range(len(names))]
    assert first == [names[k] for k in np.argsort(means)]
    assert chromium.run("document.querySelector('#asking tr.chosen').cells[0].textContent") == names[j]
    assert model.features.workload_names[i] in chromium.run(
        "document.querySelector('#asking caption').textContent"
    )


def test_without_a_model_the_section_says_how_to_get_one() -> None:
    [section] = what_if(None, "lab")
    assert not section.body
    assert "`harness train lab -o lab.npz`, then `harness report lab -m lab.npz`" in section.empty


def test_a_model_that_a_page_cannot_work_out_is_told(reports: dict[str, tuple[Path, Pitot] | None]) -> None:
    report = reports["cross"]
    assert report is not None
    towers = Pitot("towers", steps=5).fit(*load_training(collected(report[0].parent / "towers")))
    told = embedded(towers)
    assert isinstance(told, str)
    assert "method tables" in told
    assert told == what_if(towers, "lab")[0].empty


def test_no_cell_of_a_packed_table_is_off_by_more_than_half_a_step() -> None:
    draw = np.random.default_rng(0)
    smooth = draw.normal(0, 1, (40, 3)) @ draw.normal(0, 1, (3, 50))
    for table in (
        smooth,
        smooth + draw.normal(0, 0.01, (40, 50)),
        np.zeros((3, 4)),
        draw.normal(0, 9, (1, 1)),
    ):
        pack = Pack()
        seen: Any = pack.table("t", table, 1e-6)
        assert np.abs(seen - table).max() <= 0.5e-6 + 1e-12
    assert pack.entries[0]["rank"] == 0
