"""`harness report --card`: README.md and croissant.json, by which others find out what a dataset is.

README.md begins with YAML as Hugging Face's dataset cards do (https://huggingface.co/docs/hub/datasets-cards).
"""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from harness.compare.gate_summary import escaped
from harness.dataset.store import Dataset
from harness.errors import UsageError
from harness.files import real, replacing
from harness.report.contents import Contents, contents
from harness.report.croissant import croissant
from harness.spelling import several

MARK = "<!-- Written by `harness report --card`; without this line it is left as it is. -->"
SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
MOST_LISTED = 40


def write_card(dataset: Dataset) -> list[Path]:
    """Write both files into the dataset's directory, each whole or not at all; their paths.

    Raises UsageError where a README.md of somebody's own is there.
    """
    readme, machine = dataset.root / "README.md", dataset.root / "croissant.json"
    if readme.exists() and MARK not in readme.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(f"{readme} is not of an earlier card; rename or remove it to have one written.")
    found = contents(dataset)
    title = dataset.info.named() or real(dataset.root).name
    told = croissant(dataset, title, _sentence(found))
    with replacing(machine) as partial:
        partial.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with replacing(readme) as partial:
        partial.write_text(card(dataset, title, found), encoding="utf-8")
    return [readme, machine]


def card(dataset: Dataset, title: str, found: Contents) -> str:
    """README.md"""
    lines = ["---", _front(dataset, title, found).rstrip(), "---", "", MARK, "", f"# {escaped(title)}", ""]
    lines += [_sentence(found), ""]
    if found.first:
        lines += [f"Measured from {found.first} to {found.last} (UTC).", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {escaped(text)} |" for name, text in _facts(found)]
    lines += ["", "## Read it", "", "```sql", "select platform, workload, time_ns / 1e6 as ms"]
    lines += ["from 'observations/*.parquet' where status = 'ok' and n_co_runners = 0", "```", ""]
    lines += [
        "One row of `observations/` is one workload in one job: a measurement on one platform (an engine on a "
        "device) of one to four workloads together. `platforms.parquet` says what each platform is, "
        "`workloads.parquet` holds exact opcode counts. Every column has its `description`, `unit` and when it is "
        "`null` in the metadata of the Parquet files; `croissant.json` says it to programs.",
        "",
    ]
    if dataset.info.collections:
        lines += ["## How it was collected", ""]
        lines += ["| begun (UTC) | label | tags | commit | harness | command |", "|---|---|---|---|---|---|"]
        for one in dataset.info.collections:
            tags = ", ".join(f"{name}={text}" for name, text in one.tags.items())
            cells = (
                one.started_at[:16], one.label, tags, one.commit, one.harness_version, shlex.join(one.command)
            )  # fmt: skip
            lines.append("| " + " | ".join(escaped(cell) or "–" for cell in cells) + " |")
        lines.append("")
    lines += ["## Limits", "", *(f"- {line}" for line in _limits(found)), ""]
    return "\n".join(lines)


def _front(dataset: Dataset, title: str, found: Contents) -> str:
    size = next((name for most, name in SIZES if found.rows < most), "n>10M")
    files = [
        ("observations", "observations/*.parquet"), ("platforms", "platforms.parquet"),
        ("workloads", "workloads.parquet"),
    ]  # fmt: skip
    there = [(name, path) for name, path in files if any(dataset.root.glob(path))]
    told: dict[str, Any] = {
        "pretty_name": title,
        "license": "unknown",
        "tags": ["webassembly", "benchmark", "performance", "tabular"],
        "task_categories": ["tabular-regression"],
        "size_categories": [size],
        "configs": [
            {"config_name": name, "data_files": path} | ({"default": True} if name == "observations" else {})
            for name, path in there
        ],
    }
    yaml, text = YAML(), io.StringIO()
    yaml.width = 4096
    yaml.dump(told, text)
    return text.getvalue()


def _sentence(found: Contents) -> str:
    return (
        f"Execution times of {several(len(found.workloads), 'WebAssembly workload')} on "
        f"{several(len(found.per_platform), 'platform')} ({several(len(found.engines), 'engine')}, "
        f"{several(len(found.devices), 'device')}), alone and beside others: {several(found.rows, 'observation')}."
    )


def _facts(found: Contents) -> list[tuple[str, str]]:
    together = ", ".join(
        f"{count:,} {f'beside {n}' if n else 'alone'}" for n, count in sorted(found.together.items())
    )
    return [
        ("devices", _listed(found.devices)),
        ("engines", _listed(found.engines)),
        ("suites", _listed(sorted({name.partition("/")[0] for name in found.workloads}))),
        ("observations", together),
        ("by status", ", ".join(f"{count:,} {name}" for name, count in found.statuses.most_common())),
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def _limits(found: Contents) -> list[str]:
    failed = found.rows - found.statuses["ok"]
    return [
        "Times are of these machines on those days; what else they depend on is in `state_before` and `state_after`.",
        f"{several(failed, 'row has', 'rows have')} no mean time; `status` says why. Leaving them out favours what is "
        "fast.",
        "Where `censored` is true, `time_ns` is only a lower bound.",
        "The license is not known to the program that wrote this card: say it in the first lines.",
    ]
