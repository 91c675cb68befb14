"""`import harness` for other programs: what it offers is complete, and costs nothing until it is used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import harness
from harness import errors

INIT = Path(harness.__file__)


def test_every_public_name_exists_once_and_is_told_to_type_checkers() -> None:
    for name in harness.__all__:
        assert getattr(harness, name) is not None
        assert name in dir(harness)
    told = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(INIT.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness.")
        for alias in node.names
    ]
    assert sorted([*(name for _, name in told), "__version__"]) == sorted(harness.__all__)
    for place, name in told:
        assert getattr(importlib.import_module(place), name) is getattr(harness, name)


def test_every_error_that_is_raised_is_public() -> None:
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert raised <= set(harness.__all__)


def test_no_public_name_is_hidden_by_a_module_of_the_same_name() -> None:
    """`harness.learn.train` is the module once anything imported it, whatever `__getattr__` says."""
    modules = {path.stem for path in INIT.parent.iterdir()}
    assert modules.isdisjoint(harness.__all__)


def test_importing_harness_imports_none_of_its_modules() -> None:
    code = "import sys, harness; print([name for name in sys.modules if name.startswith('harness.')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
