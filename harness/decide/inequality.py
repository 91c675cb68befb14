"""Does a workload end sooner here or on another device? NWSLite's inequality, with times from a model.

Stay where  ET_here / CPU_here ≤ in / BW + ET_there / CPU_there + out / BW + handshakes · LAT. Processor share,
bandwidth and latency are forecasts from samples of a history and a probe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from harness.decide.forecast import Forecast
from harness.decide.predict import answer, questions, shortage
from harness.errors import UsageError
from harness.fleet.links import Sample, of_device
from harness.output import duration
from pitot_core import Pitot

Prefer = Literal["faster", "remote", "local"]
Else = Literal["local", "fail"]
PREFERENCES: tuple[Prefer, ...] = get_args(Prefer)
FALLBACKS: tuple[Else, ...] = get_args(Else)
KEYS = (
    "device", "engine", "choice", "total_ns", "execution_ns", "cpu_share", "transfer_ns", "handshake_ns",
    "bandwidth_bytes_s", "latency_ns", "samples", "forecaster", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A device, and its engine where one is named."""

    device: str
    engine: str | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """From DEVICE or DEVICE:ENGINE."""
        device, _, engine = text.partition(":")
        return cls(device, engine or None)


@dataclass(frozen=True)
class Transfer:
    """What has to travel: bytes there and back, and how many round trips are waited for."""

    bytes_in: float
    bytes_out: float
    handshakes: float


@dataclass(frozen=True)
class Wishes:
    """``max_latency_ns``: a device further away is out. ``prefer`` and ``otherwise`` after Coalescent Computing."""

    eps: float | None = None
    max_latency_ns: float = math.inf
    prefer: Prefer = "faster"
    otherwise: Else = "local"

    @classmethod
    def of(cls, eps: float | None, max_latency_ms: float | None, prefer: str, otherwise: str) -> Wishes:
        """From a command's options. Raises UsageError."""
        if eps is not None and not 0 < eps < 1:
            raise UsageError(
                f"--eps {eps:g} must be between 0 and 1; 0.05 asks for a bound that holds 95 times in 100."
            )
        for option, value, known in (("--prefer", prefer, PREFERENCES), ("--else", otherwise, FALLBACKS)):
            if value not in known:
                raise UsageError(f"{option} {value} must be {', '.join(known[:-1])} or {known[-1]}.")
        most_ns = math.inf if max_latency_ms is None else 1e6 * max_latency_ms
        return cls(eps, most_ns, cast("Prefer", prefer), cast("Else", otherwise))


def decide(
    model: Pitot,
    workload: str,
    here: Place,
    there: Sequence[Place],
    transfer: dict[str, Transfer],
    samples: Sequence[Sample],
    unreachable: dict[str, str],
    wishes: Wishes,
) -> list[dict[str, Any]]:
    """A row per place, here first, one of them chosen; none where no other is left and ``otherwise`` is "fail".

    ``transfer`` and ``unreachable`` (with the reason) go by device. Raises UnknownName, UsageError, ModelError.
    """
    rows = [_row(model, workload, here, None, samples, wishes)]
    for place in there:
        row = _row(model, workload, place, transfer[place.device], samples, wishes)
        if place.device in unreachable:
            row |= {"choice": "out", "reason": unreachable[place.device]}
        elif row["total_ns"] is None:
            row |= {"choice": "out"}
        elif row["latency_ns"] > wishes.max_latency_ns:
            limit = duration(wishes.max_latency_ns)
            row |= {"choice": "out", "reason": f"its latency is above --max-latency {limit}"}
        rows.append(row)
    chosen = choose(rows, wishes)
    if chosen is not None:
        rows[chosen]["choice"] = "there" if chosen else "here"
    return rows


def choose(rows: Sequence[dict[str, Any]], wishes: Wishes) -> int | None:
    """Which row to go by: 0 is here. None where no other device is left and here will not do either."""
    left = [i for i, row in enumerate(rows) if i and row["choice"] != "out"]
    if not left:
        return 0 if wishes.otherwise == "local" else None
    best = min(left, key=lambda i: float(rows[i]["total_ns"]))
    if wishes.prefer == "local":
        return 0
    if wishes.prefer == "remote":
        return best
    return 0 if rows[0]["total_ns"] <= rows[best]["total_ns"] else best


def _row(
    model: Pitot,
    workload: str,
    place: Place,
    transfer: Transfer | None,
    samples: Sequence[Sample],
    wishes: Wishes,
) -> dict[str, Any]:
    engine, execution_ns = execution(model, workload, place, wishes.eps)
    known = of_device(samples, place.device)
    cpu = Forecast.of(one.cpu_share for one in known if one.cpu_share is not None)
    bandwidth = Forecast.of(one.bandwidth_bytes_s for one in known if one.bandwidth_bytes_s is not None)
    latency = Forecast.of(one.rtt_ns for one in known if one.rtt_ns is not None)
    row: dict[str, Any] = dict.fromkeys(KEYS)
    row |= {
        "device": place.device,
        "engine": engine,
        "choice": "",
        "execution_ns": execution_ns,
        "reason": "",
    }
    row |= {"cpu_share": cpu.value, "samples": cpu.samples, "forecaster": [cpu.forecaster]}
    if cpu.value is None:
        row |= {"cpu_share": 1.0, "forecaster": ["none"], "reason": "its load is not known; taken as idle"}
    total = execution_ns / row["cpu_share"]
    if transfer:
        row["forecaster"] += [bandwidth.forecaster or "none", latency.forecaster or "none"]
        row |= {"bandwidth_bytes_s": bandwidth.value, "latency_ns": latency.value}
        if bandwidth.value is None or latency.value is None:
            return row | {"reason": "its link was never measured; leave out --no-probe, or name a --history"}
        row["transfer_ns"] = (transfer.bytes_in + transfer.bytes_out) / bandwidth.value * 1e9
        row["handshake_ns"] = transfer.handshakes * latency.value
        total += row["transfer_ns"] + row["handshake_ns"]
    return row | {"total_ns": total}


def execution(model: Pitot, workload: str, place: Place, eps: float | None) -> tuple[str, float]:
    """The engine of least time there, and that time (the bound with ε), in ns on an idle processor."""
    asked = questions(
        model, workload=workload, device=place.device, engine=place.engine, platform=None, co_runners=()
    )
    told = answer(model, asked, eps or 0.05)
    key = "bound_ns" if eps else "mean_ns"
    best = min(told, key=lambda row: float(row[key]))
    if not math.isfinite(best[key]):
        raise UsageError(
            shortage(model, asked, eps or 0.05)
            or f"no bound can be promised on {place.device}; leave it out, or ask for a larger ε."
        )
    return str(best["platform"]).partition(":")[0], float(best[key])
