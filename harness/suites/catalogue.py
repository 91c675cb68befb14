"""Where suites are found, and which workloads a name or a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from harness import __version__
from harness.errors import SuiteError, UnknownName
from harness.files import cache_directory, real
from harness.suites.suite import Suite, Workload
from harness.suites.suite_file import read_suite

OWN = Path("benchmarks")  # where a user's own suites are, in the working directory


def load_suites(root: str | Path | None = None) -> dict[str, Suite]:
    """Every suite, by name: those that harness ships, and the user's own under `root`.

    Without a root: `benchmarks/` of the working directory, where there is one. A copy of a shipped suite stands
    for it, and is built where it lies. Raises SuiteError where an own suite is malformed or has the name of a
    shipped one without being the same, and where a root that was named has no suite.
    """
    place = OWN if root is None else Path(root)
    if real(place) == shipped_root():
        return shipped()
    found, own = shipped(), suites_in(place)
    if root is not None and not own:
        raise SuiteError(
            f"no suite at {Path(root) / '*' / 'suite.toml'}; name the directory that holds your suites, or leave "
            "--benchmarks out."
        )
    for name, suite in own.items():
        if name in found and not _copied(found[name], suite):
            raise SuiteError(
                f"{suite.root} is another suite than the {name} that harness ships; give its directory another "
                "name, as that is the suite's name, or in a checkout of another version run that version's harness."
            )
    return found | own


def shipped() -> dict[str, Suite]:
    """The suites that come with harness, by name. Raises SuiteError where this installation lacks them."""
    root = shipped_root()
    found = suites_in(root)
    if not found:
        raise SuiteError(f"this installation of harness has no suite at {root}; install it again.")
    return found


def shipped_root() -> Path:
    """Where the shipped suites lie: inside an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "benchmarks"
    return inside if inside.is_dir() else package.parent / "benchmarks"


def suites_in(root: Path) -> dict[str, Suite]:
    """The suites of one directory, by name, none where it has none. Raises SuiteError where one is malformed.

    What a suite makes goes into its own `build/`, but never into an installed package: what its suites make goes to
    the user's cache, in a directory for this version of harness.
    """
    root = real(root)
    cache = cache_directory("suites") / __version__ if _installed(root) else None
    return {
        path.parent.name: read_suite(path, cache and cache / path.parent.name)
        for path in sorted(root.glob("*/suite.toml"))
    }


def _installed(root: Path) -> bool:
    return root.is_relative_to(Path(__file__).resolve().parents[1])


def _copied(original: Suite, suite: Suite) -> bool:
    """Whether the other suite executes the same: suite.toml and every source of the original lie there too, byte
    for byte. Scripts do not count, since suite.toml has the hashes of what they make."""
    if original.root == suite.root:
        return True
    for path in original.root.rglob("*"):
        inside = path.relative_to(original.root)
        if inside.parts[0] == "build" or path.suffix in (".py", ".pyc") or not path.is_file():
            continue
        copy = suite.root / inside
        if not copy.is_file() or copy.read_bytes() != path.read_bytes():
            return False
    return True


def load_workloads(root: str | Path | None = None) -> dict[str, Workload]:
    """Every workload of the suites of :func:`load_suites`, by name, in the order of the suite files."""
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
