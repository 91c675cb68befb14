"""Commands that hand a dataset on: import, export, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.options import DatasetPath
from harness.errors import UsageError, typed
from harness.files import real
from harness.output import stderr
from harness.spelling import noun, several
from harness.streams import Utf8

command = group("Share")


@command(
    "harness import pitot/data -o datasets/published",
    "harness import --fetch pitot/data -o datasets/published",
    "harness import --fetch --manifest pinned.json pitot/data",
    name="import",
)
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where data.npz and if2/if3/if4.npz are.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DATASET", show_default="datasets/DIR")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="First download into DIR what is missing there; it resumes.")
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="URLs, sizes and SHA-256 of the files to fetch.", show_default="the published ones"
        ),
    ] = None,
) -> None:
    """Make a dataset of the published Pitot files (times in microseconds)."""
    from harness.dataset import fetch as fetching
    from harness.dataset.published import import_published, imported
    from harness.dataset.store import refuse_taken
    from harness.progress import bar

    root = output or Path("datasets") / real(folder).name
    if manifest and not fetch:
        raise UsageError("--manifest says what to download; give --fetch too.")
    if not imported(root):
        refuse_taken(root)
    if fetch:
        fetching.fetch(fetching.read_manifest(manifest), folder, stderr())
    console = stderr()
    with bar(console, "importing", 0):
        _, rows = import_published(folder, root)
    console.print(
        f"{_told(rows)} now in {root}; next: harness train {typed(root)} -o {typed(f'{root.name}.npz')}"
    )


@command("harness export datasets/lab -o lab-npz", "harness export datasets/lab --csv -o lab.csv")
def export(
    dataset: DatasetPath,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The directory of the npz files, or the CSV file; - is stdout.",
        ),
    ] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="One CSV with a row per observation, to stdout without -o.")
    ] = False,
) -> None:
    """Write data.npz and if2/if3/if4.npz as the published Pitot code reads them, or a CSV."""
    from harness.dataset.spreadsheet import write_csv
    from harness.dataset.store import Dataset
    from harness.files import replacing
    from harness.learn.export import export_published
    from harness.progress import bar, beside_stdout

    opened, console = Dataset.open(dataset), stderr()
    if not csv:
        if output is None or str(output) == "-":
            raise UsageError("name the directory of the npz files with -o DIR, or ask for --csv.")
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is a file; name the directory of the npz files, or ask for --csv.")
        with bar(console, "exporting", 0):
            rows = export_published(opened, output)
        console.print(f"{_told(rows)} now in {output}, times in microseconds")
    elif output is None or str(output) == "-":
        with beside_stdout(console, "exporting") as at:
            write_csv(opened, Utf8(), at)
    elif output.is_dir():
        raise UsageError(f"{output} is a directory; name a file, such as {output / 'observations.csv'}.")
    else:
        with (
            bar(console, "exporting", 0) as progress,
            replacing(output) as partial,
            open(partial, "wb") as file,
        ):
            count = write_csv(opened, file, progress.at)
        console.print(f"{several(count, 'observation is', 'observations are')} now in {output}")


@command(
    "harness report datasets/lab",
    "harness report datasets/lab -m lab.npz -o lab.html",
    "harness report datasets/after --since datasets/before",
    "harness report datasets/lab --card",
)
def report(
    dataset: DatasetPath,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Also show how good this model is, and ask it in the page."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", show_default="DATASET/report.html")] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD",
            help="Also say what changed since this dataset, platform by platform.",
            autocompletion=completion.datasets,
        ),
    ] = None,
    card: Annotated[
        bool,
        typer.Option(
            "--card", help="Write README.md and croissant.json into the dataset instead, to publish it."
        ),
    ] = False,
) -> None:
    """Write one HTML page about a dataset: coverage, times, slowdowns, noise, accuracy, and what failed."""
    from harness.dataset.store import Dataset
    from harness.decide.predict import load_model
    from harness.progress import bar
    from harness.report import STEPS, write_report
    from harness.report.card import write_card

    if card:
        if model or output or since:
            raise UsageError(
                "--card writes README.md and croissant.json; leave out --model, --output and --since."
            )
        with bar(stderr(), "card", 0):
            readme, machine = write_card(Dataset.open(dataset))
        stderr().print(
            f"the card is {readme}, and for programs {machine}; say the license in its first lines"
        )
        return
    path = output or dataset / "report.html"
    if path.is_dir():
        raise UsageError(f"{path} is a directory; name the file of the report with -o.")
    opened, loaded = Dataset.open(dataset), load_model(model) if model else None
    with bar(stderr(), "report", STEPS) as progress:
        write_report(opened, loaded, path, progress.advance, since)
    stderr().print(f"the report is {path}")


def _told(rows: dict[int, int]) -> str:
    told = (f"{count:,} {'isolated' if n == 0 else f'{n + 1}-way'}" for n, count in rows.items())
    return f"{', '.join(told)} {noun(sum(rows.values()), 'observation is', 'observations are')}"
