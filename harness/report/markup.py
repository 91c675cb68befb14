"""HTML from nested calls, in which every text is escaped where it is put.

What acts on a terminal or turns the direction of text is put as its escape too: pages are read with ``less`` as well.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from harness.spelling import visible


class Html(str):
    """A string that is already HTML; every other string is text and gets escaped."""

    __slots__ = ()


Child = str | int | float | None


def join(*children: Child) -> Html:
    """The children one after another; None adds nothing."""
    return Html("".join(_safe(child) for child in children if child is not None))


def tag(name: str, /, *children: Child, **attributes: Child | bool) -> Html:
    """``tag("td", text, class_="n", data_value=3)``; an attribute that is None or False is left out."""
    told = []
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            told.append(f" {attribute}")
        elif value is not None and value is not False:
            told.append(f' {attribute}="{html.escape(visible(str(value)))}"')
    opened = f"<{name}{''.join(told)}>"
    return Html(opened if name in ("input", "meta", "br") else f"{opened}{join(*children)}</{name}>")


@dataclass(frozen=True)
class Section:
    """A heading of the page with what stands under it.

    ``note`` says how to read the section, ``empty`` is shown when it has no content (a section without content and
    without ``empty`` is left out), and ``gist`` is its one-line summary for the top of the page.
    """

    key: str
    title: str
    note: str
    body: Html
    empty: str = ""
    gist: str = ""

    def html(self) -> Html:
        return tag(
            "section",
            tag("h2", self.title),
            tag("p", self.note, class_="note") if self.note and self.body else None,
            self.body or tag("p", self.empty, class_="none"),
            id=self.key,
        )


def _safe(child: Child) -> str:
    return child if isinstance(child, Html) else html.escape(visible(str(child)))
