"""What programs read: docs/output.md is what the code prints."""

from __future__ import annotations

import re

import pytest

from harness.cli.output_page import markdown, tables
from tests.conftest import ROOT


def test_the_page_on_output_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "output.md").read_text() == markdown(), (
        "run: python -m harness.cli.output_page > docs/output.md"
    )


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.command)
def test_every_column_has_a_meaning_and_a_name_of_its_own(table) -> None:
    assert all(column.meaning for column in table.columns)
    assert len({column.key for column in table.columns}) == len(table.columns)


def test_every_table_is_on_the_page() -> None:
    """A module that has columns and is not asked for them would go undocumented."""
    asked = (ROOT / "harness" / "cli" / "output_page.py").read_text()
    for path in (ROOT / "harness").rglob("*.py"):
        for name in re.findall(r"^(\w*COLUMNS) = ", path.read_text(), re.M):
            assert name in asked, f"{path.name}: {name} is not in harness/cli/output_page.py"
