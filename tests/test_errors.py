"""Every error that a person sees says what to do next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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
