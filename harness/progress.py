"""How long work shows on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 15.0


class Bar:
    """One piece of long work. ``advance`` may be called from any thread."""

    def __init__(self, console: Console, progress: Progress | None, what: str, total: int) -> None:
        self._console, self._progress, self._what, self._total = console, progress, what, total
        self._task = progress.add_task(what, total=total, note="") if progress else None
        self._started = self._told = time.monotonic()
        self._done = self._skipped = 0

    def skip(self, count: int) -> None:
        """What was done before; it does not count for the speed."""
        self._done = self._skipped = count
        if self._progress and self._task is not None:
            self._progress.reset(self._task, completed=count, total=self._total)

    def advance(self, note: str = "") -> None:
        self._done += 1
        if self._progress and self._task is not None:
            self._progress.update(self._task, advance=1, note=note)
        else:
            self._tell()

    def at(self, done: int, total: int) -> None:
        """Where the work is, for work that counts itself."""
        self._done, self._total = done, total
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=done, total=total or None)
        else:
            self._tell()

    def _tell(self) -> None:
        now, fresh = time.monotonic(), self._done - self._skipped
        if now - self._told <= LINE_EVERY_S or fresh <= 0 or self._done == self._total:
            return
        self._told = now
        line = f"{self._what}: {self._done:,}"
        if self._total:
            left_s = (now - self._started) / fresh * (self._total - self._done)
            line += f" of {self._total:,}, about {_clock(left_s)} left"
        self._console.print(line)


@contextlib.contextmanager
def bar(console: Console, what: str, total: int) -> Iterator[Bar]:
    if not console.is_terminal:
        yield Bar(console, None, what, total)
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), MofNCompleteColumn(),
        TimeRemainingColumn(compact=True), TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console, transient=True,
    ) as progress:  # fmt: skip
        yield Bar(console, progress, what, total)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
