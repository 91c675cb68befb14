"""docs/dataset.md is what the code says, and what it says of nulls holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.dataset import schema
from harness.dataset.published import import_published
from harness.dataset.schema_page import markdown
from harness.dataset.store import Dataset
from tests.conftest import ROOT
from tests.dataset.test_published import write_all
from tests.dataset.test_store import entry


def test_the_page_on_the_dataset_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "dataset.md").read_text()
    assert page == markdown(), "run: python -m harness.dataset.schema_page > docs/dataset.md"


def test_the_version_has_a_history() -> None:
    assert max(schema.HISTORY) == schema.VERSION == len(schema.HISTORY)


def observed(root: Path) -> list[dict]:
    """Rows that were collected, with each status that a table says something of."""
    dataset = Dataset.create(root)
    with dataset.journal("local") as journal:
        for number, status in enumerate(("ok", "timeout", "crash", "lost")):
            journal.append(entry(number, "s/small/a", "s/small/b", status=status))
    return dataset.observations().to_pylist()


@pytest.mark.parametrize("field", schema.OBSERVATION_FIELDS, ids=lambda field: field.name)
def test_a_column_of_observations_is_null_where_the_page_says_so(field: schema.Field, tmp_path: Path) -> None:
    collected = observed(tmp_path / "collected")
    imported, _ = import_published(write_all(tmp_path / "in", rows=20), tmp_path / "imported")
    came = imported.observations().to_pylist()
    if not field.null:
        assert all(row[field.name] is not None for row in [*collected, *came])
    elif field.null.startswith("unless `status` is"):
        needed = field.null.split("`")[3::2]
        assert all((row[field.name] is None) == (row["status"] not in needed) for row in [*collected, *came])
    else:
        assert field.null.startswith("imported")
        assert all(row[field.name] is None for row in came)


@pytest.mark.parametrize(
    ("table", "fields"), [("platforms", schema.PLATFORM_FIELDS), ("workloads", schema.WORKLOAD_FIELDS)]
)
def test_imported_tables_are_null_where_the_page_says_so(table: str, fields: list, tmp_path: Path) -> None:
    imported, _ = import_published(write_all(tmp_path / "in", rows=20), tmp_path / "imported")
    for row in getattr(imported, table)().to_pylist():
        assert {name for name, value in row.items() if value is None} == {
            field.name for field in fields if field.null == "imported"
        }
