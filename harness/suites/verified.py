"""Whether built modules are right, remembered in a `verified.json` beside them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from pathlib import Path

from harness.errors import ModuleError, SuiteError
from harness.files import replacing
from harness.suites.execute import MEMORY_BYTES, verify
from harness.suites.suite import LARGEST_EXIT_CODE, Expectation, Recipe, Suite, Workload

LIMIT_S = 600.0
RIGHT = ("as expected", "ran")
_LOCK = threading.Lock()


def judge(
    suite: Suite,
    workload: Workload,
    recipe: Recipe,
    *,
    force: bool = False,
    limit_s: float = LIMIT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> str:
    """ "as expected", "ran" where the suite does not say what is printed, or what is wrong in one sentence.

    Where the suite has a check for the workload, "as expected" means that the check ended well too.
    """
    try:
        return _judged(suite, workload, recipe, force, limit_s, memory_bytes)
    except ModuleError as error:
        return str(error)


def _judged(
    suite: Suite, workload: Workload, recipe: Recipe, force: bool, limit_s: float, memory_bytes: int
) -> str:
    key, path = _identity(workload, recipe), suite.built / "verified.json"
    expect = workload.expect
    right = RIGHT[0] if expect.stdout_sha256 or expect.stdout_matches or recipe.check else RIGHT[1]
    if not force and _read(path).get(workload.name) == key:
        return right
    wrong = verify(workload, limit_s=limit_s, memory_bytes=memory_bytes)
    if wrong is None and recipe.check is not None:
        wrong = verify(recipe.check.workload, limit_s=limit_s, memory_bytes=memory_bytes)
        if wrong is not None:
            return f"the check of {wrong}"
    if wrong is None:
        _remember(path, workload.name, key)
        return right
    if (
        "ended with exit code" in wrong and workload.expect == Expectation()
    ):  # nobody has said what it should give
        code = wrong.partition("exit code ")[2].partition(",")[0]
        if int(code) > LARGEST_EXIT_CODE:
            return (
                f"{wrong.rstrip('.')}; engines pass on none above {LARGEST_EXIT_CODE}, so make it end with a smaller "
                "one, or give it in suite.toml what it needs (args, stdin, files)."
            )
        return (
            f"{wrong.rstrip('.')}; if that is right, write exit_code = {code} for it into suite.toml, "
            "else give it there what it needs (args, stdin, files)."
        )
    return wrong


def _identity(workload: Workload, recipe: Recipe) -> str:
    digest = hashlib.sha256()
    for one in (workload, *([recipe.check.workload] if recipe.check else [])):
        content = [one.module, *filter(None, [one.stdin]), *(file.host for file in one.files)]
        expect = one.expect
        parts = [one.argv, [file.guest for file in one.files], expect.exit_code, expect.stdout_sha256]
        parts += [expect.stdout_matches] if expect.stdout_matches else []
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
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _remember(path: Path, name: str, key: str) -> None:
    with _LOCK, replacing(path) as partial:
        partial.write_text(
            json.dumps(_read(path) | {name: key}, indent=0, sort_keys=True) + "\n", encoding="utf-8"
        )
