"""Every error that a person sees says what to do next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import errors
from tests.conftest import ROOT

SEEN = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.UsageError)
} | {"HarnessError", "FetchError"}  # fmt: skip
# What a module is refused for, or a program that contradicts itself: there is nothing to type.
FACTS_ONLY = {"opcodes"}
ADVICE = re.compile(
    r"`harness |did you mean|known:|\b(name|names|give|leave|take|fetch|install|put|make|create|restore|remove|correct|"
    r"copy|must (be|list)|repeat|wait|see|use|build|run|check|collect|start|"
    r"ask|choose|let|reach|lower|write|train|free|end)\b",
    re.I,
)


def raised(path: Path) -> Iterator[tuple[int, str]]:
    """Line and literal words of every error of SEEN that is raised or returned there with a sentence of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in SEEN - {"UnknownName"}
        ):
            words = "".join(
                part.value
                for argument in node.args
                for part in ast.walk(argument)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            if len(words.split()) > 2:
                yield node.lineno, words


def test_every_sentence_says_what_to_do() -> None:
    mute = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in sorted((ROOT / "harness").rglob("*.py"))
        if not FACTS_ONLY & set(path.parts)
        for line, words in raised(path)
        if not ADVICE.search(words)
    ]
    assert not mute, "\n".join(mute)


def test_a_name_that_is_not_known_comes_with_those_that_are() -> None:
    assert str(errors.UnknownName("engine", "wasm", ["wasm3"], where="x", hint="See y.")) == (
        "no engine named 'wasm' in x; did you mean wasm3? See y."
    )
    assert str(errors.UnknownName("engine", "q", ["wasm3"])) == "no engine named 'q'; known: wasm3."


def test_what_the_system_refuses_is_told_in_its_words_with_the_file_where_nobody_names_it() -> None:
    with pytest.raises(OSError) as found:
        Path("/none/such").read_bytes()
    assert errors.why(found.value) == "/none/such: No such file or directory"
    assert errors.why(found.value, Path("/none/such")) == "No such file or directory"
    arrow = OSError(2, "Failed to open local file '/x'. Detail: [errno 2] No such file or directory")
    assert errors.why(arrow, "/x") == "No such file or directory"
    assert errors.why(ValueError("first\nsecond")) == "first"
    assert errors.why(OSError()) == "OSError"


def shown_as_it_is(path: Path) -> Iterator[str]:
    """Where an error of the system becomes text by itself, which is ``[Errno 2] …: '…'``."""
    for handler in ast.walk(ast.parse(path.read_text())):
        if not isinstance(handler, ast.ExceptHandler) or handler.type is None or "OSError" not in {
            name.id for name in ast.walk(handler.type) if isinstance(name, ast.Name)
        }:  # fmt: skip
            continue
        for node in ast.walk(handler):
            formatted = isinstance(node, ast.FormattedValue) and node.value
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("str", "repr"):
                formatted = node.args[0]
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
                parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
                formatted = next((part for part in parts if ast.unparse(part) == handler.name), False)
            if formatted and ast.unparse(formatted) == handler.name:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_no_error_of_the_system_is_shown_as_python_writes_it() -> None:
    """`errors.why` tells it; what runs on devices has its own way."""
    files = [path for path in (ROOT / "harness").rglob("*.py") if path.name != "errors.py"]
    assert [found for path in sorted(files) for found in shown_as_it_is(path)] == []


def test_no_sentence_names_another_devices_file_than_was_given() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "harness").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr | ast.Raise | ast.Return)
        and any(
            isinstance(part, ast.Constant) and "devices.yaml" in str(part.value) for part in ast.walk(node)
        )
    ]
    assert named == []
