"""docs/output.md: every table that `--json` and `--csv` print. `python -m harness.cli.output_page` writes it.

History: version 1 (2026-11): first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.output import Column

VERSION = 1

HEAD = f"""# Output

<!-- Written by `python -m harness.cli.output_page > docs/output.md`; a test keeps it true. -->

Results go to stdout, talk and progress to stderr. Every table is also printed as `--json` (a list of objects) or
`--csv` (a line per row under a line of names), with the columns below, in this order. This is **version {VERSION}** of
the output, as `harness --version` tells. Within a version columns are only added; their names, units and meanings stay.
Tables for people are not part of it.

- A name that ends in `_ns` holds nanoseconds, in `_s` seconds. Shares are numbers from 0 to 1.
- What is missing or infinite is `null` in JSON and empty in CSV. Lists are joined by `;` in CSV.
- Numbers are as exact as they are known; in tables for people they are rounded.

| exit code | means |
|---|---|
| 0 | what was asked was done |
| 1 | not, or not all of it: a device failed, a module is wrong, jobs are left, \
`compare --fail-above` says no, stdout is closed or full |
| 2 | the question cannot be answered as it was put; nothing was written |
| 130 | Ctrl-C, also where that is the way to end, as of `watch` and `status --watch` |
| 141 | whoever read stdout stopped reading, as `head` does |
"""

BATCH = """
## `harness predict --batch`

The columns of the batch as they came, then `mean_ns` and `bound_ns`. Column names without a row are answered by column
names, and stderr says so; a file without a word, and one with a row of several MiB, is refused.
"""


@dataclass(frozen=True)
class Table:
    command: str
    columns: Sequence[Column]


def tables() -> list[Table]:
    """Every table of the command line, in the order of `harness --help`."""
    from harness.cli.demo import PREDICTED_COLUMNS
    from harness.compare.comparison import HISTOGRAM_COLUMNS, SUITE_COLUMNS, WORKLOAD_COLUMNS
    from harness.compare.trend import TREND_COLUMNS
    from harness.dataset import spreadsheet
    from harness.decide import (
        footprint,
        offload,
        place,
        place_check,
        place_front,
        place_run,
        policy_study,
        predict,
    )
    from harness.fleet.inspection import DEVICE_COLUMNS, JSON_COLUMNS
    from harness.learn import more, train
    from harness.learn.evaluation import SUMMARY_COLUMNS
    from harness.learn.teaching import NEXT_COLUMNS
    from harness.measure.feature_check import FEATURE_COLUMNS
    from harness.measure.lanes import LANE_COLUMNS
    from harness.measure.placebo import PLACEBO_COLUMNS
    from harness.measure.plan import PLAN_COLUMNS
    from harness.measure.status import STATUS_COLUMNS
    from harness.suites.counting import COUNT_COLUMNS, OPCODE_COLUMNS
    from harness.suites.ready import BUILD_COLUMNS

    return [
        Table("demo", PREDICTED_COLUMNS),
        Table("devices --check", PLACEBO_COLUMNS),
        Table("devices --csv", DEVICE_COLUMNS),
        Table("devices --features", FEATURE_COLUMNS),
        Table("devices --json", JSON_COLUMNS),
        Table("build", BUILD_COLUMNS),
        Table("count", COUNT_COLUMNS),
        Table("count --opcodes", OPCODE_COLUMNS),
        Table("collect --dry-run", PLAN_COLUMNS),
        Table("collect --adaptive --dry-run", NEXT_COLUMNS),
        Table("collect, status", STATUS_COLUMNS),
        Table("status --devices", LANE_COLUMNS),
        Table("train", train.ACCURACY_COLUMNS),
        Table("update", more.LEARNED_COLUMNS),
        Table("evaluate", SUMMARY_COLUMNS),
        Table("predict", predict.columns(0.05)),
        Table("predict --cold", [*predict.columns(0.05), *predict.COLD_COLUMNS]),
        Table("predict --memory", [*predict.columns(0.05), *footprint.MEMORY_COLUMNS]),
        Table("predict --explain", [*predict.columns(0.05), *predict.EXPLAIN_COLUMNS]),
        Table("place", place.PLACE_COLUMNS),
        Table("place --pareto", place_front.PARETO_COLUMNS),
        Table("place --run", place_run.RUN_COLUMNS),
        Table("place --check", place_check.CHECK_COLUMNS),
        Table("offload", offload.OFFLOAD_COLUMNS),
        Table("simulate", policy_study.SIMULATE_COLUMNS),
        Table("export --csv", spreadsheet.COLUMNS),
        Table("compare", [*SUITE_COLUMNS, *HISTOGRAM_COLUMNS]),
        Table("compare --workloads", WORKLOAD_COLUMNS),
        Table("trend", TREND_COLUMNS),
    ]


def markdown() -> str:
    """docs/output.md"""
    sections = []
    for table in tables():
        names = ", ".join(f"`harness {name}`" for name in table.command.split(", "))
        lines = [f"| `{c.key}` | {'number' if c.number else 'text'} | {c.meaning} |" for c in table.columns]
        sections.append(
            "\n".join([f"\n## {names}\n", "| column | is | meaning |", "|---|---|---|", *lines, ""])
        )
    return HEAD + "".join(sections) + BATCH


if __name__ == "__main__":
    print(markdown(), end="")
