"""Measuring a placement on the devices themselves: what was promised beside what happened.

Each device's residents are one co-run job, as `harness collect` would run it, of purpose ``place``. Training leaves
such rows out: they were chosen by a model's word, so they are no fair sample of what runs beside what.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.dataset.info import Settings
from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.decide.assignment import Placement
from harness.decide.deadlines import Deadlines
from harness.decide.place import PLACE_COLUMNS
from harness.engines import ENGINES, Engine
from harness.errors import DeviceError, UnknownName, UsageError
from harness.fleet.devices import choose, load_devices
from harness.fleet.reach import Reached, check_engines, reach_all
from harness.measure.collection import measure, prepare
from harness.measure.plan import JobMaker, Plan
from harness.output import Column
from harness.spelling import noun, several
from harness.suites import Workload, identity, load_suites
from harness.suites.ready import build_shown

SETTINGS = Settings(repeats=30, limit_s=30.0, co_run_s=3.0, rounds={}, anchors=0)
RUN_COLUMNS = [
    *PLACE_COLUMNS,
    Column("measured_ns", "measured", True, "mean execution time measured there beside the neighbours, ns"),
    Column("held", "bound held", meaning="whether it stayed below the bound"),
    Column("met", "deadline met", meaning="whether it stayed within the deadline"),
]


class Measurement:
    """Devices that are reached and workloads that are built for a placement; measures it into a dataset.

    Everything is checked before anything is written. Raises UsageError, UnknownName, DevicesError, SuiteError.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        placement: Placement,
        devices_file: Path,
        benchmarks: Path | None,
        console: Console,
    ) -> None:
        self.deadlines, self.placement, self.console = deadlines, placement, console
        platforms = [deadlines.places.platforms[one.place] for one in placement.residents]
        listed = load_devices(devices_file, console.print)
        for platform in platforms:
            if platform.partition(":")[2] not in listed:
                raise UnknownName("device", platform.partition(":")[2], listed, where=str(devices_file))
        check_engines([platform.partition(":")[0] for platform in platforms])
        self.devices = choose(listed, [platform.partition(":")[2] for platform in platforms], devices_file)
        names = {deadlines.demands[i].workload for one in placement.residents for i in one.members}
        suites = load_suites(benchmarks)
        known = {workload.name: workload for suite in suites.values() for workload in suite.workloads}
        for name in sorted(names):
            if name not in known:
                raise UsageError(
                    f"no suite here has {name}, so it cannot be run; import it, or place without --run."
                )
        parts = [part for suite in suites.values() if (part := suite.only(sorted(names))).workloads]
        build_shown(parts, console, checks=False)
        self.workloads: list[Workload] = [known[name] for name in sorted(names)]

    def run(self, root: Path, rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
        """The rows of the placement with what was measured, and a sentence; jobs done before are not run again.

        Raises DeviceError where a device or its engine is not there.
        """
        if (root / "dataset.json").exists():
            Dataset.open(root)
        reached, failed = reach_all(self.devices, self.console)
        try:
            if failed:
                raise failed[0]
            plan = Plan(tuple(self._jobs(reached)), SETTINGS)
            dataset = Dataset.open_or_create(root)
            with dataset.locked():
                prepare(dataset, plan, reached, _engines(plan), self.workloads, self.console)
                outcome = measure(dataset, plan, reached, self.workloads, self.console)
        finally:
            for device in reached:
                device.session.close()
        told = self._told(dataset, plan, rows)
        measured = [row for row in told if row["measured_ns"] is not None]
        left = (
            f"; {several(outcome.left, 'job is', 'jobs are')} left, repeat the command to go on"
            if outcome.left
            else ""
        )
        met = sum(row["met"] for row in measured)
        return told, (
            f"{sum(row['held'] for row in measured)} of {several(len(measured), 'bound')} held and "
            f"{met} of {several(len(measured), 'deadline')} {noun(met, 'was', 'were')} met{left}; "
            f"the rows are in {root}, and training leaves them out"
        )

    def _jobs(self, reached: Sequence[Reached]) -> list[Job]:
        """A job for each device in use, in the order of the residents."""
        has = {device.device.name: device for device in reached}
        make_job = JobMaker({workload.name: identity(workload) for workload in self.workloads}, SETTINGS)
        jobs = []
        for one in self.placement.residents:
            engine, _, device = self.deadlines.places.platforms[one.place].partition(":")
            if engine not in has[device].versions:
                reason = has[device].absent.get(engine, "it has no such engine")
                raise DeviceError(device, f"{engine} cannot be used there now: {reason}")
            together = [self.deadlines.demands[i].workload for i in one.members]
            jobs.append(make_job(device, engine, together, "place"))
        return jobs

    def _told(self, dataset: Dataset, plan: Plan, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each row with the time of its own job; copies in one job share the row that a dataset keeps of them."""
        table = dataset.observations(["job", "workload", "status", "reason", "wall_ns_mean"]).to_pylist()
        found = {(row["job"], row["workload"]): row for row in table}
        job_on = {job.platform: job.id for job in plan.jobs}
        told = []
        for row in rows:
            more: dict[str, Any] = {"measured_ns": None, "held": None, "met": None}
            one = found.get((job_on.get(row["platform"], ""), row["workload"]))
            if one and one["status"] == "ok":
                time_ns = one["wall_ns_mean"]
                more |= {"measured_ns": time_ns, "held": time_ns <= row["bound_ns"]}
                more |= {"met": time_ns <= row["deadline_ns"]}
            elif row["platform"]:
                why = f"{one['status']}: {one['reason']}" if one else "its job was not run"
                more["reason"] = f"placed, and not measured: {why}"
            told.append(dict(row) | more)
        return told


def _engines(plan: Plan) -> list[Engine]:
    return [ENGINES[name] for name in sorted({job.engine for job in plan.jobs})]
