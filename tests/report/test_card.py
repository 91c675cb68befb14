"""`harness report --card`: what Hugging Face and Croissant read, whatever the names; columns that say their unit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from harness.dataset import schema
from harness.dataset.info import Origin, Settings
from harness.dataset.store import Dataset
from harness.report.card import MARK
from tests.report.report_data import collected


@pytest.fixture
def lab(tmp_path: Path) -> Dataset:
    dataset = collected(tmp_path / "lab")
    origin = Origin("after: | <b>", {"commit": "1a2b"}, ("harness", "collect", "-o", "a b"), "abc-dirty")
    info = dataset.info.begun("2026-11-26T10:00:00+00:00", "1", Settings(), origin)
    dataset.info = msgspec.structs.replace(dataset.info, collections=info)
    dataset._write_info()
    return dataset


def test_the_readme_begins_with_yaml_and_escapes_every_name(lab: Dataset, harness) -> None:
    ran = harness("report", lab.root, "--card")
    assert ran.code == 0, ran.err
    _, front, body = (lab.root / "README.md").read_text().split("---\n", 2)
    told = YAML(typ="safe").load(front)
    assert told["pretty_name"] == "after: | <b> (commit=1a2b)"
    assert told["size_categories"] == ["n<1K"]
    assert [(one["config_name"], one["data_files"]) for one in told["configs"]] == [
        ("observations", "observations/*.parquet"), ("platforms", "platforms.parquet"),
        ("workloads", "workloads.parquet"),
    ]  # fmt: skip
    assert "<script>" not in body and "<b>" not in body
    rows = [line for line in body.splitlines() if line.startswith("| 2026-11-26")]
    assert (
        rows[-1]
        == "| 2026-11-26T10:00 | after: &#124; &#60;b&#62; | commit=1a2b | abc-dirty | 1 | harness collect -o 'a b' |"
    )
    assert f"{lab.observations(['job']).num_rows:,} observations" in body


def test_croissant_names_every_file_by_its_hash_and_every_flat_column(lab: Dataset, harness) -> None:
    assert harness("report", lab.root, "--card").code == 0
    told = json.loads((lab.root / "croissant.json").read_text())
    files = {one["@id"]: one for one in told["distribution"] if one["@type"] == "cr:FileObject"}
    assert {*files} == {path.relative_to(lab.root).as_posix() for path in lab.root.rglob("*.parquet")} - {
        "plan.parquet"
    }
    for name, one in files.items():
        assert one["sha256"] == hashlib.sha256((lab.root / name).read_bytes()).hexdigest()
    columns = {
        record["name"]: {one["source"]["extract"]["column"] for one in record["field"]}
        for record in told["recordSet"]
    }
    flat = {field.name for field in schema.OBSERVATION_FIELDS} - {
        "samples",
        "cold_samples",
        "state_before",
        "state_after",
    }
    assert columns["observations"] == flat
    assert all(one["description"] for record in told["recordSet"] for one in record["field"])


def test_a_readme_of_ones_own_is_left_alone_and_a_card_is_replaced(lab: Dataset, harness) -> None:
    readme = lab.root / "README.md"
    readme.write_text("mine")
    ran = harness("report", lab.root, "--card")
    assert (ran.code, readme.read_text(), (lab.root / "croissant.json").exists()) == (2, "mine", False)
    assert "rename or remove it" in ran.err
    readme.write_text(MARK)
    assert harness("report", lab.root, "--card").code == 0
    assert "pretty_name" in readme.read_text()
    assert harness("report", lab.root, "--card", "-o", "x.html").code == 2


def test_columns_of_the_files_say_what_they_are_and_in_which_unit(lab: Dataset) -> None:
    part = pq.read_schema(next((lab.root / "observations").glob("*.parquet")))
    said = {one.name: (one.metadata or {}) for one in part}
    assert [name for name, told in said.items() if not told.get(b"description")] == []
    assert said["time_ns"][b"unit"] == said["wall_ns_mean"][b"unit"] == b"ns"
    assert said["limit_s"][b"unit"] == b"s"
    assert b"unit" not in said["workload"]
    inner = part.field("samples").type.value_type.field("max_rss_kb").metadata
    assert (inner[b"unit"], inner[b"description"]) == (b"kB", b"the engine's most memory so far, kB")
    assert part.field("state_before").type.field("temperature_c").metadata[b"unit"] == "°C".encode()
    assert pq.read_schema(lab.root / "workloads.parquet").field("module_bytes").metadata[b"unit"] == b"byte"
