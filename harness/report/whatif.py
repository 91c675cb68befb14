"""What if: the section in which a person asks the model, worked out by the page itself."""

from __future__ import annotations

import json

from harness.report.embedded import embedded
from harness.report.markup import Html, Section, join, tag
from pitot_core import Pitot

TITLE = "What if"


def what_if(model: Pitot | None, name: str) -> list[Section]:
    """The form and the tables it looks up; without a model, how to get one. ``name`` is that of the dataset."""
    if model is None:
        how = (
            "No model was given, so this page cannot say how long something would take. Train one and write the page "
            f"again: `harness train {name} -o {name}.npz`, then `harness report {name} -m {name}.npz`."
        )
        return [Section("what-if", TITLE, "", Html(""), how)]
    found = embedded(model)
    if isinstance(found, str):
        return [Section("what-if", TITLE, "", Html(""), found)]
    note = (
        "How long would it take? The page works it out from the model's tables as `harness predict` does. The bound is "
        "exceeded with probability ε at most; what the parts mean stands in docs/model.md."
    )
    without = "Answers need JavaScript; without it ask `harness predict`."
    header = json.dumps(found.header, ensure_ascii=True, separators=(",", ":"))
    body = join(
        tag("noscript", tag("p", without)),
        tag("div", id="asking"),
        tag(
            "script",
            Html(header.replace("<", "\\u003c").replace("&", "\\u0026")),
            type="application/json",
            id="model",
        ),
        tag("script", Html(found.pack.text()), type="application/octet-stream", id="tables"),
    )
    return [Section("what-if", TITLE, note, body)]
