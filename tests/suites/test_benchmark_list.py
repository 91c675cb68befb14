"""`harness build --import` of a directory with a `benchmarks.json`, and `stdout_matches` from there to a device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wasmtime

from harness.errors import SuiteError
from harness.fleet.payload import Payload
from harness.suites.benchmark_list import read_list
from harness.suites.execute import verify
from harness.suites.imported import import_modules
from tests.devices import FAKE, job_spec, member, push, session

WASI = '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))'
PRINTS = f"""(module {WASI} (memory (export "memory") 1) (data (i32.const 16) "took 12 ms\\n")
  (func (export "_start") (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 11))
  (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "small.txt").write_text("given")
    (folder / "prints.wasm").write_bytes(wasmtime.wat2wasm(PRINTS))
    entries = [
        {"name": "plain", "path": "prints.wasm"},
        {
            "name": "says so",
            "path": "prints.wasm",
            "output-validator": "took \\d+ ms",
            "score-parser": "(\\d+)",
        },
        {"name": "file", "path": "prints.wasm", "args": "--in={path}/assets/small.txt 30 'a b' > /dev/null"},
        {"name": "stdin", "path": "prints.wasm", "args": "< {path}/assets/small.txt > /dev/null"},
    ]
    write(folder, entries)
    return folder


def write(folder: Path, entries: list[dict]) -> None:
    (folder / "benchmarks.json").write_text(json.dumps({"benchmarks": entries}))


def test_every_entry_is_a_workload_with_what_it_is_given(listed: Path, tmp_path: Path) -> None:
    suite = import_modules(listed, "peer", tmp_path / "benchmarks").suite
    assert suite is not None
    plain, says, file, stdin = suite.workloads
    assert [w.name for w in suite.workloads] == ["peer/plain", "peer/says-so", "peer/file", "peer/stdin"]
    assert (says.expect.stdout_matches, plain.expect.stdout_matches) == ("took \\d+ ms", None)
    assert file.argv == ("file", "--in=assets/small.txt", "30", "a b")
    assert [(f.guest, f.host.read_text()) for f in file.files] == [("assets/small.txt", "given")]
    assert stdin.stdin is not None and (stdin.argv, stdin.stdin.read_text()) == (("stdin",), "given")


def test_lists_in_the_directories_of_one_become_its_sizes(listed: Path, tmp_path: Path) -> None:
    suite = import_modules(listed.parent, "peer", tmp_path / "benchmarks").suite
    assert suite is not None
    assert suite.workloads[0].name == "peer/theirs/plain"
    assert [f.guest for f in suite.workloads[2].files] == ["assets/small.txt"]


def test_what_the_output_is_to_match_is_looked_for_here_and_on_a_device(listed: Path, tmp_path: Path) -> None:
    write(listed, [{"name": "w", "path": "prints.wasm", "output-validator": "took .* s$"}])
    suite = import_modules(listed, "peer", tmp_path / "benchmarks").suite
    assert suite is not None
    assert verify(suite.workloads[0]) is not None and "nothing that matches 'took .* s$'" in str(
        verify(suite.workloads[0])
    )
    assert Payload(suite.workloads[0]).spec["expect"]["stdout_matches"] == "took .* s$"
    with session(tmp_path / "device") as agent:
        for wanted, status in (("took \\d+ ms", "ok"), ("took \\d+ s", "wrong_output")):
            expect = {"exit_code": 0, "stdout_sha256": None, "stdout_matches": wanted}
            spec, module = member("w", {"stdout": "it took 12 ms\n"}, expect=expect)
            push(agent, module, engine=FAKE)
            result = agent.run("d", job_spec(spec), 60)
            assert result is not None and result.members[0].status == status


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"entrypoint": "wait"}, "w: it is entered at the function wait, and a workload at _start"),
        ({"args": "a | b"}, "w: its arguments ask for a shell: a | b"),
        ({"args": "{path}/assets/none"}, "w: there is no file assets/none"),
        ({"args": "{path}/../secret"}, "w: there is no file ../secret"),
        ({"output-validator": "("}, "w: its output-validator is not a regular expression"),
        ({"args": "'open"}, "w: No closing quotation"),
    ],
)
def test_an_entry_that_cannot_be_a_workload_is_refused_with_the_reason(
    entry: dict, reason: str, listed: Path
) -> None:
    (listed.parent / "secret").touch()
    write(listed, [{"name": "w", "path": "prints.wasm"} | entry])
    found, refused = read_list(listed / "benchmarks.json")
    assert (found, list(refused)) == ([], [listed / "prints.wasm"])
    assert refused[listed / "prints.wasm"].startswith(reason)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not a list of benchmarks: .*; correct it or move it away"),
        ('{"benchmarks": [{"name": "w"}]}', "missing required field `path`"),
        (
            '{"benchmarks": [{"name": "w", "path": "none.wasm"}]}',
            "w: there is no file none.wasm; put it there",
        ),
    ],
)
def test_a_list_that_is_none_is_told(text: str, problem: str, listed: Path, tmp_path: Path) -> None:
    (listed / "benchmarks.json").write_text(text)
    with pytest.raises(SuiteError, match=problem):
        import_modules(listed, "peer", tmp_path / "benchmarks")
