"""The controller of the storm: a collection of fake workloads on the devices of a file, to be killed and repeated."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from harness.dataset.info import Settings
from harness.dataset.records import Entry
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet import session
from harness.fleet.devices import load_devices
from harness.fleet.reach import reach_all
from harness.measure import workers
from harness.measure.plan import Plan, make_plan
from harness.measure.stop import Stop
from harness.measure.workers import collect
from harness.suites.suite import Workload
from tests.devices import FAKE

SETTINGS = Settings(repeats=3, limit_s=2.0, co_run_s=0.06, rounds={2: 1, 3: 1, 4: 1}, anchors=1)
WORKLOADS = 27
TRAPS, CRASHES = "fake/small/w3", "fake/small/w5"  # the two that fail by themselves, each time


def sleeps_s() -> list[float]:
    """How long an execution of each workload takes: 1 to 30 ms, the same on every call."""
    draw = random.Random(3)
    return [draw.uniform(0.001, 0.03) for _ in range(WORKLOADS + 1)]


def make_workloads(folder: Path, count: int = WORKLOADS, failing: bool = False) -> list[Workload]:
    """The first is the start-up."""
    made = []
    folder.mkdir(exist_ok=True)
    for number, sleep_s in enumerate(sleeps_s()[: count + 1]):
        name = f"fake/small/w{number}"
        script: dict[str, object] = {"sleep_s": sleep_s, "log": "runs.log", "number": number}
        if failing and name == TRAPS:
            script["trap"] = "unreachable"
        if failing and name == CRASHES:
            script["die"] = "signal"
        module = folder / f"w{number}"
        module.write_text(json.dumps(script))
        made.append(Workload(name, "fake", module, (f"w{number}",)))
    return made


def make_storm_plan(
    folder: Path, devices: list[str], count: int = WORKLOADS, failing: bool = False
) -> tuple[Plan, list[Workload]]:
    startup, *workloads = make_workloads(folder, count, failing)
    return make_plan([("fake", name) for name in devices], workloads, startup, SETTINGS), [
        startup,
        *workloads,
    ]


class Log:
    def said(self, text: str) -> None:
        print(text, flush=True)

    def planned(self, jobs: int, left: Mapping[str, int]) -> None:
        print(f"planned {jobs}, done {jobs - sum(left.values())}", flush=True)

    def finished(self, entry: Entry) -> None:
        pass


def main() -> int:
    root, devices_file, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    ENGINES.clear()
    ENGINES["fake"] = FAKE
    session.PING_EVERY_S, session.SILENT_S = 0.3, 2.0
    workers.PATIENCE_S = 4.0
    devices = load_devices(devices_file)
    plan, workloads = make_storm_plan(devices_file.parent / "modules", list(devices), count, failing=True)
    reached, failed = reach_all(list(devices.values()), Console(stderr=True))
    for error in failed:
        print(error, flush=True)
    try:
        dataset = Dataset.open_or_create(root)
        with dataset.locked():
            dataset.begin(plan.settings, "test", plan.jobs)
            outcome = collect(dataset, plan, reached, workloads, Log(), Stop())
    except OSError as error:  # as the command line does
        print(f"harness: {error}", flush=True)
        return 1
    finally:
        for device in reached:
            device.session.close()
    print(f"left {outcome.left}, set aside {outcome.set_aside}", flush=True)
    return 1 if outcome.left or failed else 0


if __name__ == "__main__":
    sys.exit(main())
