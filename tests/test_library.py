"""docs/library.md runs as it is written, on a dataset with the names that `make demo` gives."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from harness.dataset.info import Settings
from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.measure.plan import co_runner_sets
from tests.conftest import ROOT

KERNELS = ("gemm", "lu", "atax", "mvt", "bicg", "trisolv", "durbin", "syrk", "cholesky", "symm")
PLATFORMS = {"wasmtime-j": 1.0, "wasmtime-w": 1.6, "wasmtime-p": 9.0, "node-v8": 0.9}


def collected(root: Path, seed: int = 0) -> Dataset:
    """Twenty workloads alone and in pairs on four engines, whose times follow work, speed and a slowdown."""
    rng = np.random.default_rng(seed)
    names = [f"polybench/{size}/{kernel}" for size in ("mini", "small") for kernel in KERNELS]
    work = {name: float(rng.uniform(4, 6) + 2 * ("small" in name)) for name in names}  # log10 of opcodes
    dataset = Dataset.create(root)
    jobs = []
    for engine, speed in PLATFORMS.items():
        sets = [(name,) for name in names] + co_runner_sets(names, 2, engine) * 2
        for number, together in enumerate(sets):
            job = Job(f"{engine}-{number}", "local", engine, together, "measure", 0, 5, 4.0, 0.15)
            members = []
            for name in together:
                ns = speed * 10 ** work[name] * 1.2 ** (len(together) - 1) + 50_000
                times = (ns * rng.normal(1, 0.02, 5)).astype(int).tolist()
                members.append(
                    MemberResult(
                        name, "ok", "", [Sample(1000 * i, t, t, 0, 9000, True) for i, t in enumerate(times)]
                    )
                )
            jobs.append(job)
            entry = Entry(job, JobResult(job.id, 1_790_000_000_000_000_000, State(), members), "1.0", "0.1.0")
            with dataset.journal("local") as journal:
                journal.append(entry)
    dataset.begin(Settings(), "0.1.0", jobs)
    dataset.put_platforms(
        {
            "platform": f"{engine}:local", "engine": engine, "device": "local", "engine_version": "1.0",
            "family": engine.partition("-")[0], "kind": "compiler", "ahead_of_time": False,
            "wall_contains": "instance", "facts": [("max_mhz", "2400")],
        }
        for engine in PLATFORMS
    )  # fmt: skip
    dataset.put_workloads(
        {"workload": name, "argv": [name], "opcodes": [("f64.add", int(10 ** work[name])), ("br_if", 1000)]}
        for name in names
    )
    dataset.compact()
    return dataset


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.M | re.S)


def run(page: str) -> dict[str, Any]:
    """Every block of Python of a page, one after the other, and the names that they leave."""
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"docs/{page}, block {number}", "exec"), names)
    return names


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    return tmp_path


def test_the_page_on_the_library_runs_as_it_is_written(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collected(inside / "datasets" / "demo")
    left = run("library.md")
    told = capsys.readouterr().out
    assert left["per_platform"].height == len(PLATFORMS)
    assert set(left["slowest"]["platform"]) == {"wasmtime-p:local"}
    assert len(left["answers"]) == 2 * len(PLATFORMS)
    assert all(row["mean_ns"] < row["bound_ns"] < math.inf for row in left["answers"])
    test = left["test"]
    error = np.abs(left["model"].predict(test) / np.exp(test.log_ns) - 1)
    assert np.median(error) < 0.2  # it learned the law
    assert (inside / "predicted.png").read_bytes().startswith(b"\x89PNG")
    assert "no workload named 'polybench/small/gem'" in told
    assert "'i32.add': 1" in told


def test_the_page_on_the_dataset_runs_as_it_is_written(inside: Path) -> None:
    dataset = collected(inside / "datasets" / "lab")
    run("dataset.md")
    import duckdb

    [query, newest] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "dataset.md").read_text(), re.S)
    rows = duckdb.sql(query).fetchall()
    assert (
        len(rows)
        == 80
        == sum(1 for row in dataset.observations(["n_co_runners"]).to_pylist() if not row["n_co_runners"])
    )
    assert len(duckdb.sql(newest).fetchall()) == len(dataset.observations(["job"]))
