"""What is said of a workload of which the limit ended jobs on one side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.compare.pairing import Cell, Side


def limited(name: str, a: Side, b: Side, cells: Sequence[Cell]) -> dict[str, Any]:
    """The row of a workload with jobs that the limit ended, with their limits in the place of their times.

    Where only B has such jobs the ratio is at least what this gives, where only A has them at most.
    """
    mine = [cell for cell in cells if cell.workload == name]
    ratio = math.exp(float(np.mean([b.log_ns(cell) - a.log_ns(cell) for cell in mine])))
    cut_a, cut_b = (any(side.censored(cell) for cell in mine) for side in (a, b))
    return {
        "workload": name,
        "cells": len(mine),
        "jobs_a": sum(len(a.cells[cell]) for cell in mine),
        "jobs_b": sum(len(b.cells[cell]) for cell in mine),
        "ratio": ratio,
        "low": None if cut_a else ratio,
        "high": None if cut_b else ratio,
        "p": None,
        "q": None,
        "verdict": "unknown" if cut_a and cut_b else "at least" if cut_b else "at most",
    }
