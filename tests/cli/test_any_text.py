"""Nothing that a name says and nothing that a stream lacks breaks a command: encodings, widths, sinks, names."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from harness import cli
from harness.cli.app import app
from harness.output import PLAIN, visible
from tests.compare.test_comparison import make
from tests.conftest import Ran

ENCODINGS = ("utf-8", "latin-1", "cp1252", "ascii")
AT_WIDTHS = [("utf-8", "0"), ("latin-1", "20"), ("cp1252", "40"), ("ascii", "80"), ("utf-8", "200")]
COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
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


def run_into(stream: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, bytes]:
    """Exit code of a command with this stdout and stderr, and what both were sent."""
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    code = 0
    try:
        cli.main()
    except SystemExit as leave:
        code = int(leave.code or 0)
    stream.flush()
    return code, stream.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_can_be_printed_in_any_encoding_at_any_width(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoding, width in AT_WIDTHS:
        monkeypatch.setenv("COLUMNS", width)
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        code, sent = run_into(stream, monkeypatch, command, "--help")
        assert code == 0 and f"harness{command}" in re.sub(r"\s", "", sent.decode(encoding)), (
            encoding,
            width,
        )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)], ids=["table", "json", "csv"])
@pytest.mark.parametrize(
    "command", [("status",), ("compare", "-e", "wasmtime-j,wasm3-i")], ids=["status", "compare"]
)
def test_tables_can_be_printed_in_any_encoding(
    command: tuple[str, ...], form: tuple[str, ...], encoding: str, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    code, sent = run_into(stream, monkeypatch, command[0], str(lab), *command[1:], *form)
    assert code == 0
    assert ("wasm3-i" if command[0] == "status" else "other") in sent.decode(encoding)


def test_what_an_encoding_lacks_is_written_in_letters() -> None:
    for symbol in PLAIN:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="harness.plain")
        stream.write(f"{symbol}ж")
        stream.flush()
        assert stream.buffer.getvalue() == f"{PLAIN[symbol]}\\u0436".encode()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sink", "code"), [("pipe", 0), ("closed", 0), ("no reader", 141), ("full", 1), ("file", 0)]
)
@pytest.mark.parametrize(
    "command", [("--help",), ("collect", "--help"), ("status", "LAB"), ("status", "LAB", "--json")]
)
def test_every_kind_of_stdout_ends_a_command_as_it_should(
    sink: str, code: int, command: tuple[str, ...], lab: Path, tmp_path: Path
) -> None:
    if sink == "full" and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    argv = [sys.executable, "-m", "harness.cli", *(str(lab) if word == "LAB" else word for word in command)]
    if sink == "closed":
        argv = ["sh", "-c", 'exec "$@" >&-', "sh", *argv]
    stdout: int | io.BufferedWriter = subprocess.PIPE
    if sink in ("full", "file"):
        stdout = open("/dev/full" if sink == "full" else tmp_path / "out", "wb")  # noqa: SIM115
    process = subprocess.Popen(argv, stdout=stdout, stderr=subprocess.PIPE)
    if sink == "no reader":
        assert process.stdout
        process.stdout.close()
        process.stdout = None
    said = process.communicate()[1].decode()
    assert (process.returncode, "Traceback" in said, "Exception ignored" in said) == (code, False, False), (
        said
    )
    if sink == "full":
        assert "No space left on device" in said


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
