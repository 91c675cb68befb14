"""`harness devices --check`: whether times on a device can be trusted, found out in a minute by placebos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from harness.dataset.info import Settings
from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.errors import HarnessError
from harness.files import temporary
from harness.fleet.devices import Device
from harness.fleet.reach import reach_all
from harness.measure.collection import measure, prepare, takes
from harness.measure.placebo import placebo_rows, placebos_of
from harness.measure.plan import make_plan
from harness.suites.catalogue import shipped
from harness.suites.ready import STARTUP, build_shown

SETTINGS = Settings(repeats=5, limit_s=10.0, co_run_s=0.1, rounds={}, anchors=0, placebos=1)
AT_MOST_S = 60.0


def check_devices(devices: Sequence[Device], console: Console) -> list[dict[str, Any]]:
    """Rows as of `placebo_rows`, for every engine that each device has, as far as one gets in a minute.

    Nothing is kept of it. Raises HarnessError where no device has an engine.
    """
    suites = shipped()
    known = {w.name: w for suite in suites.values() for w in suite.workloads}
    workloads = [*placebos_of(known), known[STARTUP]]
    names = [w.name for w in workloads]
    build_shown(
        [part for suite in suites.values() if (part := suite.only(names)).workloads], console, checks=False
    )
    reached, _ = reach_all(devices, console)
    try:
        platforms = [(name, one.device.name) for one in reached for name in one.versions]
        if not platforms:
            raise HarnessError("no device has any engine; see `harness devices` for what to install.")
        processors = {one.device.name: one.processors for one in reached}
        plan = make_plan(platforms, [], known[STARTUP], SETTINGS, takes, workloads[:-1], processors)
        engines = [ENGINES[name] for name in dict.fromkeys(name for name, _ in platforms)]
        with temporary("placebos") as folder:
            dataset = Dataset.create(folder / "placebos")
            prepare(dataset, plan, reached, engines, workloads, console)
            measure(dataset, plan, reached, workloads, console, AT_MOST_S)
            return placebo_rows(dataset)
    finally:
        for one in reached:
            one.session.close()
