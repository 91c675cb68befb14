"""What the live page is told: the whole board to a reader who comes, then only what changed.

One thread looks at the dataset, whoever reads. Nothing is kept per reader but the version it has, so that neither a
slow one nor a long day costs memory.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from typing import Any

import numpy as np

from harness.dataset.store import Dataset
from harness.errors import HarnessError
from harness.measure.board import CELLS, Board
from harness.measure.course import Progress, read_progress
from harness.measure.lanes import lanes

LOOK_EVERY_S = 0.5
AGES = ("for_s", "heard_s", "left_s")  # they change by themselves: the page counts on


class Feed:
    def __init__(self, dataset: Dataset) -> None:
        self.name = str(dataset.root)
        self._board = Board(dataset)
        self._changed = threading.Condition()
        self._rows: list[dict[str, Any]] = []
        self._course: list[Progress] = []
        self._told_since: list[int] = []  # of each of the course, the version from which on it is told
        self._trouble = ""
        self._whole_since = self._course_whole_since = 0  # the versions from which on differences are enough
        self._plans = 0
        self.version = 0
        self.closed = threading.Event()
        self.look()

    def run(self) -> None:
        """Look until `close`."""
        while not self.closed.wait(LOOK_EVERY_S):
            self.look()

    def close(self) -> None:
        self.closed.set()
        with self._changed:
            self._changed.notify_all()

    def look(self) -> None:
        with self._changed:
            trouble, course = "", self._course
            try:
                self._board.look()
                course = read_progress(self._board.dataset)
            except HarnessError as error:
                trouble = str(error)
            rows = lanes(self._board)
            cells = bool((self._board.changed == self._board.version).any())
            if self._board.plans != self._plans:
                self._plans, self._whole_since = self._board.plans, self._board.version
            if (
                cells
                or trouble != self._trouble
                or course != self._course
                or _lasting(rows) != _lasting(self._rows)
                or not self.version
            ):
                self.version = self._board.version
                self._rows, self._trouble = rows, trouble
                self._go_on(course)
                self._changed.notify_all()
            else:
                self._rows = rows

    def _go_on(self, course: list[Progress]) -> None:
        """What is told of the course: what came to it, or all of it where it is no longer what it was."""
        if course[: len(self._course)] != self._course:
            self._told_since = []
            self._course_whole_since = self.version
        self._told_since += [self.version] * (len(course) - len(self._told_since))
        self._course = course

    def message(self, seen: int, patience_s: float) -> tuple[int, bytes] | None:
        """What a reader with version ``seen`` (−1: none) lacks, as JSON; None where nothing came in this time."""
        with self._changed:
            if self.version == seen:
                self._changed.wait(patience_s)
            if self.version == seen or self.closed.is_set():
                return None
            told: dict[str, Any] = {"dataset": self.name, "lanes": self._rows, "trouble": self._trouble}
            begun = bisect_right(self._told_since, seen) if seen >= self._course_whole_since else 0
            if begun < len(self._course) or seen < self._course_whole_since:
                told["begun"] = begun
                told["course"] = [[one.hours, one.mape, one.low, one.high] for one in self._course[begun:]]
                told["next"] = [str(one) for one in self._course[-1].next] if self._course else []
            board = self._board
            if seen < self._whole_since:
                told["map"] = {
                    "platforms": board.platforms,
                    "workloads": board.workloads,
                    "kinds": CELLS,
                    "cells": "".join(map(str, board.cells.ravel().tolist())),
                }
            else:
                fresh = np.flatnonzero(board.changed.ravel() > seen)
                told["fresh"] = np.column_stack([fresh, board.cells.ravel()[fresh]]).ravel().tolist()
            return self.version, json.dumps(told, separators=(",", ":"), allow_nan=False).encode()


def _lasting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in AGES} for row in rows]
