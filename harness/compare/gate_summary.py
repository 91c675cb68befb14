"""What a gate found, as other programs show it: Markdown for a pull request, JUnit XML for a list of tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from harness.compare.comparison import Comparison
from harness.compare.gate import Check, Gate
from harness.files import replacing
from harness.spelling import several, visible

MOST = 50  # rows of a table in a pull request
SIGNS = {"slower": "❌ slower", "broken": "❌ broken", "passed": "✅", "unknown": "❔ unknown"}
_HEAD = ["| | B/A | 95 % interval | |", "|---|--:|---|---|"]


def markdown(found: Comparison, gate: Gate | None) -> str:
    """A summary that GitHub and GitLab show: the verdict, the suites, what failed, and the notes."""
    title = f"### Time in {escaped(found.b)} over time in {escaped(found.a)}"
    lines = [title, ""]
    if gate:
        lines += [f"{'✅' if gate.passed else '❌'} **{gate.sentence()}**", ""]
        shown = [check for check in gate.checks if check.kind == "suite"]
        lines += [*_HEAD, *map(_row, shown), ""] if shown else []
        failures = [check for check in gate.failures if check.kind == "workload"]
        if failures:
            more = f", the first {MOST}" if len(failures) > MOST else ""
            lines += [f"{several(len(failures), 'workload')} failed{more}:", ""]
            lines += [*_HEAD, *map(_row, failures[:MOST]), ""]
    else:
        lines += [
            "| suite | workloads | B/A | 95 % interval | faster | slower |",
            "|---|--:|--:|---|--:|--:|",
        ]
        for row in found.suites:
            told = (row["ratio"], row["low"], row["high"])
            lines.append(
                f"| {escaped(row['suite'])} | {row['workloads']} | {_number(told[0])} | {_interval(*told[1:])} "
                f"| {row['faster']} | {row['slower']} |"
            )
        lines.append("")
    if found.notes:
        notes = [f"- {escaped(note)}" for note in found.notes]
        lines += ["<details><summary>What was compared</summary>", "", *notes, "", "</details>", ""]
    return "\n".join(lines)


def write_junit(found: Comparison, gate: Gate, path: Path) -> None:
    """A JUnit file: a test case per suite and workload; what was slower or broken failed, the unknown was skipped."""
    failures, unknown = gate.failures, [one for one in gate.checks if one.outcome == "unknown"]
    counts = {"tests": len(gate.checks), "failures": len(failures), "skipped": len(unknown), "errors": 0}
    told = {"name": _text(f"{found.b} against {found.a}"), **{key: str(n) for key, n in counts.items()}}
    root = ET.Element("testsuites", told)
    suite = ET.SubElement(root, "testsuite", told)
    for check in gate.checks:
        name = _text(check.name)
        where = (
            "suites" if check.kind == "suite" else name.rpartition("/")[0].replace("/", ".") or "workloads"
        )
        case = ET.SubElement(suite, "testcase", {"classname": where, "name": name.rpartition("/")[2]})
        sentence = _text(check.sentence())
        if check.failed:
            ET.SubElement(case, "failure", {"message": sentence, "type": check.outcome}).text = sentence
        elif check.outcome == "unknown":
            ET.SubElement(case, "skipped", {"message": sentence})
    for note in found.notes:
        ET.SubElement(suite, "system-out").text = _text(note)
    ET.indent(root)
    with replacing(path) as partial:
        ET.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=True)


def _row(check: Check) -> str:
    sign = f"❌ {escaped(check.ended)}" if check.outcome == "broken" else SIGNS[check.outcome]
    interval = _interval(check.low, check.high)
    return f"| {escaped(check.name)} | {_number(check.ratio)} | {interval} | {sign} |"


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "–"
    return f"{'–' if low is None else f'{low:.3f}'} … {'–' if high is None else f'{high:.3f}'}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _text(text: str) -> str:
    """Without what XML cannot hold."""
    return visible(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def escaped(text: str) -> str:
    """A name as it is: nothing in it is Markdown or HTML, or ends the cell."""
    told = visible(text).replace("\n", " ").replace("\t", " ")
    return "".join(f"&#{ord(c)};" if c in "&<>|`*_[]\\~#!@" else c for c in told)
