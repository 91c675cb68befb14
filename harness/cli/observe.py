"""Commands that look at a collection: status, watch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from harness.cli.app import group
from harness.cli.options import AsCsv, AsJson, DatasetPath, form_of
from harness.errors import Interrupted, UsageError
from harness.output import Form, show, stderr, watching
from harness.spelling import visible

command = group("Measure")


@contextlib.contextmanager
def until_ctrl_c() -> Iterator[None]:
    """Ctrl-C is how this ends: without a word, and with the exit code it has everywhere, whenever it comes."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(Interrupted.exit_code) from None


@command("harness status datasets/lab", "harness status datasets/lab --watch")
def status(
    dataset: DatasetPath,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every two seconds, with what each device does.")
    ] = False,
    devices: Annotated[
        bool, typer.Option("--devices", help="A row per device: what it does now, time left, how it is.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What is done, failed and left of a collection, per platform."""
    from harness.dataset.store import Dataset
    from harness.measure.board import Board
    from harness.measure.course import course_lines
    from harness.measure.lanes import LANE_COLUMNS, for_people, lanes
    from harness.measure.status import STATUS_COLUMNS, status_rows
    from harness.progress import bar

    form = form_of(as_json, as_csv)
    opened = Dataset.open(dataset)
    if watch and form is not Form.table:
        raise UsageError("--watch shows a table; leave out --json and --csv.")
    if not watch and not devices:
        console = stderr()
        with bar(console, "reading", 0):
            rows_of_status = status_rows(opened, console.print)
        show(rows_of_status, STATUS_COLUMNS, form, title=visible(opened.info.named()) or None)
        if form is Form.table:
            for line in course_lines(opened):
                stderr().print(line)
        return
    board = Board(opened)

    def rows() -> list[dict[str, Any]]:
        board.look()
        return for_people(lanes(board)) if form is Form.table else lanes(board)

    if not watch:
        with bar(stderr(), "reading", 0):
            told = rows()
        show(told, LANE_COLUMNS, form)
        return
    with until_ctrl_c():
        if devices:
            watching(lambda: [(rows(), LANE_COLUMNS)])
        else:
            watching(lambda: [(rows(), LANE_COLUMNS), (status_rows(opened), STATUS_COLUMNS)])


@command("harness watch datasets/lab", "harness watch datasets/lab --port 8000")
def watch(
    dataset: DatasetPath,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where it is served; whoever reaches another than this one can look."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65535)] = 8321,
) -> None:
    """Serve a live page of a collection, while it runs and after it, until Ctrl-C. It only reads."""
    from harness.dataset.store import Dataset
    from harness.report.live_feed import Feed
    from harness.report.live_server import serving

    with until_ctrl_c(), serving(Feed(Dataset.open(dataset)), host, port) as server:
        stderr().print(f"watching {dataset} at {server.url} until Ctrl-C")
        while True:
            time.sleep(3600)
