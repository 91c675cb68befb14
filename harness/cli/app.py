"""The application that commands join, and how it starts and ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from harness import __version__
from harness.errors import HarnessError
from harness.show import stderr

Command = TypeVar("Command", bound=Callable[..., Any])

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure WebAssembly workloads across a cluster, and predict how long they take, with a bound that holds.",
)


def group(title: str) -> Callable[..., Callable[[Command], Command]]:
    """The decorator of commands that stand together in ``harness --help``.

    Its arguments are the examples that end a command's help, one a line, and perhaps its ``name``.
    """

    def command(*examples: str, name: str | None = None) -> Callable[[Command], Command]:
        heading = f"[bold]Example{'s' if len(examples) > 1 else ''}[/bold]"
        return app.command(
            name,
            epilog="\n".join([heading, *(f"[dim]$[/dim] {one}" for one in examples)]),
            rich_help_panel=title,
        )

    return command


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
