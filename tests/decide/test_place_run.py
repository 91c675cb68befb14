"""`harness place --run`: a placement measured on this machine, beside what was promised, and kept from training."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.dataset.info import Settings
from harness.dataset.store import Dataset
from harness.decide import place_run
from harness.errors import DatasetError
from harness.learn.arrays import load_training
from harness.suites import Suite
from pitot_core import Features, Pitot
from tests.conftest import ROOT, synthetic

QUICK = Settings(repeats=3, limit_s=5.0, co_run_s=0.1, rounds={}, anchors=0)
DEVICES = """devices:
  here: {{transport: local, cache: {0}, engines: [wasmtime-j]}}
  there: {{transport: local, cache: {0}/there, engines: [wasmtime-j]}}
"""


@pytest.fixture
def real(tmp_path: Path, suites: dict[str, Suite], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose first workloads are kernels that are built, and whose devices are this machine."""
    monkeypatch.setattr(place_run, "SETTINGS", QUICK)
    monkeypatch.chdir(tmp_path)
    rows, made_up = synthetic()
    names = ["polybench/mini/gemm", "polybench/mini/lu", *made_up.workload_names[2:]]
    platforms = [
        f"{engine}:{device}"
        for device in ("here", "there")
        for engine in ("wasmtime-j", "wasmtime-p", "wasm9-i")
    ]
    features = Features(made_up.workloads, made_up.platforms, tuple(names), tuple(platforms))
    Pitot(calibration_share=0.2).fit(rows, features).save(tmp_path / "model.npz")
    (tmp_path / "devices.yaml").write_text(DEVICES.format(tmp_path / "cache"))
    (tmp_path / "asked.csv").write_text(
        "workload,deadline_ms,copies,device\npolybench/mini/gemm,60000,1,here\npolybench/mini/lu,60000,2,here;there\n"
    )
    return tmp_path


def test_a_placement_is_measured_as_it_was_placed(real: Path, harness) -> None:
    asked = [
        "place",
        "model.npz",
        "asked.csv",
        "-e",
        "wasmtime-j",
        "--benchmarks",
        ROOT / "benchmarks",
        "--json",
    ]
    ran = harness(*asked, "--run", "placed", "-o", "rows.parquet")
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)
    assert len(rows) == 3
    for row in rows:
        assert row["measured_ns"] > 0
        assert row["held"] == (row["measured_ns"] <= row["bound_ns"])
        assert row["met"] is True  # a kernel of a millisecond within a minute
    assert "3 of 3 deadlines were met" in ran.err
    assert pq.read_table("rows.parquet").num_rows == 3
    dataset = Dataset.open(Path("placed"))
    table = dataset.observations(["purpose", "platform", "n_co_runners", "wall_ns_mean"]).to_pylist()
    assert {row["purpose"] for row in table} == {"place"}
    assert {row["platform"] for row in table} == {row["platform"] for row in rows}
    assert max(row["n_co_runners"] for row in table) == 1
    with pytest.raises(DatasetError, match="no finished observation to learn from"):
        load_training(dataset)
    again = json.loads(harness(*asked, "--run", "placed").out)
    assert [row["measured_ns"] for row in again] == [
        row["measured_ns"] for row in rows
    ]  # what is done is done


@pytest.mark.parametrize(
    ("rows", "options", "code", "told"),
    [
        (
            ["s/small/w5,5000,1,"],
            ["-e", "wasmtime-j"],
            2,
            "no suite here has s/small/w5, so it cannot be run",
        ),
        (["polybench/mini/lu,60000,1,there"], ["--devices-file", "one.yaml"], 2, "no device named 'there'"),
        (["polybench/mini/lu,60000,1,"], ["-e", "wasm9-i"], 2, "no engine named 'wasm9-i'"),
        (["polybench/mini/lu,60000,1,"], ["--check", "x"], 2, "--check alone places nothing"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is(
    rows: list[str], options: list[str], code: int, told: str, real: Path, harness
) -> None:
    Path("one.yaml").write_text("devices:\n  here: {transport: local}\n")
    Path("asked.csv").write_text("\n".join(["workload,deadline_ms,copies,device", *rows]))
    asked = ["place", "model.npz", "asked.csv", "--benchmarks", ROOT / "benchmarks", "--run", "placed"]
    ran = harness(*asked, *options)
    assert (ran.code, ran.out) == (code, "")
    assert told in ran.err
    assert not Path("placed").exists()
