"""Datasets for the tests of the report: one written as a collection would, one imported, both small."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.dataset.info import Settings
from harness.dataset.published import import_published
from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from tests.published import PLACE

ENGINES = ("wasmtime-j", "wasm3-i")
HOSTILE_DEVICE = 'kitchen"><script>hacked=1</script>'
HOSTILE_WORKLOAD = "s/small/<img src=x onerror='hacked=2'>"
HOSTILE_REASON = "trap at 0x1f: </script><script>hacked=3</script> & more"
DEVICES = ("local", HOSTILE_DEVICE)
WORKLOADS = (*(f"s/small/w{i}" for i in range(9)), *(f"t/large/v{i}" for i in range(6)), HOSTILE_WORKLOAD)
DRIFT = 1.12  # of the anchors on the first platform


def collected(
    root: Path,
    memory: bool = False,
    devices: tuple[str, str] = DEVICES,
    workloads: tuple[str, ...] = WORKLOADS,
    engines: tuple[str, str] = ENGINES,
) -> Dataset:
    """16 workloads on 4 platforms alone and in pairs, with anchors, start-ups, states, failures and jobs left."""
    draw = np.random.default_rng(0)
    dataset = Dataset.create(root)
    platforms = [(engine, device) for device in devices for engine in engines]
    dataset.put_platforms(
        {"platform": f"{engine}:{device}", "engine": engine, "device": device, "engine_version": "1.0",
         "family": engine, "kind": "compiler", "ahead_of_time": False, "wall_contains": "instance",
         "facts": [("cores", "4"), ("mhz", "2000")]}
        for engine, device in platforms
    )  # fmt: skip
    work = dict(zip(workloads, draw.uniform(13, 18, len(workloads)), strict=True))
    dataset.put_workloads(
        {"workload": name, "module_sha256": "0" * 64, "module_bytes": 100,
         "opcodes": [("i32.add", int(np.exp(work[name] - 8))), ("local.get", 100 + 10 * k), ("f64.mul", 7 * k + 1)]}
        for k, name in enumerate((*workloads, "startup/empty"))
        for work[name] in [work.get(name, 9.0)]
    )  # fmt: skip
    jobs: list[tuple[Job, list[str]]] = []
    number = 0

    def add(
        engine: str, device: str, names: tuple[str, ...], purpose: str, position: int, status: str = "ok"
    ) -> None:
        nonlocal number
        number += 1
        job = Job(f"job{number:04}", device, engine, names, purpose, position, 10, 30.0, 1.0)  # type: ignore[arg-type]
        jobs.append((job, [status] * len(names)))

    for engine, device in platforms:
        add(engine, device, ("startup/empty",), "startup", 0)
        for place in (0, 1):
            for name in workloads[:2]:
                add(engine, device, (name,), "anchor", place)
        for k, name in enumerate(workloads):
            failing = {3: "timeout", 5: "trap"}.get(k) if engine == engines[1] else None
            add(engine, device, (name,), "measure", 0, failing or ("left" if k == 7 else "ok"))
        for _ in range(2):
            order = draw.permutation(len(workloads))
            for a, b in order.reshape(-1, 2).tolist():
                add(engine, device, (workloads[a], workloads[b]), "measure", 0)
    dataset.begin(Settings(repeats=10), "0.1.0", [job for job, _ in jobs])
    with dataset.journal("local") as journal:
        for job, statuses in jobs:
            if statuses[0] != "left":
                journal.append(
                    Entry(job, _result(job, statuses, work, draw, memory, devices, engines), "1.0", "0.1.0")
                )
    dataset.compact()
    return dataset


def _result(
    job: Job,
    statuses: list[str],
    work: dict[str, float],
    draw: np.random.Generator,
    memory: bool,
    devices: tuple[str, str],
    engines: tuple[str, str],
) -> JobResult:
    speed = 0.8 * engines.index(job.engine) + 0.3 * devices.index(job.device)
    first = job.engine == engines[0] and job.device == devices[0]
    members = []
    for name, status in zip(job.workloads, statuses, strict=True):
        mean = np.exp(work[name] + speed + draw.normal(0, 0.02)) * 1.3 ** (len(job.workloads) - 1)
        if job.purpose == "anchor":
            mean = np.exp(work[name] + speed) * (DRIFT if first and job.position == 1 else 1.0)
        noise = 1 + draw.normal(0, 0.3 if job.device == devices[1] else 0.01, 6)
        noise = np.clip(noise, 0.3, None) / np.clip(noise, 0.3, None).mean()
        samples = [
            Sample(i, round(mean * factor), 0, 0, memory * (8000 + 10 * i), True)
            for i, factor in enumerate(noise.tolist())
        ]
        reason = {
            "trap": HOSTILE_REASON,
            "timeout": "the first execution took longer than the limit of 30 s",
        }.get(status, "")
        members.append(
            MemberResult(
                name,
                status,
                reason,
                samples if status == "ok" else [],
                compile_ns=10**6,
                cut_off_ns=round(0.9 * mean) if status == "timeout" else None,
            )
        )  # type: ignore[arg-type]
    hot = 85.0 if job.device == devices[1] else 50.0
    before = State(
        temperature_c=hot - 5,
        throttle_count=3,
        quota_throttled=7,
        steal_s=1.5,
        load_1m=1.0,
        clock_mhz=2000.0,
        governor="performance",
    )
    after = State(
        temperature_c=hot,
        throttle_count=3,
        quota_throttled=9,
        steal_s=1.75,
        load_1m=1.0,
        clock_mhz=2000.0,
        governor="performance",
    )
    return JobResult(job.id, 1_790_000_000_000_000_000, before, members, after)


def imported(folder: Path, platforms: int = 24, workloads: int = 60) -> Dataset | None:
    """Every row of some platforms and workloads of the published data; None where that is absent."""
    if not (PLACE / "data.npz").exists():
        return None
    (folder / "npz").mkdir(parents=True)
    with np.load(PLACE / "data.npz") as alone, np.load(PLACE / "if2.npz") as beside:
        on = np.linspace(0, len(alone["n_platform"]) - 1, platforms).astype(int)
        of = np.linspace(0, len(alone["n_workload"]) - 1, workloads).astype(int)
        for file, source in (("data", alone), ("if2", beside)):
            numbered = {"i_platform": on, "i_workload": of} | (
                {"i_interference0": of} if file == "if2" else {}
            )
            kept = np.all([np.isin(source[key], chosen) for key, chosen in numbered.items()], axis=0)
            arrays = {"t": source["t"][kept]}
            arrays |= {key: np.searchsorted(chosen, source[key][kept]) for key, chosen in numbered.items()}
            if file == "data":
                for side, chosen in (("platform", on), ("workload", of)):
                    arrays |= {f"{kind}_{side}": source[f"{kind}_{side}"][chosen] for kind in "dn"}
                    arrays[f"f_{side}"] = source[f"f_{side}"]
            np.savez(folder / "npz" / f"{file}.npz", **arrays)
    return import_published(folder / "npz", folder / "data")[0]
