"""`harness devices --features`: what each engine of each device has of WebAssembly, found by running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from harness.dataset.info import Settings
from harness.dataset.records import Job, MemberResult
from harness.engines import ENGINES
from harness.engines.features import FEATURES, feature_module
from harness.engines.maker import NotMade
from harness.errors import DeviceError
from harness.files import temporary
from harness.fleet.artefacts import given
from harness.fleet.devices import Device
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached, reach_all
from harness.fleet.session import Refused
from harness.fleet.transport import LinkLost
from harness.measure.job_spec import job_spec, longest_s
from harness.output import Column
from harness.progress import bar
from harness.suites.suite import Workload

SETTINGS = Settings(repeats=1, limit_s=5.0, co_run_s=0.01, rounds={}, anchors=0)
FEATURE_COLUMNS = [
    Column("device", "device", meaning="name in devices.yaml"),
    Column("engine", "engine", meaning="name of the engine"),
    Column("version", "version", meaning="of the engine there"),
    Column("feature", "feature", meaning="what was added to WebAssembly since 2017"),
    Column("has", "has", meaning="whether a module that uses it runs and gives what it should"),
    Column("reason", "reason", meaning="what the engine said, where it does not"),
]
IN_SHORT = [
    Column("device", "device"),
    Column("engine", "engine"),
    Column("version", "version"),
    Column("has", "has"),
    Column("lacks", "lacks"),
]


def check_features(devices: Sequence[Device], console: Console) -> list[dict[str, Any]]:
    """A row for each feature of each engine that each device has."""
    reached, failed = reach_all(devices, console)
    for error in failed:
        console.print(str(error))
    rows = []
    try:
        with temporary("features") as folder:
            modules = {}
            for name in FEATURES:
                modules[name] = folder / f"{name}.wasm"
                modules[name].write_bytes(feature_module(name))
            workloads = {n: Workload(f"features/{n}", "features", path, (n,)) for n, path in modules.items()}
            asked = [(one, engine) for one in reached for engine in one.versions]
            with bar(console, "running a module of each feature", len(asked) * len(workloads)) as progress:
                for one, engine in asked:
                    if not ENGINES[engine].takes(workloads["simd"]):
                        continue  # it runs no modules
                    for feature, workload in workloads.items():
                        found = _run(one, engine, workload)
                        progress.advance(feature)
                        rows.append(
                            {
                                "device": one.device.name, "engine": engine, "version": one.versions[engine],
                                "feature": feature, "has": found.status == "ok",
                                "reason": "" if found.status == "ok" else f"{found.status}: {found.reason}",
                            }
                        )  # fmt: skip
    except (LinkLost, Refused) as error:
        raise DeviceError(one.device.name, str(error)) from error
    finally:
        for one in reached:
            one.session.close()
    return rows


def in_short(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For people: a row for each engine, with what it lacks by name."""
    lacks: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        missing = lacks.setdefault((row["device"], row["engine"], row["version"]), [])
        if not row["has"]:
            missing.append(row["feature"])
    return [
        {
            "device": device, "engine": engine, "version": version,
            "has": f"{len(FEATURES) - len(missing)} of {len(FEATURES)}", "lacks": ", ".join(missing),
        }
        for (device, engine, version), missing in lacks.items()
    ]  # fmt: skip


def _run(reached: Reached, name: str, workload: Workload) -> MemberResult:
    engine, payload = ENGINES[name], Payload(workload)
    try:
        more, artefacts = given(engine, reached.device, workload, str(reached.facts.get("machine", "")))
    except NotMade as reason:
        return MemberResult(workload.name, "refused", str(reason)[:1000], [])
    job = Job(
        "feature", reached.device.name, name, (workload.name,), "measure", 0, SETTINGS.repeats, SETTINGS.limit_s,
        SETTINGS.co_run_s,
    )  # fmt: skip
    spec = job_spec(job, engine, reached.versions[name], [payload.spec | more], SETTINGS, reached.device.cpus)
    reached.session.push(payload.contents | artefacts)
    result = reached.session.run("features", spec, longest_s(job, SETTINGS))
    if result is None:
        raise LinkLost("it was cancelled")
    return result.members[0]
