"""`harness watch`: what it tells, how soon, how long it can go on, and whom it answers."""

from __future__ import annotations

import gc
import http.client
import json
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.dataset.info import Settings
from harness.dataset.now import Doing, Now, write_now
from harness.dataset.records import Entry, Job, JobResult, MemberResult, Sample, State
from harness.dataset.store import Dataset
from harness.measure.board import ALONE, BESIDE, FAILED, LEFT, Board
from harness.measure.course import PROGRESS, Expected, Progress
from harness.measure.lanes import lanes
from harness.report import live_server
from harness.report.live_feed import Feed
from harness.report.live_server import Server, serving

EVIL = "s/<img src=x onerror=alert(1)>"
BATCH = 36  # jobs between two looks, so that eight hours pass in seconds
START_NS = 1_790_000_000_000_000_000


def ended(
    number: int, *workloads: str, device: str = "pi", status: str = "ok", took_ns: int = 1000, purpose: str = "measure",
    attempt: int = 1,
) -> Entry:  # fmt: skip
    job = Job(f"job{number}", device, "e", workloads, purpose, 0, 5, 3.0, 1.0)  # type: ignore[arg-type]
    samples = [Sample(10, took_ns, 0, 0, 0, True)] if status == "ok" else []
    state = State(temperature_c=40.0 + number, throttle_count=3 + number)
    members = [MemberResult(name, status, "", samples) for name in workloads]  # type: ignore[arg-type]
    result = JobResult(job.id, START_NS + number * 10**10, State(), members, state)
    return Entry(job, result, "1", "1", attempt=attempt)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = Dataset.create(tmp_path / "lab")
    plan = [ended(n, "s/a").job for n in range(4)] + [ended(4, "s/b").job, ended(5, "s/a", EVIL).job]
    anchors = [ended(n, "s/a", purpose="anchor").job for n in (6, 7)]
    made.begin(Settings(), "1", [*plan, *anchors, ended(8, "s/a", device="nuc").job])
    return made


def append(dataset: Dataset, *entries: Entry) -> None:
    for entry in entries:
        with dataset.journal(entry.job.device) as journal:
            journal.append(entry)


def test_a_lane_tells_what_is_done_left_and_how_the_device_is(dataset: Dataset) -> None:
    board = Board(dataset)
    append(dataset, ended(0, "s/a"), ended(1, "s/a", status="trap"), ended(6, "s/a", purpose="anchor"))
    append(dataset, ended(7, "s/a", purpose="anchor", took_ns=1100), ended(2, "s/a", status="device_unfit"))
    doing = Doing("pi", "measuring", 90.0, 97.0, "e:pi", ("s/b",), "a lost link", "teaches much")
    write_now(dataset.root, Now(100.0, 1, (doing,)))
    assert board.look()
    nuc, pi = lanes(board, 101.0)
    assert {key: nuc[key] for key in ("device", "state", "done", "left", "left_s", "temperature_c")} == {
        "device": "nuc", "state": "not running", "done": 0, "left": 1, "left_s": None, "temperature_c": None,
    }  # fmt: skip
    assert pi == {
        "device": "pi", "state": "measuring", "platform": "e:pi", "workloads": ["s/b"], "for_s": 11.0, "done": 4,
        "left": 4, "left_s": pytest.approx(4 * 70 / 4), "temperature_c": 47.0, "throttled": 7,
        "drift": pytest.approx(0.1), "heard_s": 4.0, "reasons": "1 trap, 1 device_unfit", "said": "a lost link",
        "why": "teaches much",
    }  # fmt: skip
    assert [row["state"] for row in lanes(board, 1000.0)] == ["not running", "not running"]


def test_it_is_the_same_before_and_after_compaction_and_a_later_end_takes_the_place(dataset: Dataset) -> None:
    board = Board(dataset)
    append(dataset, ended(0, "s/a"), ended(1, "s/a", status="trap"), ended(5, "s/a", EVIL))
    assert board.look()
    first = lanes(board, 0.0)
    dataset.compact()
    assert board.look()
    assert lanes(board, 0.0) == first
    assert lanes_of_new(dataset) == first
    assert not board.look()
    append(dataset, ended(1, "s/a", attempt=2))
    board.look()
    assert (lanes(board, 0.0)[1]["reasons"], first[1]["reasons"]) == ("", "1 trap")
    names = board.workloads
    assert names == [EVIL, "s/a", "s/b"]
    assert board.cells[board.platforms.index("e:pi")].tolist() == [BESIDE, ALONE, LEFT]
    append(dataset, ended(4, "s/b", status="timeout"))
    board.look()
    assert board.cells[board.platforms.index("e:pi")].tolist() == [BESIDE, ALONE, FAILED]


def lanes_of_new(dataset: Dataset) -> list[dict[str, object]]:
    board = Board(dataset)
    board.look()
    return lanes(board, 0.0)


@pytest.fixture
def served(dataset: Dataset) -> Iterator[Server]:
    with serving(Feed(dataset), "127.0.0.1", 0) as server:
        yield server


def events(server: Server) -> Iterator[dict[str, object]]:
    """The stream of one reader, who leaves when this is closed."""
    reader = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        reader.request("GET", "/events")
        answer = reader.getresponse()
        assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        while line := answer.fp.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    finally:
        reader.close()


def test_the_first_event_is_everything_and_later_ones_what_changed(served: Server, dataset: Dataset) -> None:
    stream = events(served)
    first = next(stream)
    assert first["map"]["workloads"] == [EVIL, "s/a", "s/b"]
    assert first["map"]["cells"] == "010111"  # nuc: s/a; pi: all
    append(dataset, ended(0, "s/a"))
    second = next(stream)
    assert (second["fresh"], second.get("map"), second["lanes"][1]["done"]) == ([4, ALONE], None, 1)
    stream.close()


def test_the_course_of_an_adaptive_collection_is_told_as_it_grows(dataset: Dataset) -> None:
    feed = Feed(dataset)
    assert json.loads(feed.message(-1, 0)[1])["course"] == []  # type: ignore[index]
    seen = feed.version
    soon = Expected("e:pi", ("s/b", EVIL), 1.5, 0.25)
    line = msgspec.json.encode(Progress(0.5, 20, 0.2, 0.1, 0.3, 11, (soon,)))
    (dataset.root / PROGRESS).write_bytes(line + b"\n")
    feed.look()
    told = json.loads(feed.message(seen, 0)[1])  # type: ignore[index]
    assert told["course"] == [[0.5, 0.2, 0.1, 0.3]]
    assert told["next"] == [f"s/b + {EVIL} on e:pi (teaches 1.5 nats in about 0.25 s)"]


def test_of_the_course_a_reader_is_told_what_it_has_not(dataset: Dataset) -> None:
    def told(seen: int) -> tuple[int, list[object]]:
        feed.look()
        version, message = feed.message(seen, 0) or (seen, b"{}")
        heard = json.loads(message)
        return version, [heard.get(key) for key in ("begun", "course", "next")]

    def lines(*hours: float) -> None:
        made = [Progress(hour, 20, 0.2, 0.1, 0.3, 11) for hour in hours]
        (dataset.root / PROGRESS).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in made))

    def points(*hours: float) -> list[list[float]]:
        return [[hour, 0.2, 0.1, 0.3] for hour in hours]

    feed = Feed(dataset)
    lines(1)
    first, heard = told(-1)
    assert heard == [0, points(1), []]
    append(dataset, ended(0, "s/a"))
    second, heard = told(first)
    assert heard == [None, None, None]  # another change
    lines(1, 2, 3)
    third, heard = told(second)
    assert heard == [1, points(2, 3), []]
    assert told(first)[1] == [1, points(2, 3), []]  # a slow reader
    assert told(-1)[1] == [0, points(1, 2, 3), []]
    lines(5)  # the file was replaced
    fourth, heard = told(third)
    assert heard == [0, points(5), []]
    (dataset.root / PROGRESS).unlink()
    assert told(fourth)[1] == [0, [], []]


def test_a_closed_tab_leaves_no_thread(served: Server) -> None:
    before = threading.active_count()
    streams = [events(served) for _ in range(5)]
    for stream in streams:
        next(stream)
    assert threading.active_count() == before + 5
    for stream in streams:
        stream.close()
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.1)
    assert threading.active_count() == before


def test_more_readers_than_it_holds_are_turned_away_and_free_places_are_taken(
    served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    served._free = threading.BoundedSemaphore(1)
    first = events(served)
    next(first)
    with pytest.raises((http.client.HTTPException, OSError)):
        next(events(served))
    first.close()
    for _ in range(50):
        try:
            assert next(events(served))
            break
        except (http.client.HTTPException, OSError):
            time.sleep(0.1)
    else:
        raise AssertionError("the place of a reader who left is never free")


def ask(
    server: Server, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    reader = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    reader.request(method, path, headers=headers)
    answer = reader.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    reader.close()
    return found


@pytest.mark.parametrize(
    ("host", "code"),
    [("localhost:9", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example", 421), ("127.0.0.1.evil.net", 421),
     ("", 421), ("localhost.evil.example:8321", 421)],
)  # fmt: skip
def test_only_its_own_name_is_answered(host: str, code: int, served: Server) -> None:
    for path in ("/", "/live.js") if code == 200 else ("/", "/live.js", "/events"):
        assert ask(served, path, Host=host)[0] == code


def test_it_only_reads_and_lets_no_other_page_in(served: Server) -> None:
    code, headers, body = ask(served)
    assert (code, b"<script src" in body, b"<script>" in body) == (200, True, False)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(served, "/../harness/__init__.py")[0] == 404
    assert ask(served, method="POST")[0] == 501
    assert ask(served, method="HEAD")[2] == b""


def test_the_page_makes_no_markup_of_names() -> None:
    script = live_server.resources.files("harness.report").joinpath("live.js").read_text()
    assert not [
        word
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
        if word in script
    ]


def test_a_taken_port_is_one_sentence(served: Server, dataset: Dataset, harness) -> None:
    ran = harness("watch", dataset.root, "--port", served.server_address[1])
    assert (ran.code, ran.out, len(ran.err.strip().splitlines())) == (2, "", 1)
    assert "name another with --host or --port" in ran.err


def test_a_dataset_that_is_damaged_meanwhile_is_told_and_mended(dataset: Dataset) -> None:
    feed = Feed(dataset)
    path = dataset.root / "journal" / "pi.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{}\n")
    feed.look()
    assert "pi.jsonl, line 1 is damaged" in json.loads(feed.message(-1, 0)[1])["trouble"]
    path.unlink()
    append(dataset, ended(0, "s/a"))
    feed.look()
    told = json.loads(feed.message(-1, 0)[1])
    assert (told["trouble"], told["lanes"][1]["done"]) == ("", 1)


def test_eight_hours_cost_no_memory(tmp_path: Path) -> None:
    """A job every 8 s, all told to a reader; the journals become parts as in a collection."""
    dataset = Dataset.create(tmp_path / "lab")
    count = 8 * 3600 // 8
    names = [f"s/w{i}" for i in range(50)]
    jobs = [ended(n, names[n % 50], device="pi" if n % 2 else "nuc") for n in range(count)]
    dataset.begin(Settings(), "1", [entry.job for entry in jobs])
    feed = Feed(dataset)
    rows = dataset.root / "journal"
    rows.mkdir()
    seen, sizes, told = -1, [], 0
    tracemalloc.start()
    for n in range(0, count, BATCH):
        for entry in jobs[n : n + BATCH]:
            with open(rows / f"{entry.job.device}.jsonl", "ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")
        if n % (25 * BATCH) == 0:
            dataset.compact()
        feed.look()
        message = feed.message(seen, 0)
        assert message
        seen, told = message[0], told + 1
        if n in (BATCH * 30, count - BATCH):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert told == count // BATCH
    assert sum(row["done"] for row in feed._rows) == count
    assert sizes[1] - sizes[0] < 100_000, sizes
