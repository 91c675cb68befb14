"""Nothing that a name says and nothing that a stream lacks breaks a command: encodings, widths, sinks, names."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.spelling import PLAIN, visible
from tests.compare.test_comparison import make
from tests.conftest import Ran

ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Markup, emoji codes, control sequences, quotes, separators, directions, shell words, numbers, nothing.
HOSTILE = [
    "[lab]", "[/old]", "[bold red]x[/]", "a:banana:b", ":b:", "x\x1b[31mred",
    "x\x1b]0;title\x07", "a\rb", "a\bb", "\u202egnp.exe", "\u200b", "a\u2028b", "a\u2029b",
    "\x9b31m", "ä", "e\u0301", "ε", "🅱", "名前", "a b", "'", '"', "`x`", "$(id)", "${HOME}",
    ";id", "|id", "&", ">x", "*", "?", "~", "~root", "-", "--", "--help?", "-x y", "%s", "%n",
    "{0}", "{x}", "\\", "\\n", "../..", "..", "a/../b", "//", "a//b", "/", "NULL", "nan", "inf",
    "0", "-1", "1e400", "None", "True", "=1+1", "@x", "#", "#x", "a,b", "a;b", "a:b:c", "a=b",
    "a&b", "<b>", "</script>", "&lt;", "a" * 300, "é" * 200, "a\tb", "a\nb", "\x7f", "\x01",
    "\ufeff", "\ufffd", "\U0010ffff", "COM1", "con", "lost+found", ".", ".hidden", " ", "  x",
    "x ", "\u00a0", "ß", "ſ", "İ", "ı", "ǆ", "x\u0300" * 30, "\u0640", "\u0e33", "한글", "עברית",
    "العربية", "👩‍👩‍👧", "\u2060", "º", "½",
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("lab") / "[lab] :banana:", {"wasmtime-j:pi": 1.0, "wasm3-i:pi": 2.0})


def test_what_an_encoding_lacks_is_written_in_letters() -> None:
    for symbol in PLAIN:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="harness.plain")
        stream.write(f"{symbol}ж")
        stream.flush()
        assert stream.buffer.getvalue() == f"{PLAIN[symbol]}\\u0436".encode()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("sink", "code"), [("closed", 1), ("no reader", 141)])
def test_a_process_whose_stdout_leads_nowhere_says_so_or_ends_quietly(
    sink: str, code: int, lab: Path
) -> None:
    argv = [sys.executable, "-m", "harness.cli", "status", str(lab)]
    if sink == "closed":
        argv = ["sh", "-c", 'exec "$@" >&-', "sh", *argv]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if sink == "no reader":
        assert process.stdout
        process.stdout.close()
        process.stdout = None
    said = process.communicate()[1].decode()
    assert (process.returncode, "Traceback" in said, "Exception ignored" in said) == (code, False, False), (
        said
    )
    assert ("what was printed could not be written: stdout is closed" in said) == (sink == "closed")


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_name_is_answered_in_a_sentence(
    number: int,
    harness: Callable[..., Ran],
    model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever a person may type a name: exit code 2 and text that only says what it says.

    Each name is tried at every third of the places, so that each place sees every third name.
    """
    monkeypatch.chdir(tmp_path)
    name = HOSTILE[number]
    places = (
        ("status", name),
        ("predict", str(model_path), f"--workload={name}"),
        ("predict", str(model_path), f"--device={name}"),
        ("predict", name),
        ("count", f"zz/{name}"),
        ("build", f"zz/{name}"),
        ("collect", "-o", "new", f"--engine={name}"),
        ("collect", "-o", "new", f"--device={name}"),
        ("compare", name, name),
        ("export", name, "-o", "somewhere"),
    )
    for command in places[number % 3 :: 3]:
        ran = harness(*command)
        everything = ran.code == 0 and command[0] == "predict" and name in ("*", "")
        assert ran.code == 2 or everything, (command, ran)
        assert not ACTING.search(ran.err), (command, ran.err)
        assert "Traceback" not in ran.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "name", ["[lab]", "[/old]", "a:banana:b", "ä", "a b", "$(id)", "x\x1b[31m", "名前", "-x"]
)
def test_a_dataset_may_be_called_anything_a_directory_may(
    name: str, harness: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name, {"wasmtime-j:pi": 1.0, "wasm3-i:pi": 2.0})
    assert json.loads(harness("status", "--json", "--", name).out)
    ran = harness("report", "--", name)
    assert ran.code == 0
    assert visible(f"{name}/report.html") in ran.err + ran.out
    assert (tmp_path / name / "report.html").exists()
