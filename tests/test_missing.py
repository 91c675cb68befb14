"""A run ends with what to install, and how many tests that brings."""

from __future__ import annotations

from tests.missing import summary


def test_what_is_missing_is_a_line_with_how_it_comes_here() -> None:
    reasons = ["Skipped: no node; install Node.js"] * 2 + [
        "no gcc and wasm2c; apt-get install wabt gcc",
        "keeps nothing",
    ]
    assert summary(reasons) == [
        "    2 without: no node: install Node.js",
        "    1 without: no gcc and wasm2c: apt-get install wabt gcc",
        "    1 do not apply here (pytest -rs says why)",
    ]
    assert summary([]) == []
