"""A small laboratory that every command can work in, and a minimal use of each command there."""

from __future__ import annotations

import json
from pathlib import Path

from harness.dataset.published import import_published
from harness.engines.runners.runner import EMPTY_MODULE
from harness.learn.train import train
from harness.suites.build import build
from harness.suites.catalogue import load_suites
from harness.suites.imported import import_modules
from tests.dataset.test_published import write_all
from tests.decide.measured import write_published
from tests.report.report_data import WORKLOADS, collected

PLACE = "[/old] :b: ε\u2028$(id)`x`'\"=1,;é"  # a directory above everything
DEVICES = ("名前-ε", "[/old] é")
NAMES = (*WORKLOADS[:12], "s/small/ä🅱名", "s/small/a\u2028b", "s/small/[red]:b:", "t/large/…")
QUICK = ("--degrees", "1", "--repeats", "1", "--co-run", "0.01", "--anchors", "0", "--placebos", "0")

WHERE = ("--devices-file", "{lab}/devices.yaml", "--benchmarks", "{lab}/benchmarks", "-s", "toys")
# Minimal working uses of every command; {lab} is what `make_lab` made, {out} a directory of its own.
USES: tuple[tuple[str, ...], ...] = (
    ("demo", "-o", "{out}/demo", "--minutes", "0.2"),
    ("devices", "--devices-file", "{lab}/devices.yaml"),
    ("build", "--benchmarks", "{lab}/benchmarks", "toys"),
    ("build", "--benchmarks", "{out}/benchmarks", "--import", "{lab}/modules"),
    ("count", "{lab}/own.wasm"),
    ("count", "{lab}/own.wasm", "--opcodes"),
    ("collect", "-o", "{out}/data", *WHERE, *QUICK),
    ("collect", "-o", "{out}/data", *WHERE, *QUICK, "--dry-run"),
    ("status", "{lab}/data"),
    ("status", "{lab}/data", "--devices"),
    ("status", "{lab}/data", "--watch"),
    ("watch", "{lab}/data", "--port", "0"),
    ("train", "{lab}/data", "-o", "{out}/m.npz"),
    ("update", "{lab}/m.npz", "{lab}/newcomer", "-o", "{out}/m.npz"),
    ("evaluate", "{lab}/data", "-o", "{lab}/evaluation", "-m", "start-up", "--shares", "50", "--replicates", "1",
     "--no-plots"),
    ("predict", "{lab}/m.npz"),
    ("predict", "{lab}/m.npz", "-w", NAMES[0], "--with", NAMES[1], "--explain", "--memory"),
    ("predict", "{lab}/m.npz", "--batch", "{lab}/asked.csv"),
    ("predict", "{lab}/m.npz", "--batch", "{lab}/asked.csv", "-o", "{out}/answered.parquet"),
    ("place", "{lab}/m.npz", "{lab}/deadlines.csv", "--seconds", "0.1", "-o", "{out}/placed.csv",
     "--picture", "{out}/placed.svg"),
    ("offload", "{lab}/m.npz", "-w", NAMES[0], "--here", DEVICES[0], "--there", DEVICES[1], "--no-probe",
     "--history", "{lab}/data", "--in", "1", "--out", "1"),
    ("simulate", "{lab}/half.npz", "--check", "{lab}/published", "-e", "engine0", "--jobs", "20", "--policy", "fifo",
     "-o", "{out}/policies.csv"),
    ("import", "{lab}/npz", "-o", "{out}/data"),
    ("export", "{lab}/data", "--csv"),
    ("export", "{lab}/data", "-o", "{out}/npz"),
    ("report", "{lab}/data", "-m", "{lab}/m.npz", "-o", "{out}/report.html"),
    ("report", "{lab}/newcomer", "--card"),
    ("compare", "{lab}/data", "-e", "wasmtime-j,wasm3-i"),
    ("compare", "{lab}/data", "-d", ",".join(DEVICES), "--workloads"),
    ("compare", "{lab}/data", "-e", "wasmtime-j,wasm3-i", "--markdown"),
    ("trend", "{lab}/data", "{lab}/data"),
)  # fmt: skip


def make_lab(root: Path) -> Path:
    root.mkdir(parents=True)
    dataset = collected(root / "data", memory=True, devices=DEVICES, workloads=NAMES)
    train(dataset).model.save(root / "m.npz")
    collected(root / "newcomer", devices=("new", "newer"), workloads=NAMES)
    write_all(root / "npz")
    (root / "modules").mkdir()
    for file in (root / "own.wasm", root / "modules" / "a.wasm"):
        file.write_bytes(EMPTY_MODULE)
    import_modules(root / "modules", "toys", root=root / "benchmarks")
    build([load_suites(root / "benchmarks")["toys"]])
    cache = json.dumps(str(root / "cache"))
    (root / "devices.yaml").write_text(
        f"devices: {{local: {{transport: local, engines: [wasmtime-j], cache: {cache}}}}}\n"
    )
    published, _ = import_published(write_published(root / "times"), root / "published")
    train(published, test_share=0.5).model.save(root / "half.npz")
    asked = "".join(f'"{name}",wasm3-i:{DEVICES[1]},\n' for name in NAMES)
    (root / "asked.csv").write_text(f"workload,platform,with\n{asked}", encoding="utf-8")
    rows = "".join(f'"{name}",1000\n' for name in NAMES[:3])
    (root / "deadlines.csv").write_text(f"workload,deadline_ms\n{rows}", encoding="utf-8")
    return root
