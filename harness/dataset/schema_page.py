"""docs/dataset.md from the schema: `python -m harness.dataset.schema_page` writes it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from harness.dataset import schema
from harness.dataset.schema import Field

HEAD = f"""# The dataset

<!-- Written by `python -m harness.dataset.schema_page > docs/dataset.md`; a test keeps it true. -->

A directory of Parquet that DuckDB, pandas and polars open as it is:

```sql
select platform, workload, wall_ns_mean / 1e6 as ms
from 'datasets/lab/observations/*.parquet' where status = 'ok' and n_co_runners = 0
```

```python
import polars as pl

samples = pl.read_parquet("datasets/lab/observations/*.parquet").explode("samples").unnest("samples")
samples.filter("covered").group_by("platform", "workload").agg(pl.col("wall_ns").quantile(0.95))
```

| file | holds |
|---|---|
| `dataset.json` | schema version, identity, and the settings and harness version of each collection; `with_parts`: \
made with `observations/`, so that it is damaged without |
| `plan.parquet` | the jobs of the last collection |
| `platforms.parquet` | engine, device, versions, what `wall_ns` contains, what the device told of itself |
| `workloads.parquet` | module hash and size, argv, exact opcode counts (or the features an import brought) |
| `observations/*.parquet` | what was measured; parts of several datasets merge by copying them into one directory, \
with the other's tables of platforms and workloads as `platforms-2.parquet` and `workloads-2.parquet` |
| `journal/*.jsonl` | finished jobs that are not yet in a part; the next `harness collect` moves them |
| `now.json` | what a running collection is doing, for onlookers; nothing of it is a result |

This is **version {schema.VERSION}** of the schema. Datasets from version {schema.OLDEST} on are read, and what they
lack is filled in; a newer one is refused. Units stand in names: `_ns`, `_s`, `_kb`. Where the reason for null is
"imported", the row came with `harness import`: the published files do not tell it.

A job that is done again (because its device was not fit, or with `harness collect --retry`) adds rows with a higher
`attempt` and deletes none. `harness` shows of each job only its newest end: the highest `attempt` without
`device_unfit`, or else the highest. Who reads the Parquet files directly and has retried jobs does the same:

```sql
select * from 'datasets/lab/observations/*.parquet'
qualify row_number() over (partition by job, workload order by status != 'device_unfit' desc, attempt desc) = 1
```
"""


def markdown() -> str:
    tables = [
        ("## Observations", "One row per workload in a job.", schema.OBSERVATION_FIELDS),
        ("### `samples`", "", schema.SAMPLE_FIELDS),
        ("### `cold_samples`", "", schema.COLD_FIELDS),
        ("### `state_before`, `state_after`", "", schema.STATE_FIELDS),
        ("## Platforms", "", schema.PLATFORM_FIELDS),
        ("## Workloads", "", schema.WORKLOAD_FIELDS),
        ("## Plan", "", schema.PLAN_FIELDS),
    ]
    history = "".join(f"| {version} | {told} |\n" for version, told in schema.HISTORY.items())
    return (
        HEAD
        + "".join(_section(*one) for one in tables)
        + f"\n## History\n\n| version | changes |\n|---|---|\n{history}"
    )


def _section(title: str, text: str, fields: Sequence[Field]) -> str:
    lines = [f"| `{f.name}` | {_type(f.type)} | {f.meaning} | {f.null or 'never'} |" for f in fields]
    head = ["| column | type | meaning | null |", "|---|---|---|---|"]
    return "\n".join(["", title, "", *([text, ""] if text else []), *head, *lines, ""])


def _type(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return "struct"
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_map(kind):
        return f"map of {_type(kind.key_type)} to {_type(kind.item_type)}"
    return str(kind).replace("[us, tz=UTC]", "")


if __name__ == "__main__":
    print(markdown(), end="")
