"""When the mean of a job's executions is known: the agent's rule, on times made up here and in real jobs."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.fleet import agent
from tests.devices import member, run, session

MEAN = 1_000_000
PRECISION = 0.01


def independent(draw: random.Random) -> Iterator[float]:
    while True:
        yield draw.gauss(0, 1)


def exponential(draw: random.Random) -> Iterator[float]:
    while True:
        yield draw.expovariate(1) - 1


def alike(draw: random.Random) -> Iterator[float]:
    """Neighbours correlate by a half."""
    now = draw.gauss(0, 1)
    while True:
        yield now
        now = 0.5 * now + math.sqrt(0.75) * draw.gauss(0, 1)


def ends(walls: Iterator[int], precision: float = PRECISION) -> list[int]:
    """The executions of a job that ends when its mean is known, looked at as the agent does."""
    made: list[int] = []
    look_at = agent.BLOCKS[0]
    while True:
        made += itertools.islice(walls, look_at - len(made))
        error = agent.standard_error(made)
        assert error is not None
        if error <= precision:
            return made
        look_at += (look_at + 1) // 2


@pytest.mark.parametrize("kind", [independent, exponential, alike])
@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_the_mean_is_as_near_as_asked_for(
    kind: Callable[[random.Random], Iterator[float]], noise: float
) -> None:
    """Within two standard errors in 95 % of 400 jobs; a binomial 99 % interval below that is let pass."""
    missed = 0
    for seed in range(400):
        walls = ends(round(MEAN * (1 + noise * z)) for z in kind(random.Random(seed)))
        missed += abs(sum(walls) / len(walls) / MEAN - 1) > 2 * PRECISION
    assert missed <= 32


def test_drift_counts_however_small_the_noise() -> None:
    flat = [MEAN + 100 * (i % 3) for i in range(60)]
    rising = [round(MEAN * (1 + 0.003 * i)) for i in range(60)]
    assert agent.standard_error(flat) == pytest.approx(0, abs=1e-4)
    error = agent.standard_error(rising)
    assert error is not None
    assert error > 0.02


def test_nothing_is_said_of_four_executions() -> None:
    assert agent.standard_error([MEAN] * 4) is None
    assert agent.standard_error([MEAN] * 5) == 0


def test_a_job_ends_when_the_mean_of_each_member_is_known(tmp_path: Path) -> None:
    long, short = member("long", {"sleep_s": 0.03}), member("short", {"sleep_s": 0.002})
    asked = {"least": 50, "window_ns": 1_500_000_000, "look_ns": 50_000_000}
    with session(tmp_path) as device:
        whole = run(device, long, **asked, id="whole").members[0]
        alone = run(device, long, **asked, precision=0.5, id="alone").members[0]
        together = run(device, long, short, **asked | {"least": 5}, precision=0.5, id="together").members
    assert whole.executions is not None
    assert alone.executions is not None
    assert whole.executions >= 50
    assert 5 <= alone.executions <= 10
    assert alone.executions_asked == 50
    for one in (alone, *together):
        assert one.status == "ok"
        assert one.standard_error is not None
        assert one.standard_error < 0.5
        assert sum(sample.covered for sample in one.samples) >= 5
    assert together[0].executions is not None
    assert together[0].executions <= 12
