"""The few placements to choose from: hosted, devices, time and ε, without those that another beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from harness.decide.assignment import assign, choose, copies_of
from harness.decide.colocations import grow
from harness.decide.deadlines import MOST
from harness.decide.demands import Demand
from harness.decide.place import Request, deadlines_of, most_together
from harness.decide.predict import shortage_at
from harness.errors import ModelError
from harness.output import Column
from pitot_core import Pitot

PARETO_COLUMNS = [
    Column("eps", "ε", True, "how often each bound may be exceeded"),
    Column("most", "most together", True, "how many may live on a device"),
    Column("hosted", "hosted", True, "workloads that are placed"),
    Column("devices", "devices", True, "devices in use"),
    Column("time_ns", "total time", True, "sum of the expected times of all that are placed, ns"),
]
PARETO_EPS = (0.2, 0.1, 0.05, 0.02, 0.01)


def pareto(
    model: Pitot, demands: Sequence[Demand], request: Request, advance: Callable[[], None]
) -> list[dict[str, Any]]:
    """Placements for several ε and --most, without those that another is at least as good as in everything."""
    largest, found = request.most or MOST, []
    for eps in PARETO_EPS:
        advance()
        if shortage_at(model, [0], eps):
            continue
        wish = replace(request, eps=eps, most=None)
        deadlines = deadlines_of(model, demands, wish)
        most = min(largest, most_together(model, wish))
        seconds = request.seconds / len(PARETO_EPS)
        known = grow(deadlines, copies_of(deadlines), most, seconds=seconds / 2)
        for together in range(1, most + 1):
            if known.complete:
                one = choose(deadlines, known.within(together), request.goal, seconds=seconds / 2)
            else:
                one = assign(deadlines, together, request.goal, seconds=seconds / 2, seed=request.seed)
            found.append(
                {
                    "eps": eps,
                    "most": together,
                    "hosted": one.hosted,
                    "devices": len(one.residents),
                    "time_ns": one.time_ns,
                }
            )
    if not found:
        raise ModelError(str(shortage_at(model, [0], max(PARETO_EPS))))
    return [row for row in found if not any(_beats(other, row) for other in found)]


def _beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether ``one`` is at least as good in everything and better in something."""

    def figures(row: dict[str, Any]) -> tuple[float, ...]:
        return row["eps"], -row["hosted"], row["devices"], row["time_ns"]

    pairs = list(zip(figures(one), figures(other), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
