"""What the controller costs: the share of time devices measure, its processor time per job, and its memory.

Devices are simulated by agents in this process that take a job's time and answer, so that one machine can drive two
hundred of them; one real agent over the local transport shows the whole path.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.dataset.info import Settings
from harness.dataset.records import Entry, Job
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from harness.fleet.session import Session
from harness.measure.plan import Plan
from harness.measure.stop import Stop
from harness.measure.workers import collect
from harness.suites.suite import Workload
from tests.devices import FAKE, member, run, session

SETTINGS = Settings(repeats=50, limit_s=30.0, rounds={}, anchors=0)


class Simulated:
    """A transport to an agent that sleeps for every job and sends 50 samples."""

    def __init__(self, job_s: float) -> None:
        self.job_s, self.busy_s = job_s, 0.0
        self._answers: deque[bytes | dict[str, Any]] = deque([b'{"event":"hello","agent":1,"pid":1}'])
        self._there = threading.Event()
        self._there.set()

    def send(self, line: bytes) -> None:
        asked = json.loads(line)
        if asked["op"] == "have":
            self._say({"event": "missing", "digests": []})
        elif asked["op"] == "spool":
            self._say({"event": "spool_end"})
        elif asked["op"] == "facts":
            self._say({"event": "facts", "state": {}})
        elif asked["op"] == "run":
            self._answers.append(asked["job"])

    def receive(self, timeout_s: float) -> bytes | None:
        answer = self._answers.popleft()
        if isinstance(answer, dict):
            time.sleep(self.job_s)
            self.busy_s += self.job_s
            sample = [1, round(self.job_s * 2e7), 1, 1, 1000, True]
            members = [
                {"workload": spec["workload"], "status": "ok", "reason": "", "samples": [sample] * 50}
                for spec in answer["members"]
            ]
            result = {"job": answer["id"], "started_unix_ns": 1, "state_before": {}, "members": members}
            return json.dumps({"event": "result", "result": result}).encode()
        return answer

    def close(self) -> None:
        pass

    def _say(self, event: dict[str, object]) -> None:
        self._answers.append(json.dumps(event).encode())


class Clock:
    """Notes when the first and the last job ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def said(self, text: str) -> None:
        print(text)

    def planned(self, jobs: int, left: Mapping[str, int]) -> None:
        pass

    def finished(self, entry: Entry) -> None:
        self.ends.append(time.monotonic())


def simulate(folder: Path, devices: int, jobs_each: int, job_s: float) -> dict[str, float]:
    workload = make_workload(folder, {})
    reached, transports = [], []
    for number in range(devices):
        transport = Simulated(job_s)
        transports.append(transport)
        device = Device(transport="local", name=f"d{number}")
        reached.append(Reached(device, Session(transport, device.name), {}, {"fake": "1.0"}, {}))
    jobs = tuple(
        Job(f"{d}x{n}", f"d{d}", "fake", (workload.name,), "measure", 0, 50, 30.0, 30.0)
        for n in range(jobs_each)
        for d in range(devices)
    )
    dataset, clock = Dataset.create(folder / f"sim{devices}x{jobs_each}"), Clock()
    before, started = time.process_time(), time.monotonic()
    collect(dataset, Plan(jobs, SETTINGS), reached, [workload], clock, Stop())
    wall_s = clock.ends[-1] - started
    return {
        "measuring share": sum(t.busy_s for t in transports) / devices / wall_s,
        "controller ms per job": 1e3 * (time.process_time() - before) / len(jobs),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def real(folder: Path, jobs: int, job_s: float) -> dict[str, float]:
    """One real agent: jobs of 50 sleeps that fill job_s, and what starting, checking and journaling adds."""
    workload = make_workload(folder, {"sleep_s": job_s / 51})
    device = reach(
        Device(transport="local", name="local", cache=str(folder / "cache"), engines=["fake"]), print
    )
    plan = tuple(
        Job(f"j{n}", "local", "fake", (workload.name,), "measure", 0, 50, 30.0, 30.0) for n in range(jobs)
    )
    dataset, clock = Dataset.create(folder / "real"), Clock()
    started = time.monotonic()
    collect(dataset, Plan(plan, SETTINGS), [device], [workload], clock, Stop())
    spent_ns = sum(
        row["warmup_ns"] + sum(sample["wall_ns"] for sample in row["samples"])
        for row in dataset.observations(["warmup_ns", "samples"]).to_pylist()
    )
    return {"measuring share": spent_ns / 1e9 / (clock.ends[-1] - started)}


def slowdowns(folder: Path) -> dict[str, float]:
    """How much longer work that only computes takes beside copies of itself, on one processor and on one each."""
    found = {}
    with session(folder / "pinned") as agent:
        burner = member("burner", {"count": 3_000_000})

        def mean_ns(copies: int, cpus: list[int]) -> float:
            window = {"report": 20, "window_ns": 3 * 10**9, "limit_ns": 30 * 10**9, "cpus": cpus}
            members = run(agent, *[burner] * copies, **window).members
            return sum(s.wall_ns for one in members for s in one.samples) / sum(
                len(one.samples) for one in members
            )

        alone = mean_ns(1, [0])
        for copies in (2, 3, 4):
            found[f"{copies} on one processor"] = mean_ns(copies, [0]) / alone
        if os.cpu_count() and os.cpu_count() > 1:  # type: ignore[operator]
            found["2 on two processors"] = mean_ns(2, [0, 1]) / alone
    return found


def make_workload(folder: Path, script: dict[str, object]) -> Workload:
    module = folder / "module"
    module.write_text(json.dumps(script))
    return Workload("fake/small/w", "fake", module, ("w",))


def main() -> None:
    ENGINES["fake"] = FAKE
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            ("200 simulated devices, 20 jobs of 1 s each", simulate(Path(scratch), 200, 20, 1.0)),
            ("1,000 simulated devices, 20 jobs of 1 s each", simulate(Path(scratch), 1000, 20, 1.0)),
            ("20 simulated devices, 5,000 jobs of 1 ms each", simulate(Path(scratch), 20, 5000, 0.001)),
            ("one real agent, 20 jobs of 1 s", real(Path(scratch), 20, 1.0)),
            ("slowdown of work that only computes", slowdowns(Path(scratch))),
        ]
    for name, figures in rows:
        print(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
