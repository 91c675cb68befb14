"""`harness simulate`: policies whose answers are known, and a study of them on held-out times."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.decide.policies import NAMED, grid, policy, size_classes, squared_variation
from harness.decide.policy_study import mark_front
from harness.decide.simulate import Job, play_out, simulate


def queue(seed: int, jobs: int, load: float = 0.8, servers: int = 1, wrong: float = 0.0) -> list[Job]:
    """Poisson arrivals of exponential sizes with mean 1, predicted up to a lognormal factor."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / (load * servers), jobs))
    sizes = rng.exponential(1, jobs)
    told = sizes * np.exp(wrong * rng.standard_normal(jobs))
    return [Job(*one) for one in zip(arrivals.tolist(), sizes.tolist(), told.tolist(), strict=True)]


@pytest.mark.parametrize("name", ["fifo", "ps"])
def test_one_server_waits_as_long_as_theory_says(name: str) -> None:
    """M/M/1: 1 / (μ − λ) = 5, whichever of the two."""
    means = [np.mean(simulate(queue(seed, 6_000), policy(name, 1, [1.0])).jct_s) for seed in range(6)]
    assert np.mean(means) == pytest.approx(5, rel=0.1)


def test_first_come_first_served_is_told_exactly_when_sizes_are() -> None:
    done = simulate(queue(0, 1500, servers=4), policy("fifo", 4, [1.0]))
    errors = np.abs(np.array(done.jct_s) / np.array(done.predicted_jct_s) - 1)
    assert errors.max() < 1e-9


def test_shortest_first_has_the_least_mean() -> None:
    jobs = queue(1, 1500, servers=2)
    sizes = [job.size_s for job in jobs]
    means = {
        name: np.mean(simulate(jobs, policy(name, 2, sizes)).jct_s)
        for name in (*NAMED, "wfq:0.2,1", "wfq:0.05,4")
    }
    assert min(means, key=lambda name: float(means[name])) == "srpt"


def test_jobs_by_hand() -> None:
    """A of 4 at 0, B of 1 at 1, on one processor."""
    jobs = [Job(0, 4, 4), Job(1, 1, 1)]
    assert simulate(jobs, policy("fifo", 1, [1, 4])).jct_s == pytest.approx([4, 4])
    assert simulate(jobs, policy("ps", 1, [1, 4])).jct_s == pytest.approx([5, 2])
    assert simulate(jobs, policy("srpt", 1, [1, 4])).jct_s == pytest.approx([5, 1])
    fair = simulate(jobs, policy("ps", 1, [1, 4]))
    assert fair.predicted_jct_s == pytest.approx([4, 2])  # A's was told before B came


def test_policies_see_what_is_predicted_and_not_what_is() -> None:
    """B is really longer than what is left of A, and was predicted to be shorter."""
    jobs = [Job(0, 4, 4), Job(1, 10, 1)]
    assert simulate(jobs, policy("srpt", 1, [1, 4])).jct_s == pytest.approx([14, 10])


@pytest.mark.parametrize("name", [*NAMED, "wfq:0.2,0", "wfq:0.05,4", "wfq:0.05,90"])
def test_no_processor_idles_while_a_job_could_use_it(name: str) -> None:
    rng = np.random.default_rng(0)
    sizes = rng.lognormal(0, 1.5, 400).tolist()
    for servers in (1, 4):
        one = policy(name, servers, sizes)
        for n in range(1, 12):
            left = rng.choice(sizes, n).tolist()
            shares = one.shares(left, [one.class_of(size) for size in left])
            assert sum(shares) == pytest.approx(min(servers, n))
            assert max(shares) <= 1 + 1e-12
            assert min(shares) >= 0


def test_classes_share_by_weight_and_what_one_cannot_take_goes_to_the_others() -> None:
    sizes = [1.0] * 50 + [100.0] * 50
    weighted = policy("wfq:0.5,1", 1, sizes)
    assert weighted.queues == 2
    e = np.exp(-1)
    assert weighted.shares([1, 100, 1], [0, 1, 0]) == pytest.approx([1 / (1 + e), e / (1 + e), 0])
    by_count = policy("2d", 3, sizes * 3 + [1e4] * 5)
    shares = by_count.shares([1, 100, 1, 1, 1], [0, 1, 0, 0, 0])
    assert shares == pytest.approx([1, 0.6, 1, 0.4, 0])  # three processors, by 4 to 1
    two = policy("wfq:0.5,0", 3, sizes)
    assert two.shares([1, 100, 1, 1], [0, 1, 0, 0]) == pytest.approx(
        [1, 1, 1, 0]
    )  # 1.5 each, and one job takes 1


def test_size_classes_vary_as_little_as_asked() -> None:
    sizes = np.random.default_rng(0).lognormal(0, 1.6, 500).tolist()
    for most in (0.05, 0.3, 1.0):
        edges = [0.0, *size_classes(sizes, most), np.inf]
        classes = [[s for s in sizes if low < s <= high] for low, high in itertools.pairwise(edges)]
        assert sum(map(len, classes)) == 500
        assert all(squared_variation(one) <= most + 1e-9 for one in classes)
        joined = [a + b for a, b in itertools.pairwise(classes)]
        assert all(squared_variation(one) > most for one in joined)


def test_playing_out_ends_with_the_job_asked_about() -> None:
    assert play_out([3, 2], [0, 0], policy("fifo", 1, [1])) == 5
    assert play_out([3, 2], [0, 0], policy("srpt", 1, [1])) == 2
    assert play_out([3, 2], [0, 0], policy("ps", 1, [1])) == 4
    assert (
        play_out([0.0, 2], [0, 0], policy("fifo", 1, [1])) == 2
    )  # longer than predicted, so ended any moment


def test_the_front_is_what_nothing_beats() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": 3},
        {"a": 2, "b": 2},
        {"a": 2, "b": 3},
        {"a": 3, "b": 1},
        {"a": 1, "b": 3},
    ]
    mark_front(rows, ("a", "b"))
    assert [row["on_front"] for row in rows] == [True, True, False, True, True]


def test_a_study_on_held_out_times(lab, harness, tmp_path: Path) -> None:
    written, drawn = tmp_path / "table.parquet", tmp_path / "front.png"
    asked = ["simulate", lab.model, "--check", lab.dataset, "-e", "engine0", "--jobs", "300", "--json"]
    ran = harness(*asked, "-o", written)
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)
    names = [row["policy"] for row in rows]
    assert names[:4] == list(NAMED)
    assert set(names[4:]) <= set(grid())
    assert pq.read_table(written).num_rows == len(rows)
    assert "900 jobs of " in ran.err
    assert "on 2 devices of engine0" in ran.err
    assert any(row["on_front"] for row in rows)
    assert all(row["p50_s"] <= row["p90_s"] <= row["p99_s"] for row in rows)
    again = harness(*asked, "--policy", "ps", "--policy", "wfq:0.2,1", "-d", "device0", "-o", drawn)
    assert [row["policy"] for row in json.loads(again.out)] == ["ps", "wfq:0.2,1"]
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_arrivals_come_from_a_file(lab, harness, tmp_path: Path) -> None:
    lines = ["arrival_s,workload", *(f"{0.01 * i},s/small/w{i % 20}" for i in range(90))]
    (tmp_path / "arrivals.csv").write_text("\n".join(lines))
    asked = [
        "simulate",
        lab.model,
        "--check",
        lab.dataset,
        "-e",
        "engine0",
        "--arrivals",
        tmp_path / "arrivals.csv",
    ]
    ran = harness(*asked)
    assert ran.code == 0, ran.err
    assert "60 jobs of " in ran.err  # the first third chose


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--policy", "lifo"], "--policy lifo must be fifo, ps, srpt, 2d or wfq:T,W"),
        (["--policy", "wfq:0,1"], "--policy wfq:0,1 must be"),
        (["--policy", "wfq:1"], "--policy wfq:1 must be"),
        (["--load", "1.5"], "--load 1.5 must be below 1"),
        (["--front", "mean"], "--front mean must be two of mean, p50"),
        (["-e", "engine7"], "no engine named 'engine7' in the held-out times"),
        (["-d", "device7"], "no device named 'device7' in the held-out times of engine0"),
        (["--arrivals", "nowhere.csv"], "no file nowhere.csv"),
        (["--arrivals", "late.csv"], "late.csv, row 2: arrival_s 'later' must be a number from 0"),
        (["--arrivals", "who.csv"], "no workload named 's/small/w99' in the held-out times (who.csv, row 1)"),
        (["--arrivals", "none.csv"], "none.csv has no rows"),
    ],
)
def test_a_bad_study_is_one_sentence_and_exit_code_2(
    options: list[str], told: str, lab, harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("late.csv").write_text("arrival_s,workload\n1,s/small/w1\nlater,s/small/w1\n")
    Path("who.csv").write_text("arrival_s,workload\n1,s/small/w99\n")
    Path("none.csv").write_text("arrival_s,workload\n")
    asked = ["simulate", lab.model, "--check", lab.dataset, "-o", "out.csv", "-e", "engine0"]
    ran = harness(*asked, *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert not Path("out.csv").exists()
