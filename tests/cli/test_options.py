"""Options: names with commas or repeated, numbers that make sense, and that no command is an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.models import OptionInfo

from harness.cli.app import app
from harness.cli.options import joined, listed, split
from tests.conftest import Ran

# What takes several values and splits none: text that may hold commas, or what its own command splits.
WHOLE = {"args", "directories", "tags", "given", "history"}
SPLIT_THERE = {"degrees", "retry", "front", "shares", "beside", "policies"}
SIDES = {"engine", "device", "platform"}  # of `compare`, two with a comma between
SHARES = {"eps"}  # above 0 and below 1, which `check_eps` and its like hold


def options() -> Iterator[tuple[str, str, Any, OptionInfo]]:
    """Command, name, type and option of everything that any command takes."""
    for command in app.registered_commands:
        assert command.callback
        name = command.name or command.callback.__name__
        for parameter, hint in get_type_hints(command.callback, include_extras=True).items():
            for known in getattr(hint, "__metadata__", ()):
                if isinstance(known, OptionInfo):
                    yield name, parameter, get_args(hint)[0], known


def test_every_option_of_several_names_takes_commas() -> None:
    silent = [
        (command, name)
        for command, name, kind, option in options()
        if "list" in str(kind) and option.callback is not listed and name not in WHOLE | SPLIT_THERE
        and not (command == "compare" and name in SIDES)
    ]  # fmt: skip
    assert silent == []


def test_every_number_has_a_least_one() -> None:
    unbounded = [
        (command, name)
        for command, name, kind, option in options()
        if {int, float} & {kind, *get_args(kind)} and option.min is None and name not in SHARES
    ]
    assert unbounded == []


@pytest.mark.parametrize(
    "command", ["collect -o d", "place m.npz a.csv", "simulate m.npz --check d -e e", "train d -o m"]
)
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none_is_refused(
    command: str, seed: int, harness: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = harness(*command.split(), "--seed", seed)
    assert (ran.code, ran.out, "--seed" in ran.err) == (2, "", True)
    assert not [*tmp_path.iterdir()]


def test_names_are_the_same_with_commas_and_repeated() -> None:
    assert split(["a,b"]) == split(["a", "b"]) == split(["a, b,"]) == ["a", "b"]
    assert (joined(["a,b", "c"]), joined([]), joined(None)) == ("a,b,c", None, None)


@pytest.mark.parametrize("option", ["-e engine0", "-d device0", "-w s/small/w1", "-p engine0:device0"])
def test_a_model_is_asked_about_several_alike(
    option: str, harness: Callable[..., Ran], model_path: Path
) -> None:
    flag, one = option.split()
    other = one.replace("0", "1").replace("w1", "w2")
    with_comma = harness("predict", model_path, flag, f"{one},{other}", "--json")
    repeated = harness("predict", model_path, flag, one, flag, other, "--json")
    assert with_comma.code == repeated.code == 0
    assert with_comma.out == repeated.out
    alone = harness("predict", model_path, flag, one, "--json")
    assert with_comma.out.count("mean_ns") > alone.out.count("mean_ns") > 0


def test_a_collection_names_the_one_of_several_engines_that_is_none(
    harness: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["-e", "wasmtime-j,wasmtime-x"], ["-e", "wasmtime-j", "-e", "wasmtime-x"]):
        ran = harness("collect", "-o", tmp_path / "d", *words, "--dry-run")
        assert (ran.code, "no engine named 'wasmtime-x'" in ran.err) == (2, True), ran.err


def test_policies_are_listed_with_commas_though_one_has_a_comma() -> None:
    from harness.cli.decide import BETWEEN_POLICIES

    assert split(["fifo,2d,wfq:0.4,1,srpt", "ps"], BETWEEN_POLICIES) == [
        "fifo",
        "2d",
        "wfq:0.4,1",
        "srpt",
        "ps",
    ]
