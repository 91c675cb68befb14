"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import completion
from harness.errors import UsageError
from harness.output import Form


def split(given: Iterable[str] | None, comma: str = ",") -> list[str]:
    """The names of an option that is repeated, or lists them with commas between, or both."""
    return [name for text in given or () for word in re.split(comma, text) if (name := word.strip())]


def listed(param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """The callback of every option that takes names. Raises UsageError where it is given and names nothing."""
    names = split(value)
    if value and not names:
        raise UsageError(f"{param.opts[0]} {value[0]!r} names nothing; give names, with commas between.")
    return names or None


def joined(given: list[str] | None) -> str | None:
    """What was given as one text with commas, however it was given; None where it was not."""
    return ",".join(given) if given else None


def names(*flags: str, help: str, completion: Any) -> Any:
    """An option that takes one name or several, repeated or with commas between."""
    return typer.Option(*flags, metavar="A,B", help=help, autocompletion=completion, callback=listed)


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
    names("--device", "-d", help="Only these devices.", completion=completion.devices),
]
Engines = Annotated[
    list[str] | None,
    names("--engine", "-e", help="Only these engines.", completion=completion.engines),
]
Memory = Annotated[
    int, typer.Option(metavar="MIB", help="Linear memory a workload may have, MiB.", min=1, max=4096)
]
MOST_SEED = 2**32 - 1  # what every generator of random numbers takes
DEVICES_YAML = Path("devices.yaml")


def form_of(as_json: bool, as_csv: bool) -> Form:
    if as_json and as_csv:
        raise UsageError("give either --json or --csv, not both.")
    return Form.json if as_json else Form.csv if as_csv else Form.table
