"""`harness collect` as a user runs it: real engines, interruptions of every kind, and a dataset that is complete."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from harness.dataset.store import Dataset
from tests.cluster import processes
from tests.conftest import ROOT

KERNELS = ["polybench/mini/gemm", "polybench/mini/atax", "polybench/mini/trisolv", "polybench/mini/mvt"]
PLAN = [
    *(word for kernel in KERNELS for word in ("-s", kernel)), "--degrees", "2,3", "--repeats", "5", "--limit", "2",
    "--co-run", "0.1", "--anchors", "1", "--placebos", "0", "-e", "wasmtime-j",
]  # fmt: skip
ALL_ENGINES = ["-e", "wasmtime-a", "-e", "wasmtime-p"]


def start(dataset: Path, devices: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "collect",
        "-o",
        str(dataset),
        "--devices-file",
        str(devices),
    ]
    return subprocess.Popen(
        [*command, *PLAN, "--json", *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices:\n  local:\n    transport: local\n    cache: {tmp_path / 'cache'}\n")
    return path


def check_complete(root: Path) -> Dataset:
    """Every planned job is there exactly once, with an observation per member, and all are fine."""
    dataset = Dataset.open(root)
    table = dataset.observations(["job", "workload", "status", "reason"])
    counted = Counter(zip(table["job"].to_pylist(), table["workload"].to_pylist(), strict=True))
    assert counted == Counter((job.id, name) for job in dataset.plan() for name in job.workloads)
    assert set(table["status"].to_pylist()) == {"ok"}, [
        row for row in table.to_pylist() if row["status"] != "ok"
    ]
    return dataset


@pytest.mark.usefixtures("suites")
def test_ten_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path, devices: Path) -> None:
    root, draw = tmp_path / "data", random.Random(5)
    for _ in range(10):
        process = start(root, devices, *ALL_ENGINES)
        time.sleep(draw.uniform(0.3, 2.5))
        process.kill()
        process.communicate()
    finished = start(root, devices, *ALL_ENGINES)
    out, err = finished.communicate(timeout=300)
    assert finished.returncode == 0, err.decode()
    dataset = check_complete(root)
    assert {row["platform"]: (row["left"], row["failed"]) for row in json.loads(out)} == {
        "wasmtime-a:local": (0, 0),
        "wasmtime-j:local": (0, 0),
        "wasmtime-p:local": (0, 0),
    }
    counts = {row["workload"]: dict(row["opcodes"]) for row in dataset.workloads().to_pylist()}
    assert counts["polybench/mini/gemm"]["f64.add"] == 20 * 25 * 30
    assert not list((root / "journal").iterdir())


@pytest.mark.usefixtures("suites")
def test_one_interrupt_ends_after_the_running_job_and_the_next_run_goes_on(
    tmp_path: Path, devices: Path
) -> None:
    root = tmp_path / "data"
    process = start(root, devices)
    wait_for_journal(root)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1
    assert b"jobs are left; repeat the command to go on" in err
    done = len(Dataset.open(root).finished())
    assert done > 0
    again = start(root, devices)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0
    assert f"{done} of " in err.decode()
    check_complete(root)


@pytest.mark.usefixtures("suites")
def test_two_interrupts_end_at_once(tmp_path: Path, devices: Path) -> None:
    process = start(tmp_path / "data", devices, "--limit", "20", "--co-run", "20")
    running, deadline = runners(tmp_path / "cache"), time.monotonic() + 120
    while True:  # until it is in the middle of a job of many seconds
        time.sleep(2)
        assert time.monotonic() < deadline, "no job took long"
        before, running = running, runners(tmp_path / "cache")
        if len(running) > 1 and running == before:
            break
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.usefixtures("suites")
def test_three_interrupts_wait_for_nothing_and_lose_nothing(tmp_path: Path, devices: Path) -> None:
    """The agent is stopped and takes no word, so the first two cannot end anything."""
    root = tmp_path / "data"
    process = start(root, devices)
    wait_for_journal(root)
    [agent] = [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]
    os.kill(agent, signal.SIGSTOP)
    try:
        for _ in range(3):
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        _, err = process.communicate(timeout=10)
    finally:
        os.kill(agent, signal.SIGCONT)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert start(root, devices).wait(300) == 0
    check_complete(root)


@pytest.mark.usefixtures("suites")
def test_a_killed_agent_is_started_again_and_its_job_repeated(tmp_path: Path, devices: Path) -> None:
    root = tmp_path / "data"
    process = start(root, devices)
    wait_for_journal(root)
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    assert b"the agent was killed by signal 9" in err
    check_complete(root)


@pytest.mark.usefixtures("suites")
def test_a_dry_run_tells_the_plan_and_writes_nothing(tmp_path: Path, devices: Path) -> None:
    process = start(tmp_path / "data", devices, *ALL_ENGINES, "--dry-run")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    planned = {row["engine"]: (row["alone"], row["together"]) for row in json.loads(out)}
    assert planned == dict.fromkeys(("wasmtime-j", "wasmtime-a", "wasmtime-p"), (4 + 1 + 2, 4 + 4))
    assert not (tmp_path / "data").exists()


def runners(cache: Path) -> list[int]:
    """The processes that execute modules of a device with this cache."""
    return sorted(pid for pid, command in processes() if str(cache / "runners") in command)


def wait_for_journal(root: Path) -> None:
    deadline = time.monotonic() + 120
    while not any((root / "journal").glob("*.jsonl")) or not any(
        p.stat().st_size for p in (root / "journal").iterdir()
    ):
        assert time.monotonic() < deadline, "nothing was journaled in time"
        time.sleep(0.02)
