"""The installed wheel does the main job in an empty directory, with nothing of the checkout at hand."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
import wasmtime

from harness import __version__
from harness.processes import run_to_end
from tests.conftest import ROOT

LACKING = [name for name in ("build", "hatchling", "pip") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(LACKING), reason=f"no {' and '.join(LACKING)}; pip install {' '.join(LACKING)}"
)

ZIG_CACHE = os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(Path("~/.cache/zig").expanduser()))  # saves a minute
SOME = ["-s", "polybench/mini/g*", "-s", "own", "-e", "wasmtime-j", "-e", "wasmtime-p"]
SHORT = [
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
]
OWN = '(module (memory (export "memory") 1) (func (export "_start") (drop (i32.add (i32.const 1) (i32.const 2)))))'


@dataclass
class Installed:
    """An environment that has the wheel, a home of its own, and an empty directory to work in."""

    place: Path
    site: Path

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        known = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place / "home"),
            "ZIG_GLOBAL_CACHE_DIR": ZIG_CACHE,
        }
        words = [str(self.place / "venv" / "bin" / str(command[0])), *map(str, command[1:])]
        ran = run_to_end(words, cwd=self.place / "empty", env=known, within_s=280)
        assert ran.returncode == 0 or not check, f"{' '.join(words)}: {ran.stderr}"
        return ran

    def pip(self, *arguments: object) -> None:
        python = self.place / "venv" / "bin" / "python"
        command = [sys.executable, "-m", "pip", "--python", str(python), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, text=True)

    def files(self) -> dict[str, bytes]:
        """What is installed, without what Python compiles for itself."""
        paths = [path for path in self.site.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        return {str(path.relative_to(self.site)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made from the source distribution that is made from this checkout."""
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place), str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "warning" not in (ran.stdout + ran.stderr).lower()
    [found] = place.glob("*.whl")
    return found


@pytest.fixture
def installed(tmp_path: Path, wheel: Path) -> Installed:
    venv.create(tmp_path / "venv", with_pip=False)
    [site] = (tmp_path / "venv" / "lib").glob("python3*/site-packages")
    # What harness depends on is found where it is; harness itself is not, since .pth files do not count there.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "home").mkdir()
    one = Installed(tmp_path, site)
    one.pip("install", "--no-deps", "--no-index", wheel)
    return one


def test_from_installing_the_wheel_to_removing_it(installed: Installed, wheel: Path) -> None:
    before, work = installed.files(), installed.place / "empty"
    assert not [name for name in before if "/build/" in name]
    place = installed.run("python", "-c", "import harness; print(harness.__file__)").stdout
    assert place.startswith(str(installed.site))

    (work / "modules").mkdir()
    (work / "modules" / "add.wasm").write_bytes(wasmtime.wat2wasm(OWN))
    installed.run("harness", "build", "--import", "modules", "--as", "own")
    assert (work / "benchmarks" / "own" / "suite.toml").exists()
    rows = json.loads(installed.run("harness", "build", "startup", "polybench/mini/g*", "--json").stdout)
    assert [row["output"] for row in rows] == ["as expected"] * 4 + ["ran"]

    gemm = json.loads(installed.run("harness", "count", "polybench/mini/gemm", "--json").stdout)
    assert gemm[0]["opcodes"]["f64.add"] == 20 * 25 * 30

    ran = installed.run("harness", "collect", "-o", "data", *SOME, *SHORT)
    assert ran.stderr.count("devices.yaml") == 1
    installed.run("harness", "train", "data", "-o", "model.npz", "--calibration-share", "0.25")
    asked = ["-w", "polybench/mini/gemm", "-e", "wasmtime-j", "--with", "own/add", "--eps", "0.5", "--json"]
    [answer] = json.loads(installed.run("harness", "predict", "model.npz", *asked).stdout)
    assert answer["mean_ns"] > 0
    (work / "asked.csv").write_text("workload,deadline_ms\npolybench/mini/gemm,60000\nown/add,60000\n")
    placed = installed.run("harness", "place", "model.npz", "asked.csv", "--eps", "0.5", "--json").stdout
    assert [row["device"] for row in json.loads(placed)] == ["local", "local"]
    installed.run("harness", "report", "data", "-o", "report.html")
    assert sorted(path.name for path in work.iterdir()) == [
        "asked.csv", "benchmarks", "data", "model.npz", "modules", "report.html",
    ]  # fmt: skip

    assert installed.files() == before
    installed.pip("uninstall", "--yes", "harness")
    assert [path.name for path in installed.site.iterdir()] == ["dependencies.pth"]


def test_scripts_of_the_shipped_suites_run_from_the_wheel(installed: Installed) -> None:
    """What makes MiBench's inputs builds its encoders, as `harness build` starts it."""
    code = (
        "import harness.benchmarks.polybench.check, harness.benchmarks.mibench.check as c; print(c.__file__)"
    )
    assert installed.run("python", "-c", code).stdout.startswith(str(installed.site))
    script = installed.site / "harness" / "benchmarks" / "mibench" / "inputs.py"
    before = installed.files()
    code = (
        "import runpy, pathlib; made = runpy.run_path({!r}, run_name='inputs')\n"
        "for name in ('SAMPLES', 'TEXT_BYTES', 'VOICE_BYTES'): made[name].update(small=3200, large=6400)\n"
        "for name in ('toast', 'blowfish_enc', 'rijndael_enc'): del made['ENCODERS'][name]\n"
        "made['make'](pathlib.Path({!r}))"
    )
    made = installed.place / "home" / ".cache" / "harness" / "suites" / __version__ / "mibench" / "inputs"
    installed.run("python", "-c", code.format(str(script), str(made)))
    assert (made / "small.adpcm").stat().st_size == 3200 // 2  # four bits a sample
    assert installed.files() == before


@pytest.mark.skipif(
    "HARNESS_TEST_DEMO" not in os.environ,
    reason="asked for by HARNESS_TEST_DEMO=1 only, as it takes a minute",
)
def test_the_demo_runs_from_the_wheel(installed: Installed) -> None:
    installed.run("harness", "demo", "--minutes", "0.7")
    found = {path.name for path in (installed.place / "empty" / "datasets" / "demo").iterdir()}
    assert {"dataset.json", "model.npz", "report.html"} <= found
