"""Every command line of the README and of docs/ works: run in a small lab, else checked against the options."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
import typer
import wasmtime

from harness.cli import app
from harness.suites import catalogue
from harness.suites.suite import Suite
from tests.conftest import ROOT
from tests.dataset.test_published import write_all

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ONLY_PARSED = {
    "harness import --fetch pitot/data -o datasets/published": "takes no other files; tests/dataset/test_fetch.py",
    "harness build libsodium": "fetches sources; tests/suites/test_libsodium.py",
    "harness build polybench/mini mibench/sha_s": "makes MiBench's 50 MB of inputs; tests/suites/test_mibench.py",
    "harness devices kitchen --setup": "needs a machine that lacks engines; tests/fleet/test_ssh.py",
    "harness evaluate datasets/published --shares 10,50,90 --jobs 2": "trains for an hour",
    "harness place lab.npz deadlines.csv --check datasets/lab": "needs more jobs; tests/decide/test_place_check.py",
    "harness place lab.npz deadlines.csv --violations 0.01 --check datasets/lab": "the same",
    "harness simulate lab.npz --check datasets/lab -e wasmtime-j": "needs more jobs; tests/decide/test_simulate.py",
    "harness simulate lab.npz --check datasets/lab -e wasmtime-j --policy srpt --policy wfq:0.4,1 "
    "-o policies.csv": "the same",
    "harness compare datasets/before datasets/after --fail-above 5%": "needs anchors; tests/compare/test_gate.py",
    "harness compare datasets/before datasets/after --fail-above 5% --markdown --junit compared.xml": "the same",
    "harness compare datasets/before datasets/after --fail-above 5% --rebuilt --anyway": "the same",
    "harness build --import lab": "needs CPython for WASI; tests/suites/test_wasi_python.py runs its whole block",
    "harness count lab": "the same block",
    "harness collect -o datasets/lab -s lab/python/words -e wasmtime-j -e wasm3-i "
    "--degrees 1 --anchors 0 --repeats 3": "the same block",
}
# What is added to a line so that it ends within seconds.
CUT = {
    "collect": [
        "--degrees",
        "2",
        "--repeats",
        "2",
        "--co-run",
        "0.02",
        "--limit",
        "1",
        "--anchors",
        "0",
        "--placebos",
        "0",
    ],
    "train": ["--calibration-share", "0.4"],
    "evaluate": ["--replicates", "1", "--method", "start-up", "--no-plots"],
}
KERNELS = ("gemm", "lu")
DEVICES = """devices:
  local: {{transport: local, cache: {cache}/local, engines: [wasmtime-j, wasmtime-p{wasm3}]}}
  pi-4: {{transport: local, cache: {cache}/pi-4, engines: [wasmtime-j, wasmtime-a]}}
  pi-5: {{transport: local, cache: {cache}/pi-5, engines: [wasmtime-j, wasmtime-a]}}
"""
OWN = '(module (memory (export "memory") 1) (func (export "_start") (drop (i32.add (i32.const 1) (i32.const 2)))))'
HAS_WASM3 = importlib.util.find_spec("wasm3") is not None


def lines_of(page: Path) -> list[str]:
    """The command lines of a page's blocks, without comments, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    text = "\n".join(blocks).replace("\\\n", " ")
    text = re.sub(r"<<'(\w+)'\n.*?\n\1$", "", text, flags=re.M | re.S)
    return [
        " ".join(line.split()) for raw in text.splitlines() if (line := re.sub(r"(^|\s)#.*", "", raw)).strip()
    ]


def parse(words: list[str], *, whole: bool) -> None:
    """Raises click.ClickException where command, options or the number of arguments are wrong."""
    group = typer.main.get_command(app)
    context = click.Context(group)
    if words[1].startswith("-"):
        assert words[1] in {option for one in group.get_params(context) for option in one.opts}
        return
    command = group.get_command(context, words[1])
    assert command, f"there is no command {words[1]}"
    command.make_context(words[1], words[2:], resilient_parsing=not whole)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_named_on_a_page_exists_with_its_options(page: Path) -> None:
    for line in lines_of(page):
        if line.startswith("harness "):
            parse(shlex.split(line.partition("|")[0]), whole=True)
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for line in re.findall(r"`(harness [^`]+)`", prose):
        if "…" not in line and "/" not in line.split()[0]:
            parse(line.split(), whole=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_module_and_link_on_a_page_exists(page: Path) -> None:
    text = page.read_text()
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert targets
    for line in lines_of(page):
        if line.startswith("make "):
            assert set(line.split()[1:]) <= set(targets[1].split())
    for module in re.findall(r"python -m ((?:harness|tests|benchmarks)[\w.]*)", text):
        assert importlib.util.find_spec(module), module
    for place in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / place).exists(), f"{page.name} links to {place}"


def test_what_is_only_parsed_is_still_on_a_page() -> None:
    assert ONLY_PARSED.keys() <= {line for page in PAGES for line in lines_of(page)}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suites: dict[str, Suite]) -> Path:
    """Three devices that are this machine, two kernels, and the files that the pages name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = {"cache": tmp_path / "cache", "wasm3": ", wasm3-i" if HAS_WASM3 else ""}
    (tmp_path / "devices.yaml").write_text(DEVICES.format(**cache))
    shutil.copytree(ROOT / "benchmarks" / "startup", tmp_path / "benchmarks" / "startup")
    monkeypatch.setattr(catalogue, "shipped_root", lambda: tmp_path / "benchmarks")
    source, suite = suites["polybench"].root, tmp_path / "benchmarks" / "polybench"
    for path in source.glob("*.[ch]"):
        if path.stem in KERNELS or path.suffix == ".h":
            (suite / path.name).parent.mkdir(exist_ok=True, parents=True)
            shutil.copy(path, suite)
    for size in ("mini", "small"):
        (suite / "build" / size).mkdir(parents=True)
        for kernel in KERNELS:
            for path in (source / "build" / size).glob(f"{kernel}.*"):
                shutil.copy2(path, suite / "build" / size)
    head, *entries = (source / "suite.toml").read_text().split("\n[[workload]]\n")
    kept = [entry for entry in entries if re.match(rf'name = "({"|".join(KERNELS)})"', entry)]
    text = "\n[[workload]]\n".join([head.replace('heavy = ["large"]', ""), *kept])
    (suite / "suite.toml").write_text(re.sub(r"^(medium|large) = .*\n", "", text, flags=re.M))
    module = wasmtime.wat2wasm(OWN)
    for place in ("own.wasm", "DIR/own.wasm", "modules/own.wasm", "pitot/benchmarks/wasm/polybench/own.wasm"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(module)
    (tmp_path / "data").mkdir()
    write_all(tmp_path / "pitot" / "data", rows=60)
    with open(tmp_path / "asked.csv", "w", newline="") as file:
        asked = csv.writer(file)
        asked.writerow(["workload", "platform", "with"])
        asked.writerow(["polybench/small/gemm", "wasmtime-j:local", "polybench/small/lu"])
    (tmp_path / "deadlines.csv").write_text(
        "workload,deadline_ms,copies\npolybench/small/gemm,4000,2\npolybench/small/lu,4000,1\n"
    )
    return tmp_path


def test_every_command_line_does_what_its_page_says(lab: Path, harness) -> None:
    """All of them in turn, as a reader would; a result that an earlier line left is removed first."""
    prepared = [
        "harness collect -o datasets/lab -s polybench",
        "harness train datasets/lab -o lab.npz",
        "harness import pitot/data -o datasets/published",
    ]
    lines = [line for page in PAGES for line in lines_of(page) if line.startswith("harness ")]
    wrong = []
    for number, line in enumerate([*prepared, *dict.fromkeys(lines)]):
        if line in ONLY_PARSED or line.startswith("harness --") or ("wasm3" in line and not HAS_WASM3):
            continue
        words = shlex.split(line.partition("|")[0])[1:]
        output = next((Path(after) for word, after in itertools.pairwise(words) if word == "-o"), None)
        if output and words[0] in ("import", "export"):
            shutil.rmtree(output, ignore_errors=True)
            output.unlink(missing_ok=True)
        if number == len(prepared):
            for name in ("before", "after"):
                shutil.copytree("datasets/lab", f"datasets/{name}")
            Path("datasets/demo").mkdir()
            shutil.copy("lab.npz", "datasets/demo/model.npz")
        ran = harness(
            *(str(Path(word).expanduser()) if word[0] == "~" else word for word in words),
            *CUT.get(words[0], []),
        )
        if ran.code != 0 or (output and "--dry-run" not in words and not output.exists()):
            wrong.append(f"{line}: exit code {ran.code}: {ran.err.strip()[-500:]}")
    assert not wrong, "\n".join(wrong)


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)[`,]", text))
    assert len(named) > 20
    places = [ROOT / "harness", ROOT]
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []
