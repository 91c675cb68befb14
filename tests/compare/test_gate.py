"""`harness compare --fail-above`: what stops a change, what does not, and how that is told to other programs."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from harness.compare.comparison import Comparison
from harness.compare.gate import Check, Gate, gate
from harness.compare.gate_summary import markdown, write_junit
from harness.compare.ratios import estimate
from tests.compare.test_comparison import PROGRAMS, make
from tests.compare.test_ratios import CELLS, PLACES, WORKLOAD, WORKLOADS, measure


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return make(tmp_path / "before", {"e:pi": 1.0}, seed=1)


@pytest.mark.parametrize(
    ("factor", "limit", "code"), [(1.3, "5%", 1), (1.3, "50%", 0), (1.0, "5%", 0), (0.5, "0%", 0)]
)
def test_only_what_is_surely_slower_than_the_limit_stops_it(
    factor: float, limit: str, code: int, before: Path, harness, tmp_path: Path
) -> None:
    ran = harness(
        "compare", before, make(tmp_path / "after", {"e:pi": factor}, seed=2), "--fail-above", limit
    )
    assert ran.code == code, ran.err
    failing = f"slower by more than {limit[:-1]} % are {11 * code} of 11 workloads, {2 * code} of 3 suites"
    assert failing in ran.err.splitlines()[-1]


def test_a_workload_that_broke_stops_it_and_is_named(before: Path, harness, tmp_path: Path) -> None:
    after = make(tmp_path / "after", {"e:pi": 1.0}, seed=2, failed=("poly/small/k5",))
    ran = harness("compare", before, after, "--fail-above", "5%")
    assert ran.code == 1
    assert "broken: poly/small/k5: timeout in B" in ran.err
    assert harness("compare", after, before, "--fail-above", "5%").code == 0  # it was mended


def test_modules_built_anew_are_paired_by_name_on_demand(before: Path, harness, tmp_path: Path) -> None:
    after = make(tmp_path / "after", {"e:pi": 2.0}, seed=2, changed=tuple(PROGRAMS))
    assert harness("compare", before, after, "--fail-above", "5%").code == 2
    ran = harness("compare", before, after, "--fail-above", "5%", "--rebuilt")
    assert ran.code == 1
    assert "11 workloads were paired by name alone" in ran.err


def test_where_no_noise_is_known_there_is_no_verdict(harness, tmp_path: Path) -> None:
    few = PROGRAMS[:4]
    a, b = (
        make(tmp_path / name, {"e:pi": 1.0}, seed=seed, jobs=1, workloads=few)
        for seed, name in enumerate("ab")
    )
    ran = harness("compare", a, b, "--fail-above", "5%", "--junit", tmp_path / "out.xml")
    assert (ran.code, ran.out, (tmp_path / "out.xml").exists()) == (2, "", False)
    assert "nothing can be judged: no workload was measured often enough to know its noise" in ran.err


def test_chance_stops_at_most_one_comparison_in_twenty() -> None:
    """Of 20 workloads each exactly at the limit, the hardest case: by single intervals it would be four in ten."""
    draw = np.random.default_rng(11)
    stopped, careless = [], []
    for _ in range(150):
        (a, _), (b, _) = measure(draw, np.log(1.05), np.full(CELLS, 2))
        found = estimate(a, b, WORKLOAD, WORKLOADS, PLACES)
        rows = [
            {"workload": str(i), "verdict": "", "ratio": np.exp(found.log_ratio[i]), "low": np.exp(found.low[i]),
             "high": np.exp(found.high[i]), "log_error": found.error[i], "freedom": found.freedom[i]}
            for i in range(WORKLOADS)
        ]  # fmt: skip
        stopped.append(not gate(Comparison("a", "b", [], rows, []), 0.05).passed)
        careless.append((found.low > np.log(1.05)).any())
    assert np.mean(stopped) <= 0.09  # 5 % and what chance adds to 150 turns
    assert np.mean(careless) > 0.25


def test_markdown_and_junit_hold_any_name(tmp_path: Path) -> None:
    evil = "s/x|<script>`*&\x1b[31m]]>\ufffe"
    found = Comparison("a<b>", "b|c", [], [], ["note <b>"])
    checks = [
        Check("workload", evil, "slower", 2.0, 1.9, 2.1),
        Check("workload", "s/ok", "passed", 1.0, 0.9, 1.1),
    ]
    checks += [
        Check("workload", "s/gone", "broken", None, None, None, "trap"),
        Check("suite", "s", "unknown", 1.0, None, None),
    ]
    judged = Gate(0.05, checks)
    text = markdown(found, judged)
    assert "<script>" not in text
    assert [line.count("|") for line in text.splitlines() if line.startswith("| s")] == [5, 5, 5]
    assert "2 of 3 workloads, 0 of 1 suite" in text
    write_junit(found, judged, tmp_path / "out.xml")
    suite = ET.parse(tmp_path / "out.xml").getroot().find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "2",
        "skipped": "1",
    }
    cases = [(case.get("classname"), case.find("failure") is not None) for case in suite.iter("testcase")]
    assert cases == [("s", True), ("s", False), ("s", True), ("suites", False)]
    assert "\\x1b[31m]]>\\ufffe" in next(suite.iter("failure")).get("message", "")


def test_a_summary_for_a_pull_request(before: Path, harness, tmp_path: Path) -> None:
    after = make(tmp_path / "after", {"e:pi": 1.5}, seed=2)
    ran = harness(
        "compare", before, after, "--fail-above", "5%", "--markdown", "--junit", tmp_path / "out.xml"
    )
    assert ran.code == 1
    assert "❌ **failed: slower by more than 5 % are 11 of 11 workloads, 2 of 3 suites**" in ran.out
    assert "| poly | 1.5" in ran.out
    assert len(list(ET.parse(tmp_path / "out.xml").getroot().iter("failure"))) == 13
    assert "| poly | 8 | 1.5" in harness("compare", before, after, "--markdown").out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fail-above", "0.05"], "--fail-above 0.05 must be a percentage, such as 5%"),
        (["--fail-above", "nan%"], "must be a percentage"),
        (["--junit", "x.xml"], "give --fail-above too"),
        (["--markdown", "--json"], "give --markdown alone"),
    ],
)
def test_a_gate_asked_for_wrongly_is_one_sentence(
    options: list[str], told: str, before: Path, harness
) -> None:
    ran = harness("compare", before, before, *options)
    assert (ran.code, ran.out, len(ran.err.strip().splitlines())) == (2, "", 1)
    assert told in ran.err
