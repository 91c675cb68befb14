"""A dataset in the Croissant format 1.0 of MLCommons: files with their hashes, and every column with its meaning.

Specification: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.dataset import schema
from harness.dataset.described import NESTED
from harness.dataset.schema import Field
from harness.dataset.store import Dataset

PARQUET = "application/x-parquet"
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases", "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty", "rai": "http://mlcommons.org/croissant/RAI/",
    "samplingRate": "cr:samplingRate",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip


def croissant(dataset: Dataset, name: str, description: str) -> dict[str, Any]:
    """The JSON-LD of a dataset as its files are now. Journals are not in it: `collect` moves them into parts."""
    files, records = [], []
    tables = [("platforms", schema.PLATFORM_FIELDS), ("workloads", schema.WORKLOAD_FIELDS)]
    for table, fields in tables:
        path = dataset.root / f"{table}.parquet"
        if path.exists():
            files.append(_file(dataset.root, path))
            source = {"fileObject": {"@id": f"{table}.parquet"}}
            records.append(_records(table, fields, source))
    parts = dataset.snapshot().paths
    if parts:
        files += [_file(dataset.root, path) for path in parts]
        files.append(
            {
                "@type": "cr:FileSet",
                "@id": "observation-files",
                "encodingFormat": PARQUET,
                "includes": "observations/**/*.parquet"
                if any(path.parent.name != "observations" for path in parts)
                else "observations/*.parquet",
            }
        )
        source = {"fileSet": {"@id": "observation-files"}}
        records.append(_records("observations", schema.OBSERVATION_FIELDS, source))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "identifier": dataset.info.id,
        "dateCreated": dataset.info.created_at,
        "version": f"{dataset.info.schema}.0.0",
        "keywords": ["WebAssembly", "benchmark", "execution time", "interference", "edge computing"],
        "distribution": files,
        "recordSet": records,
    }


def _file(root: Path, path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = path.relative_to(root).as_posix()
    return {
        "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B", "encodingFormat": PARQUET, "sha256": digest,
    }  # fmt: skip


def _records(table: str, fields: Sequence[Field], source: dict[str, Any]) -> dict[str, Any]:
    """Without structs and maps, which its columns of Parquet cannot name; the Parquet files describe those too."""
    told = [one for one in fields if one.name not in NESTED and not pa.types.is_map(one.type)]
    found = [_field(f"{table}/{one.name}", one, source, one.name) for one in told]
    return {"@type": "cr:RecordSet", "@id": table, "name": table, "field": found}


def _field(identity: str, field: Field, source: dict[str, Any], column: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": identity,
        "name": identity,
        "description": field.meaning,
    }
    kind = field.type
    if pa.types.is_list(kind):
        told["repeated"], kind = True, kind.value_type
    told["source"] = source | {"extract": {"column": column}}
    told["dataType"] = _type(kind)
    return told


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:DateTime" if pa.types.is_timestamp(kind) else "sc:Text"
