"""The application that commands join, and how it starts and ends."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from harness.cli.interrupt import ended_by_interrupts
from harness.errors import HarnessError, Interrupted
from harness.output import stderr

BROKEN_PIPE = 141  # 128 + SIGPIPE, the exit code a shell reports for a program ended by it

Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(TyperGroup):
    """All commands; Ctrl-C and a reader that left end each of them in the same way."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with ended_by_interrupts():
                answer = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            if not _reader_left():
                raise
            raise typer.Exit(BROKEN_PIPE) from None
        return answer


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure WebAssembly workloads across a cluster, and predict how long they take, with a bound that holds.",
    epilog="[bold]Examples[/bold]\n[dim]$[/dim] harness demo\n[dim]$[/dim] harness collect --help",
)


def group(title: str) -> Callable[..., Callable[[Command], Command]]:
    """The decorator of commands that stand together in ``harness --help``.

    Its arguments are the examples that end a command's help, one a line, and perhaps its ``name``.
    """

    def command(*examples: str, name: str | None = None) -> Callable[[Command], Command]:
        heading = f"[bold]Example{'s' if len(examples) > 1 else ''}[/bold]"
        lines = [heading, *(f"[dim]$[/dim] {one}" for one in examples)]
        return app.command(name, epilog="\n".join(lines), rich_help_panel=title)

    return command


def main() -> None:
    """The console command ``harness``."""
    try:
        app(prog_name="harness")
    except HarnessError as error:
        _leave(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or str(error)
        _leave(f"{place}{reason}; nothing is half-written, repeat the command when that is mended.", 1)


def _leave(sentence: str, exit_code: int) -> None:
    stderr().print(f"harness: {sentence}", markup=False, soft_wrap=True)
    sys.exit(exit_code)


def _reader_left() -> bool:
    """Whether stdout is the pipe that broke.

    If so it is redirected to nowhere, so that Python does not complain at exit.
    """
    stdout = sys.stdout.fileno()
    waiting = select.poll()
    waiting.register(stdout, 0)
    if any(event & select.POLLERR for _, event in waiting.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
        return True
    return False


def _version(asked: bool) -> None:
    if asked:
        from harness.cli.version import describe

        typer.echo("\n".join(describe()))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions of harness and what it uses.",
        ),
    ] = False,
) -> None:
    pass
