"""`harness collect`: from a request to a finished, or resumable, dataset."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from harness import __version__
from harness.dataset.info import Origin, Settings
from harness.dataset.store import NO_ORIGIN, Dataset, refuse_taken
from harness.engines import ENGINES
from harness.errors import DeviceError, HarnessError, Interrupted, ModuleError, UsageError
from harness.fleet.devices import Device, choose, load_devices
from harness.fleet.reach import Reached, check_engines, choose_engines, platform_rows, reach_all
from harness.measure.adaptive import Adaptive, Adviser, beyond, marked
from harness.measure.listener import CollectionProgress
from harness.measure.placebo import SUITE, placebos_of
from harness.measure.plan import Plan, make_plan, resumed
from harness.measure.status import status_rows
from harness.measure.stop import Stop
from harness.measure.workers import Outcome, collect
from harness.progress import bar
from harness.spelling import several
from harness.suites.catalogue import load_suites, select
from harness.suites.counting import workload_rows
from harness.suites.ready import STARTUP, build_shown
from harness.suites.suite import Workload


@dataclass(frozen=True)
class Request:
    output: Path
    devices_file: Path
    benchmarks: Path | None
    devices: list[str]
    engines: list[str]
    suites: list[str]
    settings: Settings
    hours: float | None = None
    jobs: int | None = None
    shard: tuple[int, int] = (1, 1)
    retry: tuple[str, ...] = ()
    adviser: Adviser | None = None  # of an adaptive collection
    until: float | None = None  # the error at which it ends
    origin: Origin = NO_ORIGIN


def run_collection(
    request: Request, console: Console, *, dry_run: Callable[[Plan], list[dict[str, Any]]] | None = None
) -> tuple[list[dict[str, Any]], bool]:
    """Reach, build, plan, count and measure; rows of the plan or of the status, and whether all was done.

    Every name is checked before anything is written. With ``dry_run`` nothing is, and the rows are what it says of
    the plan.
    """
    listed = load_devices(request.devices_file, console.print)
    devices = share(choose(listed, request.devices, request.devices_file), request.shard)
    check_engines(request.engines)
    suites = load_suites(request.benchmarks)
    known = {w.name: w for suite in suites.values() for w in suite.workloads}
    workloads = [w for w in select(known, request.suites) if w.name != STARTUP]
    startup = known[STARTUP]
    placebos = placebos_of(known) if request.settings.placebos else []
    beside = [startup, *(w for w in placebos if w not in workloads)]
    known_already = Dataset.open(request.output) if (request.output / "dataset.json").exists() else None
    if known_already:
        if dry_run:
            known_already.attempts()  # what a collection would read first is read here too
        else:
            with known_already.locked():
                pass  # a second collection is told now, and not when it has waited for devices
    else:
        refuse_taken(request.output)  # now, and not when suites are built and devices reached
    names = [w.name for w in (*workloads, *beside)]
    parts = [part for suite in suites.values() if (part := suite.only(names)).workloads]
    build_shown(parts, console, checks=False)
    if not dry_run:
        memory_bytes = request.settings.memory_bytes
        workloads = countable(request.output, workloads, startup, memory_bytes, console)

    reached, failed = reach_all([device.looked_for(request.engines) for device in devices], console)
    try:
        for error in failed:
            console.print(f"{error}; it is left out of this collection")
        if not reached:
            raise DeviceError(
                ", ".join(device.name for device in devices), "none could be reached, nothing was done"
            )
        engines = choose_engines(reached, request.engines)
        platforms = [(e.name, d.device.name) for d in reached for e in engines if e.name in d.versions]
        if not platforms:
            raise HarnessError("no device has any engine; see `harness devices` for what to install.")
        processors = {d.device.name: d.processors for d in reached}
        make = partial(
            make_plan, platforms, workloads, startup, takes=takes, placebos=placebos, processors=processors
        )
        plan = make(request.settings)
        if not request.suites and (told := left_out(known.values())):
            console.print(told)
        for engine in engines:
            if not_taken := sum(not engine.takes(workload) for workload in workloads):
                console.print(
                    f"left out under {engine.name}: {not_taken} workload{'s' * (not_taken > 1)} that it cannot run",
                )
        if dry_run:
            if request.adviser and known_already:
                plan, told = beyond(plan, known_already.finished(), make)
                if told:
                    console.print(told)
            return dry_run(plan), True
        dataset = Dataset.open_or_create(request.output)
        with dataset.locked():
            plan, told = resumed(plan, [*workloads, *beside], dataset)
            if told:
                console.print(told)
            if request.adviser:
                plan = marked(plan)
            prepare(dataset, plan, reached, engines, [*workloads, *beside], console, request.origin)
            budget_s = request.hours and request.hours * 3600
            outcome = measure(
                dataset, plan, reached, [*workloads, *beside], console, budget_s, request.jobs, request.retry,
                request.adviser, request.until,
            )  # fmt: skip
        if outcome.left and not outcome.enough:
            console.print(f"{several(outcome.left, 'job is', 'jobs are')} left; repeat the command to go on")
        rows = status_rows(dataset, console.print)
        return rows, (outcome.enough or not outcome.left) and not failed
    finally:
        for device in reached:
            device.session.close()


def takes(engine: str, workload: Workload) -> bool:
    return ENGINES[engine].takes(workload)


def countable(
    output: Path, workloads: list[Workload], startup: Workload, memory_bytes: int, console: Console
) -> list[Workload]:
    """The workloads whose opcodes can be counted; each of the others is named with the reason, and so is each that
    needs more than `memory_bytes` of memory.

    Counts are kept, and what the dataset at `output` knows is not counted again. Raises ModuleError where none is left.
    """
    known: dict[str, Any] = {}
    if (output / "dataset.json").exists():
        known = {row["workload"]: row for row in Dataset.open(output).workloads().to_pylist()}
    with bar(console, "counting opcodes", len(workloads) + 1) as progress:
        rows, refused = workload_rows([*workloads, startup], known, progress.advance)
    for row in rows:
        if row["memory_bytes"] > memory_bytes:
            most = -(-row["memory_bytes"] >> 20)
            console.print(
                f"{row['workload']} uses {most} MiB of memory and is given {memory_bytes >> 20}: where that makes it "
                f"fail it ends as out_of_memory; give it more with --memory {most}",
            )
    for reason in refused.values():
        console.print(f"{reason.rstrip('.')}; it is left out of this collection")
    left = [workload for workload in workloads if workload.name not in refused]
    if startup.name in refused or not left:
        raise ModuleError(
            "no workload is left to measure, since the opcodes of none could be counted; name others with --suite."
        )
    return left


def prepare(
    dataset: Dataset,
    plan: Plan,
    reached: list[Reached],
    engines: list[Any],
    workloads: list[Workload],
    console: Console,
    origin: Origin = NO_ORIGIN,
) -> None:
    """Write down the plan, the platforms, and the workloads with their opcode counts.

    Raises ModuleError where a workload cannot be counted.
    """
    dataset.begin(plan.settings, __version__, plan.jobs, origin)
    dataset.put_platforms(platform_rows(reached, engines))
    known = {row["workload"]: row for row in dataset.workloads().to_pylist()}
    with bar(console, "counting opcodes", len(workloads)) as progress:
        rows, refused = workload_rows(workloads, known, progress.advance)
    if refused:
        raise ModuleError(next(iter(refused.values())))
    dataset.put_workloads(rows)


def measure(
    dataset: Dataset,
    plan: Plan,
    reached: list[Reached],
    workloads: list[Workload],
    console: Console,
    budget_s: float | None = None,
    most_jobs: int | None = None,
    retry: Sequence[str] = (),
    adviser: Adviser | None = None,
    until: float | None = None,
) -> Outcome:
    """Collect under a progress bar, no new job after ``budget_s`` or ``most_jobs``; see `workers.collect`.

    The first Ctrl-C or SIGTERM ends it after the running jobs, a second ends those at once, and a third does not
    wait for them: what a device has then finished it hands over to the next collection.
    """
    stop = Stop(most_jobs)
    timer = threading.Timer(min(budget_s or 0, threading.TIMEOUT_MAX), stop.asked.set)
    if budget_s:
        timer.start()

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        # Signals come one in the other, and whatever the threads do: no lock, and nothing that is waited for.
        if stop.at_once.is_set():
            told = Interrupted()
            os.write(2, f"\nharness: {told}\n".encode())
            os._exit(told.exit_code)
        if not stop.asked.is_set():
            os.write(2, b"\nending after the running jobs; Ctrl-C again to end at once\n")
        stop.ask()

    before = {which: signal.signal(which, interrupted) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        with CollectionProgress(console, budget_s) as progress:
            if adviser:
                with Adaptive(dataset, plan, adviser, until, stop, progress) as order:
                    outcome = collect(dataset, plan, reached, workloads, progress, stop, retry, order)
                outcome.enough = order.enough
            else:
                outcome = collect(dataset, plan, reached, workloads, progress, stop, retry)
    finally:
        timer.cancel()
        for which, handler in before.items():
            signal.signal(which, handler)
    for name, reason in outcome.set_aside.items():
        console.print(f"{name} was set aside: {reason}")
    return outcome


def left_out(workloads: Iterable[Workload]) -> str:
    """What a collection that names no suite leaves out, and how it is included; empty where nothing is left out."""
    groups: Counter[tuple[str, str]] = Counter()
    for one in workloads:
        if one.suite == SUITE:
            continue  # they are in every collection
        if one.optional:
            groups[one.suite, "optional"] += 1
        elif one.heavy:
            groups[one.name.rpartition("/")[0] if one.name.count("/") > 1 else one.name, "heavy"] += 1
    if not groups:
        return ""
    told = ", ".join(
        f"{name} ({count} workload{'s' * (count > 1)}, {why})" for (name, why), count in groups.items()
    )
    return f"left out: {told}; name what to measure with --suite, or take everything with --suite '*'"


def share(devices: list[Device], shard: tuple[int, int]) -> list[Device]:
    """The devices of one of several controllers, dealt out by their order in the file. Raises UsageError."""
    number, of = shard
    mine = devices[number - 1 :: of]
    if not mine:
        raise UsageError(
            f"shard {number}/{of} has no device: there are only {len(devices)}; use fewer shards."
        )
    return mine
