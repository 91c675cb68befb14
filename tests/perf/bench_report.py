"""How long the report of a large dataset takes and how large it is, and how smoothly it scrolls.

A synthetic dataset of 411,000 observations: 231 platforms, 249 workloads, alone and in sets of two to four, ten samples
each where it was measured alone; a small model is fitted to a part of it with the same names.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset
from harness.learn.arrays import load_training
from harness.learn.heldout import card_entry, hold_out
from harness.report import write_report
from harness.report.factors import fit
from pitot_core import Pitot
from tests.published import PLACE
from tests.report.browser import CHROMIUM, browser

PLATFORMS, WORKLOADS = 231, 249
ROWS = {0: 54_000, 1: 99_000, 2: 129_000, 3: 129_000}  # by number of co-runners, as in the published data
SAMPLES = 10
FITTED = 20_000  # rows the model learns from; how good it is does not matter here
PROMISED_S, PROMISED_BYTES = 12, 5_000_000  # of processor time


def synthetic(root: Path) -> Dataset:
    """Times that follow start-up plus work and a slowdown for each co-runner, in the structure of a collection."""
    draw = np.random.default_rng(0)
    dataset = Dataset.create(root, source="synthetic, by tests/perf/bench_report.py")
    platforms = [f"engine{p % 10}:hc-{p // 10}" for p in range(PLATFORMS)]
    workloads = [f"suite{w % 6}/{('mini', 'small')[w % 2]}/w{w}" for w in range(WORKLOADS)]
    speed, startup, work = (
        draw.normal(0, 1, PLATFORMS),
        draw.uniform(11, 14, PLATFORMS),
        draw.uniform(12, 22, WORKLOADS),
    )
    dataset.put_platforms(
        {"platform": name, "engine": name.partition(":")[0], "device": name.partition(":")[2],
         "wall_contains": "process",
         "features": [("speed", speed[p]), ("startup", startup[p])]}
        for p, name in enumerate(platforms)
    )  # fmt: skip
    dataset.put_workloads(
        {"workload": name, "features": [("work", work[w])]} for w, name in enumerate(workloads)
    )
    for co_runners, rows in ROWS.items():
        degree = co_runners + 1
        jobs = rows // degree
        platform = np.repeat(draw.integers(0, PLATFORMS, jobs), degree)
        together = draw.integers(0, WORKLOADS, (jobs, 1)) + np.cumsum(
            draw.integers(1, 60, (jobs, degree)), axis=1
        )
        together %= WORKLOADS
        workload = together.ravel()
        others = (
            np.stack([np.roll(together, -k, axis=1).ravel() for k in range(1, degree)], axis=1)
            if co_runners
            else None
        )
        log_ns = np.logaddexp(startup[platform], work[workload] + speed[platform]) + 0.15 * co_runners
        log_ns += draw.normal(0, 0.05, len(workload))
        dataset.add_part(
            _table(degree, jobs, platform, workload, others, np.exp(log_ns), platforms, workloads, draw)
        )
    return dataset


def _table(
    degree: int, jobs: int, platform: Any, workload: Any, others: Any, times: Any, platforms: list[str],
    workloads: list[str], draw: np.random.Generator,
) -> pa.Table:  # fmt: skip
    rows, names = len(platform), np.array(workloads)
    columns: dict[str, Any] = {
        "job": np.repeat([f"job-{degree}-{k}" for k in range(jobs)], degree),
        "purpose": np.full(rows, "measure"),
        "platform": np.array(platforms)[platform],
        "engine": np.array([name.partition(":")[0] for name in platforms])[platform],
        "device": np.array([name.partition(":")[2] for name in platforms])[platform],
        "workload": names[workload],
        "co_runners": pa.ListArray.from_arrays(
            np.arange(rows + 1, dtype=np.int32) * (degree - 1),
            pa.array(np.sort(names[others], axis=1).ravel() if degree > 1 else [], pa.string()),
        ),
        "n_co_runners": np.full(rows, degree - 1, np.int8),
        "status": np.where(draw.random(rows) < 0.01, "timeout", "ok"),
        "reason": np.full(rows, ""),
        "wall_ns_mean": times,
        "limit_s": np.full(rows, 30.0),
    }
    columns["wall_ns_mean"] = pa.array(times, mask=columns["status"] != "ok")
    if degree == 1:
        fields = OBSERVATIONS.field("samples").type.value_type
        walls = (np.repeat(times, SAMPLES) * draw.normal(1, 0.02, rows * SAMPLES)).astype(np.int64)
        flat = [walls if field.name != "covered" else np.ones(len(walls), bool) for field in fields]
        samples = pa.StructArray.from_arrays(
            [pa.array(values, field.type) for values, field in zip(flat, fields, strict=True)],
            fields=list(fields),
        )
        columns["samples"] = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * SAMPLES, samples)
    return pa.table(
        [
            pa.array(columns[field.name], field.type) if not isinstance(columns.get(field.name), pa.Array)
            and field.name in columns else columns.get(field.name, pa.nulls(rows, field.type)).cast(field.type)
            for field in OBSERVATIONS
        ],
        schema=OBSERVATIONS,
    )  # fmt: skip


def fitted(dataset: Dataset) -> Pitot:
    """A model that knows which jobs it was not shown, of few of the others."""
    observations, features = load_training(dataset)
    parts = hold_out(observations, 0.2, 0)
    every = max(1, len(parts.train) // FITTED)
    model = Pitot(calibration_share=0.2).fit(observations[parts.train[::every]], features)
    model.card = {"held_out": card_entry(observations, features, parts.test, 0.2, 0), "accuracy": []}
    return model


def headlines(draws: int, share: float = 0.16) -> list[tuple[str, float, float]]:
    """By kind of headline, over draws of a share of the published times alone: how many lie within 15 % of what all
    times say, and how many intervals hold that. A headline is "X takes so many times as long as Y", whatever Y is.
    """
    with np.load(PLACE / "data.npz") as file:
        names = [str(name) for name in file["n_platform"]]
        whole = np.full((len(names), len(file["n_workload"])), np.nan)
        whole[file["i_platform"], file["i_workload"]] = file["t"] * 1000.0
    no_limits, draw = np.full(whole.shape, np.nan), np.random.default_rng(0)
    full, found = fit(whole, no_limits, names), dict[str, list[tuple[float, float]]]()
    for _ in range(draws):
        thin = fit(np.where(draw.random(whole.shape) < share, whole, np.nan), no_limits, names)
        assert full is not None
        assert thin is not None
        for kind in ("engines", "devices", "platforms"):
            all_of, some = getattr(full, kind), getattr(thin, kind)
            true = np.exp(all_of.log - all_of.log[some.fastest])
            (low, high), told = some.interval, ~np.isnan(some.interval[0])
            near, held = np.abs(some.ratio / true - 1) <= 0.15, (low <= true) & (true <= high)
            found.setdefault(kind, []).append((float(near[told].mean()), float(held[told].mean())))
    return [(kind, *np.mean(values, axis=0).tolist()) for kind, values in found.items()]


def main() -> None:
    if (PLACE / "data.npz").exists():
        for kind, near, held in headlines(draws=50):
            print(
                f"{kind} from 16 % of the published times: {near:.1%} within 15 %, {held:.1%} of intervals hold"
            )
    with tempfile.TemporaryDirectory() as folder:
        dataset, path = synthetic(Path(folder) / "data"), Path(folder) / "report.html"
        model = fitted(dataset)
        wall, cpu = time.perf_counter(), time.process_time()
        write_report(dataset, model, path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = path.stat().st_size
        print(
            f"{sum(ROWS.values()):,} observations: report in {wall:.1f} s, {cpu:.1f} s of processor time "
            f"(promised {PROMISED_S} s of it)"
        )
        print(f"{size / 1e6:.2f} MB (promised {PROMISED_BYTES / 1e6:.0f} MB)")
        if CHROMIUM:
            _scrolled(path)


def _scrolled(path: Path) -> None:
    """Frames while the page scrolls from end to end, on a processor without a graphics card."""
    with browser() as tab:
        tab.size(1280)
        started = time.perf_counter()
        tab.open(path)
        opened = time.perf_counter() - started
        gaps = tab.run(
            "new Promise(done => { const gaps = []; let last = performance.now(); const step = () => { const now = "
            "performance.now(); gaps.push(now - last); last = now; window.scrollBy(0, 60); "
            "if (gaps.length < 150) requestAnimationFrame(step); else done(gaps); }; requestAnimationFrame(step); })"
        )
        longest, middle = max(gaps[1:]), float(np.median(gaps[1:]))
        print(
            f"opens in {opened:.2f} s; scrolling: a frame takes {middle:.0f} ms, the longest {longest:.0f} ms"
        )
        print(f"complaints: {tab.problems or 'none'}")


if __name__ == "__main__":
    main()
