"""Matrices of up to many thousand cells as one picture, which the page's script reads out cell by cell."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.charts import picture
from harness.report.colours import STEPS, hexed, levels, ramp
from harness.report.markup import Html, join, tag

Array = NDArray[Any]
WIDTH = 1000  # width in pixels that the cells of a wide map share
TALL = 720
NAMED = 10  # least size of a cell in pixels at which every row and column is labelled
DRAWN = 6000  # above this many cells the map is drawn as an image, not as shapes
ROOM = 24  # most characters of a row's name
SHARPNESS = 4  # image pixels per cell
NEAR = 5e-4  # ln units between two steps


@dataclass(frozen=True)
class Axis:
    """Names along one side. ``groups`` brackets neighbours of one group; ``short`` is what a narrow label says, and
    ``title`` what stands there without groups."""

    names: Sequence[str]
    groups: Sequence[str]
    short: Sequence[str]
    title: str = ""

    def brackets(self) -> Iterator[tuple[str, int, int]]:
        """Each group with the first place and the place after the last."""
        at = 0
        for group, members in groupby(self.groups):
            count = len(list(members))
            yield group, at, at + count
            at += count


@dataclass(frozen=True)
class HeatMap:
    """cells (R, C) are numbers of ``palette``, −1 where nothing is drawn.

    ``values`` (R, C) are what a cell reads out: ``kind`` time, ratio or memory (kB; stored by logarithm), or numbers
    of ``words``; NaN reads as ``missing``.
    """

    key: str
    label: str
    rows: Axis
    columns: Axis
    cells: NDArray[np.int64]
    palette: list[str]
    values: Array
    kind: str
    words: Sequence[str] = ()
    missing: str = "not measured"
    joint: str = "on"  # the words between column and row in the read-out: `gemm on wasmtime-j:local`

    def html(self, caption: str, legend: Html) -> Html:
        n_rows, n_columns = self.cells.shape
        wide = max(2.0, min(18.0, WIDTH / n_columns))
        high = max(2.0, min(17.0, TALL / n_rows))
        wide, high = (size if size < NAMED else float(int(size)) for size in (wide, high))
        # Names of rows are a picture of their own, which stays in view while the map scrolls.
        beside = 8 + 7.0 * max(len(cut(name, ROOM)) for name in self.rows.names) if high >= NAMED else 96
        left = 0.0
        top = 20 + (6.0 * max(len(cut(name)) for name in self.columns.short) if wide >= NAMED else 0)
        across, down = n_columns * wide, n_rows * high
        parts = [
            tag("rect", x=f"{left:g}", y=f"{top:g}", width=f"{across:g}", height=f"{down:g}", class_="field"),
            *self._column_labels(left, top, wide),
            self._drawn(left, top, wide, high),
            tag("rect", class_="cursor", width=f"{wide:g}", height=f"{high:g}", x="-99", y="-99"),
        ]
        drawn = picture(across + 70, top + down + 4, self.label, join(*parts), class_="map", tabindex="0")
        names = picture(
            beside, top + down + 4, "", join(*self._row_labels(beside, top, high)), class_="names"
        )
        return tag(
            "figure",
            legend,
            tag("div", names, drawn, class_="scroll", tabindex="0", role="region", aria_label=self.label),
            tag("output", "", class_="told"),
            tag("figcaption", caption),
            id=self.key,
            class_="heatmap",
            data_left=f"{left:g}", data_top=f"{top:g}", data_wide=f"{wide:g}", data_high=f"{high:g}",
        )  # fmt: skip

    def data(self) -> dict[str, Any]:
        """What the page's script reads out of a cell, in compact form: one byte a cell or two, and each name once.

        One is enough for 254 words, and for ratios so near to each other that their three digits are not touched.
        """
        known = ~np.isnan(self.values)
        low = high = 0.0
        if self.kind == "words":
            stored = np.where(known, np.nan_to_num(self.values) + 1, 0)
            steps = 254 if len(self.words) < 255 else 65534
        else:
            logs = np.log(self.values, where=known, out=np.zeros(self.values.shape))
            low, high = (float(logs[known].min()), float(logs[known].max())) if known.any() else (0.0, 0.0)
            steps = 254 if high - low < 254 * NEAR else 65534
            stored = np.where(known, 1 + np.round((logs - low) / ((high - low) or 1.0) * (steps - 1)), 0)
        packed = stored.astype("<u1" if steps < 255 else "<u2")
        return {
            "rows": list(self.rows.names), "columns": list(self.columns.names), "kind": self.kind, "low": low,
            "high": high, "words": list(self.words), "missing": self.missing, "joint": self.joint,
            "steps": steps, "cells": base64.b64encode(packed.tobytes()).decode(),
        }  # fmt: skip

    def _row_labels(self, left: float, top: float, high: float) -> Iterator[Html]:
        if high >= NAMED:
            for k, name in enumerate(self.rows.names):
                yield tag(
                    "text",
                    cut(name, ROOM),
                    x=f"{left - 5:g}",
                    y=f"{top + (k + 0.5) * high + 3.5:.1f}",
                    text_anchor="end",
                )
            return
        if not any(self.rows.groups):
            turn = f"translate({left - 8:g} {top + 4:g}) rotate(-90)"
            yield tag("text", self.rows.title, transform=turn, text_anchor="end", class_="title")
            return
        for group, first, after in self.rows.brackets():
            middle = top + (first + after) / 2 * high
            yield tag(
                "path",
                d=f"M{left - 4:g} {top + first * high + 1:.1f}V{top + after * high - 1:.1f}",
                class_="axis",
            )
            if (after - first) * high >= 9:
                yield tag(
                    "text", cut(group, 15), x=f"{left - 9:g}", y=f"{middle + 3.5:.1f}", text_anchor="end"
                )

    def _column_labels(self, left: float, top: float, wide: float) -> Iterator[Html]:
        named = wide >= NAMED
        for k, name in enumerate(self.columns.short if named else ()):
            turn = f"translate({left + (k + 0.5) * wide + 3.5:.1f} {top - 5:.1f}) rotate(-90)"
            yield tag("text", cut(name), transform=turn)
        line = 14 if named else top - 4
        if not any(self.columns.groups):
            yield tag("text", self.columns.title, x=f"{left:g}", y=f"{line - 2:g}", class_="title")
            return
        for group, first, after in self.columns.brackets():
            start, end = left + first * wide + 1, left + after * wide - 1
            yield tag("path", d=f"M{start:.1f} {line:g}H{end:.1f}", class_="axis")
            fits = int((end - start + 10) / 5.6)
            if fits >= min(3, len(group)):
                yield tag("text", cut(group, fits), x=f"{start:.1f}", y=f"{line - 4:g}", class_="group")

    def _drawn(self, left: float, top: float, wide: float, high: float) -> Html:
        n_rows, n_columns = self.cells.shape
        if self.cells.size > DRAWN:
            place = {
                "x": f"{left:g}",
                "y": f"{top:g}",
                "width": f"{n_columns * wide:g}",
                "height": f"{n_rows * high:g}",
            }
            return tag("image", href=data_uri(self.cells, self.palette), preserveAspectRatio="none", **place)
        gap = 1.0 if min(wide, high) > 6 else 0.0
        box = f"h{wide - gap:.4g}v{high - gap:.4g}h-{wide - gap:.4g}z"
        paths = []
        for step in np.unique(self.cells[self.cells >= 0]).tolist():
            row, column = np.nonzero(self.cells == step)
            corners = zip((left + column * wide).tolist(), (top + row * high).tolist(), strict=True)
            paths.append(
                tag("path", d="".join(f"M{x:g} {y:g}{box}" for x, y in corners), fill=self.palette[step])
            )
        return tag("g", *paths)


def cut(name: str, room: int = 32) -> str:
    return name if len(name) <= room else f"{name[: room - 1]}…"


def by_logarithm(values: Array, low: float, high: float) -> tuple[NDArray[np.int64], list[str]]:
    """Cells and palette of a `HeatMap` for values coloured by their logarithm from low to high."""
    logs = np.log(values, where=values > 0, out=np.full(values.shape, np.nan))
    return levels(logs, float(np.log(low)), float(np.log(high))), hexed(ramp())


def scale_legend(low: str, high: str, ticks: Sequence[tuple[float, str]], label: str) -> Html:
    """The ramp as a bar; ticks are (share of its length, words)."""
    left, width, colours = 40, 255, hexed(ramp())[:: STEPS // 64]
    step = width / len(colours)
    bar = [
        tag("rect", x=f"{left + k * step:.2f}", y="4", width=f"{step + 1:.2f}", height="10", fill=fill)
        for k, fill in enumerate(colours)
    ]
    marks = [
        tag("text", words, x=f"{left + share * width:.1f}", y="27", text_anchor="middle")
        for share, words in ticks
    ]
    told = f"{label}: {low} at the dark end to {high} at the light end"
    return picture(width + 2 * left, 30, told, join(*bar, *marks), class_="panel")


def swatches(entries: Sequence[tuple[str, str]]) -> Html:
    """A list of colours and their meanings; a colour of None stands for an empty cell."""
    items = []
    for fill, words in entries:
        box = tag("rect", width="12", height="12", fill=fill or None, class_=None if fill else "field")
        items.append(tag("li", picture(12, 12, "", box), words))
    return tag("ul", *items, class_="legend")


def data_uri(cells: NDArray[np.int64], palette: Sequence[str]) -> str:
    """A PNG of numbers of a palette (at most 255 colours), −1 transparent."""
    colours = bytes(byte for colour in palette for byte in bytes.fromhex(colour[1:]))
    index = np.repeat(np.repeat(cells + 1, SHARPNESS, axis=0), SHARPNESS, axis=1).astype(np.uint8)
    # Filter type 0 (none) before each line, which compresses palette images best.
    lines = np.hstack([np.zeros((len(index), 1), np.uint8), index])
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", index.shape[1], index.shape[0], 8, 3, 0, 0, 0)),
            (b"PLTE", b"\0\0\0" + colours),
            (b"tRNS", b"\0"),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
