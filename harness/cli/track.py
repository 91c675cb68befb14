"""Commands that follow times from one collection to the next: compare, trend."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.options import AsCsv, AsJson, form_of, joined
from harness.errors import UsageError
from harness.output import Form, show, stderr

command = group("Share")
MOST_TOLD = 10


@command(
    "harness compare datasets/before datasets/after",
    "harness compare datasets/lab -e wasmtime-j,wasm3-i",
    "harness compare datasets/lab -d pi-4,pi-5 --workloads",
    "harness compare datasets/lab -p wasmtime-a:pi-4,wasmtime-j:pi-4 --json",
    "harness compare datasets/before datasets/after --fail-above 5% --markdown --junit compared.xml",
)
def compare(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A dataset.", autocompletion=completion.datasets)
    ],
    second: Annotated[
        Path | None,
        typer.Argument(
            metavar="[B]",
            help="Another; without it, two sides of A are compared.",
            autocompletion=completion.datasets,
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine",
            "-e",
            metavar="A,B",
            help="One for both sides, or one each.",
            autocompletion=completion.engines,
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            "-d",
            metavar="A,B",
            help="One for both sides, or one each.",
            autocompletion=completion.devices,
        ),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            metavar="A,B",
            help="ENGINE:DEVICE for both sides, or one each.",
            autocompletion=completion.platforms,
        ),
    ] = None,
    workloads: Annotated[
        bool, typer.Option("--workloads", help="A row per workload instead of one per suite.")
    ] = False,
    false_share: Annotated[
        float,
        typer.Option(
            "--false",
            help="Share of false ones among the workloads called faster or slower.",
            min=0.0001,
            max=0.5,
        ),
    ] = 0.05,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even where machines or versions differ beyond what was asked.")
    ] = False,
    rebuilt: Annotated[
        bool,
        typer.Option("--rebuilt", help="Pair workloads by name though their modules were built anew."),
    ] = False,
    statistic: Annotated[
        str,
        typer.Option(metavar="mean|median|p95", help="What is compared of each observation's times."),
    ] = "mean",
    fail_above: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Exit with 1 where B surely takes longer than A by more than this, such as 5%, or broke.",
        ),
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a summary for a pull request.")
    ] = False,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --fail-above: also write it as JUnit XML."),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare two datasets, engines, devices or platforms: how many times as long does B take as A?"""
    from harness.compare import comparison as comparing
    from harness.compare import gate_summary
    from harness.compare.gate import gate
    from harness.compare.histogram import show_suites
    from harness.progress import bar

    form = form_of(as_json, as_csv)
    limit = None if fail_above is None else _percent("--fail-above", fail_above)
    if as_markdown and (as_json or as_csv or workloads):
        raise UsageError("give --markdown alone, without --json, --csv or --workloads.")
    if junit and limit is None:
        raise UsageError("--junit tells what passed and what failed; give --fail-above too, such as 5%.")
    if junit and junit.is_dir():
        raise UsageError(f"{junit} is a directory; name the file with --junit.")
    with bar(stderr(), "comparing", 0):
        found = comparing.compare(
            first, second, engine=joined(engine), device=joined(device), platform=joined(platform),
            false_share=false_share, anyway=anyway, rebuilt=rebuilt, statistic=statistic,
        )  # fmt: skip
    gated = None if limit is None else gate(found, limit, false_share)
    for note in found.notes:
        stderr().print(note)
    if gated and junit:
        gate_summary.write_junit(found, gated, junit)
    if as_markdown:
        print(gate_summary.markdown(found, gated))
    elif workloads:
        title = f"Time in {found.b} over time in {found.a}"
        show(found.workloads, comparing.WORKLOAD_COLUMNS, form, title=title)
    elif form is Form.table:
        show_suites(found.a, found.b, found.suites)
    else:
        show(found.suites, comparing.SUITE_COLUMNS + comparing.HISTOGRAM_COLUMNS, form)
    if gated:
        for check in gated.failures[:MOST_TOLD]:
            stderr().print(f"slower: {check.sentence()}" if check.ratio else f"broken: {check.sentence()}")
        if len(gated.failures) > MOST_TOLD:
            stderr().print(f"and {len(gated.failures) - MOST_TOLD} more; --markdown and --junit list them")
        stderr().print(gated.sentence())
        if not gated.passed:
            raise typer.Exit(1)


def _percent(option: str, text: str) -> float:
    """``5%`` as 0.05."""
    number = text.removesuffix("%")
    with contextlib.suppress(ValueError):
        if text.endswith("%") and 0 <= float(number) <= 100_000:
            return float(number) / 100
    raise UsageError(f"{option} {text} must be a percentage, such as 5%.")


@command(
    "harness trend datasets/before datasets/after",
    "harness trend datasets/2026-* --suite polybench --json",
)
def trend(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...", help="In their order, at least two.", autocompletion=completion.datasets
        ),
    ],
    workload: Annotated[
        str | None, typer.Option("--workload", "-w", help="One workload instead of every suite.")
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="One suite only.")] = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", "-e", help="Only under this engine.", autocompletion=completion.engines),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Only on this device.", autocompletion=completion.devices),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw it, as PNG, SVG or PDF by its name.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """How the times of suites, or of a workload, went over several datasets, as ratios to the first."""
    from harness.compare import trend as trending
    from harness.progress import bar

    form = form_of(as_json, as_csv)
    if plot:
        from harness.report.trend_picture import check_name, draw_trend

        check_name(plot)
    with bar(stderr(), "comparing", 0):
        found = trending.trend(datasets, workload=workload, suite=suite, engine=engine, device=device)
    for note in found.notes:
        stderr().print(note)
    if plot:
        draw_trend(found.rows, plot)
        stderr().print(f"the picture is {plot}")
    if form is not Form.table:
        show(found.rows, trending.TREND_COLUMNS, form)
        return
    short = [row | {"commit": row["commit"][:12], "started_at": row["started_at"][:10]} for row in found.rows]
    show(short, trending.TREND_COLUMNS, form, title="Times as ratios to the first dataset")
    print()
    trending.show_picture(found.rows)
