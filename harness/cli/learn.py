"""Commands of the model: train, update, evaluate, predict."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.options import AsCsv, AsJson, DatasetPath, form_of
from harness.errors import UsageError
from harness.files import real
from harness.output import Form, show, stderr

command = group("Predict")


@command("harness train datasets/lab -o lab.npz")
def train(
    dataset: DatasetPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="The model file to write.")],
    test_share: Annotated[
        float, typer.Option(help="Share of jobs kept for testing only.", min=0.01, max=0.9)
    ] = 0.2,
    calibration_share: Annotated[
        float, typer.Option(help="Share of the other jobs kept for calibrating only.", min=0.01, max=0.9)
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides split and initial values.", min=0)] = 0,
    cold: Annotated[
        bool,
        typer.Option(
            "--cold", help="Train a second model, of what starting anew takes, beside it (MODEL-cold)."
        ),
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A dask scheduler whose workers read DATASET, which they see by the same path; not for --cold.",
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Train a model with calibrated bounds, and print its accuracy on held-out jobs."""
    from harness.dataset.store import Dataset
    from harness.learn.cold import cold_path
    from harness.learn.train import show_accuracy
    from harness.learn.train import train as fit
    from harness.progress import bar

    form, console = form_of(as_json, as_csv), stderr()
    opened = Dataset.open(dataset)
    _check_place(output)
    targets = {output: False, cold_path(output): True} if cold else {output: False}
    rows = []
    for path, anew in targets.items():
        with bar(console, "training", 1) as progress:
            trained = fit(
                opened,
                test_share=test_share,
                calibration_share=calibration_share,
                seed=seed,
                cold=anew,
                dask=dask,
                progress=progress.at,
            )
        trained.model.save(path)
        rows += trained.accuracy
        for sentence in trained.unsupported:
            console.print(sentence)
        told = trained.told("cold starts" if anew else "observations")
        console.print(f"{told}, in {trained.seconds:.1f} s; the model is {path}")
        if form is Form.table:
            show_accuracy(trained.accuracy, form)
    if form is not Form.table:
        show_accuracy(rows, form)


@command("harness update lab.npz datasets/newcomer -o lab.npz")
def update(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file of `harness train`.")],
    dataset: DatasetPath,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="MODEL", help="The model file to write; it may be MODEL."),
    ],
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Also learn further rows of what it was trained on; those learned before are known."
        ),
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Teach a model workloads and devices it was not trained on, from a handful of measurements of each."""
    from harness.dataset.store import Dataset
    from harness.decide.predict import load_model
    from harness.learn.more import LEARNED_COLUMNS, learn_more
    from harness.progress import bar

    form, console = form_of(as_json, as_csv), stderr()
    trained, opened = load_model(model), Dataset.open(dataset)
    _check_place(output)
    with bar(console, "learning", 0):
        learned = learn_more(trained, opened, everything=everything)
        learned.model.save(output)
    show(learned.rows, LEARNED_COLUMNS, form)
    console.print(f"{learned.told}; the updated model is {output}")


@command("harness evaluate datasets/published --shares 10,50,90 --jobs 2 -o evaluation")
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
    from harness.learn.cells import DEFAULT_METHODS, METHODS
    from harness.learn.evaluation import (
        SUMMARY_COLUMNS,
        Request,
        in_percent,
        parse_shares,
        run_evaluation,
        with_published,
    )

    form = form_of(as_json, as_csv)
    splits = {"row": ["row"], "job": ["job"], "both": ["row", "job"]}.get(by)
    if splits is None:
        raise UsageError(f"--by {by} must be row, job or both.")
    chosen = list(METHODS) if methods == ["all"] else methods or list(DEFAULT_METHODS)
    target = output or dataset / "evaluation"
    request = Request(dataset, target, chosen, splits, parse_shares(shares), replicates, jobs, dask, plots)
    summary = run_evaluation(request, stderr())
    rows = with_published(summary)
    show(in_percent(rows) if form is Form.table else rows, SUMMARY_COLUMNS, form)
    stderr().print(f"tables and plots are in {target}")


@command(
    "harness predict lab.npz -w polybench/small/gemm",
    "harness predict lab.npz -w polybench/small/gemm -d local --with polybench/small/lu --eps 0.05",
    "harness predict lab.npz -d pi-4 --memory",
    "harness predict lab.npz --batch asked.csv -o answered.parquet",
)
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file of `harness train`.")],
    workload: Annotated[
        str | None,
        typer.Option(
            "--workload", "-w", help="Default: every workload.", autocompletion=completion.workloads
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Default: every device.", autocompletion=completion.devices),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", "-e", help="Default: every engine of the device.", autocompletion=completion.engines
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option("--platform", "-p", metavar="ENGINE:DEVICE", autocompletion=completion.platforms),
    ] = None,
    beside: Annotated[
        str,
        typer.Option(
            "--with", metavar="A,B", help="The co-runners, up to three.", autocompletion=completion.workloads
        ),
    ] = "",
    eps: Annotated[float, typer.Option(help="How often the bound may be exceeded.")] = 0.05,
    cold: Annotated[
        bool,
        typer.Option(
            "--cold", help="Also what starting anew takes, alone: load or compile, first execution."
        ),
    ] = False,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Also the most memory its process holds, with a bound."),
    ] = False,
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
    """Predict execution times, each with a bound that is exceeded with a probability of at most --eps."""
    from harness.decide import predict as asking
    from harness.learn.cold import need_cold

    loaded = asking.load_model(model)
    if cold and (batch or beside):
        raise UsageError(
            "--cold is for workloads alone, one question at a time; leave out --batch and --with."
        )
    if batch:
        if beside or any(name is not None for name in (workload, device, engine, platform)):
            raise UsageError("with --batch the rows say what is asked; leave out -w, -d, -e, -p and --with.")
        from harness.decide.batch import Batch
        from harness.progress import bar

        questions = Batch(batch, loaded, explain=explain, memory=memory)
        if output and (as_json or as_csv):
            raise UsageError(
                "the name of --output says its form (.csv, .parquet, .jsonl); leave out --json and --csv."
            )
        form_of(as_json, as_csv)
        if output:
            with bar(stderr(), "answering", 0):
                questions.write(output, eps)
            stderr().print(f"{len(questions.queries):,} answered rows are in {output}")
        elif as_json:
            questions.print_json(sys.stdout, eps)
        else:
            questions.print_csv(sys.stdout, eps)
        told = questions.shortage(eps)
    else:
        if output:
            raise UsageError(
                "--output goes with --batch; leave it out: a single prediction is printed, also with --json or --csv."
            )
        names = [name.strip() for name in beside.split(",") if name.strip()]
        asked = asking.questions(
            loaded, workload=workload, device=device, engine=engine, platform=platform, co_runners=names
        )
        columns = asking.columns(eps)
        rows = asking.answer(loaded, asked, eps)
        if explain:
            rows = [row | parts for row, parts in zip(rows, asking.explain(loaded, asked), strict=True)]
            columns += asking.EXPLAIN_COLUMNS
        if memory:
            from harness.decide.footprint import MEMORY_COLUMNS, answer_memory

            rows = [row | more for row, more in zip(rows, answer_memory(loaded, asked, eps), strict=True)]
            columns += MEMORY_COLUMNS
        if cold:
            anew = asking.load_model(need_cold(model))
            rows = [row | more for row, more in zip(rows, asking.answer_cold(anew, asked, eps), strict=True)]
            columns += asking.COLD_COLUMNS
        show(rows, columns, form_of(as_json, as_csv))
        told = asking.shortage(loaded, asked, eps)
    if told:
        stderr().print(told)


def _check_place(output: Path) -> None:
    """Before hours of work: raises UsageError where a model cannot be written, for want of a directory or a right."""
    folder = real(output).parent
    if not folder.is_dir():
        raise UsageError(
            f"there is no directory {folder} to write the model to; make it, or name another with -o."
        )
    if not os.access(folder, os.W_OK | os.X_OK) and (output.is_file() or not output.exists()):
        raise UsageError(
            f"the directory {folder} cannot be written to; name another place for the model with -o."
        )
