"""What many tests need: the built suites, the command line in this process, a small trained model."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness import cli
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.suite import Suite
from pitot_core import Features, Observations, Pitot
from tests import missing, pure

ROOT = Path(__file__).resolve().parent.parent
_STATE = (
    tempfile.TemporaryDirectory()
)  # where what is remembered of devices goes, and not into that of whoever tests
os.environ["XDG_STATE_HOME"] = _STATE.name


@dataclass
class Ran:
    code: int
    out: str
    err: str


def pytest_configure() -> None:
    pure.watch()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    pure.asked.clear()
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    yield
    pure.check(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with what to install for the tests that were skipped."""
    reports = terminalreporter.stats.get("skipped", [])
    lines = missing.summary(one.longrepr[2] for one in reports if isinstance(one.longrepr, tuple))
    if lines:
        terminalreporter.section("skipped tests")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command of the console script in this process."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def suites() -> dict[str, Suite]:
    """The suites that measuring tests use, built."""
    chosen = {
        name: suite
        for name, suite in load_suites(ROOT / "benchmarks").items()
        if name in ("polybench", "startup")
    }
    build(chosen.values())
    return chosen


def synthetic(rows: int = 900, seed: int = 0) -> tuple[Observations, Features]:
    """Times of 20 workloads on 6 platforms, alone and in pairs, that follow start-up plus work and a slowdown."""
    rng = np.random.default_rng(seed)
    work, speed, startup = rng.normal(15, 2, 20), rng.normal(0, 1, 6), rng.uniform(11, 13, 6)
    platform, workload = rng.integers(0, 6, rows), rng.integers(0, 20, rows)
    beside = np.where(rng.random(rows) < 0.5, -1, (workload + rng.integers(1, 20, rows)) % 20)
    log_ns = np.logaddexp(startup[platform], work[workload] + speed[platform]) + 0.3 * (beside >= 0)
    log_ns += rng.normal(0, 0.02, rows)
    features = Features(
        workloads=np.column_stack([work, rng.normal(size=20)]),
        platforms=np.column_stack([speed, startup]),
        workload_names=tuple(f"s/small/w{i}" for i in range(20)),
        platform_names=tuple(f"engine{i % 3}:device{i // 3}" for i in range(6)),
    )
    return Observations.of(platform, workload, beside, log_ns=log_ns), features


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    observations, features = synthetic()
    path = tmp_path_factory.mktemp("model") / "small.npz"
    Pitot(calibration_share=0.2).fit(observations, features).save(path)
    return path
