"""What the report says: figures against those computed another way, warnings, reasons, and which rows it judges by."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from PIL import Image

from harness.dataset.records import Status
from harness.dataset.store import Dataset
from harness.errors import ModelError
from harness.learn.arrays import load_training
from harness.learn.heldout import held_out
from harness.learn.train import Trained, train
from harness.report import write_report
from harness.report.colours import hexed, levels, ramp
from harness.report.coverage import NAMES
from harness.report.heatmaps import data_uri
from harness.report.markup import Html, tag
from harness.report.noise import warnings
from harness.report.rows import load_rows, natural
from pitot_core import Observations, Pitot, split
from tests.conftest import ROOT
from tests.report.report_data import (
    DRIFT,
    HOSTILE_DEVICE,
    HOSTILE_REASON,
    HOSTILE_WORKLOAD,
    WORKLOADS,
    collected,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return collected(tmp_path_factory.mktemp("report") / "data")


@pytest.fixture(scope="module")
def trained(dataset: Dataset) -> Trained:
    return train(dataset, calibration_share=0.25)


@pytest.fixture(scope="module")
def page(dataset: Dataset, trained: Trained) -> str:
    path = dataset.root / "report.html"
    write_report(dataset, trained.model, path)
    return path.read_text()


def rows_of(page: str, caption: str) -> list[list[str]]:
    """The text of a table's cells, by its caption."""
    [table] = [part for part in re.findall(r"<table.*?</table>", page, re.S) if f"<caption>{caption}" in part]
    lines = re.findall(r"<tr>(.*?)</tr>", table.replace("\u00a0", " "), re.S)
    return [re.findall(r"<td[^>]*>(.*?)</td>", line, re.S) for line in lines[1:]]


def maps_of(page: str) -> dict[str, Any]:
    [raw] = re.findall(r'<script type="application/json" id="maps">(.*?)</script>', page, re.S)
    found: dict[str, Any] = json.loads(raw)
    return found


def cell(one: dict[str, Any], row: str, column: str) -> int:
    cells = np.frombuffer(base64.b64decode(one["cells"]), "<u1" if one["steps"] < 255 else "<u2").reshape(
        len(one["rows"]), len(one["columns"])
    )
    return int(cells[one["rows"].index(row), one["columns"].index(column)])


def test_every_field_has_its_time_or_the_reason_for_its_hole(dataset: Dataset, page: str) -> None:
    covered = maps_of(page)["coverage-map"]

    def reason(platform: str, workload: str) -> str:
        return str(covered["words"][cell(covered, platform, workload) - 1])

    assert "startup/empty" not in covered["columns"]
    assert reason("wasmtime-j:local", WORKLOADS[0]) == "measured"
    # Failed alone, but every workload ran in pairs.
    assert reason("wasm3-i:local", WORKLOADS[3]) == "beside others only; alone: timeout"
    assert reason("wasm3-i:local", WORKLOADS[7]) == "beside others only; alone: left to do"
    assert sorted(rows_of(page, "Workloads that were tried alone"))[0][:2] == ["timeout", "s/small/w3"]
    alone = dataset.observations(["platform", "workload", "n_co_runners", "status", "purpose"]).to_pylist()
    ok = {
        (r["platform"], r["workload"])
        for r in alone
        if r["status"] == "ok" and not r["n_co_runners"] and r["purpose"] == "measure"
    }
    assert {(p, w) for p in covered["rows"] for w in covered["columns"] if reason(p, w) == "measured"} == ok


def test_every_status_is_a_reason_of_the_map_and_stands_in_the_docs() -> None:
    page = (ROOT / "docs/measuring.md").read_text()
    assert [status for status in get_args(Status) if f"| `{status}` |" not in page] == []
    left_to_do = {"ok", "device_unfit"}
    assert {status.replace("_", " ").replace("co runner", "co-runner") for status in get_args(Status)} - {
        *NAMES,
        *(one.replace("_", " ") for one in left_to_do),
    } == set()


def test_reasons_for_holes_where_nothing_was_measured(tmp_path: Path) -> None:
    from harness.dataset.info import Settings
    from harness.dataset.records import Job
    from tests.dataset.test_store import entry

    dataset = Dataset.create(tmp_path / "data")
    done = [
        entry(1, "s/a", status="timeout"),
        entry(2, "s/b", status="wrong_output"),
        entry(3, "s/c"),
        entry(4, "s/c", status="trap"),
    ]
    left = Job("job9", "local", "wasmtime-j", ("s/d",), "measure", 0, 50, 30.0, 30.0)
    elsewhere = Job("job8", "local", "other", ("s/a",), "measure", 0, 50, 30.0, 30.0)
    dataset.begin(Settings(), "0.1.0", [*(one.job for one in done), left, elsewhere])
    with dataset.journal("local") as journal:
        for one in done:
            journal.append(one)
    write_report(dataset, None, tmp_path / "r.html")
    covered = maps_of((tmp_path / "r.html").read_text())["coverage-map"]
    found = {
        (p, w): covered["words"][cell(covered, p, w) - 1] for p in covered["rows"] for w in covered["columns"]
    }
    assert {w: found["wasmtime-j:local", f"s/{w}"] for w in "abcd"} == {
        "a": "timeout", "b": "wrong output", "c": "measured", "d": "left to do",
    }  # fmt: skip
    assert {w: found["other:local", f"s/{w}"] for w in "abcd"} == {
        "a": "left to do", "b": "not planned", "c": "not planned", "d": "not planned",
    }  # fmt: skip


def test_slowdowns_are_those_polars_finds(dataset: Dataset, page: str) -> None:
    rows = pl.from_arrow(dataset.observations())
    assert isinstance(rows, pl.DataFrame)
    rows = rows.filter((pl.col("status") == "ok") & (pl.col("purpose") == "measure"))
    alone = rows.filter(pl.col("n_co_runners") == 0).select("platform", "workload", base="wall_ns_mean")
    beside = rows.filter(pl.col("n_co_runners") == 1).join(alone, on=["platform", "workload"])
    slowdown = (beside["wall_ns_mean"] / beside["base"]).to_numpy()
    [[co_runners, count, mean, _, median, _, largest]] = rows_of(page, "Slowdown by number of co-runners")
    assert (co_runners, count) == ("1", str(len(slowdown)))
    told = [float(text.rstrip("×")) for text in (mean, median, largest)]
    assert told == pytest.approx(
        [np.exp(np.log(slowdown).mean()), np.median(slowdown), slowdown.max()], abs=0.006
    )


def test_spread_is_the_standard_deviation_of_covered_samples_over_their_mean(dataset: Dataset) -> None:
    rows = load_rows(dataset)
    samples = dataset.observations(["samples"])["samples"].to_pylist()
    for k in (0, 3, 40, 100):
        walls = [sample["wall_ns"] for sample in samples[k] if sample["covered"]]
        expected = np.std(walls, ddof=1) / np.mean(walls) if len(walls) >= 5 else np.nan
        assert rows.spread[k] == pytest.approx(expected, nan_ok=True)


def test_noise_is_warned_about_with_its_figures_and_quiet_platforms_are_not(
    page: str,
) -> None:
    section = page.split('id="noise"')[1].split("</section>")[0].replace("\u00a0", " ")
    [told] = re.findall(r'<ul class="warnings">(.*?)</ul>', section, re.S)
    lines = re.findall("<li>(.*?)</li>", told)
    assert (
        f"The anchors changed between start and end: wasmtime-j:local {100 * (DRIFT - 1):.0f} % slower."
        in lines
    )
    assert any(line.startswith("Hot: kitchen") and line.endswith("85 °C.") for line in lines)
    assert any("samples that spread by more than" in line and "local" not in line for line in lines)
    assert not any("throttled" in line.lower() or "governor" in line for line in lines)
    stopped = re.search(r"Stopped by a quota.* wasmtime-j:local ([\d,]+) times", "\n".join(lines))
    stolen = re.search(r"A hypervisor gave time.* wasmtime-j:local ([\d.]+) s", "\n".join(lines))
    assert stopped and stolen
    found = {row[0]: row[4:13] for row in rows_of(page, "Noise by platform")}
    told = [stopped[1], stolen[1]]
    assert found["wasmtime-j:local"] == ["12.0 %", "48", "50", "0", *told, "1", "2,000", "2,000"]
    jobs = int(stopped[1].replace(",", "")) / 2  # each was stopped twice, and a quarter of a second stolen
    assert float(stolen[1]) == pytest.approx(jobs / 4, rel=0.01)


def test_a_warning_names_each_device_once_and_counts_those_it_leaves_out() -> None:
    quiet = dict.fromkeys(
        (
            "spread",
            "spread_95",
            "drift",
            "heat_most",
            "throttled",
            "tail",
            "quota",
            "steal",
            "load",
            "pace",
            "clock_low",
            "clock_high",
            "governor",
            "gave_up",
        )
    )
    found = [
        quiet | {"platform": f"e{k % 2}:d{k // 2}", "device": f"d{k // 2}", "heat_most": 80.0 + k}
        for k in range(30)
    ]  # fmt: skip
    [line] = warnings(found)
    assert line.startswith("Hot: d14 109 °C, d13 107 °C")
    assert line.endswith(" and 7 more.")
    loaded = [
        quiet | {"platform": "e:d", "device": "d", "processors": 4, "together": 2, "load": load}
        for load in (3.1, 3.3)
    ]
    assert warnings(loaded[:1]) == []  # two of the jobs' own and 0.3 for each of four processors
    assert warnings(loaded[1:]) == [
        "Other work ran beside the measurements; load before jobs: d 3.30, of at most 2 workloads run together."
    ]


def test_accuracy_is_judged_by_the_jobs_that_training_never_saw(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Observations] = []
    fit = Pitot.fit

    def spy(self: Pitot, observations: Observations, *rest: Any, **more: Any) -> Pitot:
        given.append(observations)
        return fit(self, observations, *rest, **more)

    monkeypatch.setattr(Pitot, "fit", spy)
    trained = train(dataset, calibration_share=0.25, seed=3)
    observations, features = load_training(dataset)
    test = held_out(trained.model, observations, features)
    assert (
        len(test) + given[0].measured.sum() == observations.measured.sum()
    )  # what only has a limit tests nothing
    assert not set(observations.job[test].tolist()) & set(given[0].job.tolist())


def test_the_report_and_the_training_agree_on_held_out_jobs(page: str, trained: Trained) -> None:
    found = rows_of(page, "Accuracy by co-runners")
    assert [(row[1], row[2]) for row in found] == [
        (str(row["test_rows"]), f"{100 * row['mape']:.1f} %") for row in trained.accuracy
    ]


def test_a_model_survives_saving_with_its_held_out_jobs(
    dataset: Dataset, trained: Trained, tmp_path: Path
) -> None:
    trained.model.save(tmp_path / "m.npz")
    observations, features = load_training(dataset)
    test = held_out(Pitot.load(tmp_path / "m.npz"), observations, features)
    parts = split(observations, train=0.8, test=0.2, by="job", seed=0)
    assert np.array_equal(test, parts.test[observations.measured[parts.test]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda card: card.pop("held_out"), "does not tell which jobs it was not shown"),
        (
            lambda card: card.update(held_out={"share": "much", "seed": 0, "sha256": ""}),
            "does not tell which jobs",
        ),
        (lambda card: card["held_out"].update(seed=9), "was trained on another dataset"),
        (lambda card: card["held_out"].update(share=7.0), "was not trained on this dataset"),
    ],
)
def test_a_card_that_does_not_fit_the_dataset_is_refused(
    change: Any, told: str, dataset: Dataset, trained: Trained
) -> None:
    observations, features = load_training(dataset)
    model, card = trained.model, trained.model.card
    model.card = json.loads(json.dumps(card))
    try:
        change(model.card)
        with pytest.raises(ModelError, match=told):
            held_out(model, observations, features)
    finally:
        model.card = card


def test_a_model_of_another_dataset_is_told_and_only_its_card_is_shown(
    harness: Any, trained: Trained, tmp_path: Path
) -> None:
    trained.model.save(tmp_path / "m.npz")
    other = collected(tmp_path / "other")
    from tests.dataset.test_store import entry

    with other.journal("local") as journal:
        journal.append(entry(99999, WORKLOADS[0]))
    ran = harness("report", other.root, "-m", tmp_path / "m.npz", "-o", tmp_path / "r.html")
    assert ran.code == 0, ran.err
    page = (tmp_path / "r.html").read_text()
    assert "the model was trained on another dataset, or on this one before it changed" in page
    assert len(rows_of(page, "Accuracy when the model was trained")) == 2
    assert 'id="worst"' not in page
    assert 'id="alike"' not in page


def test_the_ten_worst_predictions_are_the_furthest_off_and_each_has_a_cause(page: str) -> None:
    found = rows_of(page, "Held-out observations, those whose")
    ratios = [abs(np.log(float(row[3].rstrip("×")))) for row in found]
    assert len(found) == 10
    assert np.all(np.diff(ratios) < 0.011)  # two digits are told
    assert all(row[5].endswith(".") and len(row[5]) > 20 for row in found)
    assert all("start-up" in row[4] and "work" in row[4] for row in found)


def test_the_top_says_in_short_what_the_sections_come_to(page: str) -> None:
    [short] = re.findall(r'<ul class="short">(.*?)</ul>', page.replace("\u00a0", " "), re.S)
    told = dict(re.findall(r'<li><a href="#([a-z-]+)">[^<]*</a>: (.*?)</li>', short))
    assert list(told) == ["fastest", "coverage", "slowdowns", "steadiness", "noise", "accuracy", "failures"]
    assert re.match(
        r"engine wasmtime-j; wasm3-i takes 2\.\d\d× \(2\.\d\d to 2\.\d\d\)\. device local; .*"
        r"from 56 times alone of 15 workloads on 4 platforms\.$",
        told["fastest"],
    ), told["fastest"]
    assert told["coverage"] == "of 64 fields platform × workload 56 measured, 8 beside others only."
    assert (told["noise"], told["failures"]) == ("5 warnings.", "2 timeout, 2 trap.")
    assert re.match(r"MAPE \d\.\d % alone, MAPE \d\.\d % beside 1; ", told["accuracy"])


def test_failures_are_grouped_with_an_example(page: str) -> None:
    found = rows_of(page, "Failures by reason")
    assert [row[0] for row in found] == ["timeout", "trap"]
    assert {row[2] for row in found} == {"2"}
    assert "trap at #" in found[1][1]


def test_what_devices_and_people_call_things_is_text(page: str) -> None:
    for text in (HOSTILE_WORKLOAD, HOSTILE_DEVICE, HOSTILE_REASON):
        assert text not in page
    assert "&lt;img src=x onerror=" in page
    assert page.count("<script") == page.count("</script>") == 5
    assert tag("td", "<b>", title='"><i>') == '<td title="&quot;&gt;&lt;i&gt;">&lt;b&gt;</td>'
    assert tag("p", Html("<b>")) == "<p><b></p>"


def test_nothing_is_fetched_from_anywhere(page: str) -> None:
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert "url(" not in page
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in html.unescape(page)


def test_a_place_that_cannot_be_written_to_is_told_and_nothing_is_left(
    harness: Any, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for place, told in (
        (tmp_path, "is a directory"),
        (tmp_path / "file" / "r.html", "the report cannot be written to"),
    ):
        ran = harness("report", dataset.root, "-o", place)
        assert (ran.code, ran.out) == (2, "")
        assert told in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("purpose", ["empty", "failed"])
def test_a_dataset_with_nothing_to_show_is_a_page_that_says_so(
    purpose: str, harness: Any, tmp_path: Path
) -> None:
    from tests.dataset.test_store import entry

    dataset = Dataset.create(tmp_path / "data")
    if purpose == "failed":
        with dataset.journal("local") as journal:
            journal.append(entry(1, status="trap"))
    ran = harness("report", dataset.root)
    assert ran.code == 0, ran.err
    page = (dataset.root / "report.html").read_text()
    assert "No workload was measured both alone and beside others." in page
    assert ("Nothing: every observation has a time." in page) == (purpose == "empty")


def test_an_image_of_a_map_shows_every_cell_in_its_colour() -> None:
    cells = levels(np.array([[1.0, np.nan, 3.0], [2.0, 1.0, np.nan]]), 1.0, 3.0)
    palette = hexed(ramp())
    image = Image.open(io.BytesIO(base64.b64decode(data_uri(cells, palette).partition(",")[2]))).convert(
        "RGBA"
    )
    assert image.size == (12, 8)
    for row in range(2):
        for column in range(3):
            red, green, blue, opaque = image.getpixel((column * 4 + 2, row * 4 + 2))  # type: ignore[misc]
            step = int(cells[row, column])
            expected = (palette[step], 255) if step >= 0 else (f"#{red:02x}{green:02x}{blue:02x}", 0)
            assert (f"#{red:02x}{green:02x}{blue:02x}", opaque) == expected


def test_the_ramp_grows_lighter_at_every_step() -> None:
    linear = (ramp() / 255.0) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(linear) > -1e-3)
    assert linear[-1] > 8 * linear[0]


def test_names_are_in_the_order_of_people() -> None:
    assert sorted(["e:hc-10", "e:hc-9", "a:x", "e:hc"], key=natural) == ["a:x", "e:hc", "e:hc-9", "e:hc-10"]
