"""Names that the shell offers for completion. Errors here are silent: completion then offers nothing."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

Completer = Callable[[typer.Context, str], list[str]]


def _quiet(find: Callable[[dict[str, Any], str], Iterable[str]]) -> Completer:
    """The names that start with what was typed (also after a comma); none where they cannot be found."""

    @functools.wraps(find)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        with contextlib.suppress(Exception):
            before, comma, word = incomplete.rpartition(",")
            return [
                before + comma + name
                for name in sorted(set(find(_given(ctx), word)))
                if name.startswith(word)
            ]
        return []

    # typer tells the parameters apart by their annotations, which those of `find` must not hide.
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del complete.__wrapped__
    return complete


def _given(ctx: typer.Context) -> dict[str, Any]:
    """The parameters so far; behind an option that still lacks its value, arguments are only in ``ctx.args``."""
    arguments = [one.name for one in ctx.command.params if one.param_type_name == "argument"]
    left = {name: value for name, value in zip(arguments, ctx.args, strict=False) if name}
    return {**ctx.params, **{name: value for name, value in left.items() if not ctx.params.get(name)}}


@_quiet
def devices(given: dict[str, Any], word: str) -> Iterable[str]:
    """Of the model or dataset that is asked, else of devices.yaml."""
    if platforms := _platforms(given):
        return (name.partition(":")[2] for name in platforms)
    from harness.fleet.devices import DEFAULT_PATH, load_devices

    return load_devices(given.get("devices_file") or DEFAULT_PATH)


@_quiet
def engines(given: dict[str, Any], word: str) -> Iterable[str]:
    """Of the model or dataset that is asked, else all that harness knows."""
    if platforms := _platforms(given):
        return (name.partition(":")[0] for name in platforms)
    from harness.engines import ENGINES

    return ENGINES


@_quiet
def platforms(given: dict[str, Any], word: str) -> Iterable[str]:
    return _platforms(given)


@_quiet
def workloads(given: dict[str, Any], word: str) -> Iterable[str]:
    """Of the model that is asked, else of the suites: a part of the name at a time."""
    if given.get("model"):
        names: Iterable[str] = _features(given["model"]).workload_names
    else:
        from harness.suites.catalogue import load_workloads

        names = load_workloads(given.get("benchmarks"))
    return _next_parts(names, word)


@_quiet
def programs(given: dict[str, Any], word: str) -> Iterable[str]:
    """Workloads of the suites, and .wasm files with the directories that lead to them."""
    from harness.suites.catalogue import load_workloads

    yield from _next_parts(load_workloads(given.get("benchmarks")), word)
    for path in Path(word.rpartition("/")[0] or ".").iterdir():
        if path.suffix.lower() == ".wasm":
            yield str(path)
        elif path.is_dir() and not path.name.startswith("."):
            yield f"{path}/"


@_quiet
def datasets(given: dict[str, Any], word: str) -> Iterable[str]:
    """Datasets, and the directories that lead to them; without a word also those in datasets/."""
    folder = word.rpartition("/")[0]
    places = [Path(folder or ".")] + ([Path("datasets")] if not folder else [])
    for place in places:
        for path in place.iterdir():
            if path.is_dir() and not path.name.startswith("."):
                yield str(path) if (path / "dataset.json").exists() else f"{path}/"


def _platforms(given: dict[str, Any]) -> list[str]:
    if given.get("model"):
        return list(_features(given["model"]).platform_names)
    dataset = given.get("first") or given.get("dataset")
    if dataset:
        import pyarrow.parquet as pq

        table = pq.read_table(Path(dataset) / "platforms.parquet", columns=["platform"])
        names: list[str] = table["platform"].to_pylist()
        return names
    return []


def _features(model: Path) -> Any:
    from harness.decide.predict import load_model

    return load_model(Path(model)).features


def _next_parts(names: Iterable[str], word: str) -> Iterable[str]:
    """Names up to the slash behind what was typed, so that a suite is offered before its hundred workloads."""
    depth = word.count("/") + 1
    for name in names:
        words = name.split("/")
        yield "/".join(words[:depth])
        if len(words) > depth and name.startswith(word) and "/".join(words[:depth]) == word:
            yield "/".join(words[: depth + 1])
