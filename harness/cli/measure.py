"""The command that measures: collect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.options import (
    DEVICES_YAML,
    MOST_SEED,
    AsCsv,
    AsJson,
    Benchmarks,
    Devices,
    DevicesFile,
    Engines,
    Memory,
    form_of,
    joined,
    listed,
)
from harness.errors import UsageError
from harness.output import show, stderr
from harness.spelling import several

if TYPE_CHECKING:
    from harness.measure.plan import Plan

command = group("Measure")


@command(
    "harness collect -o datasets/lab --dry-run",
    "harness collect -o datasets/lab --suite polybench/mini --limit 5",
    "harness collect -o datasets/lab -d pi-4 -e wasmtime-j,wasm3-i --hours 8",
)
def collect(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DATASET", help="The dataset to collect into.")
    ],
    devices: Devices = None,
    engines: Engines = None,
    suites: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "-s",
            metavar="A,B",
            callback=listed,
            help="Only these suites, suite/size, workloads or globs; by default all but optional suites and "
            "heavy workloads ('*' takes those too).",
            autocompletion=completion.workloads,
        ),
    ] = None,
    degrees: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N,N", help="How many workloads run together, beside running alone.", show_default="2,3,4"
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often co-runner sets are drawn per degree.", min=1)] = 1,
    repeats: Annotated[
        int | None,
        typer.Option(
            help="Samples of a workload alone, at least.",
            min=1,
            show_default="50; 5 with --adaptive",
        ),
    ] = None,
    limit: Annotated[float, typer.Option(help="Seconds after which a job ends.", min=0.01)] = 30.0,
    co_run: Annotated[
        float | None,
        typer.Option(
            help="Seconds that workloads are measured at least, alone and together.",
            min=0.01,
            show_default="1; 0.25 with --adaptive",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="PERCENT",
            help="End a job earlier, once the standard error of each mean in it is so small, such as 1%.",
            show_default=False,
        ),
    ] = "",
    memory: Memory = 1024,
    seed: Annotated[int, typer.Option(help="Decides order and co-runner sets.", min=0, max=MOST_SEED)] = 0,
    anchors: Annotated[
        int, typer.Option(help="Workloads repeated at start and end, to see drift.", min=0)
    ] = 3,
    placebos: Annotated[
        int,
        typer.Option(help="How often each platform measures what is known beforehand (0: never).", min=0),
    ] = 2,
    cold: Annotated[
        int,
        typer.Option(
            metavar="N", help="Also start every workload anew N times, each in a new runner.", min=0
        ),
    ] = 0,
    hours: Annotated[float | None, typer.Option(help="Start no job after so many hours.", min=0.0001)] = None,
    jobs: Annotated[int | None, typer.Option(help="Start no more than so many jobs.", min=1)] = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N shares of the devices, one per controller.")
    ] = "1/1",
    cool: Annotated[
        float | None,
        typer.Option(metavar="CELSIUS", help="Before each job wait until the device is so cool.", min=0),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="Before each job wait until at most so much of it is busy.",
            min=0,
            max=100,
        ),
    ] = None,
    gate_limit: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait no longer for either.", min=0)
    ] = 300.0,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS[,STATUS]",
            help="Do jobs again that ended so, such as crash,timeout; a new end takes the old one's place.",
        ),
    ] = None,
    label: Annotated[
        str, typer.Option(metavar="NAME", help="What this collection is called.", show_default=False)
    ] = "",
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME=TEXT", help="What else to say of it, such as commit=1a2b3c."),
    ] = None,
    when_done: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="Run this in the end, with the outcome in its environment (HARNESS_*)."
        ),
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive", help="Measure first what teaches most per second, each job until it is known."
        ),
    ] = False,
    until: Annotated[
        str,
        typer.Option(
            metavar="PERCENT",
            help="With --adaptive: end when the model's error, with its interval, is below this, such as 5%.",
            show_default=False,
        ),
    ] = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the plan (with --adaptive what to measure next), measure nothing."
        ),
    ] = False,
    devices_file: DevicesFile = DEVICES_YAML,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Measure workloads on devices, alone and together. Interrupt it and repeat the command to go on.

    Ctrl-C ends after the running jobs, a second one ends those at once, and a third does not wait for anything.
    """
    from harness.dataset.info import Gate, Settings
    from harness.learn.teaching import NEXT_COLUMNS, advise
    from harness.measure.adaptive import USUAL
    from harness.measure.collection import Request, run_collection
    from harness.measure.origin import origin_of
    from harness.measure.plan import PLAN_COLUMNS, plan_rows
    from harness.measure.status import STATUS_COLUMNS
    from harness.measure.when_done import WhenDone

    form, until_share = form_of(as_json, as_csv), _share(until, "--until")
    if until_share and not adaptive:
        raise UsageError(
            "--until goes with --adaptive, which knows meanwhile how good the model is; give both or neither."
        )
    if dry_run and when_done:
        raise UsageError(
            "--dry-run measures nothing that --when-done could be told of; leave out one of them."
        )
    usual = USUAL if adaptive else Settings()
    settings = Settings(
        seed=seed, repeats=repeats or usual.repeats, limit_s=limit, co_run_s=co_run or usual.co_run_s, anchors=anchors,
        placebos=placebos, cold=cold, precision=_share(precision, "--precision") or usual.precision,
        memory_bytes=memory << 20,
        rounds=dict.fromkeys(_degrees("2,3,4" if degrees is None else ",".join(degrees)), rounds),
        gate=Gate(temperature_c=cool, busy=None if idle is None else idle / 100, limit_s=gate_limit),
    )  # fmt: skip
    request = Request(
        output, devices_file, benchmarks, devices or [], engines or [], suites or [], settings,
        hours=hours, jobs=jobs, shard=_shard(shard), retry=_statuses(joined(retry) or ""),
        adviser=advise if adaptive else None, until=until_share, origin=origin_of(label, tags or []),
    )  # fmt: skip
    with WhenDone(None if dry_run else when_done, output, stderr()) as done:
        if dry_run and adaptive:
            rows, complete = run_collection(request, stderr(), dry_run=lambda plan: _next(plan, output))
        else:
            rows, complete = run_collection(request, stderr(), dry_run=plan_rows if dry_run else None)
        done.ended(rows, complete)
    if dry_run and adaptive:
        show(rows, NEXT_COLUMNS, form, title="Measure next")
    else:
        show(rows, PLAN_COLUMNS if dry_run else STATUS_COLUMNS, form)
    if not complete or done.trouble:
        raise typer.Exit(1)


def _next(plan: Plan, output: Path) -> list[dict[str, Any]]:
    """What an adaptive collection would measure first, and on stderr how long all of it is expected to take."""
    from harness.dataset.store import Dataset
    from harness.learn.teaching import measured_next
    from harness.measure.adaptive import design, marked

    plan = marked(plan)
    known = Dataset.open(output) if (output / "dataset.json").exists() else None
    done = known.finished() if known else set()
    jobs = [job for job in plan.jobs if job.purpose == "measure" and job.id not in done]
    rows, seconds = measured_next(known, jobs, design(jobs, plan.settings.seed))
    short = any(row["seconds"] is None for row in rows)
    counted = ", those of which nothing is known yet counted as short" if short else ""
    stderr().print(
        f"{several(len(jobs), 'job is', 'jobs are')} left, expected to take {seconds / 3600:.3g} device-hours{counted}"
    )
    return rows


def _degrees(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip() not in ("", "1")]
    if not all(word in ("2", "3", "4") for word in words):
        raise UsageError(
            f"--degrees {text} must list numbers from 2 to 4, such as 2,3; or 1 for none together."
        )
    return sorted({int(word) for word in words})


def _share(text: str, option: str) -> float | None:
    """1% as 0.01; None where nothing is given."""
    if not text:
        return None
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"{option} {text} must be a percentage between 0 and 100, such as 1%.")
    return share


def _statuses(text: str) -> tuple[str, ...]:
    from harness.dataset.records import Status

    words, known = tuple(word.strip() for word in text.split(",") if word.strip()), get_args(Status)
    if unknown := [word for word in words if word not in known]:
        raise UsageError(f"--retry {unknown[0]} is no status of a job; give some of {', '.join(known)}.")
    return words


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise UsageError(f"--shard {text} must be I/N with I from 1 to N, such as 2/3.")
