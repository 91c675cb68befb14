"""What training gets of a dataset: times, and limits where only those are known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.dataset.records import JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.errors import DatasetError, ModelError
from harness.learn.arrays import gather_training, load_training
from harness.learn.export import export_published
from harness.learn.heldout import card_entry, held_out, hold_out
from pitot_core import Features, Observations, Pitot
from tests.dataset.test_store import entry


def dataset_of(root: Path, members: list[MemberResult]) -> Dataset:
    dataset = Dataset.create(root)
    names = sorted({member.workload for member in members})
    dataset.put_workloads({"workload": name, "features": [("a", 1.0 * i)]} for i, name in enumerate(names))
    dataset.put_platforms(
        [{"platform": "wasmtime-j:local", "wall_contains": "instance", "features": [("b", 1.0)]}]
    )
    with dataset.journal("local") as journal:
        for number, member in enumerate(members):
            one = entry(number, member.workload)
            result = JobResult(one.job.id, 1, State(), [member])
            journal.append(msgspec.structs.replace(one, result=result))
    return dataset


def ok(name: str, whole: list[int], cut_off_ns: int | None = None) -> MemberResult:
    samples = [Sample(0, wall, 0, 0, 0, True) for wall in whole]
    return MemberResult(name, "ok", "", samples, cut_off_ns=cut_off_ns)


def test_a_cell_whose_last_execution_was_ended_is_not_the_mean_of_its_survivors(tmp_path: Path) -> None:
    observations, _ = load_training(
        dataset_of(
            tmp_path / "data",
            [
                ok("s/a", [200_000], 30 * 10**9),  # mostly quick, at times longer than the limit
                ok("s/b", [100, 100]),
                MemberResult("s/c", "timeout", "", [], cut_off_ns=5 * 10**9),
                ok("s/d", [100, 500], 300),
                MemberResult("s/e", "trap", "", []),
            ],
        )
    )
    times = np.exp(observations.log_ns).round().tolist()
    assert observations.workload.tolist() == [1, 3, 0, 2]
    assert times == [100, round((600 + 500) / 3), (200_000 + 30 * 10**9) // 2, 5 * 10**9]
    assert observations.censored is not None
    assert observations.censored.tolist() == [False, False, True, True]


def test_a_row_tells_the_pace_of_its_device_by_the_fixed_work_around_it(tmp_path: Path) -> None:
    data = dataset_of(tmp_path / "data", [])
    names = [f"s/w{number}" for number in range(4)]
    data.put_workloads({"workload": name, "features": [("a", 1.0)]} for name in names)
    around = [(20_000, 20_000), (30_000, 0), (45_000, 20_000), (None, None)]
    with data.journal("local") as journal:
        for number, (before, after) in enumerate(around):
            one = entry(number, names[number])
            states = State(yardstick_ns=before), State(yardstick_ns=after)
            result = JobResult(one.job.id, 1, states[0], [ok(names[number], [100])], states[1])
            journal.append(msgspec.structs.replace(one, result=result))
    rows, _ = load_training(data)
    found = dict(zip(rows.workload.tolist(), rows.pace.tolist(), strict=True))  # against the median, of 30 µs
    assert found == pytest.approx({0: np.log(2 / 3), 1: 0.0, 2: 0.0, 3: 0.0}, abs=1e-6)
    given = gather_training(data, calibration=0.1, test=0.0)
    assert given.rows.pace is not None
    assert given.usual == pytest.approx({"local": np.log(30_000)})
    slow, _ = load_training(data, usual={"local": np.log(15_000)})  # a day on which all was slow
    assert sorted(slow.pace) == pytest.approx(sorted([np.log(4 / 3), np.log(2), np.log(2), 0.0]), abs=1e-6)


def test_only_known_times_are_exported_and_tested_with(tmp_path: Path) -> None:
    members = [ok("s/a", [100]), ok("s/b", [200]), ok("s/c", [5], 10**9), ok("s/a", [110]), ok("s/b", [220])]
    members += [ok("s/c", [10])]
    dataset = dataset_of(tmp_path / "data", members)
    assert export_published(dataset, tmp_path / "npz") == {0: 5}
    observations, _ = load_training(dataset)
    for seed in range(20):
        assert observations.measured[hold_out(observations, 0.5, seed).test].all()


def test_a_dataset_of_limits_alone_teaches_nothing(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data", [MemberResult("s/a", "timeout", "", [])])
    with pytest.raises(DatasetError, match="no finished observation to learn from"):
        load_training(dataset)


@pytest.mark.parametrize("change", ["platform_names", "workload_names"])
def test_held_out_jobs_are_not_those_of_other_workloads_or_platforms_with_the_same_numbers(
    change: str,
) -> None:
    """A promise of `held_out`: rows that only look the same are not taken for those that a model was not shown."""
    draw = np.random.default_rng(0)
    rows = Observations.of(
        platform=draw.integers(0, 3, 60), workload=draw.integers(0, 5, 60), log_ns=draw.uniform(5, 9, 60),
        job=np.arange(60),
    )  # fmt: skip
    names = {"platform_names": tuple("pqr"), "workload_names": tuple("abcde")}
    features = Features(workloads=np.zeros((5, 1)), platforms=np.zeros((3, 1)), **names)
    model = Pitot()
    model.card = {"held_out": card_entry(rows, features, hold_out(rows, 0.3, 1).test, 0.3, 1)}
    assert len(held_out(model, rows, features))
    renamed = names | {change: tuple(reversed(names[change]))}
    other = Features(workloads=np.zeros((5, 1)), platforms=np.zeros((3, 1)), **renamed)
    with pytest.raises(ModelError, match="was trained on another dataset"):
        held_out(model, rows, other)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_the_limit_ended_pulls_predictions_towards_the_truth(seed: int) -> None:
    """Times known from a law, jobs above a limit censored: without them predictions near it are far too low."""
    draw = np.random.default_rng(seed)
    work, speed = draw.normal(16, 1.5, 30), draw.normal(0, 0.5, 6)
    features = Features(
        workloads=work[:, None] + draw.normal(0, 0.3, (30, 1)),
        platforms=speed[:, None] + draw.normal(0, 0.1, (6, 1)),
        workload_names=tuple(f"w{i}" for i in range(30)),
        platform_names=tuple(f"p{i}" for i in range(6)),
    )
    platform, workload = np.repeat(np.arange(6), 120), np.tile(np.arange(30), 24)
    true, limit = work[workload] + speed[platform], 17.5
    taken = true + draw.normal(0, 0.5, len(true))
    rows = Observations.of(
        platform=platform, workload=workload, log_ns=np.minimum(taken, limit), job=np.arange(len(true)),
        censored=taken > limit,
    )  # fmt: skip
    near = np.flatnonzero(np.abs(true - limit) < 0.5)

    def bias(known: Observations) -> float:
        return float((np.log(Pitot(seed=0).fit(known, features).predict(rows[near])) - true[near]).mean())

    survivors = bias(rows[rows.measured])
    assert survivors < -0.3
    assert abs(bias(rows)) < 0.7 * abs(survivors)
