"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.errors import UsageError
from harness.output import Form

AsJson = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]
DevicesFile = Annotated[Path, typer.Option("--devices-file", help="The file that lists the devices.")]
DatasetPath = Annotated[
    Path,
    typer.Argument(metavar="DATASET", help="The dataset's directory.", autocompletion=completion.datasets),
]
Benchmarks = Annotated[
    Path | None,
    typer.Option("--benchmarks", help="The directory of your own suites.", show_default="benchmarks/"),
]
Devices = Annotated[
    list[str] | None,
    typer.Option("--device", "-d", help="Only these devices.", autocompletion=completion.devices),
]
Engines = Annotated[
    list[str] | None,
    typer.Option("--engine", "-e", help="Only these engines.", autocompletion=completion.engines),
]
Memory = Annotated[
    int, typer.Option(metavar="MIB", help="Linear memory a workload may have, MiB.", min=1, max=4096)
]
DEVICES_YAML = Path("devices.yaml")


def form_of(as_json: bool, as_csv: bool) -> Form:
    if as_json and as_csv:
        raise UsageError("give either --json or --csv, not both.")
    return Form.json if as_json else Form.csv if as_csv else Form.table
