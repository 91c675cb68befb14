"""`harness demo`: what it makes room for, what it says of a busy machine, and the question that it says to ask."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from harness.cli import demo
from harness.dataset.info import Origin, Settings
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from pitot_core import Pitot


def test_an_earlier_demo_makes_room_and_nothing_that_was_collected_does(tmp_path: Path) -> None:
    Dataset.create(tmp_path / "demo", source=demo.SOURCE)
    demo._clear(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
    dataset = Dataset.create(tmp_path / "demo", source=demo.SOURCE)
    with dataset.locked(), pytest.raises(DatasetError, match="another `harness` is collecting into"):
        demo._clear(tmp_path / "demo")
    dataset.begin(Settings(), "1", [], Origin(command=("harness", "collect", "-o", "demo")))
    with pytest.raises(DatasetError, match="measured more into it since; name another place with -o"):
        demo._clear(tmp_path / "demo")
    assert (tmp_path / "demo" / "dataset.json").exists()


def test_the_question_it_says_to_ask_is_one_that_its_model_answers(harness, model_path: Path) -> None:
    known: list[Any] = [
        SimpleNamespace(name=name) for name in ("never", "s/small/w1", "s/small/w2", "measured")
    ]
    question = demo._question(Pitot.load(model_path), known)
    assert question == "-w s/small/w2 --with s/small/w1"
    assert harness("predict", model_path, *question.split()).code == 0


def test_a_busy_machine_is_told_of(tmp_path: Path) -> None:
    def told(loads: list[float | None], took: list[float | None]) -> str:
        states = [{"yardstick_ns": one} if one != 0 else None for one in took]
        rows = [{"other_load": load, "state_after": state} for load, state in zip(loads, states, strict=True)]
        return demo._told_of_others(
            cast(Any, SimpleNamespace(observations=lambda _: pa.Table.from_pylist(rows)))
        )

    rest: list[float | None] = [30, 31, 30, 30]
    assert "other programs used 1.3 processors:" in told([1.2, None, 1.4, 1.3], rest)
    assert "meanwhile half of the time fixed work took 1.4 times" in told([0, 0, 0, 0], [30, 42, 42, 45])
    assert "1.0 processors and half of the time fixed" in told([1, 1, 1, 1], [30, 42, 42, None])
    quiet: list[list[float | None]] = [[None], [0.1, 0.2, 2.0]]
    assert [told(loads, [0] * len(loads)) for loads in quiet] == ["", ""]
