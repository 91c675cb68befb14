"""What the limit ended is not compared as though it had not happened."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.dataset.schema import OBSERVATIONS
from tests.compare.test_comparison import PROGRAMS, make


def cut(root: Path, workload: str, jobs: int, *, status: str, limit_ns: float) -> None:
    """Make the first jobs of a workload alone end at the limit."""
    [path] = (root / "observations").iterdir()
    rows = pq.read_table(path).to_pylist()
    chosen = [row for row in rows if row["workload"] == workload and not row["co_runners"]][:jobs]
    for row in chosen:
        row.update(status=status, time_ns=limit_ns, censored=True)
        if status == "timeout":
            row.update(wall_ns_mean=None, lower_bound_ns=int(limit_ns))
    pq.write_table(pa.Table.from_pylist(rows, OBSERVATIONS), path)


def test_a_side_with_time_outs_is_at_least_so_much_slower_and_in_no_summary(harness, tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", {"e:pi": 1.0}), make(tmp_path / "b", {"e:pi": 1.0}, seed=1)
    cut(b, PROGRAMS[0], 2, status="timeout", limit_ns=30e9)
    cut(b, PROGRAMS[1], 1, status="ok", limit_ns=1e9)
    ran = harness("compare", a, b, "--workloads", "--json")
    rows = {row["workload"]: row for row in json.loads(ran.out)}
    assert "in 2 workloads the limit ended executions on one side" in ran.err
    for name in PROGRAMS[:2]:
        row = rows[name]
        assert (row["verdict"], row["low"], row["high"]) == ("at least", row["ratio"], None)
        assert row["ratio"] > 2
    assert rows[PROGRAMS[2]]["verdict"] == "no difference shown"
    suites = json.loads(harness("compare", a, b, "--json").out)
    assert suites[-1]["workloads"] == len(PROGRAMS) - 2
    other = {
        row["workload"]: row for row in json.loads(harness("compare", b, a, "--workloads", "--json").out)
    }
    assert other[PROGRAMS[0]]["verdict"] == "at most"


def test_where_the_limit_ended_everything_on_one_side_the_notes_say_so(harness, tmp_path: Path) -> None:
    a = make(tmp_path / "a", {"e:pi": 1.0}, workloads=PROGRAMS[:1])
    b = make(tmp_path / "b", {"e:pi": 1.0}, workloads=PROGRAMS[:1])
    cut(b, PROGRAMS[0], 2, status="timeout", limit_ns=30e9)
    ran = harness("compare", a, b)
    assert (ran.code, ran.out) == (0, "")
    assert "in 1 workload the limit ended executions on one side" in ran.err


def test_a_side_of_the_rule_of_before_is_told_of_once(harness, tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", {"e:pi": 1.0}), make(tmp_path / "b", {"e:pi": 1.0}, seed=1)
    for root, regime in ((a, "steady"), (b, "mixed")):
        [path] = (root / "observations").iterdir()
        rows = [row | {"regime": regime} for row in pq.read_table(path).to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, OBSERVATIONS), path)
    said = harness("compare", a, b).err
    assert (said.count("are of regime mixed"), f"{b}: {len(rows)} of {len(rows)} observations" in said) == (
        1,
        True,
    )
