"""The page as one HTML file that needs nothing from a network."""

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
    """The whole page.

    Its content security policy allows only the script and style written here, so that no name or reason in
    the data can run anything.
    """
    style, *scripts = (_file(name) for name in ("style.css", "script.js", "whatif.js"))
    allowed = " ".join(f"'{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src {allowed}; "
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
        tag("a", "Skip to the first map", href=f"#{maps[0].key}", class_="skip") if maps else None,
        tag("a", "Skip to what if", href="#what-if", class_="skip"),
        tag("header", tag("h1", title), tag("p", subtitle, class_="note"), _in_short(sections)),
        tag("nav", *links, aria_label="Sections"),
        tag("main", *(section.html() for section in sections)),
        tag("script", Html(_json({one.key: one.data() for one in maps})), type="application/json", id="maps"),
        *(tag("script", Html(script)) for script in scripts),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _in_short(sections: Sequence[Section]) -> Html:
    """The summaries of all sections, each with a link to its section."""
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
    """JSON inside a script element, escaped so that no text in it can end the element."""
    return (
        json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        .replace("<", "\\u003c")
        .replace("&", "\\u0026")
    )
