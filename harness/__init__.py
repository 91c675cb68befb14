"""Measure WebAssembly workloads on a heterogeneous cluster and predict how long they take.

The words of the project, used the same way in code, columns and messages:

device       a machine that runs modules
engine       a WebAssembly implementation in one mode, such as ``wasmtime-j``
platform     an engine on a device, written ``engine:device``
workload     a module with its argv, stdin and files, named ``suite/size/name``
co-runner    a workload running beside the one being measured
job          one measurement on one platform of one to four workloads together
sample       one execution of a workload inside a job
observation  one workload's samples in one job
dataset      a directory of Parquet files holding observations

What is listed in ``__all__`` is for other programs (docs/library.md); each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.dataset.published import import_published
    from harness.dataset.store import Dataset
    from harness.decide.predict import Question, answer, explain, load_model
    from harness.errors import (
        DatasetError,
        DeviceError,
        DevicesError,
        FetchError,
        HarnessError,
        Interrupted,
        ModelError,
        ModuleError,
        SuiteError,
        UnknownName,
        UsageError,
    )
    from harness.fleet.devices import Device, load_devices
    from harness.learn.arrays import load_training
    from harness.learn.export import export_published
    from harness.opcodes import Counts, count
    from harness.suites.catalogue import load_suites, load_workloads
    from harness.suites.suite import Suite, Workload

__version__ = "0.1.0"

__all__ = [
    "Counts",
    "Dataset",
    "DatasetError",
    "Device",
    "DeviceError",
    "DevicesError",
    "FetchError",
    "HarnessError",
    "Interrupted",
    "ModelError",
    "ModuleError",
    "Question",
    "Suite",
    "SuiteError",
    "UnknownName",
    "UsageError",
    "Workload",
    "__version__",
    "answer",
    "count",
    "explain",
    "export_published",
    "import_published",
    "load_devices",
    "load_model",
    "load_suites",
    "load_training",
    "load_workloads",
]

_PLACES = {
    "dataset.published": ["import_published"],
    "dataset.store": ["Dataset"],
    "decide.predict": ["Question", "answer", "explain", "load_model"],
    "errors": [name for name in __all__ if name.endswith(("Error", "UnknownName", "Interrupted"))],
    "fleet.devices": ["Device", "load_devices"],
    "learn.arrays": ["load_training"],
    "learn.export": ["export_published"],
    "opcodes": ["Counts", "count"],
    "suites": ["Suite", "Workload", "load_suites", "load_workloads"],
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"harness.{place}"), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
