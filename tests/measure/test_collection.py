"""What `harness collect` chooses, builds and leaves out before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.dataset.store import Dataset
from harness.measure.collection import left_out
from harness.suites import catalogue
from harness.suites.catalogue import load_suites, load_workloads
from tests.conftest import ROOT
from tests.dataset.test_store import entry
from tests.toys import EMPTY, write_suite

GREEDY = EMPTY.replace("{}", "{ if (__builtin_wasm_memory_grow(0, 160) == -1ul) __builtin_trap(); }")
SIZES = "[[workload]]\nname = '{}'\nsizes = {{ s = {{}}, l = {{ args = ['l'] }} }}\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with three suites: one ordinary with a heavy size, one optional, and the empty module. There are
    no others."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "benchmarks"
    monkeypatch.setattr(catalogue, "shipped_root", lambda: root)
    entries = SIZES.format("a") + SIZES.format("b")
    toys = write_suite(root, entries, {"a.c": EMPTY, "b.c": EMPTY})
    (toys / "suite.toml").write_text("heavy = ['l']\n" + (toys / "suite.toml").read_text())
    more = write_suite(root, "[[workload]]\nname = 'c'", {"c.c": EMPTY}, "more")
    (more / "suite.toml").write_text("optional = true\n" + (more / "suite.toml").read_text())
    write_suite(root, "[[workload]]\nname = 'empty'\nsizes = { none = {} }", {"empty.c": EMPTY}, "startup")
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  local: {{transport: local, engines: [wasmtime-j], cache: {tmp_path / 'cache'}}}\n"
    )
    return tmp_path


def built(place: Path) -> list[str]:
    root = place / "benchmarks"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.wasm"))


@pytest.mark.parametrize(
    ("options", "alone", "modules"),
    [
        ([], 2, ["toys/build/s/a.wasm", "toys/build/s/b.wasm"]),
        (["-s", "toys/l/b"], 1, ["toys/build/l/b.wasm"]),
        (["-s", "more"], 1, ["more/build/c.wasm"]),
        (["-s", "toys"], 4, [f"toys/build/{size}/{name}.wasm" for size in "ls" for name in "ab"]),
    ],
)
def test_only_what_is_measured_is_built(
    options: list[str], alone: int, modules: list[str], harness, place: Path
) -> None:
    ran = harness("collect", "-o", "data", "--dry-run", "--degrees", "1", "--anchors", 0, "--json", *options)
    [row] = json.loads(ran.out)
    assert (ran.code, row["alone"]) == (0, alone + 1)  # the empty module too
    assert built(place) == sorted([*modules, "startup/build/none/empty.wasm"])
    assert not (place / "data").exists()


def test_a_dry_run_into_a_damaged_dataset_is_refused_as_the_collection_would_be(harness, place: Path) -> None:
    dataset = Dataset.create("data")
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    dataset.compact()
    [part] = (dataset.root / "observations").iterdir()
    part.write_bytes(part.read_bytes()[:200])
    for more in ([], ["--adaptive"]):
        ran = harness("collect", "-o", "data", "--dry-run", "-s", "toys/s/a", *more)
        assert (ran.code, ran.out, f"{part} is damaged" in ran.err) == (2, "", True)


def test_a_collection_of_no_named_suite_says_what_it_leaves_out(harness, place: Path) -> None:
    words = "left out: more (1 workload, optional), toys/l (2 workloads, heavy); name what to measure with"
    assert words in harness("collect", "-o", "data", "--dry-run").err
    assert "left out" not in harness("collect", "-o", "data", "--dry-run", "-s", "*").err


def test_a_workload_without_the_memory_it_needs_is_told_before_and_as_a_status(harness, place: Path) -> None:
    entry = "[[workload]]\nname = 'greedy'\nsizes = { s = {} }\n"
    write_suite(place / "benchmarks", entry, {"greedy.c": GREEDY}, "greedy")
    quick = ("--degrees", 1, "--repeats", 1, "--co-run", 0.01, "--anchors", 0, "--placebos", 0)
    ran = harness("collect", "-o", "data", "-s", "greedy", "--memory", 8, *quick)
    assert "greedy/s/greedy uses 11 MiB of memory and is given 8" in ran.err
    assert "give it more with --memory 11" in ran.err
    [row] = json.loads(harness("status", "data", "--json").out)
    assert row["reasons"] == "1 out_of_memory"
    ran = harness("collect", "-o", "enough", "-s", "greedy", "--memory", 11, *quick)
    assert "MiB" not in ran.err
    [row] = json.loads(harness("status", "enough", "--json").out)
    assert (row["failed"], row["done"]) == (0, 2)


def test_of_a_finished_plan_it_is_told_what_more_would_teach(harness, place: Path) -> None:
    limits = ("--repeats", 1, "--co-run", 0.01, "--anchors", 0, "--placebos", 0)
    asked = ("collect", "-o", "data", "-s", "toys/s", "--adaptive", "--degrees", "1", *limits, "--json")
    assert harness(*asked).code == 0
    ran = harness(*asked, "--dry-run")
    assert "all of this plan is done; what follows is what --degrees 2 would measure besides" in ran.err
    rows = json.loads(ran.out)
    assert {" ".join(sorted(row["workloads"].split())) for row in rows} <= {"toys/s/a toys/s/b"}
    assert all(row["gain"] > 0 for row in rows)


def test_building_names_everything_but_the_optional(harness, place: Path) -> None:
    rows = json.loads(harness("build", "--json").out)
    assert [row["workload"] for row in rows] == [
        "startup/none/empty",
        "toys/s/a",
        "toys/l/a",
        "toys/s/b",
        "toys/l/b",
    ]


def test_by_default_what_was_published_is_measured_but_libsodium() -> None:
    known = load_workloads(ROOT / "benchmarks")
    left = {name for name, one in known.items() if (one.optional or one.heavy) and one.suite != "placebo"}
    assert {name for name in left if not name.startswith("libsodium/")} == {
        one.name for one in load_suites(ROOT / "benchmarks")["polybench"].workloads if "/large/" in one.name
    }
    assert left_out(known.values()) == (
        "left out: libsodium (67 workloads, optional), polybench/large (30 workloads, heavy); "
        "name what to measure with --suite, or take everything with --suite '*'"
    )
