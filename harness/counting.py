"""Opcode counts of the suites' workloads, and the rows of workloads.parquet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import ModuleError
from harness.opcodes import Counts, count
from harness.plan import identity
from harness.suites import Workload


def count_workload(workload: Workload, *, fuel_check: bool = False) -> Counts:
    """Run a workload once and count. Raises ModuleError where it does not end as its suite expects."""
    with tempfile.TemporaryDirectory(prefix="harness-count-") as scratch:
        for file in workload.files:
            target = Path(scratch, file.guest)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.host, target)
        counts = count(
            workload.module.read_bytes(),
            argv=workload.argv,
            stdin=workload.stdin.read_bytes() if workload.stdin else b"",
            preopens={".": Path(scratch)} if workload.files else {},
            fuel_check=fuel_check,
        )
    expect = workload.expect
    if counts.trap or counts.exit_code != expect.exit_code:
        how = f"trapped: {counts.trap}" if counts.trap else f"ended with exit code {counts.exit_code}"
        raise ModuleError(f"{workload.name} {how} while its opcodes were counted.")
    if expect.stdout_sha256 not in (None, counts.stdout_sha256):
        raise ModuleError(
            f"{workload.name} printed something else than expected while its opcodes were counted."
        )
    return counts


def workload_rows(
    workloads: Iterable[Workload],
    known: Mapping[str, Mapping[str, Any]],
    progress: Callable[[str], None] = lambda name: None,
) -> list[dict[str, Any]]:
    """Rows for workloads.parquet; ``known`` rows (by name) of the same module are kept and not counted again."""
    rows = []
    for workload in workloads:
        row = dict(known.get(workload.name) or {})
        sha256 = workload.module_sha256
        same = row.get("identity_sha256") == identity(workload)
        if not same or row.get("opcodes") is None:
            row = {
                "workload": workload.name,
                "module_sha256": sha256,
                "identity_sha256": identity(workload),
                "module_bytes": workload.module.stat().st_size,
                "argv": list(workload.argv),
                "opcodes": list(count_workload(workload).opcodes.items()),
            }
        rows.append(row)
        progress(workload.name)
    return rows
