"""A question replayed on measured jobs: only what was measured can be chosen, and its time is what counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.decide.deadlines import Deadlines, places_of
from harness.decide.demands import Demand
from harness.decide.place_check import Replay, check_rows, halves, largest_eps, measured_sets
from pitot_core import Observations, PoolSize

NS = 1e6


class Told:
    """A model that says what it is told to: 10 alone and 12 beside one, with bounds that grow as ε shrinks."""

    def predict(self, queries: Any) -> Any:
        return np.where(queries.n_co_runners > 0, 12 * NS, 10 * NS)

    def bound(self, queries: Any, eps: float) -> Any:
        return self.predict(queries) * (1 + 0.05 * np.log10(1 / eps))

    def pools(self) -> dict[int, PoolSize]:
        return {0: PoolSize(0, 1000, 0.001), 1: PoolSize(1, 1000, 0.001)}


def question(deadlines_ms: list[float], platforms: int = 1) -> Deadlines:
    told: Any = Told()
    demands = [Demand(f"w{i}", limit * NS) for i, limit in enumerate(deadlines_ms)]
    places = places_of([(f"e:d{i}", i) for i in range(platforms)])
    return Deadlines(told, demands, np.arange(len(demands)), places, "bound", 0.05)


def rows(*measured: tuple[int, int, int, float]) -> Observations:
    """Of (platform, workload, co-runner or −1, ms)."""
    p, w, c, t = (np.array(column) for column in zip(*measured, strict=True))
    return Observations.of(p, w, c, log_ns=np.log(t * NS))


def test_only_whole_jobs_of_the_question_can_be_chosen() -> None:
    found = measured_sets(
        question([20, 20, 20]),
        rows(
            (0, 0, -1, 10), (0, 0, -1, 14),  # repeated: the mean
            (0, 1, 0, 11), (0, 0, 1, 12),  # both members
            (0, 2, 1, 13),  # w1 was not measured beside w2
            (0, 7, -1, 5),  # nobody asks for it
            (3, 0, -1, 5),  # not there
            (0, 2, 2, 15),  # two of them, and one copy is asked for
        ),
        2,
    )  # fmt: skip
    told = [
        (members[members >= 0].tolist(), times[members >= 0].tolist())
        for members, times in zip(found.members, found.measured_ns / NS, strict=True)
    ]
    [alone] = [times for members, times in told if members == [0]]
    [both] = [times for members, times in told if members == [0, 1]]
    assert len(told) == 2
    assert alone == pytest.approx([np.sqrt(10 * 14)], rel=0.02)
    assert both == pytest.approx([12, 11])


def test_what_was_measured_decides_who_missed() -> None:
    """One device: two of three pairs are really slow, and nobody but the oracle knows."""
    asked = question([13, 13, 13, 13])
    truth = rows((0, 0, 1, 20), (0, 1, 0, 12), (0, 2, 3, 12.5), (0, 3, 2, 12.9), (0, 0, -1, 10))
    everything = np.ones(1, bool), np.ones(4, bool)
    replay = Replay(asked, measured_sets(asked, truth, 2), [everything])
    oracle = replay.outcome("oracle", 0.05)
    assert (oracle.hosted.tolist(), oracle.missed.tolist()) == ([2], [0])
    alone = replay.outcome("alone", 0.05)
    assert alone.hosted.tolist() == [2]
    assert alone.missed.tolist() in ([0], [1])  # both pairs look alike to it
    bound = replay.outcome("bound", 0.05)  # 10 · 1.065 fits, 12 · 1.065 also
    assert bound.hosted.tolist() == [2]
    assert replay.outcome("bound", 0.01).hosted.tolist() == [1]  # 12 · 1.1 does not


def test_the_largest_eps_that_misses_few_enough_is_taken() -> None:
    """Pairs that are measured at 13.05 with a deadline of 13 miss; bounds below 13 let them in for ε > 0.022."""
    asked = question([13, 13], platforms=4)
    late = rows(*[(p, w, c, 13.05) for p in range(4) for w, c in ((0, 1), (1, 0))])
    replay = Replay(asked, measured_sets(asked, late, 2), [(np.ones(4, bool), np.ones(2, bool))])
    assert replay.outcome("bound", 0.05).violations == 1
    assert replay.outcome("bound", 0.05).over.tolist() == [2]  # 13.05 is above 12 · 1.065 too
    assert largest_eps(replay, 0.01) == 0.02


def test_halves_are_halves() -> None:
    draws = halves(5, 8, seed=1)
    assert {(int(here.sum()), int(asked.sum())) for here, asked in draws} == {(3, 4)}
    assert len({(*here.tolist(), *asked.tolist()) for here, asked in draws}) > 20


def test_a_question_is_checked_on_a_dataset(lab, harness, tmp_path: Path) -> None:
    lines = ["workload,deadline_ms", *(f"s/small/w{i},{4 + 3 * (i % 5)}" for i in range(20))]
    (tmp_path / "asked.csv").write_text("\n".join(lines))
    ran = harness("place", lab.model, tmp_path / "asked.csv", "--check", lab.dataset, "--json")
    assert ran.code == 0, ran.err
    table = {row["policy"]: row for row in json.loads(ran.out)}
    assert list(table) == ["oracle", "bound", "mean", "alone", "share"]
    assert (table["oracle"]["of_oracle"], table["oracle"]["violations"], table["oracle"]["any"]) == (1, 0, 0)
    assert all(0 <= row["violations"] <= row["any"] <= 1 for row in table.values())
    assert table["bound"]["violations"] <= 0.05
    assert table["bound"]["violations"] <= table["bound"]["over_bound"] <= 0.25
    assert {row["over_bound"] for name, row in table.items() if name != "bound"} == {None}
    options = ["--violations", "0.02", "--check", lab.dataset, "--json"]
    placed = harness("place", lab.model, tmp_path / "asked.csv", *options)
    assert placed.code == 1
    assert "was chosen on half of the held-out jobs" in placed.err
    assert len({row["eps"] for row in json.loads(placed.out)}) == 1


def test_a_dataset_the_model_was_not_trained_on_is_refused(
    lab, harness, model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "asked.csv").write_text("workload,deadline_ms\ns/small/w1,5\n")
    other = harness("place", model_path, tmp_path / "asked.csv", "--check", lab.dataset)
    assert (other.code, other.out) == (2, "")
    assert "train it again" in other.err
    few = harness("place", lab.model, tmp_path / "asked.csv", "--check", lab.dataset)
    assert (few.code, "and a replay needs 200" in few.err) == (2, True)


def test_policies_of_a_check_stand_in_one_order() -> None:
    asked = question([13, 13])
    replay = Replay(
        asked, measured_sets(asked, rows((0, 0, -1, 10)), 2), [(np.ones(1, bool), np.ones(2, bool))]
    )
    told = check_rows(replay, 0.05)
    assert [row["hosted"] for row in told] == [1] * 5
