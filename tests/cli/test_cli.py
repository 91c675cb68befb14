"""The command line: bad input in one sentence with exit code 2 and nothing written; examples that are true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import app
from harness.dataset.store import Dataset
from tests.conftest import ROOT
from tests.dataset.test_store import entry


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, with the project's benchmarks at hand."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    return tmp_path


@pytest.mark.usefixtures("suites")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["collect", "-o", "data", "--devices-file", "none.yaml"], "no none.yaml; create one with"),
        (["collect", "-o", "data", "--devices-file", "bad.yaml"], "bad.yaml, line 2, devices.a.speed"),
        (["collect", "-o", "data", "--devices-file", "good.yaml", "-d", "lokal"], "no device named 'lokal'"),
        (
            ["collect", "-o", "data", "--devices-file", "good.yaml", "-e", "wasmtime-x"],
            "no engine named 'wasmtime-x'; did you mean wasmtime-",
        ),
        (
            ["collect", "-o", "data", "--devices-file", "good.yaml", "-s", "polybench/mini/gem"],
            "no workload named 'polybench/mini/gem'; did you mean polybench/mini/gem",
        ),
        (["collect", "-o", "data", "--degrees", "5"], "--degrees 5 must list numbers from 2 to 4"),
        (["collect", "-o", "data", "--precision", "fine"], "--precision fine must be a percentage between"),
        (["collect", "-o", "data", "--adaptive", "--until", "0%"], "--until 0% must be a percentage between"),
        (["collect", "-o", "data", "--until", "5%"], "--until goes with --adaptive"),
        (
            ["collect", "-o", "taken", "--devices-file", "good.yaml", "-s", "polybench/mini/gemm"],
            "taken exists and is not",
        ),
        (["build", "polybnch"], "no suite named 'polybnch'; did you mean polybench"),
        (["count", "polybench/mini/gemmm"], "no workload named 'polybench/mini/gemmm'; did you mean"),
        (["count", "not.wasm"], "not.wasm"),
        (["count", "missing.wasm"], "missing.wasm cannot be read"),
        (["status", "nowhere"], "nowhere is not a dataset"),
        (["train", "nowhere", "-o", "m.npz"], "nowhere is not a dataset"),
        (["report", "nowhere"], "nowhere is not a dataset"),
        (["import", "nowhere"], "no data.npz in nowhere"),
        (["import", "nowhere", "-o", "lab"], "lab is a dataset already; name a new directory with -o"),
        (["import", "nowhere", "--manifest", "m.json"], "--manifest says what to download; give --fetch too"),
        (["train", "good.yaml", "-o", "m.npz"], "good.yaml is a file, and a dataset is a directory"),
        (["export", "lab", "-o", "good.yaml"], "good.yaml is a file; name the directory of the npz files"),
        (["export", "lab"], "name the directory of the npz files with -o DIR, or ask for --csv"),
        (["compare", "lab", "nowhere"], "nowhere is not a dataset"),
        (["status", "-x y"], "make one with `harness collect -o './-x y'`"),
        (["status", "lab", "--json", "--csv"], "give either --json or --csv, not both"),
        (["count", "polybench/mini/gemm", "--arg", "7"], "--arg, --stdin and --dir are for .wasm files"),
        (["collect", "-o", "data", "--dry-run", "--when-done", "true"], "leave out one of them"),
        (["build", "--import", "lab", "--as", "a b"], "'a b' cannot be part of a workload's name"),
        (["status", "\udcff"], "\\udcff is not text in UTF-8, as every name here must be"),
    ],
)
def test_bad_input_is_one_sentence_exit_code_2_and_nothing_written(
    options: list[str], told: str, harness, inside: Path
) -> None:
    (inside / "good.yaml").write_text(f"devices:\n  local: {{transport: local, cache: {inside / 'cache'}}}\n")
    (inside / "bad.yaml").write_text("devices:\n  a: {transport: local, speed: 3}\n")
    (inside / "not.wasm").write_bytes(b"#!/bin/sh\n")
    Dataset.create(inside / "lab")
    (inside / "taken").mkdir()
    (inside / "taken" / "file").touch()
    before = sorted(path for path in inside.iterdir() if path.name != "cache")
    ran = harness(*[options[0], "--", *options[1:]] if options[1].startswith("-x") else options)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert told in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert sorted(path for path in inside.iterdir() if path.name != "cache") == before


def test_no_command_takes_a_number_that_is_not_finite() -> None:
    assert {one.cls.__name__ for one in app.registered_commands if one.cls} == {"OneCommand"}


@pytest.mark.parametrize(
    "option", [("--limit", "inf"), ("--gate-limit", "nan"), ("--cool", "-inf"), ("--idle", "nan")]
)
def test_a_number_that_is_not_finite_is_refused_before_anything_is_written(
    option, harness, inside: Path
) -> None:
    done = harness("collect", "-o", "data", *option)
    assert done.code == 2
    assert option[0] in done.err
    assert not (inside / "data").exists()


def test_what_the_disk_refuses_is_one_sentence_and_exit_code_1(harness, tmp_path: Path) -> None:
    Dataset.create(tmp_path / "lab")
    ran = harness("export", tmp_path / "lab", "--csv", "-o", "/dev/full")
    assert (ran.code, ran.out, len(ran.err.strip().splitlines())) == (1, "", 1)
    assert "/dev/full: No space left on device; nothing is half-written" in ran.err


def test_a_damaged_dataset_is_refused_by_every_command_that_reads_one(harness, tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data")
    with dataset.journal("local") as journal:
        journal.append(entry(1))
    dataset.compact()
    [part] = (dataset.root / "observations").iterdir()
    part.write_bytes(part.read_bytes()[:200])
    for command in (["status"], ["train", "-o", str(tmp_path / "m.npz")], ["report"]):
        ran = harness(*command, dataset.root)
        assert ran.code == 2
        assert f"{part.name} is damaged" in ran.err
    assert not (tmp_path / "m.npz").exists()


def test_counting_a_module_of_ones_own_needs_only_its_path(harness, tmp_path: Path) -> None:
    import wasmtime

    text = '(module (memory (export "memory") 1) (func (export "_start") (drop (i32.add (i32.const 1) (i32.const 2)))))'
    (tmp_path / "own.wasm").write_bytes(wasmtime.wat2wasm(text))
    ran = harness("count", tmp_path / "own.wasm", "--opcodes", "--csv")
    assert ran.code == 0
    assert set(ran.out.split("\r\n")[1:-1]) == {
        f"{tmp_path}/own.wasm,{row}"
        for row in (
            "i32.const,0x41,int,2",
            "i32.add,0x6A,int,1",
            "drop,0x1A,other,1",
            "end,0x0B,control,1",
        )
    }


def test_a_program_that_does_not_end_in_time_is_told_and_the_others_are_counted(
    harness, tmp_path: Path
) -> None:
    import wasmtime

    for name, body in (("ends", ""), ("endless", "(loop (br 0))")):
        text = f'(module (memory (export "memory") 1) (func (export "_start") {body}))'
        (tmp_path / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(text))
    files = [tmp_path / "endless.wasm", tmp_path / "ends.wasm"]
    ran = harness("count", *files, "--limit", "0.3", "--json")
    endless, ends = json.loads(ran.out)
    assert (ran.code, endless["total"], ends["total"]) == (1, None, 1)
    assert endless["ended"].startswith("not counted: it was still running after 0.3 s")
    alone = harness("count", files[0], "--limit", "0.3", "--fresh")
    assert (alone.code, "give it longer with --limit" in alone.err) == (2, True)


@pytest.mark.usefixtures("suites")
def test_counts_are_checked_by_the_interpreter_and_kept_in_a_dataset(harness, tmp_path: Path) -> None:
    names = ["polybench/mini/trisolv", "polybench/mini/durbin"]
    ran = harness("count", *names, "--verify", "--slowdown", "-o", tmp_path / "data", "--json")
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)
    assert [row["interpreter"] for row in rows] == ["agrees"] * 2
    assert all(row["total"] == sum(row["opcodes"].values()) > 1000 and row["slowdown"] > 0 for row in rows)
    kept = {
        row["workload"]: dict(row["opcodes"])
        for row in Dataset.open(tmp_path / "data").workloads().to_pylist()
    }
    assert kept == {row["workload"]: row["opcodes"] for row in rows}


def test_the_console_script_tells_its_version() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "harness.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("harness ")


def check_commands(shown: list[list[str]], harness) -> None:
    for _, command, *words in shown:
        told = re.sub(r"\s+", " ", harness(command, "--help").out)
        assert "Example" in told
        for word in words:
            if word.startswith("-"):
                assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", told), (
                    f"harness {command} has no {word}"
                )


@pytest.mark.parametrize(
    "command", app.registered_commands, ids=lambda one: one.name or one.callback.__name__
)
def test_every_example_of_a_help_is_of_that_command_and_its_options(command, harness) -> None:
    name = command.name or command.callback.__name__
    lines = re.findall(r"\$\[/dim\] (.*)", command.epilog)
    assert lines
    assert all(line.split()[:2] == ["harness", name] for line in lines)
    check_commands([line.split() for line in lines], harness)
