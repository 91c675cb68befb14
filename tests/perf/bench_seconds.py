"""Where the second of a job goes: what a device spends executing, and on what it spends the rest.

`python -m tests.perf seconds`; HARNESS_ENGINES and HARNESS_JOBS (of each) say of what.
Each engine runs jobs of one second alone, on this machine as a local device and over SSH on its loopback. The agent
notes in each result when the job came how far, and the executions are told one by one; what lies between is printed.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from harness.dataset.info import Settings
from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from harness.measure.plan import Plan
from harness.measure.stop import Stop
from harness.measure.workers import collect
from harness.suites.catalogue import load_suites
from harness.suites.ready import build_and_verify
from harness.suites.suite import Workload
from tests.cluster import HAVE_SSHD, Server, make_key
from tests.perf.bench_collect import Clock

ENGINES = os.environ.get("HARNESS_ENGINES", "wasmtime-j;node-v8;wasm2c-gcc-O2").split(";")
JOBS = int(os.environ.get("HARNESS_JOBS", 12))
KERNELS = [
    f"polybench/small/{name}" for name in ("lu", "gemm", "floyd-warshall", "cholesky", "correlation", "2mm")
]
SETTINGS = Settings(repeats=5, limit_s=5.0, co_run_s=0.85, rounds={}, anchors=0, placebos=0)
# The moments of a job, the last one of the next, and what lies between them besides executing.
MOMENTS = ("begun", "checked", "started", "loaded", "prepared", "warm", "looped", "ended", "judged", "next")
BETWEEN = (
    "device looked at",
    "runner started",
    "compiled or loaded",
    "first execution",
    "warming up",
    "measuring",
    "runner ended",
    "result judged",
    "result stored, next job begun",
)
PARTS = dict(zip(BETWEEN, pairwise(MOMENTS), strict=True))


class Ear:
    """A transport that keeps what the agent sends of each result."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.jobs: list[dict[str, Any]] = []

    def send(self, line: bytes) -> None:
        self._transport.send(line)

    def receive(self, timeout_s: float) -> bytes | None:
        line: bytes | None = self._transport.receive(timeout_s)
        if line and line.startswith(b'{"event":"result"'):
            self.jobs.append(json.loads(line)["result"])
        return line

    def close(self) -> None:
        self._transport.close()


def executing_ns(job: dict[str, Any]) -> dict[str, int]:
    """Of the one workload of a job: its executions, by the part in which they were."""
    [member] = job["members"]
    warm, measured = 0, member["more_wall_ns"]
    for start, wall, *_, is_warm in member["samples"]:
        if is_warm and start < job["moments"]["warm"]:
            warm += wall
        else:
            measured += wall
    gap = member["warm_ns"] - sum(wall for _, wall, *_, is_warm in member["samples"] if is_warm)
    first = member["warmup_ns"]
    return {"first execution": first, "warming up": warm - first + gap, "measuring": measured}


def spent(jobs: list[dict[str, Any]]) -> tuple[float, float, dict[str, float]]:
    """Share of the time that was spent executing, seconds a job, and the median ms of each part but for that."""
    rows: dict[str, list[float]] = {name: [] for name in PARTS}
    busy_ns = 0
    for job, following in pairwise(jobs):
        moments = job["moments"] | {"next": following["moments"]["begun"]}
        executed = executing_ns(job)
        for name, (begin, end) in PARTS.items():
            rows[name].append((moments[end] - moments[begin] - executed.get(name, 0)) / 1e6)
        busy_ns += sum(executed.values())
    medians = {name: statistics.median(values) for name, values in rows.items()}
    taken_ns = jobs[-1]["moments"]["begun"] - jobs[0]["moments"]["begun"]
    return busy_ns / taken_ns, taken_ns / (len(jobs) - 1) / 1e9, medians


def run(device: Reached, workloads: list[Workload], engine: str, folder: Path) -> list[dict[str, Any]]:
    ear = Ear(device.session._transport)
    device.session._transport = ear
    jobs = tuple(
        Job(
            f"{engine}-{n}", device.device.name, engine, (workloads[n % len(workloads)].name,), "measure", n,
            SETTINGS.repeats, SETTINGS.limit_s, SETTINGS.co_run_s,
        )
        for n in range(len(workloads) + JOBS + 1)
    )  # fmt: skip
    collect(Dataset.create(folder / engine), Plan(jobs, SETTINGS), [device], workloads, Clock(), Stop())
    return ear.jobs[len(workloads) :]  # each is sent and compiled once before


@contextmanager
def devices(root: Path) -> Iterator[list[Device]]:
    """This machine as the local device, and where there is a server, over SSH."""
    found = [Device(transport="local", name="local", cache=str(root / "cache"))]
    if not HAVE_SSHD:
        yield found
        return
    server = Server(root, "lab", make_key(root / "key"))
    server.start()
    (root / "known_hosts").write_text(server.known_host())
    try:
        yield [
            *found,
            Device(
                name="ssh", transport="ssh", host="127.0.0.1", port=server.port, key=str(root / "key"),
                known_hosts=str(root / "known_hosts"), cache=str(server.cache), python=sys.executable,
            ),
        ]  # fmt: skip
    finally:
        server.stop()


def main() -> None:
    known = {w.name: w for suite in load_suites().values() for w in suite.workloads}
    build_and_verify(KERNELS, None, Console(stderr=True))
    workloads = [known[name] for name in KERNELS]
    titles = ["engine and device", *(f"{part}, ms" for part in PARTS), "s a job", "executing"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    with tempfile.TemporaryDirectory() as scratch, devices(Path(scratch)) as given:
        for engine in ENGINES:
            for device in given:
                reached = reach(msgspec.structs.replace(device, engines=[engine]), print)
                if engine not in reached.versions:
                    print(f"| {engine} {device.name} is not there |")
                    continue
                place = Path(scratch, device.name + engine)
                place.mkdir()
                share, each_s, parts = spent(run(reached, workloads, engine, place))
                cells = [f"{engine} {device.name}", *(f"{ms:.1f}" for ms in parts.values())]
                print(f"| {' | '.join(cells)} | {each_s:.2f} | {100 * share:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
