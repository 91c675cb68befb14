"""What people see: tables and progress at any width, with every name, number, count and time left whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, Group

from harness import output, progress
from harness.cli.demo import PREDICTED_COLUMNS
from harness.measure import pace
from harness.measure.pace import Pace
from harness.measure.status import STATUS_COLUMNS

PLATFORM = "node-v8-turbofan:raspberrypi-4b"
DEMO = [
    {"workload": f"polybench/small/w{i}", "platform": "node-v8-turbofan:local", "with": ["polybench/mini/lu"] * (i % 2),
     "mean_ns": 1.2e6, "measured_ns": 1.3e6, "error": "+5 %", "bound_ns": 2e6, "held": True}
    for i in range(16)
]  # fmt: skip
STATUS = [
    {"platform": f"{PLATFORM}-{i}", "planned": 1234, "done": 100, "left": 1134, "observations": 222, "failed": 2,
     "reasons": "1 timeout, 1 device_unfit", "unsteady": 3, "coverage": "12 of 33"}
    for i in range(2)
]  # fmt: skip


def drawn(rows, columns, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(output._table(rows, columns, "A title", width))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize(("rows", "columns"), [(STATUS, STATUS_COLUMNS), (DEMO, PREDICTED_COLUMNS)])
def test_names_and_numbers_are_whole_at_any_width(rows, columns, width: int) -> None:
    lines = drawn(rows, columns, width)
    words = [word for line in lines for word in line.replace(",", " ").split()]
    assert max(map(len, lines)) <= width
    for row in rows:
        names = [row["platform"], *([row["workload"], *row["with"]] if "workload" in row else [])]
        assert {*names} <= {*words}
    assert words.count("2.00") == (16 if rows is DEMO else 0)


def test_the_predictions_of_the_demo_are_short_on_an_ordinary_terminal() -> None:
    assert len(drawn(DEMO, PREDICTED_COLUMNS, 80)) <= 3 + 2 * 16


@pytest.mark.parametrize("width", [40, 80, 120])
def test_count_and_time_left_are_always_there(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with progress.bar(console, "counting opcodes", 4512) as bar:
        bar.skip(1000)
        now[0] += 10
        bar.advance(f"{PLATFORM} polybench/medium/floyd-warshall + polybench/medium/floyd-warshall 12.3 ms")
        now[0] += 5
        inner = Console(file=io.StringIO(), width=width)
        inner.print(Group(*bar.progress.get_renderables()))
    first, second = inner.file.getvalue().splitlines()
    assert first.rstrip().endswith("1,001/4,512 9 h 45 min left")  # 3,511 of 10 s each, less the 5 s since
    assert max(len(first), len(second)) <= width
    assert PLATFORM[:30] in second


def test_the_device_that_needs_longest_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    told = Pace({"fast": 100, "slow": 10})
    assert told.left_s() is None
    now[0] = 1.0
    told.finished("fast")
    assert told.left_s() == pytest.approx(99)
    now[0] = 30.0
    told.finished("slow")
    assert told.left_s() == pytest.approx(9 * 30)
    now[0] = 40.0
    assert told.left_s() == pytest.approx(9 * 30 - 10)


def test_no_longer_is_told_than_a_collection_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    told = Pace({"local": 100}, budget_s=60)
    now[0] = 10.0
    told.finished("local")
    assert told.left_s() == 50
    now[0] = 61.0
    assert told.left_s() == 0
