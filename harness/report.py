"""`harness report`: one HTML page about a dataset, with no scripts and nothing to fetch."""

from __future__ import annotations

import html
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from harness.dataset import Dataset, replacing
from harness.opcodes.tables import CODES, OPCODES
from harness.predict import Question, answer
from harness.show import duration
from harness.status import status_rows
from pitot_core import Pitot

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --paper: #fff; --soft: #8a97a6; --line: #d8dee6; --mark: #1668b8; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe6ee; --paper: #14191f; --line: #2c3743; --mark: #6ab0f3; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { margin-top: 2.2rem; font-size: 1.15rem; }
p.note, figcaption { color: var(--soft); } figure { margin: 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; } svg text { fill: var(--ink); font: 10px system-ui, sans-serif; }
@media print { body { max-width: none; margin: 0; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
"""

PAGE = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title><style>$style</style></head><body>
<h1>$title</h1>
<p class="note">$subtitle</p>
$sections
</body></html>
"""
)


def write_report(dataset: Dataset, model: Pitot | None, path: Path) -> None:
    """Coverage, execution times, slowdowns beside others, failures, and a model's accuracy where one is given."""
    columns = [
        "purpose",
        "platform",
        "workload",
        "co_runners",
        "n_co_runners",
        "status",
        "reason",
        "wall_ns_mean",
        "started_at",
    ]
    rows = dataset.observations(columns).to_pylist()
    measured = [row for row in rows if row["status"] == "ok" and row["purpose"] in ("measure", None)]
    days = sorted({row["started_at"].date().isoformat() for row in rows if row["started_at"]})
    when = f", measured {' to '.join(dict.fromkeys((days[0], days[-1])))} (UTC)" if days else ""
    subtitle = f"{len(rows):,} observations, {dataset.info.source}{when}."
    sections = [
        _section("Platforms", _status_table(dataset)),
        _section(
            "Execution time alone",
            _heat_map(measured),
            "A white field was not measured; the model predicts it.",
        ),
        _section(
            "Slowdown beside others",
            _slowdowns(measured),
            "Time beside others over the time alone on the same platform.",
        ),
        _section("What failed", _failures(rows)),
        _section(
            "Opcodes", _opcodes(dataset), "What each suite executes, and what tells it from the others."
        ),
        _section(
            "Start-up",
            _startup(rows),
            "The empty module: what each platform takes to start and end a workload.",
        ),
    ]
    if model is not None:
        sections.append(
            _section("Accuracy of the model", _accuracy(model), "On jobs that were used for nothing else.")
        )
        sections.append(
            _section("Predicted against measured", _scatter(model, measured), "Each point is an observation.")
        )
    text = PAGE.substitute(
        title=f"Dataset {html.escape(dataset.root.name)}",
        subtitle=html.escape(subtitle),
        style=STYLE,
        sections="\n".join(sections),
    )
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _section(title: str, body: str, note: str = "") -> str:
    told = f'<p class="note">{html.escape(note)}</p>' if note and body else ""
    return f"<section><h2>{html.escape(title)}</h2>{told}{body or '<p>None.</p>'}</section>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Numbers and durations to the right, the rest to the left."""
    body = list(rows)
    if not body:
        return ""
    right = [
        all(isinstance(row[i], int | float) or _looks_numeric(row[i]) for row in body)
        for i in range(len(head))
    ]

    def cells(row: Sequence[Any], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if r else ''}>{html.escape(f'{v:,}' if isinstance(v, int) else str(v))}</{tag}>"
            for v, r in zip(row, right, strict=True)
        )

    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
    return (
        f"<figure><table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{lines}</tbody></table></figure>"
    )


def _looks_numeric(value: Any) -> bool:
    return isinstance(value, str) and value[:1].isdigit()


def _status_table(dataset: Dataset) -> str:
    keys = ("platform", "done", "left", "observations", "failed", "reasons", "coverage")
    head = ("platform", "jobs done", "left", "observations", "failed", "reasons", "workloads seen")
    return table(head, [[row[key] for key in keys] for row in status_rows(dataset)])


def _heat_map(measured: list[dict[str, Any]]) -> str:
    """Platforms across, workloads down, the logarithm of the mean time as colour."""
    alone = {(r["platform"], r["workload"]): r["wall_ns_mean"] for r in measured if r["n_co_runners"] == 0}
    if not alone:
        return ""
    platforms, workloads = sorted({p for p, _ in alone}), sorted({w for _, w in alone})
    low, high = math.log(min(alone.values())), math.log(max(alone.values()))
    size = 14 if len(workloads) <= 120 else 5
    left, top = 190 if size > 5 else 10, 120
    parts = []
    for x, platform in enumerate(platforms):
        at = f"{left + x * size + size * 0.7:.1f} {top - 5}"
        parts.append(f'<text transform="translate({at}) rotate(-60)">{html.escape(platform)}</text>')
    for y, workload in enumerate(workloads):
        if size > 5:
            parts.append(
                f'<text x="{left - 6}" y="{top + y * size + 10}" text-anchor="end">{html.escape(workload)}</text>'
            )
        for x, platform in enumerate(platforms):
            time_ns = alone.get((platform, workload))
            if time_ns:
                share = (math.log(time_ns) - low) / (high - low or 1)
                told = f"{html.escape(workload)} on {html.escape(platform)}: {duration(time_ns)}"
                parts.append(
                    f'<rect x="{left + x * size}" y="{top + y * size}" width="{size - 1}" height="{size - 1}" '
                    f'fill="hsl({230 - 190 * share:.0f} 70% {38 + 20 * share:.0f}%)"><title>{told}</title></rect>'
                )
    width, height = left + len(platforms) * size + 80, top + len(workloads) * size + 4
    label = (
        f"Heat map of {len(alone)} execution times, {duration(math.exp(low))} to {duration(math.exp(high))}"
    )
    caption = f"{label}, blue to orange; hold the pointer over a field to read it."
    return f"<figure>{_svg(width, height, label, parts)}<figcaption>{caption}</figcaption></figure>"


def _slowdowns(measured: list[dict[str, Any]]) -> str:
    alone = {(r["platform"], r["workload"]): r["wall_ns_mean"] for r in measured if r["n_co_runners"] == 0}
    found: dict[int, list[float]] = defaultdict(list)
    for row in measured:
        base = alone.get((row["platform"], row["workload"]))
        if row["n_co_runners"] and base:
            found[row["n_co_runners"]].append(row["wall_ns_mean"] / base)
    figures = []
    for co_runners, values in sorted(found.items()):
        values.sort()
        bins = Counter(min(int(value * 5), 25) for value in values)
        tallest = max(bins.values())
        parts = []
        for k in range(26):
            height = 80 * bins[k] / tallest
            told = f"{k / 5:.1f} to {(k + 1) / 5:.1f}: {bins[k]}" if k < 25 else f"5 and more: {bins[k]}"
            parts.append(
                f'<rect x="{10 + k * 20}" y="{90 - height:.1f}" width="18" height="{height:.1f}" fill="var(--mark)">'
                f"<title>{told}</title></rect>"
            )
            if k % 5 == 0:
                parts.append(f'<text x="{10 + k * 20}" y="104">{k // 5}×</text>')
        middle, worst = values[len(values) // 2], values[int(len(values) * 0.95)]
        spread = f"median {middle:.2f}×, 95 of 100 below {worst:.2f}×"
        label = f"beside {co_runners}: {len(values):,} observations, {spread}"
        figures.append(f"<figure>{_svg(540, 110, label, parts)}<figcaption>{label}</figcaption></figure>")
    return "".join(figures)


def _failures(rows: list[dict[str, Any]]) -> str:
    failed = Counter(
        (row["status"], row["workload"], row["platform"], row["reason"] or "")
        for row in rows
        if row["status"] != "ok"
    )
    return table(
        ("status", "workload", "platform", "reason", "times"),
        [(*key, n) for key, n in failed.most_common(200)],
    )


def _startup(rows: list[dict[str, Any]]) -> str:
    found = [
        (r["platform"], duration(r["wall_ns_mean"]))
        for r in rows
        if r["purpose"] == "startup" and r["wall_ns_mean"]
    ]
    return table(("platform", "start-up"), sorted(found))


def _opcodes(dataset: Dataset) -> str:
    """Per suite: classes of instructions, and the opcodes that tell it from the others; workloads weigh the same."""
    suites: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    sizes: Counter[str] = Counter()
    for row in dataset.workloads().to_pylist():
        if row["opcodes"]:
            suite, total = row["workload"].split("/")[0], sum(count for _, count in row["opcodes"])
            sizes[suite] += 1
            for name, count in row["opcodes"]:
                suites[suite][name] += count / total
    every: dict[str, float] = defaultdict(float)
    for suite, shares in suites.items():
        for name in shares:
            shares[name] /= sizes[suite]
            every[name] += shares[name]
    rows = []
    for suite, shares in sorted(suites.items()):
        classes: dict[str, float] = defaultdict(float)
        for name, share in shares.items():
            classes[OPCODES[CODES[name]].category] += share
        common = sorted(classes, key=lambda name: -classes[name])[:5]
        telling = sorted(shares, key=lambda name: -(shares[name] ** 2) / every[name])[:6]
        told = ", ".join(f"{name} {classes[name]:.0%}" for name in common)
        rows.append((suite, told, ", ".join(f"{name} {shares[name]:.1%}" for name in telling)))
    return table(("suite", "classes", "most telling opcodes"), rows)


def _accuracy(model: Pitot) -> str:
    rows = []
    for row in model.card.get("accuracy", []):
        told = [row["co_runners"], row["test_rows"], f"{row['mape']:.1%}"]
        for eps in ("0.1", "0.05"):
            margin, held = row.get(f"margin_{eps}"), row.get(f"coverage_{eps}")
            told += ["∞" if margin is None else f"{margin:.1%}", "–" if held is None else f"{held:.1%}"]
        rows.append([*told, row["calibration_rows"]])
    head = (
        "co-runners",
        "test rows",
        "MAPE",
        "margin ε=0.1",
        "held",
        "margin ε=0.05",
        "held",
        "calibration rows",
    )
    return table(head, rows)


def _scatter(model: Pitot, measured: list[dict[str, Any]]) -> str:
    assert model.features is not None
    known = set(model.features.workload_names)
    usable = [
        row for row in measured
        if row["platform"] in model.features.platform_names and known.issuperset({row["workload"], *row["co_runners"]})
    ][:: max(1, len(measured) // 3000)]  # fmt: skip
    if not usable:
        return ""
    asked = [Question(row["workload"], row["platform"], tuple(row["co_runners"])) for row in usable]
    predicted = [row["mean_ns"] for row in answer(model, asked, 0.1)]
    times = [row["wall_ns_mean"] for row in usable]
    low, high = math.log10(min([*times, *predicted])), math.log10(max([*times, *predicted]))
    scale = 380 / (high - low or 1)
    parts = ['<line x1="40" y1="390" x2="420" y2="10" stroke="var(--soft)"/>']
    for row, guess in zip(usable, predicted, strict=True):
        x, y = 40 + (math.log10(row["wall_ns_mean"]) - low) * scale, 390 - (math.log10(guess) - low) * scale
        colour = "var(--mark)" if row["n_co_runners"] == 0 else "#d9822b"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}" fill-opacity=".5"/>')
    for decade in range(math.ceil(low), math.floor(high) + 1):
        at = (decade - low) * scale
        parts.append(f'<text x="{40 + at:.0f}" y="404" text-anchor="middle">{duration(10.0**decade)}</text>')
        parts.append(f'<text x="36" y="{393 - at:.0f}" text-anchor="end">{duration(10.0**decade)}</text>')
    label = f"{len(usable):,} observations: measured across, predicted up; blue alone, orange beside others"
    return f"<figure>{_svg(440, 410, label, parts)}<figcaption>{label}</figcaption></figure>"


def _svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
    )
