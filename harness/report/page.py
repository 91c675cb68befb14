"""One HTML file: what stands in it, and nothing to fetch."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from harness.report.heatmaps import HeatMap
from harness.report.markup import Html, Section, tag


def page(title: str, subtitle: str, sections: Sequence[Section], maps: Sequence[HeatMap]) -> str:
    """The policy lets run only this page's own script and style, whatever a name or a reason holds."""
    style, script = (_file(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    links = [tag("a", section.key.capitalize(), href=f"#{section.key}") for section in sections]
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", subtitle, class_="note"), _in_short(sections)),
        tag("nav", *links, aria_label="Sections"),
        tag("main", *(section.html() for section in sections)),
        tag("script", Html(_json({one.key: one.data() for one in maps})), type="application/json", id="maps"),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _in_short(sections: Sequence[Section]) -> Html:
    """What the sections come to, each with the way there."""
    told = [
        tag("li", tag("a", section.title, href=f"#{section.key}"), f": {section.gist}")
        for section in sections
        if section.gist
    ]
    return tag("ul", *told, class_="short") if told else Html("")


def _file(name: str) -> str:
    return (files("harness.report") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: Any) -> str:
    """JSON that no text in it can end or escape from."""
    return (
        json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        .replace("<", "\\u003c")
        .replace("&", "\\u0026")
    )
