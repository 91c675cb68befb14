"""A suite that is imported once more: what the import wrote is written anew, what the user changed or added stays."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from harness.errors import SuiteError
from harness.files import replacing

RECORD = ".imported.json"  # what the last import wrote: a digest of each file, and the text of each workload


def merge(target: Path, toml: str, sources: Mapping[str, Path]) -> list[str]:
    """Bring an imported suite up to date with what it would be if it were imported anew; the workloads removed.

    ``toml`` is the suite.toml of the new import, ``sources`` its files by their path in the suite. A workload whose
    text in suite.toml is no longer what the import wrote keeps that text, but for the module's hash. A file under
    ``data`` that was changed is kept, and so is every file and workload that no import wrote. Each file is replaced at
    once, suite.toml after the others: a kill leaves a suite that the same command completes. Raises SuiteError where
    suite.toml cannot be read.
    """
    suite_file, wrote = target / "suite.toml", _record(target)
    old_head, old = _blocks(suite_file.read_text(encoding="utf-8"), suite_file)
    _, new = _blocks(toml, suite_file)
    mine = (
        set(wrote["workloads"]) if wrote["workloads"] else {key for key in old if key.startswith("modules/")}
    )
    removed = sorted(key for key in old if key in mine and key not in new)
    kept = {
        key: _merged(key, text, new, wrote["workloads"]) for key, text in old.items() if key not in removed
    }
    for path, source in sources.items():
        content, there = source.read_bytes(), target / path
        edited = there.exists() and wrote["files"].get(path) not in (None, _sha256(there.read_bytes()))
        if not (path.startswith("data/") and edited) and not (
            there.exists() and there.read_bytes() == content
        ):
            with replacing(there) as partial:
                partial.write_bytes(content)
    with replacing(suite_file) as partial:
        partial.write_text(
            old_head + "".join((kept | {k: new[k] for k in new if k not in kept}).values()), "utf-8"
        )
    for path, sha256 in wrote["files"].items():
        there = target / path
        if path not in sources and there.is_file() and _sha256(there.read_bytes()) == sha256:
            there.unlink()
    record(target, toml, sources)
    return [key.partition(" ")[2] for key in removed]


def record(target: Path, toml: str, sources: Mapping[str, Path]) -> None:
    """Note in the suite what an import wrote."""
    files = {path: _sha256(source.read_bytes()) for path, source in sources.items()}
    _, blocks = _blocks(toml, target / "suite.toml")
    with replacing(target / RECORD) as partial:
        partial.write_text(
            json.dumps({"files": files, "workloads": blocks}, indent=1) + "\n", encoding="utf-8"
        )


def _merged(key: str, text: str, new: Mapping[str, str], wrote: Mapping[str, str]) -> str:
    """The text of a workload that suite.toml had before: that, or the new one where it is the import's own."""
    if key not in new or text.strip() == wrote.get(key, "").strip():
        return new.get(key, text)
    fresh = re.search(r"^module_sha256 = .*$", new[key], re.M)
    return re.sub(r"^module_sha256\s*=.*$", fresh[0] if fresh else "", text, count=1, flags=re.M)


def _blocks(toml: str, path: Path) -> tuple[str, dict[str, str]]:
    """What stands before the first workload, and the text of each workload by its module and name."""
    head, *texts = re.split(r"^(?=\[\[workload\]\])", toml, flags=re.M)
    found = {}
    for text in texts:
        try:
            [entry] = tomllib.loads(text)["workload"]
        except (tomllib.TOMLDecodeError, ValueError) as error:
            raise SuiteError(f"{path} cannot be read: {error}; correct it, then import again.") from error
        found[f"{entry.get('module', '')} {entry.get('name', '')}"] = (
            text if text.endswith("\n") else f"{text}\n"
        )
    return head, found


def _record(target: Path) -> dict[str, dict[str, str]]:
    try:
        told = json.loads((target / RECORD).read_text(encoding="utf-8"))
        return {"files": dict(told["files"]), "workloads": dict(told["workloads"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {
            "files": {},
            "workloads": {},
        }  # from before there was a record: nothing is taken for the import's own


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
