"""Jobs for a simulation: measured times that a model was not shown, arriving at random or as a file says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.decide.row_file import read_rows, row_of
from harness.decide.simulate import Job
from harness.errors import UnknownName, UsageError
from harness.spelling import quoted, several
from pitot_core import Observations, Pitot

LEAST_ROWS = 30


@dataclass(frozen=True)
class Pool:
    """N held-out times alone on the devices of one engine.

    workload names, true_s and predicted_s by row; ``processors`` devices.
    """

    workload: tuple[str, ...]
    true_s: tuple[float, ...]
    predicted_s: tuple[float, ...]
    processors: int

    def poisson(self, jobs: int, load: float, seed: int) -> list[Job]:
        """Rows drawn at random, arriving so that the processors are busy a share ``load`` of the time."""
        rng = np.random.default_rng(seed)
        between_s = float(np.mean(self.true_s)) / (load * self.processors)
        arrivals = np.cumsum(rng.exponential(between_s, jobs)).tolist()
        rows = rng.integers(0, len(self.true_s), jobs).tolist()
        return [
            Job(at, self.true_s[row], self.predicted_s[row]) for at, row in zip(arrivals, rows, strict=True)
        ]

    def from_file(self, path: Path, seed: int) -> list[Job]:
        """Columns arrival_s and workload; each takes one of its workload's rows. Raises UsageError with the row."""
        rng = np.random.default_rng(seed)
        rows_of: dict[str, list[int]] = {}
        for row, name in enumerate(self.workload):
            rows_of.setdefault(name, []).append(row)
        asked = read_rows(path, "arrival_s and workload")
        if not asked:
            raise UsageError(f"{path} has no rows; give one per job with the columns arrival_s and workload.")
        jobs = []
        for number, one in enumerate(asked, 1):
            where = row_of(path, number)
            try:
                at = float(one.get("arrival_s", ""))
            except (TypeError, ValueError):
                at = math.nan
            if not math.isfinite(at) or at < 0:
                raise UsageError(
                    f"{where}: arrival_s {quoted(one.get('arrival_s'))} must be a number from 0, in seconds."
                )
            asked_for: Any = one.get("workload")
            if not isinstance(asked_for, str) or not asked_for:
                raise UsageError(f"{where}: column 'workload' is missing or empty; put a name there.")
            if asked_for not in rows_of:
                raise UnknownName("workload", asked_for, rows_of, where=f"the held-out times ({where})")
            row = int(rng.choice(rows_of[asked_for]))
            jobs.append(Job(at, self.true_s[row], self.predicted_s[row]))
        return sorted(jobs, key=lambda job: job.arrival_s)


def pool_of(model: Pitot, rows: Observations, engine: str, devices: Sequence[str]) -> Pool:
    """Held-out rows alone on these devices (empty: all) under one engine. Raises UnknownName, UsageError."""
    assert model.features is not None
    names = model.features.platform_names
    platforms = sorted({names[i] for i in rows.platform.tolist()})
    engines = {name.partition(":")[0] for name in platforms}
    if engine not in engines:
        raise UnknownName("engine", engine, engines, where="the held-out times")
    here = [name for name in platforms if name.partition(":")[0] == engine]
    known = {name.partition(":")[2] for name in here}
    for device in devices:
        if device not in known:
            raise UnknownName("device", device, known, where=f"the held-out times of {engine}")
    chosen = [name for name in here if not devices or name.partition(":")[2] in devices]
    alone = rows[(rows.n_co_runners == 0) & np.isin(rows.platform, [names.index(name) for name in chosen])]
    if len(alone) < LEAST_ROWS:
        raise UsageError(
            f"only {several(len(alone), 'held-out time is', 'held-out times are')} of {engine} on these devices, and a "
            f"study needs {LEAST_ROWS}; name more devices, or train with a larger --test-share."
        )
    return Pool(
        tuple(model.features.workload_names[i] for i in alone.workload.tolist()),
        tuple((np.exp(alone.log_ns) / 1e9).tolist()),
        tuple((model.predict(alone) / 1e9).tolist()),
        len(chosen),
    )
