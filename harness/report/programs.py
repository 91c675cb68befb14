"""What the workloads execute, and what the engines take to start."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from harness.dataset.store import Dataset
from harness.opcodes.instruction_set import CODES, OPCODES
from harness.report.listing import Column, percent, table
from harness.report.markup import Html, Section
from harness.report.rows import Rows, geometric, suite


def programs(dataset: Dataset, rows: Rows) -> list[Section]:
    return [
        Section(
            "start-up",
            "Start-up",
            "The empty module: what each platform takes to start and end a workload.",
            _startup(rows),
        ),
        Section(
            "opcodes",
            "Opcodes",
            "What each suite executes, every workload weighing the same, and what tells it from the other suites.",
            _opcodes(dataset),
        ),
    ]


def _startup(rows: Rows) -> Html:
    chosen = rows.ok & (rows.purpose == "startup")
    warm = rows.table["compile_ns"]
    compiled = np.asarray(warm.to_numpy(zero_copy_only=False), np.float64)
    body = []
    for p, name in enumerate(rows.platforms):
        mine = chosen & (rows.platform == p)
        times = compiled[rows.measured & (rows.platform == p)]
        times = times[~np.isnan(times)]
        if mine.any() or len(times):
            middle = float(np.median(times)) if len(times) else None
            most = float(times.max()) if len(times) else None
            body.append((name, geometric(rows.time_ns[mine]) if mine.any() else None, middle, most))
    columns = [
        Column("platform"), Column("start-up", "time"), Column("compiling, median", "time"),
        Column("compiling, longest", "time"),
    ]  # fmt: skip
    return table(columns, body, "Start-up and compiling by platform")


def _opcodes(dataset: Dataset) -> Html:
    suites: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    sizes: Counter[str] = Counter()
    totals: dict[str, list[int]] = defaultdict(list)
    for row in dataset.workloads().to_pylist():
        total = sum(count for _, count in row["opcodes"] or [])
        if total:
            name = suite(row["workload"])
            sizes[name] += 1
            totals[name].append(total)
            for opcode, count in row["opcodes"]:
                suites[name][opcode] += count / total
    every: dict[str, float] = defaultdict(float)
    for name, shares in suites.items():
        for opcode in shares:
            shares[opcode] /= sizes[name]
            every[opcode] += shares[opcode]
    body = []
    for name, shares in sorted(suites.items()):
        classes: dict[str, float] = defaultdict(float)
        for opcode, share in shares.items():
            code = CODES.get(opcode)
            classes["other" if code is None else OPCODES[code].category] += share
        common = sorted(classes, key=lambda key: -classes[key])[:5]
        telling = sorted(shares, key=lambda key: -(shares[key] ** 2) / every[key])[:6]
        body.append(
            (
                name, sizes[name], float(np.median(totals[name])),
                ", ".join(f"{key} {percent(classes[key])}" for key in common),
                ", ".join(f"{key} {percent(shares[key], 1)}" for key in telling),
            )
        )  # fmt: skip
    columns = [
        Column("suite"), Column("workloads", "count"), Column("opcodes executed, median", "count"), Column("classes"),
        Column("most telling opcodes"),
    ]  # fmt: skip
    return table(columns, body, "Opcodes by suite")
