"""Whether built modules are right, remembered in a `verified.json` beside them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from pathlib import Path

from harness.errors import SuiteError
from harness.suites.execute import verify
from harness.suites.suite import Recipe, Suite, Workload

LIMIT_S = 600.0
RIGHT = ("as expected", "not fixed")
_LOCK = threading.Lock()


def judge(suite: Suite, workload: Workload, recipe: Recipe, *, force: bool = False) -> str:
    """ "as expected", "not fixed" where the suite does not say what is printed, or what is wrong in one sentence.

    Where the suite has a check for the workload, "as expected" means that the check ended well too.
    """
    key, path = _identity(workload, recipe), suite.built / "verified.json"
    right = RIGHT[0] if workload.expect.stdout_sha256 or recipe.check else RIGHT[1]
    if not force and _read(path).get(workload.name) == key:
        return right
    wrong = verify(workload, limit_s=LIMIT_S)
    if wrong is None and recipe.check is not None:
        wrong = verify(recipe.check.workload, limit_s=LIMIT_S)
        if wrong is not None:
            return f"the check of {wrong}"
    if wrong is None:
        _remember(path, workload.name, key)
        return right
    return wrong


def _identity(workload: Workload, recipe: Recipe) -> str:
    digest = hashlib.sha256()
    for one in (workload, *([recipe.check.workload] if recipe.check else [])):
        content = [one.module, *filter(None, [one.stdin]), *(file.host for file in one.files)]
        parts = [one.argv, [file.guest for file in one.files], one.expect.exit_code, one.expect.stdout_sha256]
        digest.update(json.dumps(parts).encode())
        for path in content:
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as e:
                raise SuiteError(
                    f"{workload.name} needs {path}, which cannot be read: {e.strerror}; put it there."
                ) from e
    return digest.hexdigest()


def _read(path: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return found
    return {}


def _remember(path: Path, name: str, key: str) -> None:
    with _LOCK:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(_read(path) | {name: key}, indent=0, sort_keys=True) + "\n")
        os.replace(fresh, path)
