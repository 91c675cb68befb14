"""`harness import --fetch` against a server that drops connections, ignores ranges and sends the wrong bytes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.dataset import fetch
from harness.dataset.store import Dataset
from tests.dataset.test_published import write_all


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``tricks`` are taken one a request, then it behaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.tricks: list[str] = []
        self.asked: list[tuple[str, str | None]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, wanted = self.path.strip("/"), self.headers.get("Range")
        self.server.asked.append((name, wanted))
        trick = self.server.tricks.pop(0) if self.server.tricks else ""
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        if trick == "unwell":
            self.send_error(503)
            return
        if trick == "wrong":
            content = bytes(len(content))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and trick != "no ranges" else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if trick == "shifted" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", '"one"')
        body = content[start:] + (b"more" if trick == "longer" else b"")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if trick == "drop" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "PAUSE_S", 0.001)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def manifest(server: Server, tmp_path: Path) -> Path:
    """Of data.npz and if2.npz, pinned; both are served."""
    given = write_all(tmp_path / "given")
    files = []
    for name in ("data.npz", "if2.npz"):
        content = server.files[name] = (given / name).read_bytes()
        files.append(
            {"name": name, "url": server.url(name), "bytes": len(content), "sha256": sha256(content)}
        )
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"files": files}))
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_files_are_fetched_checked_and_imported_and_not_fetched_again(
    harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    command = ["import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o"]
    ran = harness(*command, tmp_path / "data")
    assert ran.code == 0, ran.err
    assert {path.name for path in (tmp_path / "got").iterdir()} == {"data.npz", "if2.npz", "manifest.json"}
    assert all((tmp_path / "got" / name).read_bytes() == server.files[name] for name in server.files)
    assert len(Dataset.open(tmp_path / "data").observations(["job"])) == 600
    asked = len(server.asked)
    assert harness(*command, tmp_path / "again").code == 0
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    "tricks", [["drop"], ["drop", "drop", "drop"], ["unwell", "drop"], ["drop", "shifted"]]
)
def test_a_lost_connection_is_taken_up_where_it_broke(
    tricks: list[str], harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    server.tricks = [*tricks]
    ran = harness("import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data")
    assert ran.code == 0, ran.err
    assert (tmp_path / "got" / "data.npz").read_bytes() == server.files["data.npz"]
    half = len(server.files["data.npz"]) // 2
    assert ("data.npz", f"bytes={half}-") in server.asked


def test_a_server_that_ignores_ranges_sends_it_all_again(
    harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    server.tricks = ["drop", "no ranges"]
    assert harness(
        "import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data"
    ).code == 0  # fmt: skip
    assert (tmp_path / "got" / "data.npz").read_bytes() == server.files["data.npz"]


def test_a_later_run_goes_on_where_the_last_one_gave_up(
    harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    server.tricks = ["drop"] + ["unwell"] * (fetch.TRIES - 1)
    command = ["import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data"]
    ran = harness(*command)
    assert (ran.code, len(ran.err.strip().splitlines())) == (1, 1)
    assert "cannot be fetched (it answers 503); repeat the command to go on where it broke" in ran.err
    assert not (tmp_path / "data").exists()
    server.asked.clear()
    assert harness(*command).code == 0
    assert server.asked[0] == ("data.npz", f"bytes={len(server.files['data.npz']) // 2}-")


@pytest.mark.parametrize(("trick", "told"), [("wrong", "has SHA-256 "), ("longer", "sends more than")])
def test_wrong_bytes_are_refused_and_not_kept(
    trick: str, told: str, harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    server.tricks = [trick]
    ran = harness("import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data")
    assert (ran.code, len(ran.err.strip().splitlines())) == (1, 1)
    assert told in ran.err
    assert "check the URL or the manifest" in ran.err
    assert not (tmp_path / "got" / "data.npz").exists()
    assert not (tmp_path / "data").exists()
    partial = tmp_path / "got" / "data.npz.partial"
    assert not partial.exists() or partial.stat().st_size == 0


def test_a_file_that_is_there_but_wrong_is_refused_and_left_alone(
    harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    (tmp_path / "got").mkdir()
    (tmp_path / "got" / "data.npz").write_bytes(b"mine")
    ran = harness("import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data")
    assert ran.code == 1
    assert "has 4 bytes, not the" in ran.err
    assert (tmp_path / "got" / "data.npz").read_bytes() == b"mine"
    assert server.asked == []


def test_what_is_not_pinned_is_said_and_pinned_by_what_came(
    harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    loose = [{"name": name, "url": server.url(name)} for name in server.files]
    (tmp_path / "loose.json").write_text(json.dumps({"files": loose}))
    ran = harness(
        "import", "--fetch", "--manifest", tmp_path / "loose.json", tmp_path / "got", "-o", tmp_path / "data"
    )
    assert ran.code == 0
    assert f"not pinned; its SHA-256 is {sha256(server.files['if2.npz'])}" in ran.err
    written = json.loads((tmp_path / "got" / "manifest.json").read_text())
    assert written == json.loads(manifest.read_text())


def blob_of(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def test_a_file_is_as_well_pinned_by_the_name_git_gives_it(
    harness, server: Server, manifest: Path, tmp_path: Path
) -> None:
    assert blob_of(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # as `git hash-object` says
    files = json.loads(manifest.read_text())["files"]
    for file in files:
        del file["sha256"], file["bytes"]
        file["git_blob"] = blob_of(server.files[file["name"]])
    manifest.write_text(json.dumps({"files": files}))
    command = ["import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data"]
    server.tricks = ["wrong"]
    ran = harness(*command)
    assert (ran.code, (tmp_path / "got" / "data.npz").exists()) == (1, False)
    assert f", not {files[0]['git_blob']} as the manifest says; it was not kept" in ran.err
    server.tricks = ["drop"] + ["unwell"] * (fetch.TRIES - 1)
    assert harness(*command).code == 1
    server.asked.clear()
    ran = harness(*command)
    assert (ran.code, "not pinned" in ran.err) == (0, False)
    assert server.asked[0] == ("data.npz", f"bytes={len(server.files['data.npz']) // 2}-")
    written = json.loads((tmp_path / "got" / "manifest.json").read_text())["files"]
    assert [file["git_blob"] for file in written] == [file["git_blob"] for file in files]


def test_a_missing_url_says_what_to_name(harness, server: Server, manifest: Path, tmp_path: Path) -> None:
    del server.files["if2.npz"]
    ran = harness("import", "--fetch", "--manifest", manifest, tmp_path / "got", "-o", tmp_path / "data")
    assert ran.code == 1
    assert "if2.npz answers 404 Not Found; name other URLs with --manifest" in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not a manifest"),
        ('{"files": [{"name": "../data.npz", "url": "http://x/"}]}', "is not a manifest"),
        ('{"files": [{"name": "data.npz", "url": "file:///etc/passwd"}]}', "is not a manifest"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_manifest_is_one_sentence(text: str | None, told: str, harness, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    if text is not None:
        path.write_text(text)
    ran = harness("import", "--fetch", "--manifest", path, tmp_path / "got", "-o", tmp_path / "data")
    assert (ran.code, ran.out, len(ran.err.strip().splitlines())) == (2, "", 1)
    assert told in ran.err
    assert not (tmp_path / "got").exists()


def test_the_manifest_that_comes_with_harness_pins_the_four_files_of_one_commit() -> None:
    files = fetch.read_manifest(None).files
    assert [source.name for source in files] == ["data.npz", "if2.npz", "if3.npz", "if4.npz"]
    assert all(source.pinned for source in files)
    [commit] = {source.url.removesuffix(source.name) for source in files}
    assert commit.endswith("/b94541c2bee815be183b4bb3dda9685afb41e2e7/data/")
