"""The report's section on placebos and steadiness: what is off is said first, with figures and what to look for."""

from __future__ import annotations

import re
from pathlib import Path

from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.regimes import Regimes
from harness.dataset.store import Dataset
from harness.measure.status import status_rows
from harness.report.rows import load_rows
from harness.report.steadiness import steadiness
from tests.measure.test_placebo import collected


def add(dataset: Dataset, regime: str | None, unsteady: str | None, count: int) -> None:
    """Observations alone, of a platform that measured no placebo."""
    with dataset.journal("other") as journal:
        for number in range(count):
            job = Job(
                f"{regime}{unsteady}{number}", "d", "e", (f"s/small/w{number}",), "measure", 0, 5, 10.0, 1.0
            )
            samples = [Sample(i, 1000, 0, 0, 0, True) for i in range(6)]
            told = MemberResult(job.workloads[0], "ok", "", samples, regime=regime, unsteady=unsteady)  # type: ignore[arg-type]
            journal.append(Entry(job, JobResult(job.id, 0, State(), [told]), "1", "1"))


def said(dataset: Dataset) -> tuple[str, str]:
    [section] = steadiness(dataset, load_rows(dataset))
    return re.sub(r"<[^>]+>", " ", section.body).replace("\u00a0", " "), section.gist


def test_what_is_off_or_not_steady_is_told_with_figures(tmp_path: Path) -> None:
    dataset = collected(tmp_path / "d", 0.8, 2.0, 1.0)
    add(dataset, "steady", "became 30 % faster at once, after about 20 of 60 executions", 3)
    add(dataset, "steady", None, 7)
    text, gist = said(dataset)
    assert re.search(
        r"e:local: beside a sleeper 0\.80× \(0\.\d\d to 0\.\d\d\) where 1\.00× is true; look for other", text
    )
    assert "e:d: 3 of 10 observations alone are unsteady (30 %)" in text
    assert text.count("became 30 % faster at once") == 3
    assert gist == "1 of 3 placebos is off, 3 observations unsteady."
    assert {row["platform"]: row["unsteady"] for row in status_rows(dataset)} == {"e:local": 0, "e:d": 3}
    assert dataset.snapshot().counted(Regimes.columns, Regimes).told() == ""


def test_rows_of_the_rule_of_before_are_warned_about_once(tmp_path: Path, harness) -> None:
    dataset = Dataset.create(tmp_path / "d")
    add(dataset, None, None, 4)
    text, _ = said(dataset)
    sentence = dataset.snapshot().counted(Regimes.columns, Regimes).told()
    assert sentence.startswith("4 of 4 observations are of regime mixed")
    assert (text.count(sentence), harness("status", dataset.root).err.count(sentence)) == (1, 1)


def test_nothing_is_said_of_what_was_not_measured(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "d")
    add(dataset, "process", None, 2)
    assert said(dataset) == ("", "")
