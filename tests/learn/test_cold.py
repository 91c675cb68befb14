"""Cold starts: measured in new runners, learned as a target of their own, answered beside the steady time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.dataset.records import ColdSample, Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.learn.arrays import load_training
from harness.learn.cold import load_cold
from tests.conftest import Ran
from tests.devices import member, run, session

MS = 1_000_000


def test_each_start_is_a_new_runner_to_the_end_of_its_first_execution(tmp_path: Path) -> None:
    with session(tmp_path) as agent:
        log = {"log": "starts", "number": 7}
        [found] = run(agent, member("w", {"sleep_s": 0.01} | log), cold=3).members
        [refused] = run(agent, member("bad", {"refuse": "bulk memory"}), cold=3).members
    started = (tmp_path / "starts").read_text().split()
    assert (set(started), len(started) % 3) == ({"7"}, 0)  # all of them again where others disturbed them
    assert found.status == "ok"
    assert [start.load_ns for start in found.cold_samples] == [1000] * 3
    for start, sample in zip(found.cold_samples, found.samples, strict=True):
        assert start.wall_ns == 1000 + sample.wall_ns
        assert (start.instantiate_ns, start.first_ns) == (None, sample.wall_ns)
    assert (refused.status, refused.cold_samples) == ("refused", [])


def collected(root: Path, cold: bool) -> Dataset:
    """Twelve workloads on five platforms, measured alone, and started anew where asked: five times as long."""
    dataset, draw, number = Dataset.create(root), np.random.default_rng(0), 0
    dataset.put_platforms(
        {"platform": f"e{p}:d", "engine": f"e{p}", "device": "d", "wall_contains": "instance", "facts": []}
        for p in range(5)
    )
    dataset.put_workloads(
        {"workload": f"s/small/w{w}", "opcodes": [("i32.add", 10**4 * (w + 1)), ("i32.mul", 10 * w + 1)]}
        for w in range(12)
    )
    with dataset.journal("d") as journal:
        for p in range(5):
            for w in range(12):
                wall = round(1e6 * (p + 1) * (w + 2) * np.exp(draw.normal(0, 0.01)))
                for purpose in ("measure", "cold") if cold else ("measure",):
                    number += 1
                    job = Job(f"j{number}", "d", f"e{p}", (f"s/small/w{w}",), purpose, 0, 5, 10.0, 1.0)  # type: ignore[arg-type]
                    anew = [ColdSample(5 * wall, 3 * wall, wall, wall)] if purpose == "cold" else []
                    sample = Sample(1, wall, 0, 0, 0, True)
                    told = MemberResult(
                        job.workloads[0], "ok", "", [sample], regime="steady", cold_samples=anew
                    )
                    journal.append(Entry(job, JobResult(job.id, 0, State(), [told]), "1", "1"))
    dataset.compact()
    return dataset


def test_cold_times_are_a_target_of_their_own(tmp_path: Path) -> None:
    dataset = collected(tmp_path / "d", cold=True)
    (steady, features), (cold, of_cold) = load_training(dataset), load_cold(dataset)
    assert len(steady) == len(cold) == 60
    assert features.workload_names == of_cold.workload_names
    order = [np.lexsort((rows.platform, rows.workload)) for rows in (steady, cold)]
    np.testing.assert_allclose(cold.log_ns[order[1]] - steady.log_ns[order[0]], np.log(5), atol=1e-6)
    with pytest.raises(DatasetError, match="no cold start to learn from; collect some with"):
        load_cold(collected(tmp_path / "without", cold=False))


def test_train_and_predict_answer_for_starting_anew(harness: Callable[..., Ran], tmp_path: Path) -> None:
    collected(tmp_path / "d", cold=True)
    model = tmp_path / "lab.npz"
    trained = harness("train", tmp_path / "d", "-o", model, "--cold", "--calibration-share", 0.3, "--json")
    assert trained.code == 0, trained.err
    assert [row["target"] for row in json.loads(trained.out)] == ["steady", "cold"]
    asked = ("predict", model, "-w", "s/small/w5", "-p", "e2:d", "--eps", 0.2, "--json")
    [row] = json.loads(harness(*asked, "--cold").out)
    assert 3 < row["cold_ns"] / row["mean_ns"] < 8
    beside = harness(*asked, "--cold", "--with", "s/small/w1")
    assert (beside.code, "--cold is for workloads alone" in beside.err) == (2, True)
    (tmp_path / "lab-cold.npz").unlink()
    without = harness(*asked, "--cold")
    assert (without.code, "no model of cold times at" in without.err) == (2, True)
