"""What failed, by reason."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from harness.report.listing import Column, table
from harness.report.markup import Html, Section, join, tag
from harness.report.rows import Rows
from harness.spelling import several

LISTED = 200
CUT_OFF = "cut off"
CUT_OFF_REASON = (
    "the limit ended an execution that was longer than all whole ones, so the mean is only known to be more"
)


def failures(rows: Rows) -> list[Section]:
    failed = np.flatnonzero(~rows.ok)
    kinds: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    where: dict[tuple[str, str], set[int]] = {}
    reasons = rows.table["reason"].take(failed).to_pylist()
    cut = rows.ended_well[failed].tolist()
    for row, status, platform, reason, ended_well in zip(
        failed.tolist(),
        rows.status[failed].tolist(),
        rows.platform[failed].tolist(),
        reasons,
        cut,
        strict=True,
    ):
        kind = (CUT_OFF, CUT_OFF_REASON) if ended_well else (rows.statuses[status], _kind(reason or ""))
        kinds[kind] += 1
        first.setdefault(kind, row)
        where.setdefault(kind, set()).add(platform)
    columns = [
        Column("status"), Column("reason"), Column("observations", "count"), Column("platforms", "count"),
        Column("for example"), Column("on"), Column("in its words"),
    ]  # fmt: skip
    body = [
        (
            kind[0].replace("_", " "), kind[1], count, len(where[kind]), rows.workloads[rows.workload[row]],
            rows.platforms[rows.platform[row]], reasons[int(np.searchsorted(failed, row))] or "",
        )
        for kind, count in kinds.most_common(LISTED)
        for row in [first[kind]]
    ]  # fmt: skip
    more = len(kinds) - LISTED
    told = (
        tag("p", f"{several(more, 'rarer reason is', 'rarer reasons are')} left out.", class_="note")
        if more > 0
        else None
    )
    note = "Observations without a time, with numbers in their reasons written as #."
    drawn = join(table(columns, body, "Failures by reason", wide=(1, 6)), told) if body else Html("")
    kept = Counter(
        CUT_OFF if well else rows.statuses[status]
        for status, well in zip(rows.status[failed], cut, strict=True)
    )
    gist = ", ".join(
        f"{count:,} {status.replace('_', ' ')}" for status, count in kept.most_common()
    ) + "." * bool(kept)
    return [Section("failures", "What failed", note, drawn, "Nothing: every observation has a time.", gist)]


def _kind(reason: str) -> str:
    """The reason with every number (decimal or hexadecimal) replaced, so that reasons that differ only in
    numbers are counted as one.
    """
    return re.sub(r"0x[0-9a-fA-F]+|\d+(\.\d+)?", "#", reason)[:160]
