"""What measuring a job would teach, on problems with a known answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.learn.arrays import load_training
from harness.learn.costs import Costs
from harness.learn.teaching import (
    DEAR,
    POWER,
    TOGETHER,
    Advice,
    Memory,
    advise,
    judge,
    measured_next,
    next_rows,
)
from harness.learn.train import train
from tests.learn.test_train import dataset


def job(number: int, platform: str, *workloads: str, precision: float | None = None) -> Job:
    engine, _, device = platform.partition(":")
    return Job(str(number), device, engine, workloads, "measure", 0, 50, 30.0, 1.0, None, precision, "chosen")


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return Dataset.open(dataset(tmp_path, platforms=6, workloads=12, rows=300, degrees=2))


def test_what_is_measured_often_teaches_less_than_what_never_was(data: Dataset) -> None:
    rows, features = load_training(data)
    counts = np.zeros((len(features.platform_names), len(features.workload_names)), int)
    np.add.at(counts, (rows.platform, rows.workload), 1)
    most = np.unravel_index(counts.argmax(), counts.shape)
    known = job(0, features.platform_names[most[0]], features.workload_names[most[1]])
    new = [job(1 + i, name, "s0/small/w0") for i, name in enumerate(features.platform_names)]
    alone = advise(data, [known])
    assert alone.nats[0] > 0
    beside = advise(data, [known, job(9, known.platform, known.workloads[0], "s1/small/w1")])
    assert beside.nats[1] > beside.nats[0]  # two observations, each of them less certain
    assert len(advise(data, new).nats) == 6


def test_what_takes_long_to_find_is_remembered_until_rows_are_many_more(data: Dataset) -> None:
    rows, features = load_training(data)
    asked = [job(0, features.platform_names[0], features.workload_names[0])]
    first = advise(data, asked, judged=False)
    assert first.memory is not None and first.memory.rows == len(rows)
    louder = Memory(len(rows), replace(first.memory.hyper, noise=4 * first.memory.hyper.noise))
    assert advise(data, asked, judged=False, memory=louder).nats[0] < first.nats[0]
    long_ago = replace(louder, rows=len(rows) // 2)
    again = advise(data, asked, judged=False, memory=long_ago)
    assert (again.nats[0], again.memory) == (first.nats[0], first.memory)


def test_chances_go_by_information_and_less_by_seconds(data: Dataset) -> None:
    _, features = load_training(data)
    jobs = [job(i, name, "s0/small/w0") for i, name in enumerate(features.platform_names)]
    jobs.append(job(len(jobs), features.platform_names[0], "s0/small/w0", "s1/small/w1"))
    advice = advise(data, jobs, judged=False)
    first = np.bincount([advice.drawn(seed)[0] for seed in range(4000)], minlength=len(jobs)) / 4000
    assert first == pytest.approx(advice.chance / advice.chance.sum(), abs=0.04)
    one, dear, together = Advice(
        np.array([1.0, 2.0, 1.0]), np.array([1.0, 4.0, 1.0]), np.ones(3), np.array([False, False, True]), None
    ).chance
    assert dear / one == pytest.approx(2**POWER / 4**DEAR)
    assert together / one == pytest.approx(TOGETHER)
    table = next_rows(jobs, advice)
    assert [row["nats"] for row in table] == advice.nats[np.argsort(-advice.chance)].tolist()
    best, *others = np.argsort(-advice.chance).tolist()
    jobs[best] = msgspec.structs.replace(jobs[best], drawn="random")  # comes whatever it teaches
    assert [row["nats"] for row in next_rows(jobs, advice)] == advice.nats[others].tolist()


def test_the_error_is_that_of_tables_which_had_not_seen_the_job(data: Dataset) -> None:
    rows, features = load_training(data)
    error = judge(rows, features, [])
    assert error is not None
    assert 0.015 < error.low < error.mape < error.high < 0.2  # the noise alone is 1.6 %
    assert judge(rows[:8], features, []) is None


def test_training_honours_how_jobs_were_drawn(tmp_path: Path) -> None:
    """Chosen jobs train; half of those drawn at random test, and the others calibrate."""
    data = Dataset.create(tmp_path / "data")
    draw = np.random.default_rng(0)
    names = [f"s/m/w{number}" for number in range(40)]
    with data.journal("d") as journal:
        for number, (engine, name) in enumerate((engine, name) for engine in "abc" for name in names):
            one = job(number, f"{engine}:d", name)
            one = msgspec.structs.replace(one, drawn="chosen" if (number + number // 40) % 2 else "random")
            wall_ns = round(1e6 * np.exp(number % 40 / 20 + 0.05 * draw.standard_normal()))
            member = MemberResult(name, "ok", "", [Sample(0, wall_ns, 0, 0, 0, True)])
            journal.append(Entry(one, JobResult(one.id, 0, State(), [member]), "1", "1"))
    data.put_platforms({"platform": f"{engine}:d", "engine": engine, "device": "d", "wall_contains": "process",
                        "features": {engine: 1.0}} for engine in "abc")  # fmt: skip
    data.put_workloads({"workload": name, "features": {"x00": float(i)}} for i, name in enumerate(names))
    trained = train(data)
    assert trained.test_rows == 30
    [pool] = trained.model.pools().values()
    assert (pool.kind, pool.rows) == ("cross", 30)
    assert trained.model.rows_used["training"] == 90


def test_before_anything_is_measured_the_design_is_shown(tmp_path: Path) -> None:
    first = [job(0, "e:d", "v"), job(1, "e:d", "w")]
    rows, seconds = measured_next(None, first, first)
    assert [row["workloads"] for row in rows] == ["v", "w"]
    assert seconds == pytest.approx(sum(Costs().expected_s(one, 0.0) for one in first))
    with pytest.raises(DatasetError):
        advise(Dataset.create(tmp_path / "empty"), first)


def test_what_the_dataset_does_not_describe_comes_first_and_the_rest_by_what_it_teaches(
    data: Dataset,
) -> None:
    _, features = load_training(data)
    known = [job(i, name, "s0/small/w0") for i, name in enumerate(features.platform_names)]
    new = [job(100, "new:d", "s0/small/w0"), job(101, features.platform_names[0], "new/small/w")]
    only_known, its_seconds = measured_next(data, known, known)
    rows, seconds = measured_next(data, [*known, *new], [*new, *known])
    assert [row["platform"] for row in rows[:2]] == ["new:d", features.platform_names[0]]
    assert [row["nats"] for row in rows[:2]] == [None, None]
    assert rows[2:] == only_known[: len(rows) - 2]
    assert seconds == pytest.approx(its_seconds + sum(Costs.of(data).expected_s(one, 0.0) for one in new))
