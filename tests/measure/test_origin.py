"""Labels, tags, command line and commit of a collection, and the command that is told how it ended."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.dataset.info import Origin, Settings
from harness.dataset.store import Dataset
from harness.errors import UsageError
from harness.measure.origin import commit, origin_of

TELL = (
    "import json, os, sys; told = {k: v for k, v in os.environ.items() if k.startswith('HARNESS_')}; "
    "json.dump(told, open(sys.argv[1], 'w'))"
)


def collect(harness, root: Path, devices: Path, *more: str):
    return harness(
        "collect", "-o", root, "--devices-file", devices, "-s", "polybench/mini/trisolv", "-e", "wasmtime-j",
        "--degrees", "1", "--repeats", "2", "--limit", "1", "--co-run", "0.02", "--anchors", "0", "--placebos", "0",
        *more,
    )  # fmt: skip


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices:\n  local:\n    transport: local\n    cache: {tmp_path / 'cache'}\n")
    return path


@pytest.mark.usefixtures("suites")
def test_a_collection_says_where_it_comes_from_and_tells_a_command_how_it_ended(
    harness, tmp_path: Path, devices: Path
) -> None:
    root, told = tmp_path / "lab", tmp_path / "told.json"
    hook = f'{sys.executable} -c "{TELL}" {told}'
    ran = collect(harness, root, devices, "--label", "night <1>", "--tag", "flags=-O3", "--when-done", hook)
    assert ran.code == 0, ran.err
    info = Dataset.open(root).info
    assert (info.label, info.tags, info.named()) == ("night <1>", {"flags": "-O3"}, "night <1> (flags=-O3)")
    assert info.collections[0].command[:3] == ("harness", "collect", "-o")
    environment = json.loads(told.read_text())
    assert environment.pop("HARNESS_SECONDS").isdigit()
    assert {name: text for name, text in environment.items() if "TEST" not in name} == {
        "HARNESS_DATASET": str(root), "HARNESS_OUTCOME": "complete", "HARNESS_LEFT": "0", "HARNESS_FAILED": "0",
        "HARNESS_MESSAGE": "",
    }  # fmt: skip
    assert "night <1> (flags=-O3)" in harness("status", root).out
    assert harness("report", root).code == 0
    page = (root / "report.html").read_text()
    assert "night &lt;1&gt; (flags=-O3)" in page and "night <1>" not in page
    again = collect(harness, root, devices, "--when-done", "false")
    assert (again.code, len(Dataset.open(root).info.collections)) == (1, 1)
    assert "--when-done false ended with exit code 1" in again.err


def test_a_collection_that_breaks_off_is_told_too(harness, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    hook = f'{sys.executable} -c "{TELL}" {told}'
    ran = collect(harness, tmp_path / "lab", tmp_path / "none.yaml", "--device", "pi", "--when-done", hook)
    assert ran.code == 2
    environment = json.loads(told.read_text())
    assert environment["HARNESS_OUTCOME"] == "error"
    assert "none.yaml" in environment["HARNESS_MESSAGE"] or "pi" in environment["HARNESS_MESSAGE"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--when-done", "no-such-program x"], "there is no program 'no-such-program'; name one"),
        (["--when-done", "a 'b"], "No closing quotation"),
        (["--tag", "commit"], "--tag commit must be NAME=TEXT"),
        (["--label", "a\nb"], "--label must be one line of at most 200"),
    ],
)
def test_what_cannot_be_said_is_refused_before_anything_is_done(
    options: list[str], told: str, harness, tmp_path: Path, devices: Path
) -> None:
    ran = collect(harness, tmp_path / "lab", devices, *options)
    assert (ran.code, (tmp_path / "lab").exists(), len(ran.err.strip().splitlines())) == (2, False, 1)
    assert told in ran.err


def test_another_label_or_tag_is_another_collection_and_none_goes_on(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "lab")
    for origin in (Origin("a", {"x": "1"}), Origin(), Origin("a"), Origin("b"), Origin("b", {"x": "2"})):
        dataset.begin(Settings(), "1", [], origin)
    assert [(one.label, one.tags) for one in dataset.info.collections] == [
        ("a", {"x": "1"}),
        ("b", {}),
        ("b", {"x": "2"}),
    ]
    assert Dataset.open(dataset.root).info == dataset.info
    assert dataset.info.named() == "b (x=2)"


@pytest.mark.skipif(not shutil.which("git"), reason="no git; apt-get install git")
def test_the_commit_is_that_of_the_repository_around(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "one")
    assert commit(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == f"{git('rev-parse', 'HEAD')}-dirty"
    with pytest.raises(UsageError):
        origin_of("", ["a b=c"])
