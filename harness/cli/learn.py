"""Commands that make a model and judge it: train, update, evaluate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import group
from harness.cli.options import MOST_SEED, AsCsv, AsJson, DatasetPath, form_of, joined, listed
from harness.errors import UsageError
from harness.files import real
from harness.output import Form, show, stderr

command = group("Predict")
SHARES = "10,20,30,40,50,60,70,80,90"


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
    seed: Annotated[int, typer.Option(help="Decides split and initial values.", min=0, max=MOST_SEED)] = 0,
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
        told = trained.told("cold start" if anew else "observation")
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
            help="Which methods; `all` for every one.",
            callback=listed,
            show_default="ours and the baselines",
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="Split by row (as published), by job (honest), or both.")] = "row",
    shares: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="Training shares in percent.", show_default=SHARES),
    ] = None,
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
    request = Request(
        dataset, target, chosen, splits, parse_shares(joined(shares) or SHARES), replicates, jobs, dask, plots
    )
    summary = run_evaluation(request, stderr())
    rows = with_published(summary)
    show(in_percent(rows) if form is Form.table else rows, SUMMARY_COLUMNS, form)
    stderr().print(f"tables and plots are in {target}")


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
