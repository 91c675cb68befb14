"""The live page in a real browser: kept up to date, readable anywhere, and no name is ever markup."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from harness.dataset.now import Doing, Now, write_now
from harness.dataset.store import Dataset
from harness.report.live_feed import Feed
from harness.report.live_server import Server, serving
from tests.report.browser import ABSENT, CHROMIUM, Browser, browser
from tests.report.test_live import EVIL, append, dataset, ended

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)
__all__ = ["dataset"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as driven:
        yield driven


@pytest.fixture
def served(dataset: Dataset) -> Iterator[Server]:
    now = time.time()
    doing = Doing("pi", "measuring", now, now, "e:pi", ("s/a", EVIL), "<b>lost</b>")
    write_now(dataset.root, Now(now, 1, (doing,)))
    with serving(Feed(dataset), "127.0.0.1", 0) as server:
        yield server


def until(tab: Browser, expression: str) -> bool:
    for _ in range(100):
        if tab.run(expression):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(("width", "dark"), [(375, False), (800, True), (1400, False)])
def test_it_follows_and_is_readable(
    width: int, dark: bool, chromium: Browser, served: Server, dataset: Dataset
) -> None:
    chromium.problems.clear()
    chromium.requests.clear()
    chromium.size(width)
    chromium.dark(dark)
    chromium.open(served.url)
    assert until(chromium, "document.querySelectorAll('.lane').length === 2")
    append(dataset, ended(0, "s/a"))
    assert until(chromium, "document.getElementById('sum').textContent.startsWith('1 of 9 jobs')")
    text = chromium.run("document.querySelector('main').innerText")
    assert f"s/a + {EVIL} under e:pi" in text and "<b>lost</b>" in text
    assert chromium.run("document.querySelectorAll('main img, main b').length") == 0
    assert chromium.run("document.documentElement.scrollWidth <= innerWidth")
    small = "[...document.querySelectorAll('body *')].filter(e => parseFloat(getComputedStyle(e).fontSize) < 11).length"
    assert chromium.run(small) == 0
    assert {url.split("/")[2] for url in chromium.requests if not url.startswith("data:")} == {
        served.url.split("/")[2]
    }
    assert chromium.problems == []


def test_the_map_is_read_by_keyboard(chromium: Browser, served: Server) -> None:
    chromium.size(800)
    chromium.open(served.url)
    assert until(chromium, "!document.getElementById('coverage').hidden")
    chromium.run("document.getElementById('map').focus()")
    assert chromium.run("document.getElementById('readout').textContent") == f"{EVIL} on e:nuc: not planned"
    chromium.press("ArrowRight")
    chromium.press("ArrowDown")
    assert chromium.run("document.getElementById('readout').textContent") == "s/a on e:pi: left to do"
