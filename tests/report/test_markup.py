"""What names from outside can put on a page."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from harness.report.markup import tag


@given(st.text())
def test_no_text_acts_on_a_page_or_on_a_terminal_that_shows_its_source(text: str) -> None:
    page = tag("td", text, title=text)
    assert not [one for one in page if one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cf", "Cs")]
    assert page.count("<") == page.count(">") == 2
    assert page.count('"') == 2


def test_what_can_be_shown_is_shown_as_it_is() -> None:
    assert tag("td", "größe 😀 a & b") == "<td>größe 😀 a &amp; b</td>"
    assert tag("td", "\x1b[31m\u202e") == "<td>\\x1b[31m\\u202e</td>"
