"""`harness place`: which workload on which device, so that everyone meets its deadline beside its neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np

from harness.decide.assignment import GOALS, Goal, Placement, assign, copies_of
from harness.decide.deadlines import MOST, POLICIES, Deadlines, Policy, places_of
from harness.decide.demands import Demand, check_names
from harness.decide.predict import WITH, shortage_at
from harness.decide.room import Room
from harness.errors import ModelError, UnknownName, UsageError
from harness.learn.peak_memory import Memory
from harness.output import Column, duration
from harness.spelling import several
from pitot_core import Pitot, Queries

PLACE_COLUMNS = [
    Column("workload", "workload", meaning="suite/size/name"),
    Column("copy", "copy", True, "which of its copies, from 1"),
    Column("device", "device", meaning="where it is placed; empty where it is not hosted"),
    Column("engine", "engine", meaning="under which engine"),
    Column("platform", "platform", meaning="engine:device"),
    Column(WITH, "beside", meaning="its neighbours there"),
    Column("mean_ns", "expected", True, "predicted execution time beside them, ns"),
    Column("bound_ns", "stays below", True, "its bound beside them at `eps`, ns"),
    Column("deadline_ns", "deadline", True, "as asked, ns"),
    Column("slack", "slack", True, "1 − bound / deadline"),
    Column("eps", "ε", True, "how often each bound may be exceeded"),
    Column(
        "memory_bytes",
        "memory",
        True,
        "what its process holds at most, bytes; null where nothing is known of it",
    ),
    Column("reason", "why not", meaning="why it is not hosted, or was not measured"),
]


@dataclass(frozen=True)
class Request:
    """What a user may say of a placement, beside the model and the demands. ``most`` None: as many as calibrated."""

    devices: Sequence[str] = ()
    engines: Sequence[str] = ()
    eps: float = 0.05
    most: int | None = None
    goal: Goal = "hosted"
    policy: Policy = "bound"
    seconds: float = 10.0
    seed: int = 0

    @classmethod
    def of(
        cls,
        devices: Sequence[str],
        engines: Sequence[str],
        eps: float,
        most: int | None,
        goal: str,
        policy: str,
        seconds: float,
        seed: int,
    ) -> Self:
        """The same, with goal and policy as text. Raises UsageError."""
        if not 0 < eps < 1:
            raise UsageError(
                f"--eps {eps:g} must be between 0 and 1; 0.05 asks for a bound that holds 95 times in 100."
            )
        for option, value, known in (("--for", goal, GOALS), ("--policy", policy, POLICIES)):
            if value not in known:
                raise UsageError(f"{option} {value} must be {', '.join(known[:-1])} or {known[-1]}.")
        return cls(devices, engines, eps, most, cast("Goal", goal), cast("Policy", policy), seconds, seed)


def place(
    model: Pitot,
    demands: Sequence[Demand],
    request: Request,
    told: Callable[[int], None] | None = None,
) -> tuple[Deadlines, Placement]:
    """The question as put to the model, and the best placement found. Raises UnknownName, UsageError, ModelError."""
    most = most_together(model, request)
    deadlines = deadlines_of(model, demands, request)
    if request.policy == "bound" and not np.isfinite(deadlines.alone_bound_ns[deadlines.allowed]).any():
        raise ModelError(
            shortage_at(model, [0], request.eps)
            or f"no bound can be promised at ε = {request.eps:g}; ask for a larger one."
        )
    return deadlines, assign(
        deadlines, most, request.goal, seconds=request.seconds, seed=request.seed, told=told
    )


def deadlines_of(model: Pitot, demands: Sequence[Demand], request: Request) -> Deadlines:
    """The question put to the model. Raises UnknownName, UsageError, ModelError where it cannot be answered."""
    assert model.features is not None
    workloads, platforms = model.features.workload_names, model.features.platform_names
    known_workloads = _observed(model, np.arange(len(workloads)), of_workloads=True)
    known_platforms = _observed(model, np.arange(len(platforms)), of_workloads=False)
    chosen = [(platforms[number], number) for number in known_platforms]
    every_device = {name.partition(":")[2] for name, _ in chosen}
    every_engine = {name.partition(":")[0] for name, _ in chosen}
    check_names(demands, [workloads[number] for number in known_workloads], every_device)
    for kind, names, known in (
        ("device", request.devices, every_device),
        ("engine", request.engines, every_engine),
    ):
        for name in names:
            if name not in known:
                raise UnknownName(kind, name, known, where="the model (it was never observed)")
    chosen = [
        (name, number)
        for name, number in chosen
        if (not request.engines or name.partition(":")[0] in request.engines)
        and (not request.devices or name.partition(":")[2] in request.devices)
    ]
    if not chosen:
        raise UsageError(
            "no device is left: the engines of -e were never observed on the devices of -d; leave out one of them."
        )
    places = places_of(chosen)
    for demand in demands:
        if demand.devices and not set(demand.devices) & set(places.devices):
            raise UsageError(
                f"{demand.where}: no device is left for {demand.workload}: it may run only on "
                f"{' or '.join(demand.devices)}, which -d or -e leave out."
            )
    numbers = {name: number for number, name in enumerate(workloads)}
    which = np.array([numbers[demand.workload] for demand in demands])
    memory, room = Memory.of(model), None
    if memory:
        devices = [places.devices[i] for i in places.device.tolist()]
        room = Room.of(memory, request.eps, places.number, devices, which)
    return Deadlines(model, demands, which, places, request.policy, request.eps, room)


def most_together(model: Pitot, request: Request) -> int:
    """How many may live on a device: as asked, or as many as bounds at ε are calibrated for. Raises ModelError."""
    pools = model.pools()
    calibrated = supported_up_to(lambda n: n in pools)
    supported = supported_up_to(lambda n: n in pools and pools[n].smallest_eps <= request.eps)
    usable = supported if request.policy == "bound" else calibrated
    if request.most is None and usable:
        return usable
    wanted = request.most or 1
    if wanted > MOST:
        raise UsageError(f"--most {wanted} is too many; give at most {MOST}, as no more are measured.")
    if not calibrated:
        raise ModelError(
            "the model has no calibration rows of workloads alone, so it promises nothing; train it again."
        )
    if wanted > calibrated:
        raise ModelError(
            f"--most {wanted} together was never calibrated, only up to {calibrated}; "
            f"give --most {calibrated}, or collect jobs of {several(wanted, 'workload')} and train again."
        )
    if wanted > usable:
        raise ModelError(str(shortage_at(model, range(usable, wanted), request.eps)))
    return wanted


def rows_of(deadlines: Deadlines, placement: Placement) -> list[dict[str, Any]]:
    """A row per copy, in the order asked; those that are not hosted with the reason."""
    living: dict[int, list[dict[str, Any]]] = {i: [] for i in range(len(deadlines.demands))}
    for one in placement.residents:
        mean, bound = deadlines.members(one.place, one.members)
        platform = deadlines.places.platforms[one.place]
        engine, _, device = platform.partition(":")
        names = [deadlines.demands[i].workload for i in one.members]
        for position, number in enumerate(one.members):
            limit = deadlines.demands[number].deadline_ns
            living[number].append(
                {
                    "device": device,
                    "engine": engine,
                    "platform": platform,
                    WITH: names[:position] + names[position + 1 :],
                    "mean_ns": float(mean[position]),
                    "bound_ns": float(bound[position]),
                    "deadline_ns": limit,
                    "slack": float(1 - bound[position] / limit),
                    "eps": deadlines.eps,
                    "memory_bytes": needed_by(deadlines, one.place, number),
                }
            )
    rows = []
    for i, demand in enumerate(deadlines.demands):
        reason = reason_of(deadlines, i) if len(living[i]) < demand.copies else None
        for copy in range(demand.copies):
            row: dict[str, Any] = {column.key: None for column in PLACE_COLUMNS}
            row |= {"workload": demand.workload, "copy": copy + 1, WITH: []}
            row |= {"deadline_ns": demand.deadline_ns, "eps": deadlines.eps, "reason": reason}
            if copy < len(living[i]):
                row |= living[i][copy] | {"reason": None}
            rows.append(row)
    return rows


def needed_by(deadlines: Deadlines, place: int, demand: int) -> float | None:
    """Bytes that the placement reserved for a demand; None where nothing is known of its memory."""
    needed = float(deadlines.room.needed[place, demand]) if deadlines.room else 0.0
    return needed or None


def reason_of(deadlines: Deadlines, demand: int) -> str:
    """Why a demand is not hosted: it fits nowhere even alone, or others take every place where it does."""
    what = "bound" if deadlines.policy == "bound" else "expected time"
    alone = deadlines.alone_bound_ns if deadlines.policy == "bound" else deadlines.alone_ns
    times = np.where(deadlines.allowed[:, demand], alone[:, demand], np.inf)
    room = deadlines.room
    if room and (lacking := room.lacking(np.flatnonzero(deadlines.allowed[:, demand]), demand)):
        return lacking
    if room:
        times = np.where(room.needed[:, demand] <= room.free, times, np.inf)
    fits = times <= deadlines.demands[demand].deadline_ns
    best = int(times.argmin())
    if not np.isfinite(times[best]):
        return f"no bound can be promised for it at ε = {deadlines.eps:g}"
    if not fits.any():
        return f"alone its best {what} is {duration(times[best])} on {deadlines.places.platforms[best]}"
    count = len(np.unique(deadlines.places.device[fits]))
    return f"it fits alone on {count} device{'s' * (count > 1)}, {'all ' * (count > 1)}better used by others"


def told(deadlines: Deadlines, placement: Placement, *, checked: bool = False) -> str:
    """How good the placement is, in sentences; ``checked``: ε was chosen by replay, whose figures were told."""
    asked = int(copies_of(deadlines).sum())
    if placement.hosted == asked:
        quality = "all"
    elif placement.optimal:
        quality = "optimal"
    else:
        weights = {demand.weight for demand in deadlines.demands}
        if weights == {1.0}:
            quality = f"at most {placement.at_most - placement.weight:.0f} more may fit"
        else:
            quality = f"of weight {placement.weight:g}; no placement exceeds {placement.at_most:g}"
        if not placement.complete:
            quality += ", a rough figure, since there are too many sets to list; give more --seconds or fewer devices"
    first = (
        f"{placement.hosted:,} of {asked:,} hosted on {len(placement.residents):,} of "
        f"{several(len(deadlines.places.devices), 'device')} ({quality})"
    )
    if deadlines.policy != "bound":
        return f"{first}; by --policy {deadlines.policy}, which promises nothing: see `--check`"
    if checked:
        return first
    return (
        f"{first}; at ε = {deadlines.eps:g} each bound was chosen because it is low, so a few more than "
        f"{deadlines.eps:.0%} of the bounds may be exceeded, and fewer deadlines missed: `--check DATASET` tells how "
        "many, `--violations` limits them"
    )


def supported_up_to(good: Callable[[int], bool]) -> int:
    """How many may live together where ``good`` says which numbers of co-runners will do, from none upward."""
    return sum(1 for _ in itertools.takewhile(good, range(MOST)))


def _observed(model: Pitot, numbers: Any, *, of_workloads: bool) -> list[int]:
    """The rows of the model's tables that it was trained on."""
    zero = np.zeros_like(numbers)
    found: set[int] = set()
    assert model.features is not None
    others = len(model.features.platform_names if of_workloads else model.features.workload_names)
    for other in range(others):  # the first known partner tells of all
        pair = (zero + other, numbers) if of_workloads else (numbers, zero + other)
        found |= set(np.flatnonzero(model.knows(Queries.of(*pair))).tolist())
        if found:
            break
    return sorted(found)
