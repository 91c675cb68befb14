"""What a dask cluster does for `harness`: a scheduler and two workers, processes of their own, come to the same."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer

import pyarrow.parquet as pq
import pytest

from harness.dataset import pieces
from harness.dataset.store import Dataset
from harness.errors import DatasetError, ModelError
from harness.learn import cluster
from harness.learn.cells import cells, run
from harness.learn.train import train
from tests.conftest import ROOT, synthetic
from tests.learn.test_train import dataset

pytest.importorskip("distributed", reason="dask is not installed; pip install 'harness[dask]'")


class Speaking(BaseRequestHandler):
    """As a web server that answers before it is asked."""

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)


class Cluster:
    """``block`` names a module that its workers do not have."""

    def __init__(self, place: Path, workers: int, block: str = "") -> None:
        self.place, self.running = place, list[subprocess.Popen[bytes]]()
        file = place / "scheduler.json"
        options = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
        self._start("dask_scheduler", "--port", "0", *options)
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.1)
        self.address = json.loads(file.read_text())["address"]
        more = []
        if block:
            (place / "block.py").write_text(f"import sys; sys.modules[{block!r}] = None")
            more = ["--preload", str(place / "block.py")]
        for _ in range(workers):
            self._start("dask_worker", "--nthreads", "1", "--no-nanny", *more, *options)

    def _start(self, what: str, *options: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{what}", *options]
        own = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        with open(self.place / "log", "ab") as log:
            self.running.append(subprocess.Popen(command, cwd=self.place, stderr=log, env=own))

    def end(self) -> None:
        for process in reversed(self.running):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"), workers=2)
    yield found
    found.end()


def test_a_cluster_evaluates_as_one_machine_does(running: Cluster) -> None:
    observations, features = synthetic(400)
    wanted = cells(["start-up", "log-linear"], ["row"], [0.5, 0.8], 1)
    here = dict(run(wanted, observations, features))
    there = dict(run(wanted, observations, features, dask=running.address))
    assert {cell: [row["mape"] for row in rows] for cell, rows in there.items()} == {
        cell: [row["mape"] for row in rows] for cell, rows in here.items()
    }


@pytest.mark.parametrize("many", [500, 10**6])
def test_a_cluster_reads_what_one_machine_would(
    many: int, running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.learn.arrays.MANY", many)
    monkeypatch.setattr(pieces, "PIECE", 1)
    data = Dataset.open(dataset(tmp_path, platforms=4, workloads=8, rows=1600, degrees=2))
    [path] = (data.root / "observations").iterdir()
    rows = pq.read_table(path)
    for number, (first, end) in enumerate(
        [(0, 300), (300, 700), (600, 1100), (1100, 1600)]
    ):  # some rows twice
        pq.write_table(rows[first:end], path.with_name(f"{number}.parquet"))
    path.unlink()
    here = train(data)
    here.model.save(tmp_path / "here.npz")
    train(data, dask=running.address).model.save(tmp_path / "there.npz")
    assert here.rows == 1600
    assert (tmp_path / "there.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (0, "has no workers; start some with: dask worker tcp://"),
        (1, r"has no harness \(.*\); install there what is here, harness \d"),
    ],
)
def test_a_cluster_that_cannot_work_says_why(
    workers: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWERS_S", 1.0 if not workers else 60.0)
    lame = Cluster(tmp_path, workers, block="harness")
    try:
        with pytest.raises(ModelError, match=told):
            train(Dataset.open(dataset(tmp_path, platforms=2, workloads=4, rows=40)), dask=lame.address)
    finally:
        lame.end()


def test_a_dask_scheduler_that_is_not_there_is_told(harness, tmp_path: Path) -> None:
    observations, features = synthetic(300)
    wanted = cells(["start-up"], ["row"], [0.5], 1)
    with pytest.raises(ModelError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(run(wanted, observations, features, dask="tcp://127.0.0.1:9"))
    data = dataset(tmp_path, platforms=2, workloads=4, rows=40)
    ran = harness("train", data, "-o", tmp_path / "m.npz", "--dask", "nowhere")
    assert (ran.code, "Traceback" in ran.err) == (2, False)
    assert "no dask scheduler answers at nowhere" in ran.err


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a web server."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of what accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def hasty() -> Iterator[int]:
    with TCPServer(("127.0.0.1", 0), Speaking) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ("web", "what listens there, if anything does, says nothing that one would within 1 s"),
        ("mute", "what listens there, if anything does, says nothing that one would within 1 s"),
        ("hasty", "what listens there speaks otherwise"),
    ],
)
def test_a_server_of_something_else_is_told_soon(
    other: str, told: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWERS_S", 1.0)
    address = f"127.0.0.1:{request.getfixturevalue(other)}"
    begun = time.monotonic()
    with (
        pytest.raises(ModelError, match=f"no dask scheduler answers at {address}: {told}; name another"),
        cluster.workers_at(address),
    ):
        pass
    assert time.monotonic() - begun < 5


def slow(_: int) -> None:
    time.sleep(60)


def late(_: int) -> None:
    raise TimeoutError("a disk far away did not answer")


@pytest.mark.parametrize(
    ("work", "given", "told"),
    [
        (
            Path.read_bytes,
            Path("/none/such"),
            "cannot read the dataset: /none/such: No such file or directory; let",
        ),
        (late, 1, "cannot read the dataset: a disk far away did not answer; let"),
    ],
)
def test_a_file_that_a_worker_cannot_read_is_no_lost_scheduler(
    work, given, told: str, running: Cluster
) -> None:
    with (
        pytest.raises(DatasetError, match=f"a worker of the dask scheduler at {running.address} {told}"),
        cluster.workers_at(running.address) as across,
    ):
        list(across(work, [given]))


def test_a_file_that_cannot_be_read_here_is_no_lost_scheduler(running: Cluster, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), cluster.workers_at(running.address) as across:
        list(across(str, (path.read_bytes() for path in [tmp_path / "none"])))


def test_a_scheduler_that_goes_away_is_told(tmp_path: Path) -> None:
    own = Cluster(tmp_path, workers=1)
    going = threading.Timer(5, own.end)
    going.start()
    try:
        with (
            pytest.raises(ModelError, match=f"the dask scheduler at {own.address} went away; start it again"),
            cluster.workers_at(own.address) as across,
        ):
            list(across(slow, [1]))
    finally:
        going.join()
        own.end()
