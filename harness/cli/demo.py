"""`harness demo`: the main job end to end on this machine."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from harness import __version__
from harness.dataset.info import Settings
from harness.dataset.records import Job
from harness.dataset.store import Dataset
from harness.decide.predict import Question, answer, shortage
from harness.engines import ENGINES
from harness.errors import DatasetError, HarnessError, typed
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, choose_engines, reach_all
from harness.learn.support import few_tell
from harness.learn.train import show_accuracy, train
from harness.measure.collection import measure, prepare
from harness.measure.placebo import PACE, pace_of, placebos_of
from harness.measure.placebo import SUITE as PLACEBOS
from harness.measure.plan import Plan, make_plan
from harness.output import Column, Form, show
from harness.report import write_report
from harness.spelling import several
from harness.suites.catalogue import load_workloads, select
from harness.suites.ready import STARTUP, build_and_verify
from harness.suites.suite import Workload
from harness.suites.verified import RIGHT
from pitot_core import Pitot

WORKLOADS = ("polybench/mini", "polybench/small")
FAMILIES = ("wasmtime", "node")  # with more engines each would get too few measurements in two minutes
SETTINGS = Settings(repeats=3, limit_s=1.5, co_run_s=0.04, rounds={2: 1}, anchors=2, placebos=1)
HELD_OUT = {1: 8, 2: 8}  # how many jobs of each degree are predicted before they are measured
EPS = 0.1
BUSY = 0.3  # processors that others used, from which on the demo speaks of it
SOURCE = "collected by harness demo"
PREDICTED_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name"),
    Column("platform", "platform", meaning="engine:device"),
    Column("with", "beside", meaning="co-runners"),
    Column("mean_ns", "predicted", True, "predicted before it was measured, ns"),
    Column("measured_ns", "measured", True, "measured afterwards, ns"),
    Column("error", "error", True, "predicted over measured, less 1"),
    Column("bound_ns", f"bound (ε={EPS:g})", True, "predicted bound, ns; null where none can be promised"),
    Column("held", "held", meaning="whether the bound held"),
]


def run_demo(output: Path, minutes: float, benchmarks: Path | None, form: Form, console: Console) -> None:
    """Build, measure, count, train, predict what was not measured, measure that too, and write the report.

    As JSON or CSV only what was predicted and then measured is printed.

    Raises HarnessError where this machine lacks something.
    """
    _clear(output)
    started = time.monotonic()
    say = _Steps(console)
    say("Building the kernels and checking what each prints")
    wrong = [
        row
        for row in build_and_verify([STARTUP, PLACEBOS, *WORKLOADS], benchmarks, console)
        if row["output"] not in RIGHT
    ]
    if wrong:
        raise HarnessError(f"{wrong[0]['output']}; see `harness build {wrong[0]['workload']} --force`.")
    known = load_workloads(benchmarks)
    startup, workloads = known[STARTUP], select(known, WORKLOADS)
    placebos = placebos_of(known)

    say("Looking for engines on this machine")
    wanted = [name for name, engine in ENGINES.items() if engine.family in FAMILIES]
    reached, failed = reach_all([Device(transport="local", name="local", engines=wanted)], console)
    if failed:
        raise failed[0]
    try:
        engines = choose_engines(reached, [])
        told = ", ".join(f"{engine.name} {reached[0].versions[engine.name]}" for engine in engines)
        console.print(f"  {several(len(engines), 'engine')}: {told}")

        say(
            f"Measuring {several(len(workloads), 'workload')} alone and in pairs, in random order, for {minutes:g} min"
        )
        dataset = Dataset.create(output, source=SOURCE)
        whole = make_plan(
            [(engine.name, "local") for engine in engines], workloads, startup, SETTINGS,
            placebos=placebos, processors={"local": reached[0].processors},
        )  # fmt: skip
        plan, held_out = _hold_out(whole)
        everything = [*workloads, startup, *placebos]
        with dataset.locked():
            prepare(dataset, plan, reached, engines, everything, console)
            outcome = measure(dataset, plan, reached, everything, console, minutes * 60)
        if outcome.set_aside:
            raise HarnessError(
                f"this machine's agent failed: {outcome.set_aside['local']}; see `harness devices`."
            )
        done = len(plan.jobs) - outcome.left
        console.print(
            f"  {done:,} of {several(len(plan.jobs), 'job')} done; what was not measured is for the model to predict"
        )

        if told := _told_of_others(dataset):
            console.print(told)

        say("Training the model on what was measured")
        trained = train(dataset, test_share=0.2, calibration_share=0.25)
        model_path = output / "model.npz"
        trained.model.save(model_path)
        if form is Form.table:
            show_accuracy(trained.accuracy)
        for pool in trained.model.pools().values():
            beside = f"beside {pool.co_runners}" if pool.co_runners else "alone"
            console.print(
                f"  {beside}: {several(pool.rows, 'calibration row')}, good for ε ≥ {pool.smallest_eps:.3f}"
            )

        say("Predicting jobs that were not measured, then measuring them")
        reached, _ = reach_all([device.device for device in reached], console)
        rows = _predict_and_measure(trained.model, held_out, reached, workloads, output / "fresh", console)
        _show_predictions(rows, form, console)
    finally:
        for device in reached:
            device.session.close()

    say("Writing the report")
    report = output / "report.html"
    write_report(dataset, trained.model, report)
    took = f"Done in {time.monotonic() - started:.0f} s"
    where = f"the dataset is {output}, the model {model_path}, the report {report}"
    console.print(f"\n{took}: {where}.\nAsk for more:")
    # to be copied: a line's end in it would cut it in two
    console.print(
        f"harness predict {typed(model_path)} {_question(trained.model, workloads)}", soft_wrap=True
    )


def _hold_out(plan: Plan) -> tuple[Plan, list[Job]]:
    """The plan without some jobs, drawn at random, and those jobs."""
    draw = random.Random(0)
    held: list[Job] = []
    for degree, count in HELD_OUT.items():
        candidates = [job for job in plan.jobs if job.purpose == "measure" and job.degree == degree]
        held += draw.sample(candidates, min(count, len(candidates)))
    kept = tuple(job for job in plan.jobs if job not in held)
    return Plan(kept, plan.settings), held


def _predict_and_measure(
    model: Pitot,
    held_out: list[Job],
    reached: list[Reached],
    workloads: list[Workload],
    root: Path,
    console: Console,
) -> list[dict[str, Any]]:
    """A row per held-out job: predicted first, measured then. Jobs of what was never observed are left out."""
    assert model.features is not None
    workload_names, platforms = set(model.features.workload_names), set(model.features.platform_names)
    jobs = [
        job for job in held_out
        if job.platform in platforms and workload_names.issuperset(job.workloads) and job.degree - 1 in model.pools()
    ]  # fmt: skip
    asked = [Question(job.workloads[0], job.platform, job.workloads[1:]) for job in jobs]
    predicted = answer(model, asked, EPS)
    told = shortage(model, asked, EPS)
    if told:
        console.print(f"  {told}")
    fresh = Dataset.create(root, source="what the demo predicted before it was measured")
    with fresh.locked():
        fresh.begin(SETTINGS, __version__, jobs)
        measure(fresh, Plan(tuple(jobs), SETTINGS), reached, workloads, console)
    table = fresh.observations(["job", "workload", "wall_ns_mean"]).to_pylist()
    measured = {(row["job"], row["workload"]): row["wall_ns_mean"] for row in table}
    rows = []
    for job, row in zip(jobs, predicted, strict=True):
        time_ns = measured.get((job.id, row["workload"]))
        if time_ns:
            error = row["mean_ns"] / time_ns - 1
            rows.append(row | {"measured_ns": time_ns, "error": error, "held": time_ns <= row["bound_ns"]})
    return rows


def _show_predictions(rows: list[dict[str, Any]], form: Form, console: Console) -> None:
    told = rows
    if form is Form.table:
        told = [row | {"error": f"{100 * row['error']:+.0f} %"} for row in rows]
    show(told, PREDICTED_COLUMNS, form, title="Predicted before it was measured")
    if rows:
        held = sum(row["held"] for row in rows)
        middle = median(abs(row["error"]) for row in rows)
        promise = f"the bound held in {held} of {len(rows)} (promised: {1 - EPS:.0%} in the long run)"
        console.print(f"  {promise}; median error {middle:.0%}")
        if told_of_few := few_tell(held, len(rows)):
            console.print(f"  {told_of_few}")


def _clear(output: Path) -> None:
    """An earlier demo makes room; anything else is refused."""
    if not output.exists():
        return
    there = Dataset.open(output) if (output / "dataset.json").exists() else None
    if there is None or there.info.source != SOURCE:
        raise DatasetError(f"{output} exists and is not of an earlier demo; name another place with -o.")
    if any(collection.command for collection in there.info.collections):
        raise DatasetError(
            f"{output} began as a demo, and `harness collect` measured more into it since; name another place with -o."
        )
    with there.locked():  # and not under the hands of a demo that runs
        shutil.rmtree(output)


def _told_of_others(dataset: Dataset) -> str:
    """What there is to say where other programs, or other guests of the host, slowed most jobs."""
    rows = dataset.observations(["other_load", "state_after.yardstick_ns"]).to_pylist()
    used = median([row["other_load"] for row in rows if row["other_load"] is not None] or [0])
    states = [row["state_after"] or {} for row in rows]
    took = [state["yardstick_ns"] for state in states if state.get("yardstick_ns")]
    pace = pace_of(took, min(took, default=None))
    told = [f"other programs used {used:.1f} processors"] if used >= BUSY else []
    if pace is not None and pace > PACE:
        told += [f"half of the time fixed work took {pace:.1f} times its fastest or more"]
    if not told:
        return ""
    return (
        f"  meanwhile {' and '.join(told)}: times are longer and less alike than on a machine "
        "at rest, and so the model is less sure of them"
    )


def _question(model: Pitot, workloads: list[Workload]) -> str:
    """The options of a question that the model can answer."""
    assert model.features is not None
    known = [one.name for one in workloads if one.name in model.features.workload_names]
    return f"-w {known[-1]}" + (f" --with {known[0]}" if 1 in model.pools() else "")


class _Steps:
    """Numbered headings on stderr."""

    def __init__(self, console: Console) -> None:
        self._console, self._count = console, 0

    def __call__(self, what: str) -> None:
        self._count += 1
        self._console.print(f"{self._count}. {what}", style="bold")
