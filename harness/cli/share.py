"""Commands that hand a dataset on: import, export, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import group
from harness.cli.options import DatasetPath
from harness.show import stderr

command = group("Share")


@command("harness import pitot/data -o datasets/published", name="import")
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


@command("harness export datasets/lab -o lab-npz")
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


@command("harness report datasets/lab", "harness report datasets/lab -m lab.npz -o lab.html")
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
