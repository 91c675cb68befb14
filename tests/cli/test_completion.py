"""What the shell offers: names from the model, the dataset or the suites at hand, and nothing where that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compare.test_comparison import make
from tests.conftest import ROOT

SCRIPT = "import sys; sys.argv[0] = 'harness'; from harness.cli import main; main()"


@pytest.fixture
def offered(harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What bash is offered for a line that ends where the cursor is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_HARNESS_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        ran = harness()
        assert (ran.code, ran.err) == (0, "")
        return ran.out.split()

    return complete


def test_commands_devices_and_engines(offered, tmp_path: Path) -> None:
    assert offered("harness com") == ["compare"]
    assert offered("harness collect -d ") == ["local"]
    (tmp_path / "devices.yaml").write_text("devices: {pi-4: {transport: local}, pi-5: {transport: local}}\n")
    assert offered("harness collect -d ") == ["pi-4", "pi-5"]
    assert offered("harness devices pi-5") == ["pi-5"]
    assert offered("harness collect -e wasm3-i") == ["wasm3-i"]


def test_workloads_a_part_at_a_time(offered) -> None:
    assert offered("harness build polyb") == ["polybench"]
    assert "polybench/mini" in offered("harness build polybench/")
    assert offered("harness collect -s polybench/mini/gem") == [
        "polybench/mini/gemm", "polybench/mini/gemver",
    ]  # fmt: skip


def test_datasets_and_the_sides_in_them(offered, tmp_path: Path) -> None:
    make(tmp_path / "datasets" / "lab", {"wasmtime-j:pi": 1.0, "wasm3-i:nuc": 2.0})
    assert "datasets/lab" in offered("harness status ")
    assert offered("harness status datasets/") == ["datasets/lab"]
    assert offered("harness compare datasets/lab -e wasmtime-j,") == [
        "wasmtime-j,wasm3-i",
        "wasmtime-j,wasmtime-j",
    ]
    assert offered("harness compare datasets/lab -d n") == ["nuc"]


def test_what_a_model_knows(offered, model_path: Path) -> None:
    asked = f"harness predict {model_path}"
    assert offered(f"{asked} -d ") == ["device0", "device1"]
    assert offered(f"{asked} -w s/small/w1")[0] == "s/small/w1"
    assert offered(f"{asked} --with s/small/w0,s/small/w19") == ["s/small/w0,s/small/w19"]


def test_a_damaged_model_offers_nothing(offered, tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"PK")
    assert offered("harness predict m.npz -d ") == []


def test_completion_installs_in_a_shell(tmp_path: Path) -> None:
    line = f"'{sys.executable}' -c \"{SCRIPT}\" --install-completion; exit $?"
    ran = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 0, ran.stderr
    assert "_HARNESS_COMPLETE=complete_bash" in "".join(
        path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    )
