"""Sources that a suite fetches: a source distribution of one exact version and content, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import SuiteError
from harness.files import cache_directory, replacing, scratch, temporary
from harness.processes import run_to_end
from harness.suites.suite import Source


def ensure_sources(source: Source, directory: Path, say: Callable[[str], None]) -> None:
    """Have the sources unpacked in `directory`, fetched where this user never did, which `say` hears of.

    Raises SuiteError where they cannot be fetched or are not those the suite names.
    """
    marker = directory / "sha256"
    if marker.exists() and marker.read_text(encoding="utf-8") == source.sha256:
        return
    archive = cache_directory("sources") / f"{source.sha256}.tar.gz"
    if not archive.exists() or _sha256(archive) != source.sha256:
        say(f"fetching {source.sdist}")
        _fetch(source, archive)
    if directory.exists():
        shutil.rmtree(directory)
    with scratch(directory.parent, "source") as place:
        fresh = place / "source"
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            tar.extractall(fresh)
        for new, old in source.copy.items():
            shutil.copyfile(fresh / source.path / old, fresh / source.path / new)
        (fresh / "sha256").write_text(source.sha256, encoding="utf-8")
        os.replace(fresh, directory)


def _fetch(source: Source, archive: Path) -> None:
    """By pip, from wherever it is told to look; it checks the hash before it runs anything of the package."""
    with temporary("fetch") as folder:
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{source.sdist} --hash=sha256:{source.sha256}\n", encoding="utf-8")
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(wanted),
        ]  # fmt: skip
        done = run_to_end(command)
        found = [path for path in folder.glob("*.tar.gz") if _sha256(path) == source.sha256]
        if not found:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
            reason = said[-1].strip().removeprefix("ERROR: ") if said else "nothing was fetched"
            raise SuiteError(
                f"the sources {source.sdist} cannot be fetched: {reason}; put that archive at {archive}, "
                "or let pip reach an index that has it."
            )
        with replacing(archive) as whole:
            shutil.copyfile(found[0], whole)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
