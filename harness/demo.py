"""`harness demo`: the main job end to end on this machine."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.collecting import measure, prepare
from harness.dataset import Dataset
from harness.devices import Device
from harness.errors import DatasetError, HarnessError
from harness.plan import Plan, Settings, identity, make_job, make_plan
from harness.predict import Question, answer, shortage
from harness.preparing import STARTUP, build_and_verify
from harness.reach import Reached, choose_engines, reach_all
from harness.records import Job
from harness.report import write_report
from harness.show import Column, show
from harness.suites import Workload, load_workloads, select
from harness.train import show_accuracy, train
from pitot_core import Pitot

WORKLOADS = ("polybench/mini", "polybench/small")
SETTINGS = Settings(repeats=30, limit_s=4.0, co_run_s=0.15, rounds={2: 1}, anchors=2)
FRESH = Settings(repeats=30, limit_s=4.0, co_run_s=0.3, rounds={}, anchors=0)
FRESH_ALONE, FRESH_TOGETHER = 8, 8
EPS = 0.1


def run_demo(output: Path, minutes: float, benchmarks: Path | None, console: Console) -> None:
    """Build, measure, count, train, predict what was not measured, measure that too, and write the report.

    Raises HarnessError where this machine lacks something.
    """
    _clear(output)
    started = time.monotonic()
    say = _Steps(console)
    say("Building the kernels and checking what each prints")
    wrong = [row for row in build_and_verify([], benchmarks, console) if row["output"] not in ("as expected", "not fixed")]
    if wrong:
        raise HarnessError(wrong[0]["output"])
    known = load_workloads(benchmarks)
    startup, workloads = known[STARTUP], select(known, WORKLOADS)

    say("Looking for engines on this machine")
    reached, failed = reach_all([Device(transport="local", name="local")], console.print)
    if failed:
        raise failed[0]
    try:
        engines = choose_engines(reached, [])
        told = ", ".join(f"{engine.name} {reached[0].versions[engine.name]}" for engine in engines)
        console.print(f"  {len(engines)} engines: {told}", markup=False)

        say(f"Measuring {len(workloads)} workloads alone and in pairs, in random order, for {minutes:g} minutes")
        dataset = Dataset.create(output, source="collected by harness demo")
        plan = make_plan([(engine.name, "local") for engine in engines], workloads, startup, SETTINGS)
        with dataset.locked():
            prepare(dataset, plan, reached, engines, [*workloads, startup], console)
            outcome = measure(dataset, plan, reached, [*workloads, startup], console, minutes * 60)
        if outcome.set_aside:
            raise HarnessError(f"this machine's agent failed: {outcome.set_aside['local']}")
        done = len(plan.jobs) - outcome.left
        console.print(f"  {done:,} of {len(plan.jobs):,} jobs were run; what was not measured is for the model to predict")

        say("Training the model on what was measured")
        trained = train(dataset, test_share=0.2, calibration_share=0.25)
        model_path = output / "model.npz"
        trained.model.save(model_path)
        show_accuracy(trained.accuracy)
        for pool in trained.model.pools().values():
            beside = f"beside {pool.co_runners}" if pool.co_runners else "alone"
            console.print(f"  {beside}: {pool.rows} calibration rows, which support ε ≥ {pool.smallest_eps:.3f}")

        say("Predicting what was never measured, then measuring it")
        _predict_and_check(trained.model, dataset, plan, reached, workloads, output, console)
    finally:
        for device in reached:
            device.session.close()

    say("Writing the report")
    report = output / "report.html"
    write_report(dataset, trained.model, report)
    console.print(
        f"\nDone in {time.monotonic() - started:.0f} s: the dataset is {output}, the model {model_path}, the report {report}.\n"
        f"Ask for more: harness predict {model_path} -w {workloads[-1].name} --with {workloads[0].name}",
        soft_wrap=True,
    )  # fmt: skip


def _predict_and_check(
    model: Pitot,
    dataset: Dataset,
    plan: Plan,
    reached: list[Reached],
    workloads: list[Workload],
    output: Path,
    console: Console,
) -> None:
    """Jobs of the plan that were not run, drawn at random: predicted first, measured then."""
    fresh = _not_measured(model, dataset, plan, workloads)
    asked = [Question(job.workloads[0], job.platform, job.workloads[1:]) for job in fresh]
    predicted = answer(model, asked, EPS)
    later = Dataset.create(output / "fresh", source="what the demo predicted before it was measured")
    with later.locked():
        again = [_reconnected(device) for device in reached]
        later.begin(FRESH, "", fresh)
        measure(later, Plan(tuple(fresh), FRESH), again, workloads, console)
    table = later.observations(["job", "workload", "status", "wall_ns_mean"]).to_pylist()
    measured = {(row["job"], row["workload"]): row["wall_ns_mean"] for row in table}
    rows: list[dict[str, Any]] = []
    for job, row in zip(fresh, predicted, strict=True):
        time_ns = measured.get((job.id, row["workload"]))
        if time_ns:
            error = row["mean_ns"] / time_ns - 1
            rows.append(row | {"measured_ns": time_ns, "error": f"{100 * error:+.0f} %", "held": time_ns <= row["bound_ns"]})
    show(
        rows,
        [
            Column("workload", "workload"), Column("platform", "platform"), Column("with", "beside"),
            Column("mean_ns", "predicted", True), Column("measured_ns", "measured", True), Column("error", "error", True),
            Column("bound_ns", f"bound (ε={EPS:g})", True), Column("held", "held"),
        ],
        title="Predicted before it was measured",
    )  # fmt: skip
    held = sum(row["held"] for row in rows)
    errors = sorted(abs(row["mean_ns"] / row["measured_ns"] - 1) for row in rows)
    if errors:
        console.print(
            f"  the bound held in {held} of {len(rows)} (promised: {1 - EPS:.0%} in the long run); "
            f"median error {errors[len(errors) // 2]:.0%}", highlight=False
        )  # fmt: skip
    short = shortage(model, asked, EPS)
    if short:
        console.print(f"  {short}", soft_wrap=True)


def _not_measured(model: Pitot, dataset: Dataset, plan: Plan, workloads: list[Workload]) -> list[Job]:
    assert model.features is not None
    known, platforms = set(model.features.workload_names), set(model.features.platform_names)
    done = dataset.finished()
    left = [
        job for job in plan.jobs
        if job.purpose == "measure" and job.id not in done and job.platform in platforms and known.issuperset(job.workloads)
        and job.degree - 1 in model.pools()
    ]  # fmt: skip
    draw = random.Random(0)
    hashes = {w.name: identity(w) for w in workloads}
    chosen = []
    for together, count in ((False, FRESH_ALONE), (True, FRESH_TOGETHER)):
        candidates = [job for job in left if (job.degree > 1) == together]
        chosen += draw.sample(candidates, min(count, len(candidates)))
    return [make_job(hashes, FRESH, job.device, job.engine, job.workloads) for job in chosen]


def _reconnected(device: Reached) -> Reached:
    again, failed = reach_all([device.device], lambda text: None)
    if failed:
        raise failed[0]
    return again[0]


def _clear(output: Path) -> None:
    """An earlier demo makes room; anything else is refused."""
    if not output.exists():
        return
    source = Dataset.open(output).info.source if (output / "dataset.json").exists() else ""
    if source != "collected by harness demo":
        raise DatasetError(f"{output} exists and is not of an earlier demo; name another place with -o.")
    shutil.rmtree(output)


class _Steps:
    """Numbered headings on stderr."""

    def __init__(self, console: Console) -> None:
        self._console, self._count = console, 0

    def __call__(self, what: str) -> None:
        self._count += 1
        self._console.print(f"[bold]{self._count}. {what}[/bold]")
