"""A picture of a placement: a line per device, a bar per resident, from nothing to its deadline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from harness.decide.copies import alike
from harness.output import duration
from harness.spelling import several

LINE, BAR, NAMES, GAP = 20, 360, 190, 8
STYLE = (
    "text{font:12px sans-serif;fill:#222}.small{font-size:11px;fill:#555}.free{fill:#eef0f3}.mean{fill:#3b6fb6}"
    ".bound{fill:#a9c3e6}.over{fill:#c94f4f}.rule{stroke:#222;stroke-width:1.5}"
)


def draw_placement(rows: Sequence[dict[str, Any]], devices: Sequence[str]) -> str:
    """SVG. Each bar is as long as the deadline; dark is the expected time, light what is above it up to the bound."""
    parts: list[str] = []
    y = LINE * 2
    for device in devices:
        living = [row for row in rows if row["device"] == device]
        engine = living[0]["engine"] if living else "nobody lives here"
        parts.append(f'<text x="8" y="{y + 14}">{escape(device)}</text>')
        parts.append(f'<text x="8" y="{y + 28}" class="small">{escape(str(engine))}</text>')
        for row in living:
            parts += _bar(row, y)
            y += LINE
        y += LINE * max(0, 2 - len(living)) + GAP
    left = alike([row for row in rows if not row["device"]])
    if left:
        parts.append(f'<text x="8" y="{y + 14}">not hosted</text>')
        for row in left:
            copies = f" ({several(row['copies'], 'copy', 'copies')})" if row["copies"] > 1 else ""
            told = f"{row['workload']}{copies}, {duration(row['deadline_ns'])}: {row['reason']}"
            parts.append(f'<text x="{NAMES}" y="{y + 14}" class="small">{escape(told)}</text>')
            y += LINE
    width = NAMES + BAR + 420
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + LINE}" '
        f'viewBox="0 0 {width} {y + LINE}" role="img"><title>Placement</title><style>{STYLE}</style>'
        f'<text x="{NAMES}" y="20" class="small">dark: expected time, light: bound, the line: the deadline</text>'
    )
    return head + "".join(parts) + "</svg>\n"


def write_picture(path: Path, rows: Sequence[dict[str, Any]], devices: Sequence[str]) -> None:
    from harness.files import replacing

    with replacing(path) as partial:
        partial.write_text(draw_placement(rows, devices), encoding="utf-8")


def _bar(row: dict[str, Any], y: int) -> list[str]:
    def length(ns: float) -> float:
        return round(BAR * min(ns / float(row["deadline_ns"]), 1.1), 1)

    over = row["bound_ns"] > row["deadline_ns"]
    mean, bound = length(row["mean_ns"]), length(row["bound_ns"])
    told = (
        f"{row['workload']}: {duration(row['mean_ns'])}, below {duration(row['bound_ns'])} "
        f"of {duration(row['deadline_ns'])}"
    )
    return [
        f'<rect class="free" x="{NAMES}" y="{y + 3}" width="{BAR}" height="{LINE - 6}"/>',
        f'<rect class="{"over" if over else "bound"}" x="{NAMES}" y="{y + 3}" width="{bound}" height="{LINE - 6}"/>',
        f'<rect class="mean" x="{NAMES}" y="{y + 3}" width="{mean}" height="{LINE - 6}"/>',
        f'<line class="rule" x1="{NAMES + BAR}" x2="{NAMES + BAR}" y1="{y + 1}" y2="{y + LINE - 1}"/>',
        f'<text x="{NAMES + BAR + 48}" y="{y + 14}" class="small">{escape(told)}</text>',
    ]
