"""`harness predict`: from names to execution times and bounds."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.decide.row_file import LINES
from harness.errors import ModelError, UnknownName, UsageError, typed, why
from harness.output import Column
from harness.spelling import noun, several
from pitot_core import MAX_CO_RUNNERS, Pitot, PitotError, Queries

WITH = "with"
Names = str | Sequence[str] | None

EXPLAIN_COLUMNS = [
    Column("startup_ns", "start-up", True, "ns of `mean_ns` that any workload takes there"),
    Column("work_ns", "work", True, "ns of `mean_ns` that the workload's own work takes"),
    Column("interference_ns", "interference", True, "ns of `mean_ns` that the co-runners cost"),
    Column("like_workloads", "workloads like it", meaning="known workloads that behave most alike"),
    Column("like_platforms", "platforms like it", meaning="known platforms that behave most alike"),
]
COLD_COLUMNS = [
    Column("cold_ns", "started anew", True, "ns from loading or compiling to the end of the first execution"),
    Column("cold_bound_ns", "stays below", True, "ns; null where no bound can be promised"),
]


def columns(eps: float) -> list[Column]:
    return [
        Column("workload", "workload", meaning="suite/size/name"),
        Column("platform", "platform", meaning="engine:device"),
        Column("with", "beside", meaning="co-runners"),
        Column("mean_ns", "expected", True, "predicted execution time, ns"),
        Column("bound_ns", f"stays below (ε = {eps:g})", True, "ns; null where no bound can be promised"),
    ]


@dataclass(frozen=True)
class Question:
    """How long does ``workload`` take on ``platform`` beside ``co_runners``?"""

    workload: str
    platform: str
    co_runners: tuple[str, ...] = ()


def load_model(path: str | Path) -> Pitot:
    """The model of `harness train`. Raises ModelError."""
    path = Path(path)
    if not path.exists():
        raise ModelError(f"no model at {path}; make one with `harness train DATASET -o {typed(path)}`.")
    if (path / "dataset.json").exists():
        there = path / "model.npz"  # where `harness demo` puts it
        if there.is_file():
            raise ModelError(f"{path} is a dataset and no model; name {there}.")
        raise ModelError(
            f"{path} is a dataset and no model; make one with `harness train {typed(path)} -o MODEL`."
        )
    try:
        return Pitot.load(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {why(error, path)}; name another model.") from error
    except PitotError as error:
        told = str(error).rstrip(".")
        raise ModelError(
            f"{told}{'' if told.endswith('train it again') else '; name another model'}."
        ) from error


def questions(
    model: Pitot,
    *,
    workload: Names,
    device: Names,
    engine: Names,
    platform: Names,
    co_runners: Sequence[str],
) -> list[Question]:
    """Everything the options leave open, over all the model knows; each is a name, several, or None for all.

    Raises UnknownName, UsageError.
    """
    workloads, platforms = _names(model)
    if platform is not None and (device, engine) != (None, None):
        raise UsageError("give either -p ENGINE:DEVICE or -d and -e, not both.")
    devices = _asked("device", device, [name.partition(":")[2] for name in platforms])
    engines = _asked("engine", engine, [name.partition(":")[0] for name in platforms])
    chosen = [
        name
        for name in _asked("platform", platform, platforms)
        if name.partition(":")[0] in engines and name.partition(":")[2] in devices
    ]
    if not chosen:
        raise UsageError(
            f"{', '.join(engines)} was never observed on {', '.join(devices)}; "
            "leave out -e to see the engines that were."
        )
    for name in co_runners:
        _known("workload", name, workloads)
    return [
        Question(w, p, tuple(co_runners)) for w in _asked("workload", workload, workloads) for p in chosen
    ]


def answer(model: Pitot, asked: Sequence[Question], eps: float) -> list[dict[str, Any]]:
    """Rows with ``mean_ns`` and ``bound_ns`` (infinite where no bound can be promised, which `shortage` explains).

    Raises UsageError for an ε outside (0, 1), UnknownName for what was never observed, ModelError for what the model
    cannot predict.
    """
    check_eps(eps)
    queries = encode(model, asked)
    try:
        mean, bound = model.predict(queries), bounds(model, queries, eps)
    except PitotError as error:
        raise ModelError(f"{error}.") from error
    return [
        {
            "workload": question.workload,
            "platform": question.platform,
            WITH: list(question.co_runners),
            "mean_ns": float(mean[i]),
            "bound_ns": float(bound[i]),
            "eps": eps,
        }
        for i, question in enumerate(asked)
    ]


def answer_cold(model: Pitot, asked: Sequence[Question], eps: float) -> list[dict[str, Any]]:
    """``cold_ns`` and ``cold_bound_ns`` by a model of cold times; None where it knows the workload or platform not."""
    workloads, platforms = (set(names) for names in _names(model))
    known = [q.workload in workloads and q.platform in platforms for q in asked]
    answerable = [question for question, is_known in zip(asked, known, strict=True) if is_known]
    told = iter(answer(model, answerable, eps) if answerable else ())
    rows = [next(told) if is_known else {"mean_ns": None, "bound_ns": None} for is_known in known]
    return [{"cold_ns": row["mean_ns"], "cold_bound_ns": row["bound_ns"]} for row in rows]


def check_eps(eps: float) -> None:
    """Raise UsageError unless 0 < ε < 1."""
    if not 0 < eps < 1:
        raise UsageError(
            f"--eps {eps:g} must be between 0 and 1; 0.05 asks for a bound that holds 95 times in 100."
        )


def bounds(model: Pitot, queries: Queries, eps: float) -> NDArray[np.float64]:
    """(M,) ns; infinite where no bound can be promised, also for a number of co-runners that was never calibrated."""
    found = np.full(len(queries), np.inf)
    calibrated = np.isin(queries.n_co_runners, list(model.pools()))
    if calibrated.any():
        found[calibrated] = model.bound(queries[calibrated], eps)
    return found


def explain(model: Pitot, asked: Sequence[Question]) -> list[dict[str, Any]]:
    """What each prediction is made of, in ns, and the known workloads and platforms that behave most alike."""
    parts = model.explain(encode(model, asked))
    return [
        {
            "startup_ns": float(parts.startup_ns[i]),
            "work_ns": float(parts.work_ns[i]),
            "interference_ns": float(parts.interference_ns[i]),
            "like_workloads": list(parts.nearest_workloads[i]),
            "like_platforms": list(parts.nearest_platforms[i]),
        }
        for i in range(len(asked))
    ]


def shortage(model: Pitot, asked: Iterable[Question], eps: float) -> str | None:
    """The sentence that says why bounds are infinite, if any is."""
    return shortage_at(model, {len(q.co_runners) for q in asked}, eps)


def shortage_at(model: Pitot, counts: Iterable[int], eps: float) -> str | None:
    """The same for these numbers of co-runners."""
    pools = model.pools()
    told = []
    for n in sorted(counts):
        if n not in pools:
            told.append(f"no measured job had {_co_runners(n)}")
        elif pools[n].smallest_eps > eps:
            told.append(
                f"{several(pools[n].rows, 'calibration row')} with {_co_runners(n)} "
                f"{noun(pools[n].rows, 'supports', 'support')} no ε below {pools[n].smallest_eps:.3g}"
            )
    if not told:
        return None
    return (
        f"∞ means that no bound can be promised at ε = {eps:g}: {'; '.join(told)}. "
        "Collect more such jobs, or ask for a larger --eps."
    )


def write_batch(path: Path, rows: list[dict[str, Any]]) -> None:
    """CSV, Parquet or JSON lines by the file's extension; the file appears whole or not at all."""
    from harness.files import replacing

    with replacing(path) as partial:
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), partial)
        elif path.suffix in LINES:
            partial.write_text("".join(json.dumps(_finite(row)) + "\n" for row in rows), encoding="utf-8")
        else:
            with open(partial, "w", newline="", encoding="utf-8") as file:
                write_csv(file, rows)


def write_csv(file: Any, rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, list(rows[0]) if rows else [])
    writer.writeheader()
    for row in rows:
        writer.writerow({key: ";".join(v) if isinstance(v, list) else v for key, v in _finite(row).items()})


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(v, float) and not np.isfinite(v) else v for key, v in row.items()}


def encode(model: Pitot, asked: Sequence[Question]) -> Queries:
    """By the model's numbers. Raises UnknownName, UsageError."""
    workloads, platforms = ({name: i for i, name in enumerate(names)} for names in _names(model))
    beside = np.full((len(asked), MAX_CO_RUNNERS), -1, np.int32)
    for i, question in enumerate(asked):
        if len(question.co_runners) > MAX_CO_RUNNERS:
            count = len(question.co_runners)
            raise UsageError(
                f"{several(count, 'co-runner was', 'co-runners were')} given; at most {MAX_CO_RUNNERS} are "
                "measured and calibrated; leave some out."
            )
        for name in (question.workload, *question.co_runners):
            _known("workload", name, workloads)
        _known("platform", question.platform, platforms)
        beside[i, : len(question.co_runners)] = [workloads[name] for name in question.co_runners]
    return Queries(
        np.array([platforms[q.platform] for q in asked], np.int32),
        np.array([workloads[q.workload] for q in asked], np.int32),
        beside,
    )


def devices_of(model: Pitot) -> list[str]:
    """Every device of the model's platforms, sorted."""
    return sorted({name.partition(":")[2] for name in _names(model)[1]})


def _names(model: Pitot) -> tuple[list[str], list[str]]:
    assert model.features is not None
    return list(model.features.workload_names), list(model.features.platform_names)


def _asked(kind: str, names: Names, known: Sequence[str]) -> Sequence[str]:
    """Those that are asked about, all that are known for None. Raises UnknownName."""
    if names is None:
        return known
    asked = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    for name in asked:
        _known(kind, name, known)
    return asked


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise UnknownName(kind, name, names, where="the model (it was never observed)")


def _co_runners(count: int) -> str:
    return several(count, "co-runner") if count else "no co-runner"
