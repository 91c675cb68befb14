"""How long jobs are expected to take: by their rule, and by what earlier ones took."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.learn.costs import COLUMNS, Costs, _jobs
from harness.measure.course import spent_s

KNOWN = 0.01


def job(number: int, engine: str, *workloads: str, precision: float | None = KNOWN) -> Job:
    return Job(str(number), "d", engine, workloads, "measure", 0, 50, 30.0, 1.0, None, precision)


def collected(root: Path, seconds: list[float], *, compile_s: float = 0.0, engine: str = "e") -> Dataset:
    """Jobs of one execution of 0.1 s each that begin so many seconds after each other, of workloads of their own."""
    data, at_s = Dataset.create(root), 1e9
    with data.journal("d") as journal:
        for number, took_s in enumerate(seconds):
            one = job(number, engine, f"w{number}")
            member = MemberResult(
                one.workloads[0], "ok", "", [Sample(0, 10**8, 0, 0, 0, True)],
                compile_ns=round(compile_s * 1e9), cached=False,
            )  # fmt: skip
            result = JobResult(one.id, round(at_s * 1e9), State(), [member])
            journal.append(Entry(one, result, "1", "1"))
            at_s += took_s
    return data


def test_a_job_takes_as_long_as_its_rule_says() -> None:
    nothing, whole = Costs(), job(0, "e", "w", precision=None)
    assert nothing.expected_s(whole, 0.1) == pytest.approx(0.15 + 1 + 5)  # start, ten to warm up, fifty
    assert nothing.expected_s(job(1, "e", "w"), 0.1) == pytest.approx(0.15 + 1 + 0.5)
    assert nothing.expected_s(job(1, "e", "w"), 100.0) == pytest.approx(0.15 + 30 + 30)
    pair = msgspec.structs.replace(whole, workloads=("v", "w"))
    assert nothing.expected_s(pair, 1e-4) == pytest.approx(0.3 + 0.1 + 1)


def test_what_an_engine_takes_besides_is_learned_from_when_jobs_began(tmp_path: Path) -> None:
    costs = Costs.of(collected(tmp_path / "data", [1.5 + 0.7] * 5))  # ten executions to warm up, and five
    assert costs.expected_s(job(9, "e", "w0"), 0.1) == pytest.approx(0.7 + 1.5)
    assert costs.expected_s(job(9, "e", "w0", "w1"), 0.1) == pytest.approx(1.4 + 1.5)
    assert costs.expected_s(job(9, "other", "w0"), 0.1) == pytest.approx(0.15 + 1.5)


def test_compiling_counts_where_no_job_had_the_workload_before(tmp_path: Path) -> None:
    costs = Costs.of(collected(tmp_path / "data", [1.5 + 0.7] * 5, compile_s=0.5))
    assert costs.expected_s(job(9, "e", "w0", "w1"), 0.1) == pytest.approx(2 * 0.2 + 1.5)
    assert costs.expected_s(job(9, "e", "w0", "new"), 0.1) == pytest.approx(2 * 0.2 + 0.5 + 1.5)


def test_a_night_between_two_jobs_is_not_what_a_job_takes(tmp_path: Path) -> None:
    costs = Costs.of(collected(tmp_path / "data", [2.0, 2.0, 2.0, 40_000.0, 2.0, 2.0]))
    assert costs.expected_s(job(9, "e", "w0"), 0.1) == pytest.approx(2.0)


def test_a_clock_that_stands_still_teaches_no_costs(tmp_path: Path) -> None:
    assert not Costs.of(collected(tmp_path / "data", [0.0] * 6)).besides


def test_rows_without_a_rule_teach_no_costs() -> None:
    row = dict.fromkeys(COLUMNS) | {
        "device": "d",
        "job": "1",
        "purpose": "measure",
        "platform": "e:d",
        "time_ns": 1,
    }
    assert _jobs([row | {"repeats": 5, "limit_s": 1.0}]) == []
    assert len(_jobs([row | {"repeats": 5, "limit_s": 1.0, "co_run_s": 1.0, "workload": "w"}])) == 1


def test_device_hours_are_those_between_jobs_without_the_pauses(tmp_path: Path) -> None:
    data = collected(tmp_path / "data", [2.0, 2.0, 40_000.0, 3.0, 3.0])
    assert spent_s(data, 90.0) == pytest.approx(7.0)  # to the beginning of the last one
    assert spent_s(Dataset.create(tmp_path / "empty"), 90.0) == 0.0


def test_of_few_jobs_and_of_imported_rows_nothing_is_learned(tmp_path: Path) -> None:
    assert not Costs.of(collected(tmp_path / "few", [3.0, 3.0])).besides
    assert Costs.of(Dataset.create(tmp_path / "empty")) == Costs()
