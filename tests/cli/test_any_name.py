"""Names: at each door any of its rule and no other passes; what is in passes unchanged to the end of the path.

`HARNESS_MATRIX=all` tries many more.
"""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.published import import_published
from harness.dataset.records import LONGEST_NAME
from harness.dataset.store import Dataset
from harness.decide.predict import write_batch
from harness.decide.row_file import read_rows
from harness.engines.runners.runner import EMPTY_MODULE
from harness.errors import DatasetError, DevicesError, SuiteError
from harness.fleet.devices import _NAME as DEVICE_RULE
from harness.fleet.devices import load_devices
from harness.learn.export import export_published
from harness.spelling import visible
from harness.suites.imported import import_modules
from tests.cli.test_any_text import ACTING, HOSTILE
from tests.cli.whole_path import QUICK
from tests.conftest import Ran
from tests.dataset.test_store import entry
from tests.report.report_data import collected

ALL = os.environ.get("HARNESS_MATRIX") == "all"

ANY_TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=80))


@given(name=ANY_TEXT)
@settings(max_examples=500 if ALL else 25, deadline=None, database=None)
def test_a_device_has_any_name_of_the_rule_and_no_other(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("devices")
    path = folder / "devices.yaml"
    path.write_bytes(msgspec.json.encode({"devices": {name: {"transport": "local"}}}))
    if DEVICE_RULE.fullmatch(name):
        assert [(key, device.name) for key, device in load_devices(path).items()] == [(name, name)]
        return
    with pytest.raises(DevicesError) as refused:
        load_devices(path)
    if path.read_bytes().isascii() and name.isprintable():  # else YAML itself may refuse the file
        assert "a device's name takes letters, digits and . _ -, at most 63" in str(refused.value)


@given(
    names=st.lists(ANY_TEXT.filter(lambda text: "/" not in text and "\0" not in text), min_size=1, max_size=3)
)
@settings(max_examples=200 if ALL else 10, deadline=None, database=None)
def test_modules_of_any_file_name_become_workloads_or_are_refused_by_name(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("modules")
    (root / "given").mkdir()
    for name in names:
        try:
            (root / "given" / f"{name}.wasm").write_bytes(EMPTY_MODULE)
        except (OSError, UnicodeEncodeError):  # no file may be called so here
            return
    if all(name.startswith(".") or not name for name in names):  # hidden files are nobody's modules
        with pytest.raises(SuiteError, match=r"there is no \.wasm file"):
            import_modules(root / "given", "mine", root=root / "benchmarks")
        return
    found = import_modules(root / "given", "mine", root=root / "benchmarks")
    files = {path for path in (root / "given").iterdir() if not path.name.startswith(".")}
    taken = found.suite.workloads if found.suite else []
    assert len(taken) + len(found.refused) == len(files)
    for workload in taken:
        assert re.fullmatch(r"mine/[A-Za-z0-9][A-Za-z0-9._+-]*", workload.name)
    for reason in found.refused.values():
        assert (
            "are kept, and the rest becomes -; rename one of the two" in reason
            or f"and {LONGEST_NAME} is the most; give the file" in reason
        )


# Every name that a dataset can hold, also where no suite and no devices.yaml lets one in.
HELD = [name for name in HOSTILE if len(name) <= LONGEST_NAME]
HELD += [
    "a\0b", "=cmd()", "+1", "@SUM(A1)", "\x1b[2J", "<svg onload=x>", "a" * 200, "\r\n", '"q"', "'q'", "x;y,z", "\t",
    "]]>", "\u200fx", "CON.txt", "nul", "%00", "\\x00", "a\u0300", "\U000e0001", "s/small/",
]  # fmt: skip
HELD += ["s/small/even"] * (len(HELD) % 2)
ENGINES, DEVICES = ("=e()", "</script>"), ("[/old]\u202e", "名前,;")


def test_names_come_through_the_whole_path_unchanged(tmp_path: Path, harness: Callable[..., Ran]) -> None:
    """Collected → trained → predicted one by one and as a file → placed, reported, exported → imported."""
    assert len(HELD) > 100
    dataset = collected(tmp_path / "data", workloads=tuple(HELD), devices=DEVICES, engines=ENGINES)
    platforms = {f"{engine}:{device}" for engine in ENGINES for device in DEVICES}
    rows = dataset.observations(["workload", "status"]).to_pylist()
    measured = {row["workload"] for row in rows if row["status"] == "ok"}
    assert measured == {*HELD, "startup/empty"}

    def run(*words: object) -> str:
        ran = harness(*words)
        assert ran.code == 0, ran.err
        assert not ACTING.search(ran.err)
        return ran.out

    model = tmp_path / "m.npz"
    run("train", tmp_path / "data", "-o", model)
    answers = json.loads(run("predict", model, "--json"))
    assert ({row["workload"] for row in answers}, {row["platform"] for row in answers}) == (
        {*HELD},
        platforms,
    )
    asked = [{"workload": name, "platform": f"{ENGINES[0]}:{DEVICES[0]}"} for name in HELD]
    write_batch(tmp_path / "asked.csv", asked)
    for form in ("csv", "parquet", "jsonl"):
        run("predict", model, "--batch", tmp_path / "asked.csv", "-o", tmp_path / f"answered.{form}")
        assert [row["workload"] for row in read_rows(tmp_path / f"answered.{form}", "")] == HELD
    write_batch(tmp_path / "wanted.csv", [{"workload": name, "deadline_ms": 1e6} for name in HELD[-8:-4]])
    placed = run(
        "place", model, tmp_path / "wanted.csv", "--seconds", 0.1, "--json", "--picture", tmp_path / "p.svg"
    )
    assert {row["workload"] for row in json.loads(placed)} == {*HELD[-8:-4]}
    ElementTree.parse(tmp_path / "p.svg")

    run("report", tmp_path / "data", "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not [name for name in HELD if html.escape(visible(name)) not in page]
    assert not ACTING.search(page)
    told = csv.DictReader(io.StringIO(run("export", tmp_path / "data", "--csv"), newline=""))
    assert {row["workload"] for row in told} == measured
    run("export", tmp_path / "data", "-o", tmp_path / "npz")
    run("import", tmp_path / "npz", "-o", tmp_path / "back")
    back = Dataset.open(tmp_path / "back")
    assert {*back.workloads()["workload"].to_pylist()} == {*HELD}
    rows = back.observations(
        ["workload", "co_runners"]
    ).to_pylist()  # Arrow ends NumPy's texts at a NUL within
    assert {name for row in rows for name in (row["workload"], *row["co_runners"])} == {*HELD}
    assert {*back.platforms()["platform"].to_pylist()} == platforms


@given(
    names=st.lists(
        ANY_TEXT.filter(lambda name: 0 < len(name) <= LONGEST_NAME), min_size=2, max_size=4, unique=True
    )
)
@settings(max_examples=200 if ALL else 10, deadline=None, database=None)
def test_any_names_are_exported_and_imported_unchanged_or_refused_with_the_rule(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("names")
    dataset = Dataset.create(root / "data")
    with dataset.journal("local") as journal:
        journal.append(entry(1, *names))
        for number, name in enumerate(names, 2):
            journal.append(entry(number, name))
    dataset.compact()
    described = {"engine": "wasmtime-j", "device": "local", "kind": "compiler", "family": "e"}
    dataset.put_platforms([{"platform": "wasmtime-j:local", "wall_contains": "instance"} | described])
    dataset.put_workloads({"workload": name, "opcodes": [("i32.add", 7)]} for name in names)
    if any(name.endswith("\0") for name in names):
        with pytest.raises(DatasetError, match="ends with a NUL, which a name in an"):
            export_published(dataset, root / "npz")
        return
    export_published(dataset, root / "npz")
    back, _ = import_published(root / "npz", root / "back")
    assert {*back.workloads()["workload"].to_pylist()} == {*names}
    found = [
        (row["workload"], row["co_runners"])
        for row in back.observations(["workload", "co_runners"]).to_pylist()
    ]
    assert sorted(found) == sorted(
        [(name, sorted({*names} - {name})) for name in names] + [(name, []) for name in names]
    )


def test_modules_of_odd_names_are_collected_for_real_into_an_odd_place(
    tmp_path: Path, harness: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    modules = tmp_path / "[lab] \u202e:b: $(id)`x`\n"
    modules.mkdir()
    for name in ("=cmd()", "ε", "[red]x", "a b", "-o", "x\x1b[31m", "名前.v2"):
        (modules / f"{name}.wasm").write_bytes(EMPTY_MODULE)
    (modules / os.fsdecode(b"\xff.wasm")).write_bytes(EMPTY_MODULE)
    ran = harness("build", "--import", modules, "--as", "odd", "--json")
    built = {row["workload"]: row["output"] for row in json.loads(ran.out)}
    refused = {name: said for name, said in built.items() if not said.startswith("ran")}
    assert ran.code == 1
    assert "is not text in UTF-8, as a suite.toml must be; rename it" in refused["\udcff.wasm"]
    taken = {name for name in built if name not in refused}
    assert all(re.fullmatch(r"odd/[A-Za-z0-9][A-Za-z0-9._+-]*", name) for name in taken)
    (tmp_path / "devices.yaml").write_text(
        f"devices: {{local: {{transport: local, engines: [wasmtime-j], cache: {tmp_path / 'cache'}}}}}\n"
    )
    place = "=1+1,;[lab]\u2028<script>"
    ran = harness("collect", "-o", place, "-s", "odd", "--label", "=1+1,;[lab]<script>", *QUICK)
    assert (ran.code, bool(ACTING.search(ran.err))) == (0, False), ran.err
    told = csv.DictReader(io.StringIO(harness("export", place, "--csv").out, newline=""))
    assert {row["workload"] for row in told} == taken | {"startup/none/empty"}
    assert Dataset.open(place).info.label == "=1+1,;[lab]<script>"
