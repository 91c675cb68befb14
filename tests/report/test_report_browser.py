"""The report in a real browser: complete without scripts, sortable, filterable, readable in the dark and on a phone."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.learn.train import train
from harness.report import write_report
from tests.published import ABSENT as NO_DATA
from tests.report.browser import ABSENT, CHROMIUM, Browser, browser
from tests.report.report_data import collected, imported

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | None]:
    """Reports of a collected dataset and of an imported part of the published one, with their models."""
    folder = tmp_path_factory.mktemp("pages")
    found: dict[str, Path | None] = {}
    for name, dataset in (
        ("collected", collected(folder / "collected")),
        ("imported", imported(folder / "imported")),
    ):
        found[name] = folder / f"{name}.html" if dataset else None
        if dataset:
            write_report(dataset, train(dataset, calibration_share=0.25).model, folder / f"{name}.html")
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as driven:
        yield driven


@pytest.fixture(params=["collected", "imported"])
def tab(request: pytest.FixtureRequest, chromium: Browser, pages: dict[str, Path | None]) -> Browser:
    """A freshly opened report on a wide light page."""
    return opened(chromium, pages[request.param])


@pytest.fixture
def collection(chromium: Browser, pages: dict[str, Path | None]) -> Browser:
    return opened(chromium, pages["collected"])


def opened(chromium: Browser, page: Path | None) -> Browser:
    if page is None:
        pytest.skip(NO_DATA)
    chromium.problems.clear()
    chromium.requests.clear()
    chromium.scripts(True)
    chromium.dark(False)
    chromium.size(1280)
    chromium.open(page)
    return chromium


def test_it_opens_without_a_complaint_and_asks_for_nothing(tab: Browser) -> None:
    assert tab.run("document.querySelectorAll('section').length") >= 10
    assert tab.problems == []
    assert [address[:8] for address in tab.requests if not address.startswith("data:")] == ["file:///"]


COLUMN = """(() => {{
    const table = [...document.querySelectorAll('table.data')].find(t => t.caption.textContent.startsWith({caption}));
    return [...table.tBodies[0].rows].filter(row => row.checkVisibility()).map(row => row.cells[{column}].textContent);
}})()"""
HEAD = """[...document.querySelectorAll('table.data')].find(t => t.caption.textContent.startsWith({caption}))
    .tHead.rows[0].cells[{column}]"""


def column(tab: Browser, caption: str, number: int) -> list[str]:
    found: list[str] = tab.run(COLUMN.format(caption=json.dumps(caption), column=number))
    return found


def test_a_table_is_sorted_by_a_click_and_by_a_key(tab: Browser) -> None:
    caption = "Jobs, observations and times"
    head = HEAD.format(caption=json.dumps(caption), column=0)
    names = column(tab, caption, 0)
    tab.run(f"{head}.querySelector('button').click()")
    assert tab.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    tab.run(f"{head}.querySelector('button').focus()")
    tab.press("Enter")
    assert tab.run(f"{head}.getAttribute('aria-sort')") == "descending"
    assert column(tab, caption, 0) == names[::-1]


def test_numbers_sort_as_numbers_largest_first_and_what_is_missing_last(tab: Browser) -> None:
    caption = "Slowdown by workload"
    for number in range(
        2, tab.run(f"{HEAD.format(caption=json.dumps(caption), column=0)}.parentNode.cells.length")
    ):
        tab.run(f"{HEAD.format(caption=json.dumps(caption), column=number)}.querySelector('button').click()")
        told = column(tab, caption, number)
        values = [float(re.sub("[×,¹]", "", text)) if text != "–" else float("-inf") for text in told]
        assert values == sorted(values, reverse=True)


def test_a_filter_shows_the_rows_that_hold_every_word(tab: Browser) -> None:
    caption = "Slowdown by workload"
    names = column(tab, caption, 0)
    word = names[len(names) // 2].split("/")[0]
    tab.run(f"document.querySelector('input[aria-label^=\"Filter: {caption}\"]').focus()")
    tab.type(word.upper())
    assert column(tab, caption, 0) == [name for name in names if word in name]
    assert 0 < len(column(tab, caption, 0)) < len(names)
    told = tab.run("[...document.querySelectorAll('.filter span')].map(s => s.textContent).join('')")
    assert told == f"{len(column(tab, caption, 0))} of {len(names)}"


def test_every_picture_has_a_text_alternative(tab: Browser) -> None:
    pictures = tab.run(
        "[...document.querySelectorAll('svg, img, canvas')].filter(p => p.getAttribute('aria-hidden') !== 'true')"
        ".map(p => [p.getAttribute('role'), p.getAttribute('aria-label') || p.getAttribute('alt') || ''])"
    )
    assert len(pictures) >= 10
    assert all(role == "img" and len(label) > 15 for role, label in pictures), pictures


def test_in_the_dark_the_page_is_dark_and_its_text_stands_out(tab: Browser) -> None:
    tab.dark(True)
    selectors = ["body", "h2", ".note", "td", "summary", "figcaption", "svg text"]
    colours = tab.run(
        f"{json.dumps(selectors)}.map(s => {{ const c = getComputedStyle(document.querySelector(s));"
        " return s === 'body' ? c.backgroundColor : s === 'svg text' ? c.fill : c.color; })"
    )
    paper, *inks = (luminance(colour) for colour in colours)
    assert paper < 0.02
    assert all((ink + 0.05) / (paper + 0.05) > 4.5 for ink in inks), colours
    tab.dark(False)
    paper, ink = (
        luminance(tab.run(f"getComputedStyle(document.body).{name}")) for name in ("backgroundColor", "color")
    )
    assert (paper + 0.05) / (ink + 0.05) > 12


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it, of an rgb(…)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_on_a_phone_tables_scroll_and_the_page_does_not(tab: Browser) -> None:
    tab.size(375, 800)
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.run("document.documentElement.scrollWidth") <= 375
    assert tab.run("[...document.querySelectorAll('.table')].some(t => t.scrollWidth > t.clientWidth)")


def test_without_scripts_it_is_complete(tab: Browser) -> None:
    # All but what the person and the page say to each other.
    before = tab.run("document.body.innerText.length - document.getElementById('asking').innerText.length")
    tab.scripts(False)
    tab.ask("Page.reload")
    while not tab.run("document.readyState === 'complete' && !document.querySelector('th button')"):
        pass
    assert tab.run("document.querySelectorAll('.filter').length") == 0
    assert tab.run("document.body.innerText.length") > 0.95 * before
    assert column(tab, "Jobs, observations and times", 0)
    assert tab.run("[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 0)")


def test_a_map_reads_out_its_fields_to_a_pointer_and_to_keys(tab: Browser) -> None:
    told = "document.querySelector('#time-map output').textContent"
    box = tab.run("(() => { const f = document.querySelector('#time-map'), s = f.querySelector('svg.map');"
                  " s.scrollIntoView({block: 'center'}); const b = s.getBoundingClientRect(), d = f.dataset;"
                  " return [b.x + +d.left + d.wide * 1.5, b.y + +d.top + d.high * 2.5]; })()")  # fmt: skip
    tab.move(*box)
    names = tab.run("(() => { const m = JSON.parse(document.getElementById('maps').textContent)['time-map'];"
                    " return [m.columns[1], m.rows[2], m.columns[2], m.rows[3]]; })()")  # fmt: skip
    assert tab.run(told).startswith(f"{names[0]} on {names[1]}: ")
    tab.run("document.querySelector('#time-map svg.map').focus()")
    tab.press("ArrowRight")
    tab.press("ArrowDown")
    assert tab.run(told).startswith(f"{names[2]} on {names[3]}: ")
    assert re.search(r": (\d.* (ns|µs|ms|s)|not measured)$", tab.run(told))


def test_on_paper_nothing_is_cut_off_and_what_is_folded_is_left_out(tab: Browser) -> None:
    tab.ask("Emulation.setEmulatedMedia", media="print")
    tab.size(720)  # what A4 leaves, in CSS pixels
    try:
        assert tab.run("document.documentElement.scrollWidth") <= 720
        assert tab.run(
            "[...document.querySelectorAll('.table.long')].every(t => t.scrollHeight <= t.clientHeight + 1)"
        )
        assert not tab.run(
            "[...document.querySelectorAll('nav, .filter, details')].some(e => e.checkVisibility())"
        )
    finally:
        tab.ask("Emulation.setEmulatedMedia", media="")
    folded = pages_of(tab.printed())
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert 3 <= folded < pages_of(tab.printed())


def pages_of(document: bytes) -> int:
    """How many pages a PDF has; it may keep them in compressed streams."""
    found = [document]
    for raw in re.findall(rb"stream\r?\n(.*?)endstream", document, re.S):
        try:
            found.append(zlib.decompressobj().decompress(raw))
        except zlib.error:
            continue
    return len(re.findall(rb"/Type\s*/Page\b", b"".join(found)))


def test_hostile_names_are_shown_and_do_nothing(collection: Browser) -> None:
    assert collection.run("typeof hacked") == "undefined"
    assert "<img src=x onerror='hacked=2'>" in collection.run("document.body.textContent")
    assert "</script><script>hacked=3</script>" in collection.run("document.body.textContent")
    assert (
        collection.run("document.querySelectorAll('img, script:not([type]) ~ script').length") == 1
    )  # the page's second
    assert collection.problems == []


def test_the_policy_stops_a_script_that_is_not_the_pages_own(collection: Browser) -> None:
    collection.run("(() => { const s = document.createElement('script'); s.textContent = 'hacked = 4';"
                   " document.body.append(s); })()")  # fmt: skip
    assert collection.run("typeof hacked") == "undefined"
    assert any("Content Security Policy" in problem for problem in collection.problems)
