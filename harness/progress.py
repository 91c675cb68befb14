"""How long work shows on stderr: a bar with the time left on a terminal, a line every quarter of a minute elsewhere.

However narrow the terminal is, count and time left are on it whole: the bar gives way to them, and what is being done
right now has a line of its own.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO
from weakref import WeakKeyDictionary

from rich.console import Console, OverflowMethod, RenderableType
from rich.progress import Progress, SpinnerColumn, Task
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.spelling import plain, spelled

LINE_EVERY_S = 15.0
LONGEST_BAR, SHORTEST_BAR = 30, 4


class Bar:
    """One piece of long work. ``advance`` may be called from any thread."""

    def __init__(self, console: Console, progress: Progress | None, what: str, total: int) -> None:
        self._console, self.progress, self._what, self._total = console, progress, what, total
        self._started = self._moved = time.monotonic()
        self._done = self._skipped = 0
        self._pace: Callable[[], float | None] | None = None
        self._task = progress.add_task(what, total=total, note="", left_s=self._left_s) if progress else None

    def skip(self, count: int) -> None:
        """What was done before; it does not count for the speed."""
        self._done = self._skipped = count
        if self.progress and self._task is not None:
            self.progress.reset(self._task, completed=count, total=self._total)

    def restart(self) -> None:
        """Time counts from now on."""
        self._started = self._moved = time.monotonic()

    def pace(self, left_s: Callable[[], float | None]) -> None:
        """Who knows better than the mean speed so far how many seconds are left, or None for not yet."""
        self._pace = left_s

    def advance(self, note: str = "") -> None:
        self._done += 1
        self._moved = time.monotonic()
        if self.progress and self._task is not None:
            self.progress.update(self._task, advance=1, note=note)

    def at(self, done: int, total: int) -> None:
        """Where the work is, for work that counts itself."""
        self._done, self._total, self._moved = done, total, time.monotonic()
        if self.progress and self._task is not None:
            self.progress.update(self._task, completed=done, total=total or None)

    def _left_s(self) -> float | None:
        if self._pace:
            return self._pace()
        fresh = self._done - self._skipped
        if fresh <= 0 or not self._total:
            return None
        each_s = (self._moved - self._started) / fresh
        return max(0.0, each_s * (self._total - self._done) - (time.monotonic() - self._moved))

    def remove(self) -> None:
        """Show it no more."""
        if self.progress and self._task is not None:
            self.progress.remove_task(self._task)

    def tell(self) -> None:
        """Print a line of how far it is."""
        count = f": {self._done:,}" if self._done or self._total > 1 else ""
        if self._total > 1:
            count += f" of {self._total:,}"
        left_s = self._left_s() if self._done < self._total else None
        took = f"{clock(time.monotonic() - self._started)} so far"
        self._console.print(
            f"{self._what}{count}, {took if left_s is None else f'about {clock(left_s)} left'}"
        )


@contextlib.contextmanager
def bar(console: Console, what: str, total: int) -> Iterator[Bar]:
    """Show long work from here to the end of the block; a ``total`` of 0 is one that is not known.

    Work within other work has a line below that on a terminal; elsewhere it alone is told of meanwhile.
    """
    around = _open.setdefault(console, [])
    with _told(console, what, total) if not console.is_terminal else _drawn(console, what, total) as one:
        around.append(one)
        try:
            yield one
        finally:
            around.remove(one)


_open: WeakKeyDictionary[Console, list[Bar]] = WeakKeyDictionary()


@contextlib.contextmanager
def _drawn(console: Console, what: str, total: int) -> Iterator[Bar]:
    if _open[console]:
        progress = _open[console][0].progress
        assert progress
        one = Bar(console, progress, what, total)
        try:
            yield one
        finally:
            one.remove()
        return
    with _Lines(console=console, transient=True) as progress:
        yield Bar(console, progress, what, total)


@contextlib.contextmanager
def _told(console: Console, what: str, total: int) -> Iterator[Bar]:
    one, ended = Bar(console, None, what, total), threading.Event()

    def tell() -> None:
        while not ended.wait(LINE_EVERY_S):
            if _open[console][-1:] == [one]:
                one.tell()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield one
    finally:
        ended.set()
        teller.join()


def beside_stdout(
    console: Console, what: str
) -> contextlib.AbstractContextManager[Callable[[int, int], None]]:
    """As `bar`, for work that prints its results on stdout meanwhile; gives what is called with how far it is.

    On a terminal nothing is drawn unless they go into a file: it would be in the midst of them, or of whoever shows
    them.
    """
    if console.is_terminal and not _is_file(sys.stdout):
        return contextlib.nullcontext(lambda done, total: None)
    return _at(console, what)


@contextlib.contextmanager
def _at(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    with bar(console, what, 0) as one:
        yield one.at


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


class _Lines(Progress):
    """Each task on a line, and below it what was done last, as far as the line goes."""

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            yield self._line(task)
            if task.fields["note"]:
                note = spelled(task.fields["note"], self.console.encoding)
                yield Text(f"  {note}", "dim", no_wrap=True, overflow=self._cut())

    def _cut(self) -> OverflowMethod:
        """How what does not fit ends: with a sign of that, where the terminal has it."""
        return "ellipsis" if plain("…", self.console.encoding) == "…" else "crop"

    def _line(self, task: Task) -> Table:
        """Spinner, name, bar, count and time left: the bar has what the others leave of the width."""
        left_s = task.fields["left_s"]()
        count = f"{task.completed:,.0f}" + (f"/{task.total:,.0f}" if task.total else "")
        left = f"{clock(left_s)} left" if left_s is not None else ""
        spare = self.console.width - 2 - len(count) - (len(left) + 1) * bool(left) - 1
        name = min(len(task.description), spare)
        width = min(LONGEST_BAR, spare - name - 1)
        cells: list[RenderableType] = [_SPINNER.render(task), Text(task.description)]
        cells += [Text(count, "green"), Text(left, "cyan")]
        line = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        line.add_column(width=1)
        line.add_column(width=name, no_wrap=True, overflow=self._cut())
        if width >= SHORTEST_BAR:
            cells.insert(2, ProgressBar(task.total, task.completed, width, pulse=not task.total))
            line.add_column(width=width)
        line.add_column(width=len(count))
        line.add_column(width=len(left))
        line.add_row(*cells)
        return line


_SPINNER = SpinnerColumn()


def clock(seconds: float) -> str:
    """A time left for a person: its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
