"""`report NEW --since OLD` says what `compare` says, and the memory section what the samples say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.compare.by_platform import by_platform
from harness.errors import UsageError
from harness.report import write_report
from harness.report.changed import verdict
from harness.report.rows import load_rows
from tests.compare.test_comparison import make
from tests.report.report_data import collected
from tests.report.test_report import maps_of, rows_of


def test_each_platform_has_the_figures_of_compare(harness: Any, tmp_path: Path) -> None:
    old = make(tmp_path / "old", {"fast:pi": 1.0, "slow:pi": 2.0})
    new = make(tmp_path / "new", {"fast:pi": 1.1, "slow:pi": 2.0}, seed=1)
    ran = harness("report", new, "--since", old, "-o", tmp_path / "r.html")
    assert ran.code == 0, ran.err
    found = {row[0]: row[1:] for row in rows_of((tmp_path / "r.html").read_text(), "New over old")}
    for name in ("fast:pi", "slow:pi"):
        told = harness("compare", old, new, "-p", name, "--json")
        whole = json.loads(told.out)[-1]
        figures = [f"{whole[key]:.2f}×" for key in ("ratio", "low", "high")]
        counts = [str(whole[key]) for key in ("faster", "slower", "unknown")]
        assert found[name] == [str(whole["workloads"]), *figures, verdict(whole), *counts]
        workloads = json.loads(harness("compare", old, new, "-p", name, "--workloads", "--json").out)
        ours = dict(by_platform(old, new).platforms)[name].workloads
        assert [
            {key: row[key] for key in told} for row, told in zip(ours, workloads, strict=True)
        ] == workloads
    assert found["fast:pi"][4] == "slower"
    gist = re.search(r'href="#changed">What changed</a>: ([^<]*)<', (tmp_path / "r.html").read_text())
    assert gist
    assert gist[1].startswith("of 2 platforms 1 slower (fast:pi 1.10×)")


def test_a_dataset_that_shares_nothing_is_told(harness: Any, tmp_path: Path) -> None:
    old, new = make(tmp_path / "old", {"a:pi": 1.0}), make(tmp_path / "new", {"b:pi": 1.0})
    with pytest.raises(UsageError, match="no workload was measured in"):
        by_platform(old, new)
    ran = harness("report", new, "--since", old, "-o", tmp_path / "r.html")
    assert ran.code == 2
    assert not (tmp_path / "r.html").exists()


def test_peak_memory_is_the_most_of_any_sample(tmp_path: Path) -> None:
    dataset = collected(tmp_path / "data", memory=True)
    rows = load_rows(dataset)
    samples = dataset.observations(["samples"])["samples"].to_pylist()
    for k in (0, 3, 40, 100):
        most = max((one["max_rss_kb"] for one in samples[k]), default=0)
        assert rows.max_rss_kb[k] == pytest.approx(most or np.nan, nan_ok=True)
    write_report(dataset, None, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    told = {row[0]: float(row[3]) for row in rows_of(page, "Peak memory by platform")}
    mine = [
        one["max_rss_kb"] for row in dataset.observations(["platform", "samples"]).to_pylist()
        if row["platform"] == "wasmtime-j:local" for one in row["samples"]
    ]  # fmt: skip
    assert told["wasmtime-j:local"] == pytest.approx(max(mine) * 1024 / 1e6, rel=0.01)
    assert "memory-map" in maps_of(page)
    write_report(collected(tmp_path / "silent"), None, tmp_path / "r.html")
    assert 'id="memory"' not in (tmp_path / "r.html").read_text()
