"""Placebos: which jobs they are, and what is said where their known truth is missed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from harness.dataset.info import Settings
from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.measure.placebo import KINDS, SLEEPER, SPINNER, STREAMER, TWIN, placebo_rows, placebos_of
from harness.measure.plan import make_plan
from harness.suites.build import build
from harness.suites.catalogue import load_suites, load_workloads
from harness.suites.ready import STARTUP


def collected(
    root: Path,
    sleeper: float,
    shared: float,
    own: float,
    noise: float = 0.01,
    yardsticks: tuple[int | None, ...] = (None,),
) -> Dataset:
    """A dataset of two rounds of placebos whose slowdowns are given, and what fixed work took in turns after them; a
    spinner takes 1 ms, a streamer 2 ms.
    """
    dataset, draw, number = Dataset.create(root), random.Random(0), 0
    factors = {None: sleeper, "one": shared, "each": own}
    with dataset.journal("local") as journal:
        for turn in (0, 1):
            for kind in KINDS:
                number += 1
                job = Job(f"j{number}", "local", "e", kind.together, "placebo", turn, 5, 10.0, 0.25, kind.pin)
                members = []
                for name in kind.together:
                    mean = {SLEEPER: 20e6, STREAMER: 2e6}.get(name, 1e6)
                    if len(kind.together) > 1 and name != SLEEPER:
                        mean *= factors[kind.pin]
                    walls = [round(mean * max(0.1, draw.gauss(1, noise))) for _ in range(100)]
                    samples = [Sample(i, wall, 0, 0, 0, True) for i, wall in enumerate(walls)]
                    members.append(MemberResult(name, "ok", "", samples, regime="steady"))
                after = State(yardstick_ns=yardsticks[number % len(yardsticks)])
                journal.append(Entry(job, JobResult(job.id, 0, State(), members, after), "1", "1"))
    return dataset


def test_what_is_as_it_should_be_is_told_with_its_interval(tmp_path: Path) -> None:
    rows = placebo_rows(collected(tmp_path / "d", 1.0, 2.0, 1.0))
    assert [(row["placebo"], row["truth"], row["pairs"], row["verdict"]) for row in rows] == [
        ("beside a sleeper", 1.0, 4, ""),
        ("two spinners on one processor", 2.0, 4, ""),
        ("spinners on two processors", 1.0, 4, ""),
    ]
    for row in rows:
        assert row["low"] < row["truth"] < row["high"]
        assert row["high"] / row["low"] < 1.02


@pytest.mark.parametrize(
    ("slowdowns", "off", "cause"),
    [
        ((0.8, 2.0, 1.0), "beside a sleeper", "other work beside the jobs"),
        ((1.1, 2.0, 1.0), "beside a sleeper", "other work beside the jobs"),
        ((1.0, 2.4, 1.0), "two spinners on one processor", "something else ran on that processor"),
        ((1.0, 2.0, 1.6), "spinners on two processors", "siblings of one core"),
    ],
)
def test_what_is_off_is_told_with_what_to_look_for(slowdowns, off: str, cause: str, tmp_path: Path) -> None:
    rows = placebo_rows(collected(tmp_path / "d", *slowdowns))
    assert [row["placebo"] for row in rows if row["verdict"]] == [off]
    assert next(row["verdict"] for row in rows if row["verdict"]).startswith(cause)


def test_where_fixed_work_took_longer_that_is_the_cause(tmp_path: Path) -> None:
    busy = placebo_rows(collected(tmp_path / "busy", 1.2, 2.0, 1.0, yardsticks=(20_000, 31_000, 30_000)))
    assert [row["pace"] for row in busy] == [1.5, 1.5, 1.5]
    assert [row["verdict"][:38] for row in busy] == ["fixed work took 1.50 times its fastest", "", ""]
    quiet = placebo_rows(collected(tmp_path / "quiet", 1.2, 2.0, 1.0, yardsticks=(20_000, 21_000, 20_500)))
    assert quiet[0]["pace"] == 1.025
    assert quiet[0]["verdict"].startswith("other work beside the jobs")
    untold = placebo_rows(collected(tmp_path / "untold", 1.0, 2.0, 1.0))
    assert [row["pace"] for row in untold] == [None, None, None]


def test_noise_makes_intervals_wide_and_no_verdicts(tmp_path: Path) -> None:
    rows = placebo_rows(collected(tmp_path / "d", 1.04, 2.0, 1.0, noise=0.3))
    assert rows[0]["high"] / rows[0]["low"] > 1.04
    assert rows[0]["verdict"] == ""


def test_every_platform_measures_them_as_often_as_asked_and_what_its_processors_allow() -> None:
    known = load_workloads()
    names = {SLEEPER, SPINNER, TWIN, STREAMER}
    placebos = placebos_of(known)
    assert {one.name for one in placebos} == names
    build(
        [
            suite.only([*names, STARTUP])
            for suite in load_suites().values()
            if suite.name in ("placebo", "startup")
        ]
    )
    settings = Settings(rounds={}, anchors=0, placebos=2, cold=3)
    platforms = [("wasmtime-j", "one"), ("wasmtime-j", "two")]
    gemm = known[STARTUP]
    plan = make_plan(
        platforms, [gemm], known[STARTUP], settings, placebos=placebos, processors={"one": 1, "two": 2}
    )
    found = {
        device: sorted((job.workloads, job.pin or "", job.position) for job in plan.jobs
                       if job.purpose == "placebo" and job.device == device)
        for device in ("one", "two")
    }  # fmt: skip
    wanted = sorted((kind.together, kind.pin or "", turn) for kind in KINDS for turn in (0, 1))
    assert found["two"] == wanted
    assert found["one"] == [one for one in wanted if one[1] != "each"]
    assert len({job.id for job in plan.jobs}) == len(plan.jobs)
    assert [(job.repeats, job.degree) for job in plan.jobs if job.purpose == "cold"] == [(3, 1)] * 2
