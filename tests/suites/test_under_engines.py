"""Suites on engines: modules of every suite run and give the right output under engines of every family.

`python -m tests.perf.bench_suites` does this with all of them under all engines.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.engines import ENGINES
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.suite import Suite, Workload
from tests.conftest import ROOT
from tests.devices import run_workload
from tests.missing import without
from tests.suites.test_libsodium import PART

FAMILIES = ["wasmtime-j", "wasm3-i", "node-v8", "bun-jsc", "deno-v8", "wasm2c-gcc-O0"]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    cache = str(tmp_path_factory.mktemp("device"))
    reached = reach(Device(transport="local", name="local", cache=cache), lambda text: None)
    yield reached
    reached.session.close()


@pytest.fixture(params=FAMILIES)
def engine(request: pytest.FixtureRequest, device: Reached) -> str:
    if request.param not in device.versions:
        without(ENGINES[request.param], device.absent[request.param])
    return str(request.param)


@pytest.fixture(scope="module")
def mibench() -> Suite:
    suite = load_suites(ROOT / "benchmarks")["mibench"]
    small = suite.only(w.name for w in suite.workloads if w.name.endswith("_s"))
    build([small])
    return small


def wrong(device: Reached, engine: str, workloads: tuple[Workload, ...]) -> dict[str, str]:
    """The workloads that failed, with why."""
    found = {w.name: run_workload(device, engine, w, limit_s=60) for w in workloads}
    return {name: f"{one.status}: {one.reason}" for name, one in found.items() if one.status != "ok"}


def test_every_small_mibench_program_is_right(engine: str, device: Reached, mibench: Suite) -> None:
    assert len(mibench.workloads) == 17
    assert wrong(device, engine, mibench.workloads) == {}


def test_programs_of_libsodium_run(engine: str, device: Reached) -> None:
    suite = load_suites(ROOT / "benchmarks")["libsodium"].only(PART)
    if not all(workload.module.exists() for workload in suite.workloads):
        pytest.skip(f"no built libsodium; harness build {' '.join(w.name for w in suite.workloads)}")
    assert wrong(device, engine, suite.workloads) == {}
