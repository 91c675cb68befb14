"""The application that commands join, and how it starts and ends."""

from __future__ import annotations

import contextlib
import copy
import errno
import functools
import math
import os
import select
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_command_name
from typer.models import CommandInfo

from harness.cli.interrupt import ended_by_interrupts
from harness.cli.spare import spare_pandas
from harness.errors import HarnessError, Interrupted, UsageError, why
from harness.output import stderr
from harness.spelling import is_text
from harness.streams import open_streams

BROKEN_PIPE = 141  # 128 + SIGPIPE, the exit code a shell reports for a program ended by it

# What the system answers where a person named a place that cannot be what it should be.
WRONG_PLACE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.EEXIST,
    errno.EROFS,
    errno.EPERM,
    errno.ENXIO,
}
_stdout: int | None = None

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


class OneCommand(TyperCommand):
    """A command whose numbers are finite: JSON, and so a dataset, knows no other."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        for param in self.params:
            value = ctx.params.get(str(param.name))
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{param.opts[0]} {value} must be a finite number.")
        return rest


app = typer.Typer(
    cls=Commands,
    pretty_exceptions_enable=False,
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
        return app.command(name, cls=OneCommand, epilog="\n".join(lines), rich_help_panel=title)

    return command


@functools.cache
def click_command(name: str) -> Any:
    """``harness`` as click runs it: with only the command of this name, or with all where none is called so.

    To make a command of click is slow, and typer makes all it knows before it runs one.
    """
    known = app.registered_commands
    narrowed = copy.copy(app)
    narrowed.registered_commands = [one for one in known if _name(one) == name] or known
    return get_command(narrowed)


def _name(command: CommandInfo) -> str:
    assert command.callback
    return command.name or get_command_name(command.callback.__name__)


def main() -> None:
    """The console command ``harness``."""
    global _stdout
    for_help = not {"-h", "--help"}.isdisjoint(sys.argv[1:]) or len(sys.argv) == 1
    open_streams(for_help=for_help)
    spare_pandas()
    if for_help:
        _import_help()
    for word in sys.argv[1:]:
        if not is_text(word):
            names = sys.getfilesystemencoding().upper()
            locale = "" if names == "UTF-8" else " (or set PYTHONUTF8=1, if it is in UTF-8)"
            _leave(
                f"{word} is not text in {names}, as every name here must be; give another{locale}, or rename the file.",
                2,
            )
    with contextlib.suppress(
        OSError
    ):  # a second name for it, since rich leads a broken stdout nowhere by itself
        _stdout = _stdout or os.dup(1)
    try:
        try:
            click_command(*sys.argv[1:2] or [""])(prog_name="harness")
        except KeyboardInterrupt:  # before a command began
            raise Interrupted from None
        except SystemExit as leave:
            if leave.code == 1 and _reader_left():  # rich's and click's own answer to a broken pipe
                sys.exit(BROKEN_PIPE)
            raise
        finally:
            _flush()
    except HarnessError as error:
        _leave(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = why(error, error.filename)
        if error.filename and error.errno in WRONG_PLACE:
            _leave(f"{place}{reason}; name another place.", 2)
        _leave(f"{place}{reason}; nothing is half-written, repeat the command when that is mended.", 1)


def _import_help() -> None:
    """Import what draws help, without what it would import for Markdown and tracebacks and ours has not.

    Those are most of its time. Whoever asks for them later gets them whole.
    """
    unused = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}
    spared = {module: name for module, name in unused.items() if module not in sys.modules}
    for module, name in spared.items():
        sys.modules[module] = ModuleType(module)
        setattr(sys.modules[module], name, type(name, (), {}))
    try:
        from typer import rich_utils

        vars(rich_utils)["Table"] = _table_of_whole_words()
    finally:
        for module in spared:
            del sys.modules[module]


def _table_of_whole_words() -> type:
    """What help is drawn with: what does not fit a cell goes on in its next line, where rich by itself cuts it off."""
    from rich.columns import Columns
    from rich.table import Table
    from rich.text import Text

    def joined(cell: Any) -> Any:
        parts: list[Any] = list(cell.renderables) if isinstance(cell, Columns) else [cell]
        if not all(isinstance(part, Text) for part in parts):
            return cell
        text = Text(" ").join(parts)
        text.overflow = "fold"
        return text

    class WholeWords(Table):
        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(*map(joined, cells), **options)

    return WholeWords


def _flush() -> None:
    """Have everything printed while a failure can still be told: Python itself only complains about it at its exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_left():
            raise
        sys.exit(BROKEN_PIPE)
    except OSError:
        _lead_nowhere()
        raise


def _leave(sentence: str, exit_code: int) -> None:
    stderr().print(f"harness: {sentence}")
    sys.exit(exit_code)


def _reader_left() -> bool:
    """Whether stdout is the pipe that broke.

    If so it then leads nowhere, so that Python does not complain at exit.
    """
    waiting = select.poll()
    waiting.register(_stdout if _stdout is not None else sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in waiting.poll(0)):
        _lead_nowhere()
        return True
    return False


def _lead_nowhere() -> None:
    """What is left in stdout's buffer is lost without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
