"""The house: imports fall from the command line to the ground floor, without a circle, in rooms of their own."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

# From the ground up; rooms on one line do not import each other.
FLOORS = (
    {"spelling"},
    {"errors", "files", "output", "processes", "progress", "streams"},
    {"opcodes"},
    {"dataset"},
    {"suites"},
    {"engines"},
    {"fleet"},
    {"measure", "learn"},
    {"decide", "compare"},
    {"report"},
    {"cli"},
)
LONGEST = 300
LONG_ON_PURPOSE = {
    "harness/fleet/agent.py",  # one file, so that one file is sent
    "harness/engines/runners/wasi_host.py",  # the whole of WASI
    "harness/opcodes/instruction_table.py",  # data
}


def python_files() -> list[Path]:
    return sorted([*(ROOT / "harness").rglob("*.py"), *(ROOT / "pitot_core").rglob("*.py")])


@cache
def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, known: set[str]) -> set[str]:
    """The project's modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known - {module_of(path)}


@cache
def graph() -> dict[str, set[str]]:
    files = python_files()
    known = {module_of(path) for path in files}
    return {module_of(path): imports_of(path, known) for path in files}


def room(module: str) -> str:
    """The room of a module of harness; the package itself, which imports lazily, is in none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_imports_only_point_down() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    wrong = [
        f"{module} imports {other}"
        for module, others in graph().items()
        if module.startswith("harness.")
        for other in others
        if other.startswith("harness.")
        and room(module) != room(other)
        and floor[room(other)] >= floor[room(module)]
    ]
    assert wrong == []


def test_pitot_core_knows_nothing_of_the_harness() -> None:
    assert not [m for m, others in graph().items() if m.startswith("pitot_core") and any(
        o.startswith("harness") for o in others
    )]  # fmt: skip


def test_no_file_imports_itself_by_way_of_others() -> None:
    """A package's own `__init__` counts as what it imports; that a file lies in a package does not."""
    arrows = {module: others - {"harness"} for module, others in graph().items()}
    height: dict[str, int] = {}

    def climb(module: str, below: tuple[str, ...]) -> int:
        assert module not in below, " → ".join([*below[below.index(module) :], module])
        if module not in height:
            height[module] = 1 + max((climb(other, (*below, module)) for other in arrows[module]), default=0)
        return height[module]

    for module in arrows:
        climb(module, ())


def test_at_most_ten_floors_of_rooms() -> None:
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, others in graph().items():
        if module.startswith("harness."):
            rooms[room(module)] |= {room(o) for o in others if o.startswith("harness.")} - {room(module), ""}

    def height(name: str) -> int:
        return 1 + max(map(height, rooms[name]), default=0)

    assert height("cli") <= len(FLOORS)


def test_files_are_short_enough_to_read_in_one_go() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: n for name, n in lines.items() if n > LONGEST and name not in LONG_ON_PURPOSE} == {}


def test_a_file_name_means_one_thing() -> None:
    files = (ROOT / "harness").rglob("*.py")
    names = Counter(path.name for path in files if not path.name.startswith("__"))
    assert [name for name, times in names.items() if times > 1] == []


def test_every_room_says_what_it_is_for() -> None:
    for init in (ROOT / "harness").glob("*/__init__.py"):
        assert len(ast.get_docstring(ast.parse(init.read_text())) or "") > 60, init


def test_what_is_text_is_utf_8_whatever_the_locale() -> None:
    """Every file and program that is read or written as text says so; but for what runs on devices, in ASCII."""
    silent = []
    for path in python_files():
        if "runners" in path.parts or path.name == "agent.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_text(node) and "encoding" not in _keywords(node):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert silent == []


def _keywords(node: ast.Call) -> dict[str | None, ast.expr]:
    return {one.arg: one.value for one in node.keywords}


def _is_text(node: ast.Call) -> bool:
    """A file that is opened as text by its name, or a program whose output is."""
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    if name in ("read_text", "write_text"):
        return len(node.args) == (name == "write_text")  # one more is the encoding
    if name in ("run", "Popen", "check_output"):
        return "text" in _keywords(node)
    mode = [*node.args[1:2], *(value for key, value in _keywords(node).items() if key == "mode")]
    return isinstance(node.func, ast.Name) and name == "open" and "b" not in "".join(map(ast.unparse, mode))
