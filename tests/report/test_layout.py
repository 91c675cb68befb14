"""The page on a phone, a tablet and a desk, dark and light, with and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.learn.arrays import load_training
from harness.report import write_report
from pitot_core import Pitot
from tests.report.browser import ABSENT, CHROMIUM, Browser, browser
from tests.report.report_data import collected

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)
SMALLEST = """(() => {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const at = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || !at.checkVisibility() || at.closest('script, title')) continue;
        const matrix = at.getScreenCTM ? at.getScreenCTM() : null;
        const scale = matrix ? Math.hypot(matrix.a, matrix.b) : 1;
        found.push([parseFloat(getComputedStyle(at).fontSize) * scale, at.textContent.slice(0, 40)]);
    }
    return found.sort((a, b) => a[0] - b[0])[0];
})()"""
UNREACHABLE = """[...document.querySelectorAll('*')].filter(e => e.checkVisibility() && e.tabIndex < 0
    && e.clientWidth && e.scrollWidth > e.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
    && !e.matches('nav')).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layout")
    dataset = collected(folder / "data", memory=True)
    model = Pitot().fit(*load_training(dataset))
    write_report(dataset, model, folder / "r.html")
    return folder / "r.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as driven:
        yield driven


@pytest.mark.parametrize("width", [375, 800, 1400])
@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("dark", [True, False])
def test_it_fits_and_is_readable(
    width: int, scripts: bool, dark: bool, chromium: Browser, page: Path
) -> None:
    chromium.problems.clear()
    chromium.size(width)
    chromium.dark(dark)
    chromium.scripts(scripts)
    chromium.open(page)
    chromium.scripts(True)  # so that the page can be asked; its own scripts had their chance
    if scripts:
        chromium.run(
            "(async () => { const home = document.getElementById('asking'); home.scrollIntoView();"
            " while (!home.dataset.ready) await new Promise(done => setTimeout(done, 20)); })()"
        )
    chromium.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert chromium.run("document.documentElement.scrollWidth") <= width
    size, text = chromium.run(SMALLEST)
    assert size >= 11, text
    assert chromium.run(UNREACHABLE) == []
    assert chromium.problems == []


def test_the_names_of_a_map_stay_while_it_scrolls_and_the_read_out_is_beside_the_finger(
    chromium: Browser, page: Path
) -> None:
    chromium.size(375, 800)
    chromium.open(page)
    names: Any = chromium.run(
        """(() => { const f = document.querySelector('#time-map'), s = f.querySelector('.scroll');
        f.scrollIntoView({ block: 'center' }); const n = f.querySelector('svg.names');
        const before = n.getBoundingClientRect().x; s.scrollLeft = 60;
        return [before, n.getBoundingClientRect().x, s.scrollLeft]; })()"""
    )
    assert names[2] > 0
    assert names[0] == names[1]
    x, y = chromium.run(
        """(() => { const b = document.querySelector('#time-map svg.map').getBoundingClientRect();
        const d = document.querySelector('#time-map').dataset;
        return [b.x + 80 + 0.5 * d.wide, b.y + +d.top + 0.5 * d.high]; })()"""
    )
    for nudge in range(
        100
    ):  # what was scrolled above is told to the page a little later, and puts the read-out away
        chromium.move(x, y + nudge % 2 / 4)
        if chromium.run("document.querySelector('#time-map output').classList.contains('near')"):
            break
    left, top, right, bottom = chromium.run(
        """(() => { const b = document.querySelector('#time-map output').getBoundingClientRect();
        return [b.left, b.top, b.right, b.bottom]; })()"""
    )
    assert left >= 0
    assert right <= 375
    assert top >= 0
    assert bottom <= 800
    assert min(abs(top - y), abs(bottom - y)) < 60


def test_a_map_is_a_few_tabs_away(chromium: Browser, page: Path) -> None:
    chromium.size(1400)
    chromium.open(page)
    chromium.press("Tab")
    assert chromium.run("document.activeElement.textContent") == "Skip to the first map"
    chromium.press("Enter")
    for _ in range(3):
        chromium.press("Tab")
        if chromium.run("document.activeElement.matches('svg.map')"):
            break
    assert chromium.run("document.activeElement.matches('svg.map')")
