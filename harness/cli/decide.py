"""Commands that decide where by predictions, of many workloads: place, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    form_of,
    joined,
    names,
    split,
)
from harness.errors import UsageError
from harness.output import Form, show, stderr

command = group("Decide")
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file of `harness train`.")]

LOAD, JOBS = 0.8, 1500  # of drawn arrivals, where nothing else is asked
FRONT = "mean,err99"
BETWEEN_POLICIES = r",(?=\s*(?:[a-z]|2d))"  # and not the comma in wfq:T,W


@command(
    "harness place lab.npz deadlines.csv",
    "harness place lab.npz deadlines.csv -d pi-4,pi-5 --for devices --picture placement.svg",
    "harness place lab.npz deadlines.csv --check datasets/lab",
    "harness place lab.npz deadlines.csv --violations 0.01 --check datasets/lab -o placement.csv",
    "harness place lab.npz deadlines.csv --run datasets/placed",
)
def place(
    model: ModelPath,
    asked: Annotated[
        Path,
        typer.Argument(
            metavar="ASKED",
            help="CSV, Parquet or JSON lines: workload, deadline_ms, and perhaps copies, device (A;B), weight.",
        ),
    ],
    devices: Devices = None,
    engines: Engines = None,
    eps: Annotated[float, typer.Option(help="How often each bound may be exceeded.")] = 0.05,
    most: Annotated[
        int | None,
        typer.Option(
            help="How many may live on a device.", show_default="as many as calibrated", min=1, max=4
        ),
    ] = None,
    goal: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="hosted|devices|time",
            help="Host as many as possible; and then use few devices strictly, or little time.",
        ),
    ] = "hosted",
    policy: Annotated[
        str,
        typer.Option(
            metavar="bound|mean|alone|share",
            help="What must stay below the deadline: the bound beside the neighbours; the expected time beside "
            "them; the expected time alone; or alone, all shares of deadlines on a device adding up to 1.",
        ),
    ] = "bound",
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Replay the question on this dataset's held-out jobs: what each policy hosts and misses.",
            autocompletion=completion.datasets,
        ),
    ] = None,
    violations: Annotated[
        float | None,
        typer.Option(
            help="Choose --eps so that at most this share misses its deadline in the replay of --check.",
            min=0.0001,
            max=0.5,
        ),
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option("--pareto", help="Several --eps and --most: the placements that nothing else beats."),
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Then measure the placement on the devices, into this dataset (training leaves it out).",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Look no longer than about this.", min=0.1)] = 10.0,
    seed: Annotated[int, typer.Option(help="Decides what is drawn at random.", min=0, max=MOST_SEED)] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write the rows to this CSV, Parquet or JSON lines."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="SVG", help="Also draw the placement into this file.")
    ] = None,
    devices_file: DevicesFile = DEVICES_YAML,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Put workloads with deadlines on devices, so that each keeps its deadline beside its neighbours.

    Ends with exit code 1 where some are not hosted; each row says why.
    """
    from harness.decide import place as placing
    from harness.decide import place_check as checking
    from harness.decide import place_front as front
    from harness.decide import place_run as running
    from harness.decide.copies import for_people
    from harness.decide.demands import read_demands
    from harness.decide.place_picture import write_picture
    from harness.decide.predict import load_model, write_batch
    from harness.progress import bar

    form, console = form_of(as_json, as_csv), stderr()
    if violations is not None and check is None:
        raise UsageError("--violations needs measured jobs to choose ε by; name their dataset with --check.")
    placed = picture or output or run
    if pareto and (check or placed):
        raise UsageError(
            "--pareto prints placements to choose from; leave out --check, -o, --picture and --run."
        )
    if check and violations is None and placed:
        raise UsageError(
            "--check alone places nothing; add --violations, or leave out -o, --picture and --run."
        )
    request = placing.Request.of(devices or [], engines or [], eps, most, goal, policy, seconds, seed)
    loaded = load_model(model)
    demands = read_demands(asked, console.print)
    if pareto:
        with bar(console, "placing", len(front.PARETO_EPS)) as progress:
            rows = front.pareto(loaded, demands, request, progress.advance)
        show(rows, front.PARETO_COLUMNS, form)
        return
    if check:
        with bar(console, "replaying", 1) as progress:
            if violations is None:
                rows = checking.check(loaded, demands, request, check, progress.at)
                show(rows, checking.CHECK_COLUMNS, form)
                return
            request, told = checking.with_violations(loaded, demands, request, check, violations, progress.at)
        console.print(told)
    with bar(console, "placing", 4) as progress:
        deadlines, placement = placing.place(loaded, demands, request, lambda size: progress.at(size, 4))
    rows = placing.rows_of(deadlines, placement)
    columns, measured = placing.PLACE_COLUMNS, ""
    if run and placement.residents:
        measurement = running.Measurement(deadlines, placement, devices_file, benchmarks, console)
        rows, measured = measurement.run(run, rows)
        columns = running.RUN_COLUMNS
    if output:
        write_batch(output, rows)
    if picture:
        write_picture(picture, rows, deadlines.places.devices)
    show(*(for_people(rows, columns) if form is Form.table else (rows, columns)), form)
    console.print(placing.told(deadlines, placement, checked=violations is not None))
    if measured:
        console.print(measured)
    if any(row["reason"] for row in rows):
        raise typer.Exit(1)


@command(
    "harness simulate published.npz --check datasets/published -e wasmtime-j",
    "harness simulate published.npz --check datasets/published -e wasmtime-j --policy srpt --policy wfq:0.4,1",
    "harness simulate lab.npz --check datasets/lab -e wasmtime-j --arrivals arrivals.csv -o policies.png",
)
def simulate(
    model: ModelPath,
    check: Annotated[
        Path,
        typer.Option(
            metavar="DATASET",
            help="Its held-out times are what passes; the model's predictions are what policies see.",
            autocompletion=completion.datasets,
        ),
    ],
    engine: Annotated[
        str, typer.Option("--engine", "-e", help="Under which engine.", autocompletion=completion.engines)
    ],
    devices: Annotated[
        list[str] | None,
        names("--device", "-d", help="The pool; default: all.", completion=completion.devices),
    ] = None,
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="fifo|ps|srpt|2d|wfq:T,W",
            help="Which policies.",
            show_default="all named, and the weighted queues that nobody beats",
        ),
    ] = None,
    arrivals: Annotated[
        str, typer.Option(metavar="poisson|FILE", help="Drawn, or a file with columns arrival_s, workload.")
    ] = "poisson",
    load: Annotated[
        float | None,
        typer.Option(
            help="Share of time that drawn jobs keep the pool busy.", show_default=str(LOAD), min=0.01
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="How many are drawn for a trace.", show_default=str(JOBS), min=10)
    ] = None,
    front: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B",
            help="Two of mean, p50, p90, p99, err, err90, err99 that should be small.",
            show_default=FRONT,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides what is drawn.", min=0, max=MOST_SEED)] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Also write the table (CSV, Parquet, JSON lines) or draw it (PNG)."
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Run scheduling policies over held-out times: how soon jobs end, and how well that was told at arrival."""
    from harness.decide import policy_study as study
    from harness.decide.predict import load_model, write_batch
    from harness.progress import bar

    form, console = form_of(as_json, as_csv), stderr()
    if arrivals != "poisson" and (load or jobs):
        raise UsageError(
            "--load and --jobs are of jobs that are drawn; leave them out with a file of --arrivals."
        )
    wish = study.Study.of(
        engine, devices or [], split(policies, BETWEEN_POLICIES), arrivals, load or LOAD, jobs or JOBS,
        joined(front) or FRONT, seed,
    )  # fmt: skip
    loaded = load_model(model)
    with bar(console, "simulating", 1) as progress:
        rows, told = study.run_study(loaded, check, wish, progress.at)
    if output and output.suffix == ".png":
        study.draw_study(rows, wish.front, output)
    elif output:
        write_batch(output, rows)
    show(rows, study.SIMULATE_COLUMNS, form)
    console.print(told)
