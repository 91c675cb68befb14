"""The controller of the storm: a collection of fake workloads on the devices of a file, to be killed and repeated."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from harness.dataset.info import Settings
from harness.dataset.records import Entry
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.fleet import session
from harness.fleet.devices import load_devices
from harness.fleet.reach import reach_all
from harness.measure.plan import Plan, make_plan
from harness.measure.stop import Stop
from harness.measure.workers import collect
from harness.suites.suite import Workload
from tests.devices import FAKE

SETTINGS = Settings(repeats=3, limit_s=2.0, co_run_s=0.06, rounds={2: 1, 3: 1, 4: 1}, anchors=1)
WORKLOADS = 27


def make_workloads(folder: Path) -> list[Workload]:
    """The first is the start-up; times from 1 to 30 ms, the same on every call."""
    draw, made = random.Random(3), []
    folder.mkdir(exist_ok=True)
    for number in range(WORKLOADS + 1):
        module = folder / f"w{number}"
        module.write_text(
            json.dumps({"sleep_s": draw.uniform(0.001, 0.03), "log": "runs.log", "number": number})
        )
        made.append(Workload(f"fake/small/w{number}", "fake", module, (f"w{number}",)))
    return made


def make_storm_plan(folder: Path, devices: list[str]) -> tuple[Plan, list[Workload]]:
    startup, *workloads = make_workloads(folder)
    return make_plan([("fake", name) for name in devices], workloads, startup, SETTINGS), [
        startup,
        *workloads,
    ]


class Log:
    def said(self, text: str) -> None:
        print(text, flush=True)

    def planned(self, jobs: int, already_done: int) -> None:
        print(f"planned {jobs}, done {already_done}", flush=True)

    def finished(self, entry: Entry) -> None:
        pass


def main() -> int:
    root, devices_file = Path(sys.argv[1]), Path(sys.argv[2])
    ENGINES.clear()
    ENGINES["fake"] = FAKE
    session.PING_EVERY_S, session.SILENT_S = 0.3, 2.0
    devices = load_devices(devices_file)
    plan, workloads = make_storm_plan(root.parent / "modules", list(devices))
    reached, failed = reach_all(list(devices.values()), Log().said)
    for error in failed:
        print(error, flush=True)
    dataset = Dataset.open_or_create(root)
    with dataset.locked():
        dataset.begin(plan.settings, "test", plan.jobs)
        outcome = collect(dataset, plan, reached, workloads, Log(), Stop())
    print(f"left {outcome.left}, set aside {outcome.set_aside}", flush=True)
    return 1 if outcome.left or failed else 0


if __name__ == "__main__":
    sys.exit(main())
