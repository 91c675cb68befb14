"""The command that asks a model: predict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.options import AsCsv, AsJson, form_of, listed, names, split
from harness.errors import UsageError
from harness.output import show, stderr
from harness.spelling import several

command = group("Predict")


@command(
    "harness predict lab.npz -w polybench/small/gemm",
    "harness predict lab.npz -w polybench/small/gemm -d local --with polybench/small/lu --eps 0.05",
    "harness predict lab.npz -d pi-4 --memory",
    "harness predict lab.npz --batch asked.csv -o answered.parquet",
)
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file of `harness train`.")],
    workload: Annotated[
        list[str] | None,
        names("--workload", "-w", help="Default: every workload.", completion=completion.workloads),
    ] = None,
    device: Annotated[
        list[str] | None,
        names("--device", "-d", help="Default: every device.", completion=completion.devices),
    ] = None,
    engine: Annotated[
        list[str] | None,
        names("--engine", "-e", help="Default: every engine of the device.", completion=completion.engines),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            metavar="ENGINE:DEVICE",
            autocompletion=completion.platforms,
            callback=listed,
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="A,B", help="The co-runners, up to three.", autocompletion=completion.workloads
        ),
    ] = None,
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

    loaded, co_runners = asking.load_model(model), split(beside)
    if cold and (batch or co_runners):
        raise UsageError(
            "--cold is for workloads alone, one question at a time; leave out --batch and --with."
        )
    if batch:
        if co_runners or any(name is not None for name in (workload, device, engine, platform)):
            raise UsageError("with --batch the rows say what is asked; leave out -w, -d, -e, -p and --with.")
        from harness.decide.batch import Batch
        from harness.progress import bar, beside_stdout

        with bar(stderr(), "reading", 0):
            questions = Batch(batch, loaded, explain=explain, memory=memory)
        if output and (as_json or as_csv):
            raise UsageError(
                "the name of --output says its form (.csv, .parquet, .jsonl); leave out --json and --csv."
            )
        form_of(as_json, as_csv)
        if questions.lacks:
            stderr().print(questions.lacks)
        if output:
            with bar(stderr(), "answering", 0):
                questions.write(output, eps)
            stderr().print(
                f"{several(len(questions.queries), 'answered row is', 'answered rows are')} in {output}"
            )
        else:
            printed = questions.print_json if as_json else questions.print_csv
            with beside_stdout(stderr(), "answering"):
                printed(sys.stdout, eps)
        told = questions.shortage(eps)
    else:
        if output:
            raise UsageError(
                "--output goes with --batch; leave it out: a single prediction is printed, also with --json or --csv."
            )
        asked = asking.questions(
            loaded,
            workload=workload,
            device=device,
            engine=engine,
            platform=platform,
            co_runners=co_runners,
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
