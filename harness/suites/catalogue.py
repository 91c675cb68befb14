"""Where suites are found, and which workloads a name or a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from harness.errors import SuiteError, UnknownName
from harness.suites.suite import Suite, Workload
from harness.suites.suite_file import read_suite


def load_suites(root: str | Path | None = None) -> dict[str, Suite]:
    """Every suite under `root`, by name.

    Without a root: `benchmarks/` of the current directory, else that of the checkout this package comes from.
    Raises SuiteError where there is none or one is malformed.
    """
    root = default_root() if root is None else Path(root)
    suites = {path.parent.name: read_suite(path) for path in sorted(root.resolve().glob("*/suite.toml"))}
    if not suites:
        raise SuiteError(
            f"no suite at {root / '*' / 'suite.toml'}; run in a checkout of harness, where benchmarks/ is."
        )
    return suites


def load_workloads(root: str | Path | None = None) -> dict[str, Workload]:
    """Every workload of every suite under `root`, by name, in the order of the suite files."""
    return {w.name: w for suite in load_suites(root).values() for w in suite.workloads}


def select(
    workloads: Mapping[str, Workload], patterns: Iterable[str], *, heavy: bool = False
) -> list[Workload]:
    """The workloads that `patterns` name, each once, in the order of `workloads`.

    A pattern is a workload's name, a suite, `suite/size`, or a glob such as ``*/small/g*`` or ``*/mini``. No
    pattern means all of them but the optional ones and, without `heavy`, the heavy ones. Raises UnknownName for a
    pattern that names nothing.
    """
    patterns = list(patterns)
    if not patterns:
        return [w for w in workloads.values() if not w.optional and (heavy or not w.heavy)]
    chosen: set[str] = set()
    for pattern in patterns:
        group = pattern.rstrip("/") + "/*"
        found = {n for n in workloads if n == pattern or fnmatchcase(n, pattern) or fnmatchcase(n, group)}
        if not found:
            groups = {n.rsplit("/", depth)[0] for n in workloads for depth in (1, 2)}
            raise UnknownName("workload", pattern, groups | set(workloads))
        chosen |= found
    return [w for name, w in workloads.items() if name in chosen]


def default_root() -> Path:
    here = Path("benchmarks")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "benchmarks"
