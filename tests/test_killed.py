"""A command killed at any call that changes files, and repeated, ends as if it had never been killed.

Of the states that the files of a command pass through, the suite kills in every third, the last one among them;
``HARNESS_KILLS=all`` (`make storm`) kills before every call.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.dataset.published import import_published
from harness.dataset.store import Dataset
from harness.engines.runners.runner import EMPTY_MODULE
from harness.files import is_partial
from harness.suites.imported import import_modules
from tests.dataset.test_published import write_all
from tests.killing import Killer
from tests.suites.test_imported import READER, tree
from tests.test_files import collected
from tests.toys import EMPTY, write_suite

LONG = pytest.mark.skipif(
    "HARNESS_KILLS" not in os.environ, reason="HARNESS_KILLS=all asks for the long form"
)
EVERY_CALL = os.environ.get("HARNESS_KILLS") == "all"
pytestmark = pytest.mark.timeout(7200 if EVERY_CALL else 300)


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer() as server:
        yield server


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, model_path: Path, killer: Killer) -> Path:
    """What commands start from: published files, a dataset, a suite of one source, modules to import.

    For the long form also a model that a command trained, and the dataset that it was trained on.
    """
    place = tmp_path_factory.mktemp("given")
    write_all(place / "npz", rows=60)
    import_published(place / "npz", place / "imported")
    collected(place / "data")
    write_suite(place / "benchmarks", "[[workload]]\nname = 'a'\n", {"a.c": EMPTY})
    tree(place / "one", {"a.wasm": EMPTY_MODULE, "b.wasm": EMPTY_MODULE})
    tree(place / "two", {"a.wasm": READER, "c.wasm": EMPTY_MODULE, "data/mibench/in.txt": b"x"})
    import_modules(place / "one", "there", root=place / "benchmarks")
    shutil.copy(model_path, place / "known.npz")
    asked = "workload,platform,with\ns/small/w1,engine0:device0,s/small/w2\n"
    (place / "asked.csv").write_text(asked)
    (place / "wanted.csv").write_text("workload,deadline_ms\ns/small/w1,60000\ns/small/w2,60000\n")
    (place / "devices.yaml").write_text("devices:\n  here: {transport: local, engines: [wasmtime-j]}\n")
    if EVERY_CALL:
        write_all(place / "many", rows=300)
        import_published(place / "many", place / "large")
        taught = killer.run(place, ("train", "large", "--test-share", "0.4", "-o", "taught.npz"))
        assert taught.code == 0, taught.said
    return place


def imported(directory: str) -> None:
    import_modules(Path(directory), "mine" if directory == "one" else "there", root=Path("benchmarks"))


def outcome(place: Path) -> tuple[object, ...]:
    """All files but caches, and nothing a device should not keep.

    A dataset is told by its rows, since its identity is drawn anew, and without measured times.
    """
    files, rows = {}, {}
    for path in place.rglob("dataset.json"):
        dataset = Dataset.open(path.parent)
        if path.parent.name == "measured":
            found = dataset.observations(["job", "workload", "status"]).to_pylist()
            rows["measured"] = sorted(list(row.values()) for row in found)
            continue
        rows[path.parent.name] = [
            table.to_pylist() for table in (dataset.observations(), dataset.platforms(), dataset.workloads())
        ]
    for path in place.rglob("*"):
        if path.relative_to(place).parts[0] in ("cache", ".cache", "tmp"):
            continue
        inside = any((folder / "dataset.json").exists() for folder in path.parents)
        if path.is_file() and (not inside or path.suffix == ".html"):
            files[str(path.relative_to(place))] = path.read_bytes()
    left = [
        str(path)
        for folder in ("scratch", "spool/*")
        for path in (place / ".cache/harness").glob(folder + "/*")
    ]
    return files, rows, left


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("!tests.test_files:collected", "new"), id="what a collection does to its dataset"),
        pytest.param(("import", "npz", "-o", "new"), id="import"),
        pytest.param(("export", "imported", "-o", "new"), id="export"),
        pytest.param(("export", "imported", "--csv", "-o", "new.csv"), id="export as CSV"),
        pytest.param(("train", "imported", "-o", "new.npz"), id="train"),
        pytest.param(("report", "data", "-o", "new.html"), id="report"),
        pytest.param(
            ("predict", "known.npz", "--batch", "asked.csv", "-o", "new.parquet"), id="predict --batch"
        ),
        pytest.param(("place", "known.npz", "wanted.csv", "-o", "new.csv"), id="place"),
        pytest.param(
            ("place", "known.npz", "wanted.csv", "-o", "new.csv", "--picture", "new.png"),
            id="place --picture",
            marks=LONG,
        ),
        pytest.param(("update", "taught.npz", "large", "--all", "-o", "new.npz"), id="update", marks=LONG),
        pytest.param(
            ("update", "taught.npz", "large", "--all", "-o", "taught.npz"), id="update in place", marks=LONG
        ),
        pytest.param(
            ("simulate", "taught.npz", "--check", "large", "-e", "e0", "--jobs", "20", "-o", "new.csv"),
            id="simulate",
            marks=LONG,
        ),
        pytest.param(
            ("evaluate", "imported", "--shares", "50", "--replicates", "1", "-m", "log-linear", "--no-plots"),
            id="evaluate",
            marks=LONG,
        ),
        pytest.param(
            (
                "collect",
                "-o",
                "measured",
                "-s",
                "there",
                "-e",
                "wasmtime-j",
                "--repeats",
                "2",
                "--limit",
                "20",
                "--co-run",
                "0.1",
                "--degrees",
                "2",
                "--anchors",
                "0",
                "--placebos",
                "0",
            ),
            id="collect with an agent",
            marks=LONG,
        ),
        pytest.param(("build", "toys"), id="build"),
        pytest.param(("!tests.test_killed:imported", "one"), id="what build --import does to a new suite"),
        pytest.param(
            ("!tests.test_killed:imported", "two"), id="what build --import does to one that is there"
        ),
        pytest.param(("build", "--import", "one", "--as", "mine"), id="build --import", marks=LONG),
    ],
)
def test_a_command_killed_at_any_call_and_repeated_ends_as_if_never_killed(
    words: tuple[str, ...], killer: Killer, given: Path, tmp_path: Path
) -> None:
    shutil.copytree(given, tmp_path / "whole")
    whole = killer.run(tmp_path / "whole", words, watch=True)
    assert whole.code == 0, whole.said
    expected = outcome(tmp_path / "whole")
    kills = range(len(whole.calls)) if EVERY_CALL else whole.states()[::-3]
    assert kills
    for number in kills:
        place = tmp_path / f"killed-{number}"
        shutil.copytree(given, place)
        assert killer.run(place, words, kill_at=number).code == -9
        again = killer.run(place, words)
        assert (again.code, outcome(place)) == (0, expected), (whole.calls[number], again.said)
        assert [path for path in place.rglob("*") if is_partial(path)] == []
