"""`harness place`: the best placement there is, in which nobody misses a deadline; bad questions in one sentence."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.decide.assignment import GOALS, Placement, assign, copies_of, packing_of
from harness.decide.colocations import Colocations, grow
from harness.decide.deadlines import Deadlines, places_of
from harness.decide.demands import Demand, read_demands
from harness.decide.greedy import place_greedily
from harness.decide.packing import relax
from harness.decide.place import Request
from harness.decide.place_front import pareto
from pitot_core import Pitot

NS = 1e6


class Toy:
    """Stands for a model: co-runners slow a workload down by their own amounts, and bounds are 5 % higher."""

    def __init__(self, rng: np.random.Generator, platforms: int, workloads: int) -> None:
        self.alone = rng.uniform(1, 3, (platforms, workloads))
        self.presses = rng.uniform(0, 0.6, (platforms, workloads))

    def predict(self, queries: Any) -> Any:
        pressing = self.presses[queries.platform[:, None], queries.co_runners]
        slower = 1 + np.where(queries.co_runners >= 0, pressing, 0).sum(axis=1)
        return NS * self.alone[queries.platform, queries.workload] * slower

    def bound(self, queries: Any, eps: float) -> Any:
        return 1.05 * self.predict(queries)


def small_question(seed: int) -> tuple[Deadlines, int]:
    """Up to 3 devices with up to 2 engines, up to 6 workloads with copies and weights, up to 3 together."""
    rng = np.random.default_rng(seed)
    devices, engines, workloads = rng.integers(1, 4), rng.integers(1, 3), int(rng.integers(2, 7))
    names = [(f"e{e}:d{d}", int(d * engines + e)) for d in range(devices) for e in range(engines)]
    demands = [
        Demand(f"w{i}", float(rng.uniform(1.5, 4) * NS), int(rng.integers(1, 3)), (), float(rng.choice([0.5, 1, 2])))
        for i in range(workloads)
    ]  # fmt: skip
    toy: Any = Toy(rng, devices * engines, workloads)
    deadlines = Deadlines(toy, demands, np.arange(workloads), places_of(names), "bound", 0.05)
    return deadlines, int(rng.integers(1, 4))


def every_set(deadlines: Deadlines, most: int) -> set[tuple[int, tuple[int, ...]]]:
    copies, found = copies_of(deadlines), set()
    for place in range(len(deadlines.places.platforms)):
        for size in range(1, most + 1):
            for members in itertools.combinations_with_replacement(range(len(copies)), size):
                few = all(members.count(i) <= copies[i] for i in members)
                if few and deadlines.judge(np.array([place]), np.array([members])).meets[0]:
                    found.add((place, members))
    return found


def sets_of(known: Colocations) -> list[tuple[int, tuple[int, ...]]]:
    return [(int(p), tuple(m[m >= 0].tolist())) for p, m in zip(known.place, known.members, strict=True)]


def best_value(deadlines: Deadlines, known: Colocations, value: Any) -> float:
    """By trying everything."""
    on = deadlines.places.device[known.place]

    @cache
    def best(device: int, left: tuple[int, ...]) -> float:
        if device == len(deadlines.places.devices):
            return 0.0
        found = best(device + 1, left)
        for row in np.flatnonzero(on == device):
            rest = list(left)
            for member in known.members[row][known.members[row] >= 0]:
                rest[member] -= 1
            if min(rest) >= 0:
                found = max(found, float(value[row]) + best(device + 1, tuple(rest)))
        return found

    return best(0, tuple(copies_of(deadlines).tolist()))


@pytest.mark.parametrize("seed", range(50))
def test_brute_force_finds_nothing_better(seed: int) -> None:
    deadlines, most = small_question(seed)
    known = grow(deadlines, copies_of(deadlines), most)
    sets = sets_of(known)
    assert set(sets) == every_set(deadlines, most)
    for goal in GOALS:
        value = packing_of(deadlines, known, goal).value
        found = assign(deadlines, most, goal)
        reached = sum(value[sets.index((one.place, one.members))] for one in found.residents)
        assert found.optimal
        assert reached == pytest.approx(best_value(deadlines, known, value), abs=1e-6)


def many_together(seed: int = 3, devices: int = 5, workloads: int = 20, most: int = 4) -> Deadlines:
    rng = np.random.default_rng(seed)
    toy: Any = Toy(rng, devices, workloads)
    demands = [Demand(f"w{i}", float(rng.uniform(2, 5) * NS)) for i in range(workloads)]
    names = [(f"e:d{d}", d) for d in range(devices)]
    return Deadlines(toy, demands, np.arange(workloads), places_of(names), "bound", 0.05)


def slowest(deadlines: Deadlines, placement: Placement) -> float:
    """Largest bound / deadline of anybody, asked afresh; and nobody lives twice, no device is used twice."""
    everyone = [i for one in placement.residents for i in one.members]
    assert max(map(everyone.count, everyone)) == 1
    assert len({int(deadlines.places.device[one.place]) for one in placement.residents}) == len(
        placement.residents
    )
    return max(
        bound / deadlines.deadline_ns[i]
        for one in placement.residents
        for i, bound in zip(one.members, deadlines.members(one.place, one.members)[1], strict=True)
    )


def test_four_together_reach_what_the_relaxation_allows() -> None:
    deadlines = many_together()
    found = assign(deadlines, 4)
    assert found.optimal
    assert found.hosted > 10
    assert slowest(deadlines, found) <= 1


def test_where_sets_are_too_many_one_after_the_other_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = many_together()
    best = assign(deadlines, 4)
    monkeypatch.setattr("harness.decide.colocations.MOST_SETS", 40)
    found = assign(deadlines, 4, seconds=3)
    assert not found.complete
    assert best.hosted <= found.at_most <= 4 * 5
    assert slowest(deadlines, found) <= 1
    assert 0.75 * best.hosted <= found.hosted <= best.hosted


def test_the_prices_of_the_relaxation_bound_every_choice() -> None:
    deadlines = many_together(seed=4)
    packing = packing_of(deadlines, grow(deadlines, copies_of(deadlines), 3), "hosted")
    relaxed = relax(packing)
    rows = packing.rows(relaxed.columns)
    assert (rows @ relaxed.x <= packing.limits() + 1e-7).all()
    assert packing.value[relaxed.columns] @ relaxed.x == pytest.approx(relaxed.bound, abs=1e-5)
    early = relax(packing, seconds=0)
    assert early.bound >= relaxed.bound - 1e-9


def test_greedy_keeps_every_deadline() -> None:
    deadlines = many_together(seed=5)
    residents = place_greedily(deadlines, copies_of(deadlines), 3, np.random.default_rng(0), 1.0)
    assert residents
    for place, members in residents:
        assert deadlines.judge(np.array([place]), np.array([members])).meets[0]


def test_each_policy_has_its_own_meaning() -> None:
    rng = np.random.default_rng(0)
    toy: Any = Toy(rng, 1, 2)
    toy.alone[:], toy.presses[:] = [[1.0, 2.0]], [[0.5, 0.25]]  # together 1.25 and 3, bounds 5 % more

    def meets(policy: Any, first: float, second: float) -> bool:
        demands = [Demand("a", first * NS), Demand("b", second * NS)]
        asked = Deadlines(toy, demands, np.arange(2), places_of([("e:d", 0)]), policy, 0.05)
        return bool(asked.judge(np.array([0]), np.array([[0, 1]])).meets[0])

    assert [meets("bound", 1.32, 3.16), meets("bound", 1.3, 3.16)] == [True, False]
    assert [meets("mean", 1.26, 3.01), meets("mean", 1.26, 2.99)] == [True, False]
    assert [meets("alone", 1.01, 2.01), meets("alone", 0.99, 2.01)] == [True, False]
    assert [meets("share", 2.01, 4.01), meets("share", 1.99, 3.99)] == [True, False]


HEADS = ("workload", "deadline_ms", "copies", "device", "weight")
ROWS = [
    {"workload": "s/small/w3", "deadline_ms": 50.0, "copies": 2},
    {"workload": "s/small/w4", "deadline_ms": 0.0001},
    {"workload": "s/small/w5", "deadline_ms": 500.0, "device": "device1", "weight": 2.0},
]


def write_asked(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{key: row.get(key) for key in HEADS} for row in rows]), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(HEADS), *(",".join(str(row.get(key, "")) for key in HEADS) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_question_is_read_alike_from_every_kind_of_file(suffix: str, tmp_path: Path) -> None:
    told: list[str] = []
    assert read_demands(write_asked(tmp_path / f"asked{suffix}", ROWS), told.append) == [
        Demand("s/small/w3", 50e6, 2),
        Demand("s/small/w4", 100.0),
        Demand("s/small/w5", 500e6, 1, ("device1",), 2.0),
    ]
    assert told == []


def test_a_column_that_means_nothing_is_told_and_a_row_that_is_too_long_refused(
    harness, model_path: Path, tmp_path: Path
) -> None:
    asked = tmp_path / "asked.csv"
    asked.write_text("workload,deadline_ms,devices\ns/small/w3,500,device1\n")
    ran = harness("place", model_path, asked)
    assert (ran.code, f"{asked}: not used: devices; the columns are workload, " in ran.err) == (0, True)
    asked.write_text("workload,deadline_ms\ns/small/w3,500\ns/small/w4,1,500\n")
    ran = harness("place", model_path, asked)
    assert (ran.code, f"{asked}, row 2: it has 3 cells, and there are 2 columns; correct it." in ran.err) == (
        2,
        True,
    )


def test_a_placement_says_where_everybody_lives_and_why_somebody_does_not(
    harness, model_path: Path, tmp_path: Path
) -> None:
    asked = write_asked(tmp_path / "asked.csv", ROWS)
    written, picture = tmp_path / "placed.csv", tmp_path / "placed.svg"
    ran = harness("place", model_path, asked, "--eps", "0.1", "--json", "-o", written, "--picture", picture)
    assert ran.code == 1
    rows = json.loads(ran.out)
    assert [(row["workload"], row["copy"]) for row in rows] == [
        ("s/small/w3", 1), ("s/small/w3", 2), ("s/small/w4", 1), ("s/small/w5", 1),
    ]  # fmt: skip
    assert rows[3]["device"] == "device1"
    assert rows[2]["device"] is None
    assert rows[2]["reason"].startswith("alone its best bound is ")
    for row in rows[:2] + rows[3:]:
        assert row["platform"] == f"{row['engine']}:{row['device']}"
        assert row["mean_ns"] < row["bound_ns"] <= row["deadline_ns"]
        assert row["slack"] == pytest.approx(1 - row["bound_ns"] / row["deadline_ns"])
    beside = {(row["workload"], row["device"]): row["with"] for row in rows if row["device"]}
    for (name, device), others in beside.items():
        for other in others:
            assert name in beside[other, device]
    assert "3 of 4 hosted on " in ran.err
    assert "(optimal)" in ran.err
    assert len(written.read_text().splitlines()) == 5
    assert picture.read_text().startswith("<svg ")
    assert "s/small/w4" in picture.read_text()


def test_numbers_of_a_placement_are_the_models_own(harness, model_path: Path, tmp_path: Path) -> None:
    asked = write_asked(tmp_path / "asked.csv", ROWS)
    for row in json.loads(harness("place", model_path, asked, "--json").out):
        if row["device"]:
            beside = ["--with", ",".join(row["with"])] if row["with"] else []
            [told] = json.loads(
                harness(
                    "predict", model_path, "-w", row["workload"], "-p", row["platform"], "--json", *beside
                ).out
            )
            assert (told["mean_ns"], told["bound_ns"]) == pytest.approx((row["mean_ns"], row["bound_ns"]))


def test_exit_code_0_when_all_are_hosted(harness, model_path: Path, tmp_path: Path) -> None:
    asked = write_asked(tmp_path / "asked.csv", [ROWS[0], ROWS[2]])
    ran = harness("place", model_path, asked, "-d", "device1", "--for", "devices", "--most", "2")
    assert ran.code == 1  # three do not fit on one device that takes two
    assert "it fits alone on 1 device, better used by others" in ran.out
    assert harness("place", model_path, asked).code == 0


def test_the_front_has_no_placement_that_another_beats(model_path: Path) -> None:
    model = Pitot.load(model_path)
    demands = [Demand(f"s/small/w{i}", 40e6) for i in range(8)]
    rows = pareto(model, demands, Request(seconds=5), lambda: None)
    assert {row["most"] for row in rows} == {1, 2}
    figures = [(row["eps"], -row["hosted"], row["devices"], row["time_ns"]) for row in rows]
    for one, other in itertools.permutations(figures, 2):
        assert one == other or any(a > b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("row", "options", "told"),
    [
        ({"workload": "s/small/w33"}, [], "no workload named 's/small/w33' in the model"),
        ({"device": "device7"}, [], "no device named 'device7' in the model"),
        ({"deadline_ms": 0}, [], "asked.csv, row 1: deadline_ms '0' must be a number above 0"),
        ({"deadline_ms": "soon"}, [], "row 1: deadline_ms 'soon' must be a number above 0"),
        ({"deadline_ms": ""}, [], "row 1: give one deadline, in deadline_ms or in deadline_ns, not 0"),
        ({"copies": 1.5}, [], "row 1: copies 1.5 must be a whole number from 1"),
        ({"weight": -1}, [], "row 1: weight '-1' must be a number above 0"),
        ({"workload": ""}, [], "row 1: column 'workload' is missing or empty"),
        ({}, ["-d", "device9"], "no device named 'device9' in the model"),
        ({}, ["-e", "engin0"], "no engine named 'engin0' in the model"),
        ({"device": "device0"}, ["-d", "device1"], "row 1: no device is left for s/small/w3"),
        ({}, ["--most", "3"], "--most 3 together was never calibrated, only up to 2; give --most 2"),
        ({}, ["--eps", "0.0001"], "calibration rows with no co-runner support no ε below"),
        ({}, ["--eps", "1"], "--eps 1 must be between 0 and 1"),
        ({}, ["--for", "fun"], "--for fun must be hosted, devices or time"),
        ({}, ["--policy", "hope"], "--policy hope must be bound, mean, alone or share"),
        ({}, ["--violations", "0.01"], "--violations needs measured jobs"),
        ({}, ["--check", "nowhere"], "--check alone places nothing"),
        ({}, ["--check", "nowhere", "--violations", "0.01"], "nowhere"),
    ],
)  # fmt: skip
def test_a_bad_question_is_one_sentence_and_exit_code_2(
    row: dict[str, Any], options: list[str], told: str, harness, model_path: Path, tmp_path: Path
) -> None:
    asked = write_asked(tmp_path / "asked.csv", [{"workload": "s/small/w3", "deadline_ms": 50} | row])
    ran = harness("place", model_path, asked, "-o", tmp_path / "placed.csv", *options)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "placed.csv").exists()


def test_an_empty_question_and_a_missing_file_are_refused(harness, model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("workload,deadline_ms\n")
    assert "has no rows; give one per workload" in harness("place", model_path, tmp_path / "asked.csv").err
    missing = harness("place", model_path, tmp_path / "none.csv")
    assert (missing.code, "no file" in missing.err) == (2, True)


@pytest.mark.parametrize("policy", ["bound", "mean", "alone", "share"])
def test_where_nothing_fits_nobody_is_hosted(policy: str, harness, model_path: Path, tmp_path: Path) -> None:
    asked = write_asked(tmp_path / "asked.csv", [{"workload": "s/small/w3", "deadline_ms": 0.00001}])
    ran = harness("place", model_path, asked, "--policy", policy, "--json")
    assert ran.code == 1
    [row] = json.loads(ran.out)
    assert (row["device"], row["reason"][:15]) == (None, "alone its best ")
    assert "0 of 1 hosted on 0 of 2 devices (optimal)" in ran.err
