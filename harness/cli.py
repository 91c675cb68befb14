"""The command line: one function per command that parses, calls and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness import __version__
from harness.errors import HarnessError, UsageError
from harness.show import Column, Form, show, stderr, watching

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure WebAssembly workloads across a cluster, and predict how long they take, with a bound that holds.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]
DevicesFile = Annotated[Path, typer.Option("--devices-file", help="The file that lists the devices.")]
DatasetPath = Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset's directory.")]
Benchmarks = Annotated[
    Path | None, typer.Option("--benchmarks", help="The directory of suites.", show_default="benchmarks/")
]
DEVICES_YAML = Path("devices.yaml")


def main() -> None:
    """The console command ``harness``."""
    try:
        app()
    except HarnessError as error:
        stderr().print(f"harness: {error}", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: harness demo -o datasets/demo")
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where everything goes.")] = Path(
        "datasets/demo"
    ),
    minutes: Annotated[float, typer.Option(help="How long measuring may take, about.", min=0.2)] = 2.0,
    benchmarks: Benchmarks = None,
) -> None:
    """The main job on this machine: build, measure alone and together, count opcodes, train, predict, report."""
    from harness.demo import run_demo

    run_demo(output, minutes, benchmarks, stderr())


@app.command(epilog="Examples: harness build polybench/mini · harness build --import DIR --as lab")
def build(
    suites: Annotated[
        list[str] | None,
        typer.Argument(help="Suites, suite/size or workloads; by default all but the optional suites."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compile and check even what has not changed.")
    ] = False,
    imported: Annotated[
        Path | None, typer.Option("--import", metavar="DIR", help="Make a suite of modules built elsewhere.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="SUITE", help="What it is called.", show_default="as DIR")
    ] = None,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compile suites to WebAssembly and check what every module prints."""
    from harness.imported import import_modules
    from harness.preparing import build_and_verify

    if name and not imported:
        raise UsageError("--as names what is imported; give --import DIR too.")
    if imported:
        suites = [*(suites or []), import_modules(imported, name, benchmarks).name]
    rows = build_and_verify(suites or [], benchmarks, stderr(), force=force)
    columns = [
        Column("workload", "workload"), Column("bytes", "bytes", True), Column("sha256", "sha256"),
        Column("compiled", "compiled"), Column("output", "output"),
    ]  # fmt: skip
    form = _form(as_json, as_csv)
    if form is Form.table:
        rows = [row | {"sha256": row["sha256"][:16]} for row in rows]
    show(rows, columns, form)
    if any(row["output"] not in ("as expected", "not fixed") for row in rows):
        raise typer.Exit(1)


@app.command(epilog="Example: harness devices --json")
def devices(
    names: Annotated[list[str] | None, typer.Argument(help="Which devices; all of them by default.")] = None,
    setup: Annotated[
        bool,
        typer.Option("--setup", help="Install the engines a device lacks, without root or internet there."),
    ] = False,
    devices_file: DevicesFile = DEVICES_YAML,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Reach every device: what it is, which engines it has, and what would spoil measurements."""
    from harness.devices import choose, load_devices
    from harness.inspection import inspect_all, show_inspection

    form, console = _form(as_json, as_csv), stderr()
    found = inspect_all(choose(load_devices(devices_file), names or []), console, setup=setup)
    show_inspection(found, form)
    if any(one.problem for one in found):
        raise typer.Exit(1)


@app.command(
    epilog="Examples: harness count polybench/mini --verify · harness count own.wasm --arg 7 --dir .=data --opcodes"
)
def count(
    workloads: Annotated[
        list[str] | None, typer.Argument(help="Workloads, suites, or .wasm files; every workload by default.")
    ] = None,
    opcodes: Annotated[
        bool, typer.Option("--opcodes", help="A row per opcode instead of one per workload.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Count with the interpreter too, and compare; at most a minute each."),
    ] = False,
    slowdown: Annotated[bool, typer.Option("--slowdown", help="Also measure what counting costs.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Count again what was counted before.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DATASET", help="Also put the counts into a dataset."),
    ] = None,
    args: Annotated[list[str] | None, typer.Option("--arg", help="An argument for the .wasm files.")] = None,
    stdin: Annotated[Path | None, typer.Option(help="What the .wasm files read from stdin.")] = None,
    directories: Annotated[
        list[str] | None, typer.Option("--dir", metavar="GUEST=HOST", help="A directory that they may use.")
    ] = None,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Count every opcode that a program executes, exactly."""
    from harness.counting_table import Wanted, count_all, count_columns

    form = _form(as_json, as_csv)
    wanted = Wanted(
        workloads or [], args or [], stdin, directories or [], benchmarks, opcodes, verify, slowdown, fresh
    )
    rows = count_all(wanted, output, stderr())
    show(rows, count_columns(wanted, form), form)
    if any(str(row.get("interpreter", "")).startswith("differs") for row in rows):
        raise typer.Exit(1)


@app.command(
    epilog="Example: harness collect -o datasets/lab --suite polybench/mini --limit 5   (again: it resumes)"
)
def collect(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DATASET", help="The dataset to collect into.")
    ],
    devices: Annotated[list[str] | None, typer.Option("--device", "-d", help="Only these devices.")] = None,
    engines: Annotated[list[str] | None, typer.Option("--engine", "-e", help="Only these engines.")] = None,
    suites: Annotated[
        list[str] | None,
        typer.Option("--suite", "-s", help="Only these suites, suite/size, workloads or globs."),
    ] = None,
    degrees: Annotated[
        str, typer.Option(help="How many workloads run together, beside running alone.")
    ] = "2,3,4",
    rounds: Annotated[int, typer.Option(help="How often co-runner sets are drawn per degree.", min=1)] = 1,
    repeats: Annotated[int, typer.Option(help="Samples of a workload alone.", min=1)] = 50,
    limit: Annotated[float, typer.Option(help="Seconds after which a job ends.", min=0.01)] = 30.0,
    co_run: Annotated[
        float | None,
        typer.Option(help="Seconds that workloads run together.", show_default="the limit", min=0.01),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides order and co-runner sets.")] = 0,
    anchors: Annotated[
        int, typer.Option(help="Workloads repeated at start and end, to see drift.", min=0)
    ] = 3,
    hours: Annotated[float | None, typer.Option(help="Start no job after so many hours.", min=0.0001)] = None,
    jobs: Annotated[int | None, typer.Option(help="Start no more than so many jobs.", min=1)] = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N shares of the devices, one per controller.")
    ] = "1/1",
    cool: Annotated[
        float | None,
        typer.Option(metavar="CELSIUS", help="Before each job wait until the device is so cool."),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Before each job wait until at most so much of it is busy."),
    ] = None,
    gate_limit: Annotated[float, typer.Option(metavar="SECONDS", help="Wait no longer for either.")] = 300.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and measure nothing.")] = False,
    devices_file: DevicesFile = DEVICES_YAML,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Measure workloads on devices, alone and together. Interrupt it and repeat the command to go on.

    Ctrl-C ends after the running jobs; a second one at once.
    """
    from harness.collecting import Request, run_collection
    from harness.plan import Gate, Settings

    settings = Settings(
        seed=seed, repeats=repeats, limit_s=limit, co_run_s=co_run or limit, anchors=anchors,
        rounds=dict.fromkeys(_degrees(degrees), rounds),
        gate=Gate(temperature_c=cool, busy=None if idle is None else idle / 100, limit_s=gate_limit),
    )  # fmt: skip
    request = Request(
        output, devices_file, benchmarks, devices or [], engines or [], suites or [], settings,
        hours=hours, jobs=jobs, shard=_shard(shard),
    )  # fmt: skip
    rows, complete = run_collection(request, stderr(), dry_run=dry_run)
    columns = [
        Column("device", "device"), Column("engine", "engine"), Column("alone", "alone", True),
        Column("together", "together", True), Column("hours", "hours at most", True),
    ] if dry_run else STATUS_COLUMNS  # fmt: skip
    show(rows, columns, _form(as_json, as_csv))
    if not complete:
        raise typer.Exit(1)


STATUS_COLUMNS = [
    Column("platform", "platform"), Column("planned", "jobs", True), Column("done", "done", True),
    Column("left", "left", True), Column("observations", "observations", True), Column("failed", "failed", True),
    Column("reasons", "reasons"), Column("coverage", "workloads seen"),
]  # fmt: skip


@app.command(epilog="Example: harness status datasets/lab --watch")
def status(
    dataset: DatasetPath,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every two seconds until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What is done, failed and left of a collection, per platform."""
    from harness.dataset import Dataset
    from harness.status import status_rows

    form = _form(as_json, as_csv)
    opened = Dataset.open(dataset)
    if not watch:
        show(status_rows(opened), STATUS_COLUMNS, form)
        return
    if form is not Form.table:
        raise UsageError("--watch shows a table; leave out --json and --csv.")
    watching(lambda: (status_rows(opened), STATUS_COLUMNS))


@app.command(name="import", epilog="Example: harness import pitot/data -o datasets/published")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where data.npz and if2/if3/if4.npz are.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DATASET", show_default="datasets/DIR")
    ] = None,
) -> None:
    """Make a dataset of the published Pitot files (times in microseconds)."""
    from harness.exchange import import_published

    root = output or Path("datasets") / folder.resolve().name
    _, rows = import_published(folder, root)
    told = ", ".join(f"{count:,} {'isolated' if n == 0 else f'{n + 1}-way'}" for n, count in rows.items())
    stderr().print(f"{told} observations are now in {root}; next: harness train {root} -o {root.name}.npz")


@app.command(epilog="Example: harness export datasets/lab -o published")
def export(
    dataset: DatasetPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the npz files go.")],
) -> None:
    """Write data.npz and if2/if3/if4.npz as the published Pitot code reads them."""
    from harness.dataset import Dataset
    from harness.exchange import export_published

    rows = export_published(Dataset.open(dataset), output)
    told = ", ".join(f"{count:,} {'isolated' if n == 0 else f'{n + 1}-way'}" for n, count in rows.items())
    stderr().print(f"{told} observations are now in {output}, times in microseconds")


@app.command(epilog="Example: harness train datasets/lab -o lab.npz")
def train(
    dataset: DatasetPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="The model file to write.")],
    test_share: Annotated[
        float, typer.Option(help="Share of jobs kept for testing only.", min=0.01, max=0.9)
    ] = 0.2,
    calibration_share: Annotated[
        float, typer.Option(help="Share of the other jobs kept for calibrating only.", min=0.01, max=0.9)
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides split and initial values.")] = 0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Train a model with calibrated bounds, and print its accuracy on held-out jobs."""
    from harness.dataset import Dataset
    from harness.progress import bar
    from harness.train import show_accuracy
    from harness.train import train as fit

    form, console = _form(as_json, as_csv), stderr()
    opened = Dataset.open(dataset)
    if not output.resolve().parent.is_dir():
        raise UsageError(f"there is no directory {output.resolve().parent} to write the model to.")
    with bar(console, "training", 1) as progress:
        trained = fit(
            opened,
            test_share=test_share,
            calibration_share=calibration_share,
            seed=seed,
            progress=progress.at,
        )
    trained.model.save(output)
    show_accuracy(trained.accuracy, form)
    console.print(
        f"trained on {trained.rows:,} observations in {trained.seconds:.1f} s; the model is {output}"
    )


@app.command(epilog="Example: harness evaluate datasets/published --shares 10,50,90 --jobs 2 -o evaluation")
def evaluate(
    dataset: DatasetPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", show_default="DATASET/evaluation")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Which methods, repeatable; `all` for every one.",
            show_default="ours and the baselines",
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="Split by row (as published), by job (honest), or both.")] = "row",
    shares: Annotated[str, typer.Option(help="Training shares in percent.")] = "10,20,30,40,50,60,70,80,90",
    replicates: Annotated[int, typer.Option(help="Random splits per share.", min=1)] = 5,
    jobs: Annotated[int, typer.Option(help="Trainings at the same time.", min=1)] = 1,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler to train on.")] = None,
    plots: Annotated[bool, typer.Option(help="Draw the figures too.")] = True,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare methods over splits and replicates, beside the published values. Repeat it to resume."""
    from harness.evaluate import DEFAULT_METHODS, METHODS
    from harness.evaluating import Request, in_percent, parse_shares, run_evaluation, summary_columns

    form = _form(as_json, as_csv)
    splits = {"row": ["row"], "job": ["job"], "both": ["row", "job"]}.get(by)
    if splits is None:
        raise UsageError(f"--by {by} must be row, job or both.")
    chosen = list(METHODS) if methods == ["all"] else methods or list(DEFAULT_METHODS)
    target = output or dataset / "evaluation"
    request = Request(dataset, target, chosen, splits, parse_shares(shares), replicates, jobs, dask, plots)
    summary = run_evaluation(request, stderr())
    show(in_percent(summary) if form is Form.table else summary, summary_columns(), form)
    stderr().print(f"tables and plots are in {target}")


@app.command(
    epilog="Examples: harness predict lab.npz -w polybench/small/gemm -d local --with polybench/small/lu --eps 0.05 · "
    "harness predict lab.npz -w polybench/small/gemm · harness predict lab.npz --batch asked.csv -o answered.parquet"
)
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file of `harness train`.")],
    workload: Annotated[str | None, typer.Option("--workload", "-w", help="Default: every workload.")] = None,
    device: Annotated[str | None, typer.Option("--device", "-d", help="Default: every device.")] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", "-e", help="Default: every engine of the device.")
    ] = None,
    platform: Annotated[str | None, typer.Option("--platform", "-p", metavar="ENGINE:DEVICE")] = None,
    beside: Annotated[str, typer.Option("--with", metavar="A,B", help="The co-runners, up to three.")] = "",
    eps: Annotated[float, typer.Option(help="How often the bound may be exceeded.")] = 0.05,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also its start-up, work and interference, and what behaves alike."),
    ] = False,
    batch: Annotated[
        Path | None,
        typer.Option(
            help="Answer each row of a CSV, Parquet or JSON-lines file: workload, platform, with (A;B)."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the answered batch goes.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Predict execution times, each with a bound that is exceeded with probability at most ε."""
    from harness import predict as asking

    loaded = asking.load_model(model)
    if batch:
        if any((workload, device, engine, platform, beside)):
            raise UsageError("with --batch the rows say what is asked; leave out -w, -d, -e, -p and --with.")
        rows, asked = asking.read_batch(batch)
        answers = asking.answer(loaded, asked, eps) if asked else []
        rows = [
            row | {"mean_ns": answer["mean_ns"], "bound_ns": answer["bound_ns"]}
            for row, answer in zip(rows, answers, strict=True)
        ]
        if output:
            asking.write_batch(output, rows)
            stderr().print(f"{len(rows):,} answered rows are in {output}")
        elif as_json:
            show(rows, [Column(key, key) for key in (rows[0] if rows else {})], Form.json)
        else:
            asking.write_csv(sys.stdout, rows)
    else:
        if output:
            raise UsageError(
                "--output goes with --batch; a single prediction is printed, also with --json or --csv."
            )
        names = [name.strip() for name in beside.split(",") if name.strip()]
        asked = asking.questions(
            loaded, workload=workload, device=device, engine=engine, platform=platform, co_runners=names
        )
        columns = [
            Column("workload", "workload"), Column("platform", "platform"), Column("with", "beside"),
            Column("mean_ns", "expected", True), Column("bound_ns", f"stays below (ε = {eps:g})", True),
        ]  # fmt: skip
        rows = asking.answer(loaded, asked, eps)
        if explain:
            rows = [row | parts for row, parts in zip(rows, asking.explain(loaded, asked), strict=True)]
            columns += [
                Column("startup_ns", "start-up", True), Column("work_ns", "work", True),
                Column("interference_ns", "interference", True), Column("like_workloads", "workloads like it"),
                Column("like_platforms", "platforms like it"),
            ]  # fmt: skip
        show(rows, columns, _form(as_json, as_csv))
    told = asking.shortage(loaded, asked, eps)
    if told:
        stderr().print(told, soft_wrap=True)


@app.command(epilog="Example: harness report datasets/lab -m lab.npz -o lab.html")
def report(
    dataset: DatasetPath,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Also show how good this model is.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", show_default="DATASET/report.html")] = None,
) -> None:
    """Write one HTML page about a dataset: coverage, times, slowdowns, failures, accuracy."""
    from harness.dataset import Dataset
    from harness.predict import load_model
    from harness.report import write_report

    path = output or dataset / "report.html"
    write_report(Dataset.open(dataset), load_model(model) if model else None, path)
    stderr().print(f"the report is {path}")


def _form(as_json: bool, as_csv: bool) -> Form:
    if as_json and as_csv:
        raise UsageError("give either --json or --csv, not both.")
    return Form.json if as_json else Form.csv if as_csv else Form.table


def _degrees(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip() not in ("", "1")]
    if not all(word in ("2", "3", "4") for word in words):
        raise UsageError(
            f"--degrees {text} must list numbers from 2 to 4, such as 2,3; or 1 for none together."
        )
    return sorted({int(word) for word in words})


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise UsageError(f"--shard {text} must be I/N with I from 1 to N, such as 2/3.")


if __name__ == "__main__":
    main()
