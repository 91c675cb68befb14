"""A small suite in a temporary directory."""

from __future__ import annotations

from pathlib import Path

from harness.suites import Suite, load_suites

FLAGS = (
    """flags = ["--target=wasm32-freestanding", "-mcpu=mvp", "-O1", "-s", "-nostdlib", "-Wl,--no-entry"]"""
)

EMPTY = '__attribute__((export_name("_start"))) void _start(void) {}\n'


def write_suite(root: Path, entries: str, sources: dict[str, str] | None = None, name: str = "toys") -> Path:
    suite = root / name
    suite.mkdir(parents=True, exist_ok=True)
    (suite / "suite.toml").write_text(f'title = "Toys"\n[build]\n{FLAGS}\n{entries}')
    for file, text in (sources or {}).items():
        (suite / file).parent.mkdir(parents=True, exist_ok=True)
        (suite / file).write_text(text)
    return suite


def one_suite(root: Path) -> Suite:
    (suite,) = load_suites(root).values()
    return suite
