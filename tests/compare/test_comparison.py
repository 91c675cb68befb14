"""`harness compare`: what is paired, what is refused, and what is printed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from harness.compare.comparison import HISTOGRAM_COLUMNS, SUITE_COLUMNS, WORKLOAD_COLUMNS, sides
from harness.compare.histogram import histogram
from harness.dataset.published import import_published
from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
from harness.errors import UsageError
from tests.dataset.test_published import write_all

FACTS = {"model_name": "Example 3000", "cores": "4", "memory_bytes": "4000000000", "max_mhz": "1500"}
PROGRAMS = [f"poly/small/k{i}" for i in range(8)] + [f"other/small/o{i}" for i in range(3)]


def make(
    root: Path,
    platforms: dict[str, float],
    *,
    seed: int = 0,
    facts: dict[str, str] = FACTS,
    version: str = "1.0",
    jobs: int = 3,
    workloads: list[str] = PROGRAMS,
    changed: tuple[str, ...] = (),
    failed: tuple[str, ...] = (),
    contains: dict[str, str] | None = None,
    slow: tuple[str, ...] = (),
) -> Path:
    """A dataset in which each platform takes so many times as long; ``changed`` modules have another hash.

    On the platforms ``slow`` three of twenty executions take three times as long as the others.
    """
    draw, rows = np.random.default_rng(seed), []
    for platform, factor in platforms.items():
        engine, _, device = platform.partition(":")
        for number, workload in enumerate(workloads):
            for beside in ([], [workloads[number - 1]]):
                for job in range(jobs):
                    level = 1e6 * (number + 1) * factor * np.exp(draw.normal(0, 0.01))
                    walls = (level * np.exp(draw.normal(0, 0.02, 20))).astype(int).tolist()
                    if platform in slow:
                        walls[::7] = [3 * wall for wall in walls[::7]]
                    ok = workload not in failed
                    rows.append(
                        {
                            "job": f"{platform}{workload}{beside}{job}", "purpose": "measure",
                            "platform": platform, "engine": engine, "device": device, "workload": workload,
                            "co_runners": beside, "n_co_runners": len(beside), "engine_version": version,
                            "status": "ok" if ok else "timeout",
                            "wall_ns_mean": float(np.mean(walls)) if ok else None,
                            "samples": [{"wall_ns": wall, "covered": True} for wall in walls],
                            "state_before": {"governor": "performance"}, "limit_s": 30.0,
                        }
                    )  # fmt: skip
    dataset = Dataset.create(root)
    dataset.add_part(pa.Table.from_pylist(rows, OBSERVATIONS))
    dataset.put_platforms(
        {
            "platform": platform, "engine": platform.partition(":")[0], "device": platform.partition(":")[2],
            "facts": facts, "wall_contains": (contains or {}).get(platform, "instance"),
        }
        for platform in platforms
    )  # fmt: skip
    dataset.put_workloads(
        {"workload": name, "identity_sha256": f"{name}{'*' if name in changed else ''}"} for name in workloads
    )
    return root


def rows_of(ran: Any) -> list[dict[str, Any]]:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_two_engines_of_one_dataset_with_the_true_ratio_in_every_interval(harness, tmp_path: Path) -> None:
    root = make(tmp_path / "lab", {"fast:pi": 1.0, "slow:pi": 1.25})
    ran = harness("compare", root, "-e", "fast,slow", "--json")
    other, poly, overall = rows_of(ran)
    assert (other["suite"], poly["suite"], overall["suite"]) == ("other", "poly", "all")
    assert (overall["workloads"], overall["cells"]) == (11, 22)
    assert overall["ratio"] == pytest.approx(1.25, rel=0.01)
    assert overall["low"] <= 1.25 <= overall["high"]
    assert (other["low"], other["high"]) == (None, None)
    assert (overall["slower"], overall["faster"], overall["unknown"]) == (11, 0, 0)
    assert overall["minimum"] <= overall["quartile_1"] <= overall["median"] <= overall["maximum"]
    assert sum(overall["counts"]) == 11
    assert len(overall["edges"]) == len(overall["counts"]) + 1
    assert list(overall) == [column.key for column in (*SUITE_COLUMNS, *HISTOGRAM_COLUMNS)]
    assert "22 cells paired; not paired: none" in ran.err
    workloads = rows_of(harness("compare", root, "-e", "fast,slow", "--workloads", "--json"))
    assert [row["workload"] for row in workloads] == sorted(PROGRAMS)
    assert list(workloads[0]) == [column.key for column in WORKLOAD_COLUMNS]
    assert {(row["jobs_a"], row["jobs_b"], row["cells"], row["verdict"]) for row in workloads} == {
        (6, 6, 2, "slower")
    }


def test_means_medians_and_tails_are_compared_as_asked(harness, tmp_path: Path) -> None:
    """Three of twenty executions that take three times as long: 1.3 in the mean, 3 in the tail, 1 in the middle."""
    root = make(tmp_path / "lab", {"even:pi": 1.0, "odd:pi": 1.0}, slow=("odd:pi",))
    for statistic, true in (("mean", 1.3), ("median", 1.0), ("p95", 3.0)):
        ran = harness("compare", root, "-e", "even,odd", "--statistic", statistic, "--json")
        overall = rows_of(ran)[-1]
        assert overall["ratio"] == pytest.approx(true, rel=0.03), statistic
        assert overall["slower"] == (0 if statistic == "median" else 11), statistic
        told = "" if statistic == "mean" else f"compared are the samples' {statistic}s"
        assert told in ran.err
    refused = harness("compare", root, "-e", "even,odd", "--statistic", "mode")
    assert (refused.code, refused.err) == (2, "harness: --statistic mode must be one of mean, median, p95.\n")


def test_people_see_a_table_and_a_histogram_and_spreadsheets_a_csv(harness, tmp_path: Path) -> None:
    root = make(tmp_path / "lab", {"fast:pi": 1.0, "slow:pi": 3.0})
    ran = harness("compare", root, "-e", "fast,slow")
    assert ran.code == 0, ran.err
    assert "Time in slow over time in fast" in ran.out
    assert "█" * 30 in ran.out
    told = list(csv.DictReader(harness("compare", root, "-e", "fast,slow", "--csv").out.splitlines()))
    low, high = map(float, told[-1]["edges"].split(";"))
    assert (low < 3 < high, told[-1]["counts"]) == (True, "11")


def test_no_difference_is_shown_where_there_is_none(harness, tmp_path: Path) -> None:
    a = make(tmp_path / "a", {"e:pi": 1.0}, seed=1)
    b = make(tmp_path / "b", {"e:pi": 1.0}, seed=2)
    rows = rows_of(harness("compare", a, b, "--workloads", "--json"))
    assert {row["verdict"] for row in rows} == {"no difference shown"}
    assert all(row["q"] >= row["p"] for row in rows)


def test_only_the_same_workload_in_the_same_company_is_paired(harness, tmp_path: Path) -> None:
    a = make(tmp_path / "a", {"e:pi": 1.0, "only-a:pi": 1.0}, workloads=PROGRAMS[:8])
    b = make(
        tmp_path / "b",
        {"e:pi": 2.0},
        workloads=PROGRAMS[2:9],
        changed=("poly/small/k3",),
        failed=("poly/small/k5",),
    )
    ran = harness("compare", a, b, "--workloads", "--json")
    names = {row["workload"]: row["cells"] for row in rows_of(ran)}
    # k2 is beside k1 in A and beside o0 in B; k4 runs beside k3, whose module changed; k5 timed out in B.
    assert names == {"poly/small/k2": 1, "poly/small/k4": 1, "poly/small/k6": 2, "poly/small/k7": 2}
    for told in (
        f"21 not measured in {b}",
        f"3 not measured in {a}",
        f"2 timeout in {b}",
        "3 the module, its arguments or its inputs differ",
    ):
        assert told in ran.err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"facts": FACTS | {"cores": "8"}}, "pi: cores is 4 and 8"),
        (
            {"facts": FACTS | {"model_name": "Example 4000"}},
            "pi: model_name is Example 3000 and Example 4000",
        ),
        ({"facts": FACTS | {"max_mhz": "1800"}}, "pi: max_mhz is 1500 and 1800"),
        ({"facts": FACTS | {"memory_bytes": "8000000000"}}, "pi: memory_bytes is 4000000000 and 8000000000"),
        ({"facts": {}}, "pi: no fact tells that they are one machine"),
        ({"version": "1.1"}, "e:pi: engine_version is 1.0 and 1.1"),
        ({"contains": {"e:pi": "process"}}, "e:pi: what a time contains is instance and process"),
    ],
)
def test_different_machines_are_compared_only_on_demand(
    changes: dict[str, Any], told: str, harness, tmp_path: Path
) -> None:
    a, b = make(tmp_path / "a", {"e:pi": 1.0}), make(tmp_path / "b", {"e:pi": 2.0}, **changes)
    refused = harness("compare", a, b)
    assert (refused.code, refused.out, len(refused.err.strip().splitlines())) == (2, "", 1)
    assert told in refused.err
    assert "Give --anyway" in refused.err
    ran = harness("compare", a, b, "--anyway", "--json")
    assert rows_of(ran)[-1]["ratio"] == pytest.approx(2.0, rel=0.02)
    assert f"they differ: {told}" in ran.err


def test_a_little_other_memory_is_the_same_machine(harness, tmp_path: Path) -> None:
    a = make(tmp_path / "a", {"e:pi": 1.0})
    b = make(tmp_path / "b", {"e:pi": 1.0}, facts=FACTS | {"memory_bytes": "3990000000"})
    assert harness("compare", a, b).code == 0


def test_devices_that_were_named_are_compared_and_what_differs_is_told(harness, tmp_path: Path) -> None:
    root = make(tmp_path / "lab", {"e:pi": 1.0, "e:nuc": 0.5, "f:pi": 1.0, "f:nuc": 0.5})
    dataset = Dataset.open(root)
    rows = {row["platform"]: row for row in dataset.platforms().to_pylist()}
    dataset.put_platforms([rows[name] | {"facts": FACTS | {"cores": "16"}} for name in ("e:nuc", "f:nuc")])
    ran = harness("compare", root, "-d", "pi,nuc", "--json")
    assert rows_of(ran)[-1]["ratio"] == pytest.approx(0.5, rel=0.02)
    assert "they differ: pi and nuc: cores is 4 and 16" in ran.err
    one = rows_of(harness("compare", root, "-p", "e:pi,f:nuc", "--json"))[-1]
    assert (one["cells"], one["ratio"]) == (22, pytest.approx(0.5, rel=0.02))


def test_imported_rows_are_compared_without_samples(harness, tmp_path: Path) -> None:
    dataset, _ = import_published(write_all(tmp_path / "in"), tmp_path / "data")
    ran = harness("compare", dataset.root, "-p", "e0:dev-9,e1:dev-8", "--json")
    rows = rows_of(ran)
    assert rows[-1]["workloads"] > 3
    assert "workloads were paired by name alone" in ran.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "name a second dataset, or two sides of one with -e A,B"),
        (["-e", "fast"], "name a second dataset"),
        (["-e", "fast,slow,slower"], "-e fast,slow,slower must be one name for both sides, or two"),
        (["-e", "fast,slwo"], "no engine named 'slwo' in"),
        (["-p", "fast,slow"], "-p fast,slow must be ENGINE:DEVICE,ENGINE:DEVICE"),
        (["-p", "fast:pi,slow:pi", "-e", "fast"], "give either -p or -e and -d"),
        (["nowhere"], "nowhere is not a dataset"),
        (["-e", "fast,slow", "--json", "--csv"], "either --json or --csv"),
    ],
)
def test_a_question_without_an_answer_is_one_sentence(
    options: list[str], told: str, harness, tmp_path: Path
) -> None:
    ran = harness("compare", make(tmp_path / "lab", {"fast:pi": 1.0, "slow:pi": 2.0}, jobs=1), *options)
    assert (ran.code, ran.out, len(ran.err.strip().splitlines())) == (2, "", 1)
    assert told in ran.err


def test_sides_that_share_nothing_say_why(harness, tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", {"e:pi": 1.0}), make(tmp_path / "b", {"f:pi": 1.0})
    ran = harness("compare", a, b)
    assert ran.code == 2
    assert "no workload was measured on both sides in the same place and company: " in ran.err


def test_one_job_a_side_says_how_to_learn_of_chance(harness, tmp_path: Path) -> None:
    root = make(tmp_path / "lab", {"fast:pi": 1.0, "slow:pi": 2.0}, jobs=1)
    ran = harness("compare", root, "-e", "fast,slow", "--workloads", "--json")
    assert {row["verdict"] for row in rows_of(ran)} == {"unknown"}
    assert "of 11 workloads nothing is said about chance" in ran.err


def test_histogram_classes_are_near_one_or_powers_of_two() -> None:
    assert histogram(np.array([0.97, 1.0, 1.01, 1.3])) == (
        [0.95, 0.98, 1.02, 1.05, 1.1, 1.25, 1.5],
        [1, 2, 0, 0, 0, 1],
    )
    assert histogram(np.array([1.0, 9.0])) == ([2 ** (k / 2) for k in range(8)], [1, 0, 0, 0, 0, 0, 1])


def test_a_single_name_restricts_both_sides() -> None:
    (a, b), meant = sides("e", "pi,nuc", None)
    assert (a.engine, a.device, b.engine, b.device, meant) == ("e", "pi", "e", "nuc", {"device"})
    with pytest.raises(UsageError):
        sides("a,,b", None, None)
