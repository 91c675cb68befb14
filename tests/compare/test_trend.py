"""`harness trend`: several datasets as ratios to the first, with their labels, drawn and as data."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from harness.compare.trend import TREND_COLUMNS, picture
from harness.dataset.info import Origin, Settings
from harness.dataset.store import Dataset
from tests.compare.test_comparison import PROGRAMS, make


@pytest.fixture
def nights(tmp_path: Path) -> list[Path]:
    """Three nights: the second is half as fast again, the third as the first, with modules built anew each time."""
    made = []
    for number, factor in enumerate((1.0, 1.5, 1.0)):
        root = make(
            tmp_path / f"n{number}", {"e:pi": factor}, seed=number, version=f"1.{number}",
            changed=tuple(PROGRAMS) if number == 1 else (),
        )  # fmt: skip
        dataset = Dataset.open(root)
        info = dataset.info.begun(
            "2026-11-2{number}", "1", Settings(), Origin(f"night {number}", {"flags": "-O3"})
        )
        dataset.info = msgspec.structs.replace(dataset.info, collections=info)
        dataset._write_info()
        made.append(root)
    return made


def test_each_dataset_is_a_ratio_to_the_first_with_its_label(nights: list[Path], harness) -> None:
    ran = harness("trend", *nights, "--json")
    rows = json.loads(ran.out)
    assert ran.code == 0
    assert list(rows[0]) == [column.key for column in TREND_COLUMNS]
    assert [(row["series"], row["label"]) for row in rows] == [
        (series, f"night {n}") for series in ("other", "poly", "all") for n in range(3)
    ]
    poly = {row["label"]: row for row in rows if row["series"] == "poly"}
    assert [row["ratio"] for row in poly.values()] == [
        1.0,
        pytest.approx(1.5, rel=0.01),
        pytest.approx(1.0, rel=0.01),
    ]
    assert poly["night 1"]["low"] < 1.5 < poly["night 1"]["high"]
    assert (poly["night 0"]["tags"], poly["night 0"]["workloads"]) == (["flags=-O3"], 8)
    assert "they differ: e:pi: engine_version is 1.0 and 1.1" in ran.err


def test_a_picture_for_people_and_one_workload_on_demand(nights: list[Path], harness) -> None:
    ran = harness("trend", *nights, "-w", "poly/small/k3")
    assert ran.code == 0, ran.err
    drawn = [line for line in ran.out.splitlines() if "●" in line]
    assert [line.split()[:2] for line in drawn] == [["night", str(n)] for n in range(3)]
    assert drawn[1].index("●") > drawn[0].index("●")
    only = json.loads(harness("trend", *nights, "--suite", "poly", "--json").out)
    assert {row["series"] for row in only} == {"poly"}


@pytest.mark.parametrize("name", ["trend.png", "trend.svg"])
def test_it_is_drawn_into_a_file(name: str, nights: list[Path], harness, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib; pip install 'harness[plots]'")
    ran = harness("trend", *nights, "--plot", tmp_path / name, "--json")
    assert ran.code == 0, ran.err
    assert (tmp_path / name).stat().st_size > 5000
    wrong = harness("trend", *nights, "--plot", tmp_path / "trend.txt")
    assert (wrong.code, wrong.out) == (2, "")
    assert "must end in .png, .svg or .pdf" in wrong.err


def test_the_picture_holds_its_width_whatever_the_ratios() -> None:
    rows = [
        {"series": "s", "label": "a" * 60, "dataset": "d", "ratio": ratio, "low": low, "high": high}
        for ratio, low, high in ((1.0, 1.0, 1.0), (300.0, 200.0, 900.0), (0.001, None, None))
    ]
    lines = list(picture(rows, 30))
    assert max(map(len, lines)) <= 2 + 24 + 1 + 30 + 8
    assert [line.count("●") for line in lines] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "a trend needs two datasets at least"),
        (["nowhere"], "nowhere is not a dataset"),
        (["-w", "x", "-s", "y"], "a trend needs two datasets"),
    ],
)
def test_a_trend_that_cannot_be_drawn_is_one_sentence(
    options: list[str], told: str, nights: list[Path], harness
) -> None:
    ran = harness("trend", nights[0], *options)
    assert (ran.code, ran.out, len(ran.err.strip().splitlines())) == (2, "", 1)
    assert told in ran.err


def test_a_workload_that_is_not_shared_comes_with_near_names(nights: list[Path], harness) -> None:
    ran = harness("trend", *nights, "-w", "poly/small/k33")
    assert ran.code == 2
    assert "no workload named 'poly/small/k33'" in ran.err and "did you mean poly/small/k3" in ran.err


@pytest.mark.parametrize("option", ["-e", "-d"])
def test_a_trend_is_of_one_engine_and_device(option: str, nights: list[Path], harness) -> None:
    """Two with a comma are the two sides of `compare`, which would be another question."""
    ran = harness("trend", *nights, option, "e,wasm3-i")
    assert (ran.code, ran.out) == (2, "")
    assert (
        f"{option} e,wasm3-i must be one name, as a trend is of one; repeat the command for others."
        in ran.err
    )
