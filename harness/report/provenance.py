"""Where a dataset comes from: its collections with their labels, tags, commits and command lines."""

from __future__ import annotations

import shlex

from harness.dataset.info import Info
from harness.report.listing import Column, folded, table
from harness.report.markup import Section


def provenance(info: Info) -> list[Section]:
    """A section with a row per collection; none for a dataset that was not collected."""
    if not info.collections:
        return []
    columns = [
        Column("begun (UTC)"), Column("label"), Column("tags"), Column("commit"), Column("harness"), Column("command"),
    ]  # fmt: skip
    rows = [
        (
            one.started_at[:16].replace("T", " "),
            one.label,
            ", ".join(f"{name}={text}" for name, text in one.tags.items()),
            one.commit,
            one.harness_version,
            shlex.join(one.command),
        )
        for one in info.collections
    ]
    body = folded(
        "Collections one by one", table(columns, rows, "Collections into this dataset", wide=(2, 5))
    )
    note = "Each time that measuring began with other settings, label or tags."
    return [Section("provenance", "Where it comes from", note, body)]
