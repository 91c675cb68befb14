"""Small pictures as SVG: axes with round numbers, lines, bars and points."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.colours import GROUPS
from harness.report.markup import Html, join, tag

Array = NDArray[Any]
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 40
CROWDED = 0.06  # least distance between two ticks, as a share of the axis
# Marks beyond the colours: circle, square, triangle, diamond; each drawn within ±1.
SHAPES = (
    "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
    "M-.85-.85h1.7v1.7h-1.7z",
    "M0-1.1L1 .8H-1z",
    "M0-1.2L1 0L0 1.2L-1 0z",
)


@dataclass(frozen=True)
class Scale:
    """An axis from low to high, even in the value or in its logarithm."""

    title: str
    low: float
    high: float
    log: bool = False
    words: Callable[[float], str] = field(default=lambda value: f"{value:g}")
    marks: Sequence[float] | None = None  # positions of the ticks; None chooses round numbers

    def share(self, value: Array | float) -> Array:
        """The position of a value along the axis, from 0 to 1; values beyond an end are drawn at that end."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = np.log(np.maximum(value, 1e-300)) if self.log else np.asarray(value, float)
        return np.asarray(np.clip((at - low) / ((high - low) or 1.0), 0.0, 1.0))

    def ticks(self) -> list[float]:
        if self.marks is not None:
            return self._apart([mark for mark in self.marks if self.low * 0.999 <= mark <= self.high * 1.001])
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first + 1) / 7))
            return [10.0**decade for decade in range(first, last + 1, every)]
        step = 10.0 ** math.floor(math.log10((self.high - self.low or 1.0) / 3))
        step *= next(k for k in (1, 2, 5, 10) if (self.high - self.low) / (step * k) <= 6)
        return [
            k * step
            for k in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        ]

    def _apart(self, marks: list[float]) -> list[float]:
        """The marks that are far enough from the mark before them to be readable."""
        kept: list[float] = []
        for mark in marks:
            if not kept or float(self.share(mark) - self.share(kept[-1])) >= CROWDED:
                kept.append(mark)
        return kept


class Panel:
    """One picture: two axes and what is drawn between them.

    A bare panel has no axes: use it where positions have no unit, as in an embedding.
    """

    def __init__(
        self, label: str, x: Scale, y: Scale, *, width: int = 400, height: int = 250, bare: bool = False
    ) -> None:
        self.label, self.x, self.y, self.width, self.height, self.bare = label, x, y, width, height, bare
        left, right, top, bottom = (8, 8, 8, 8) if bare else (LEFT, RIGHT, TOP, BOTTOM)
        self._left, self._right, self._top, self._bottom = left, width - right, top, height - bottom
        self._drawn: list[Html] = []

    def at(self, x: Array | float, y: Array | float) -> tuple[Array, Array]:
        """The pixel position (x, y) of a point."""
        across, down = self._right - self._left, self._bottom - self._top
        places = np.broadcast_arrays(
            self._left + self.x.share(x) * across, self._top + (1.0 - self.y.share(y)) * down
        )
        return places[0], places[1]

    def line(self, x: Any, y: Any, class_: str = "line", colour: str | None = None, told: str = "") -> None:
        across, down = self.at(np.asarray(x, float), np.asarray(y, float))
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, down, strict=True))
        title = tag("title", told) if told else None
        self._drawn.append(tag("path", title, d=path, class_=class_, stroke=colour))

    def bars(self, edges: Array, heights: Array, told: Iterable[str]) -> None:
        """Bars between edges (n+1,) of heights (n,)."""
        left, base = self.at(edges[:-1], self.y.low)
        right, top = self.at(edges[1:], heights)
        for a, b, high, low, words in zip(left, right, top, base, told, strict=True):
            if low - high > 0:
                size = {"width": f"{max(b - a - 1, 0.5):.1f}", "height": f"{max(low - high, 0.7):.1f}"}
                at = {"x": f"{a + 0.5:.1f}", "y": f"{min(high, low - 0.7):.1f}"}
                self._drawn.append(tag("rect", tag("title", words), class_="bar", **at, **size))

    def points(self, x: Array, y: Array, colour: str, radius: float = 1.5, opacity: float = 0.5) -> None:
        """Draw very many points as one SVG path, which keeps the page small."""
        across, down = self.at(x, y)
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(across, down, strict=True))
        self._drawn.append(
            tag("path", d=path, class_="dots", stroke=colour, stroke_width=2 * radius, stroke_opacity=opacity)
        )

    def named(self, x: Array, y: Array, names: Sequence[str], group: int, radius: float = 4.0) -> None:
        """Points that tell their names, in the colour and shape of their group."""
        across, down = self.at(x, y)
        for a, b, name in zip(across, down, names, strict=True):
            place = f"translate({a:.1f} {b:.1f}) scale({radius:g})"
            self._drawn.append(
                tag(
                    "path",
                    tag("title", name),
                    d=shape(group),
                    fill=colour(group),
                    class_="point",
                    transform=place,
                )
            )

    def text(self, x: float, y: float, words: str, anchor: str = "start", dy: float = 0.0) -> None:
        across, down = self.at(x, y)
        at = {"x": f"{float(across):.1f}", "y": f"{float(down) + dy:.1f}"}
        self._drawn.append(tag("text", words, text_anchor=anchor, class_="label", **at))

    def svg(self) -> Html:
        around = [self._frame()] if self.bare else self._axes()
        return picture(self.width, self.height, self.label, join(*around, *self._drawn), class_="panel")

    def _frame(self) -> Html:
        return tag("rect", width=self.width, height=self.height, rx=6, class_="frame")

    def _axes(self) -> list[Html]:
        parts = []
        left, right, top, bottom = self._left, self._right, self._top, self._bottom
        for value in self.x.ticks():
            across = f"{float(self.at(value, self.y.low)[0]):.1f}"
            parts.append(tag("path", d=f"M{across} {top}V{bottom}", class_="grid"))
            parts.append(tag("text", self.x.words(value), x=across, y=bottom + 15, text_anchor="middle"))
        for value in self.y.ticks():
            down = float(self.at(self.x.low, value)[1])
            parts.append(tag("path", d=f"M{left} {down:.1f}H{right}", class_="grid"))
            parts.append(
                tag("text", self.y.words(value), x=left - 6, y=f"{down + 3.5:.1f}", text_anchor="end")
            )
        parts.append(tag("path", d=f"M{left} {bottom}H{right}", class_="axis"))
        middle = f"{(left + right) / 2:.0f}"
        parts.append(
            tag("text", self.x.title, x=middle, y=self.height - 6, text_anchor="middle", class_="title")
        )
        turn = f"translate(11 {(top + bottom) / 2:.0f}) rotate(-90)"
        parts.append(tag("text", self.y.title, transform=turn, text_anchor="middle", class_="title"))
        return parts


def picture(width: float, height: float, label: str, content: Html, **attributes: Any) -> Html:
    """An SVG with its text alternative; without a label it is decoration."""
    told: dict[str, Any] = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    box = f"0 0 {width:g} {height:g}"
    return tag("svg", content, width=f"{width:g}", height=f"{height:g}", viewBox=box, **told, **attributes)


def colour(group: int) -> str:
    return GROUPS[group % len(GROUPS)]


def shape(group: int) -> str:
    return SHAPES[group // len(GROUPS) % len(SHAPES)]


def legend(names: Sequence[str]) -> Html:
    """What the groups 0, 1, … of `Panel.named` are."""
    marks = [
        tag(
            "li",
            picture(12, 12, "", tag("path", d=shape(k), fill=colour(k), transform="translate(6 6) scale(4)")),
            name,
        )
        for k, name in enumerate(names)
    ]
    return tag("ul", *marks, class_="legend")


def scrolled(panel: Panel) -> Html:
    """The picture at its own size, so that its words stay readable: on a narrow page it scrolls."""
    return tag("div", panel.svg(), class_="wide", tabindex="0", role="region", aria_label=panel.label)


def side_by_side(*panels: tuple[Panel, str] | None) -> Html:
    """Panels with a caption each."""
    figures = [
        tag("figure", scrolled(panel), tag("figcaption", caption)) for panel, caption in filter(None, panels)
    ]
    return tag("div", *figures, class_="panels") if figures else Html("")
