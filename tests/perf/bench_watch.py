"""`harness watch`: how soon a reader hears of a finished job of a real collection, and what looking costs."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from harness.dataset.records import Entry, Job
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.reach import reach
from harness.measure.plan import Plan
from harness.measure.stop import Stop
from harness.measure.workers import collect
from harness.report.live_feed import Feed
from harness.report.live_server import serving
from tests.devices import FAKE
from tests.perf.bench_collect import SETTINGS, make_workload

JOBS, JOB_S = 40, 0.5


class Ends:
    """When each job was in the journal."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def said(self, text: str) -> None:
        print(text)

    def planned(self, jobs: int, left: Mapping[str, int]) -> None:
        pass

    def finished(self, entry: Entry) -> None:
        self.at.append(time.monotonic())


def read(port: int, heard: dict[int, float]) -> None:
    reader = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    reader.request("GET", "/events")
    answer = reader.getresponse()
    while len(heard) < JOBS and (line := answer.fp.readline()):
        if line.startswith(b"data: "):
            done = sum(lane["done"] for lane in json.loads(line[6:])["lanes"])
            for number in range(1, done + 1):
                heard.setdefault(number, time.monotonic())
    reader.close()


def main() -> None:
    ENGINES["fake"] = FAKE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload = make_workload(folder, {"sleep_s": JOB_S / 60})
        device = reach(
            Device(transport="local", name="local", cache=str(folder / "cache"), engines=["fake"]), print
        )
        jobs = tuple(
            Job(f"j{n}", "local", "fake", (workload.name,), "measure", 0, 50, 30.0, JOB_S)
            for n in range(JOBS)
        )
        dataset, ends, heard = Dataset.create(folder / "lab"), Ends(), {}
        dataset.begin(SETTINGS, "1", jobs)
        feed = Feed(dataset)
        with serving(feed, "127.0.0.1", 0) as server:
            reader = threading.Thread(target=read, args=(server.server_address[1], heard))
            reader.start()
            collect(dataset, Plan(jobs, SETTINGS), [device], [workload], ends, Stop())
            reader.join(30)
        late = sorted(heard[n + 1] - at for n, at in enumerate(ends.at))
        print(
            f"{len(late)} jobs: a reader heard of one after {late[len(late) // 2]:.2f} s, at most {late[-1]:.2f} s"
        )
        started = time.thread_time()
        for _ in range(200):
            feed.look()
        print(f"a look where nothing is new: {(time.thread_time() - started) * 5:.2f} ms of processor time")
        ours = [
            one.name for one in threading.enumerate() if "live" in one.name or "process_request" in one.name
        ]
        print(f"threads of it left: {len(ours)}")
