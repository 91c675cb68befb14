"""What a page must hold to answer questions as a model does, without the model.

    log Ĉ_ijK = logaddexp(u_j, p_j + w_i) + F_ji + Σ_t S⁽ᵗ⁾_ji α(Σ_{k∈K} G⁽ᵗ⁾_jk)
    log σ_ijK = c_n + q_n (B_ji + Σ_{k∈K} D_jk + ½ log v_ijK), n = |K|;  A instead of B where K is empty
    log bound = max(log Ĉ, log Č + σ^κ_n z_n(device, t_n(σ, ε)))                     where rows were kept apart
              = max(log Ĉ, k-th smallest of log Č_part(r) + s_r σ)                    CV+

Č is the fit that has not seen the rows that calibrate (each part for CV+). t lies on lines between the middles of
tenths of ln σ, and z on the lines of a device's curve. `embedded` compares what comes out with what the model says
before it hands anything on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.thin_tables import Pack
from pitot_core import MAX_CO_RUNNERS, Pitot, Queries
from pitot_core.bounds import Bounds
from pitot_core.conformal import gamma, order
from pitot_core.pool import Pool
from pitot_core.spread import CLAIM
from pitot_core.tables import Tables

Array = NDArray[Any]
EPSILONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
STEP = 1e-6  # ln units: a printed time has three digits, of which a millionth hardly ever changes one
STEP_OF_PARTS = 4e-6  # what only bounds are made of: they are wide
STEP_OF_SPREAD = 2e-5  # it is multiplied by how far a bound is away, mostly less than 0.2
ASKED = 400  # questions by which the page's way is compared with the model's
AGREE = 1e-9
NEAREST = 3


@dataclass(frozen=True)
class Embedded:
    """header is for JSON, pack holds the arrays."""

    header: dict[str, Any]
    pack: Pack


def embedded(model: Pitot) -> Embedded | str:
    """What the page holds, or the sentence that says why it cannot answer as this model does."""
    completion, bounds, features = model.completion, model.bounds, model.features
    if completion is None or bounds is None or features is None or not isinstance(completion, Tables):
        return (
            f"A page can only work out models of the method tables, and this is one of {model.method}; "
            "ask it with `harness predict`."
        )
    pools = _pools(model, bounds)
    if not _agrees(model, bounds, pools):
        return "The bounds of this model are of a form that a page cannot work out; ask it with `harness predict`."
    pack, solution, spread = Pack(), completion.solution, bounds.spread
    base = solution.baseline
    for name, values in (("u", base.startup), ("p", base.platform), ("w", base.workload)):
        pack.exact(name, values)
    main = {"F": pack.table("F", solution.equation.alone - base.table(), STEP)}
    for t in range(len(solution.suffers)):
        for side, tables in (("S", solution.suffers), ("G", solution.presses)):
            main[f"{side}{t}"] = pack.table(f"{side}{t}", tables[t], STEP)
    without = solution.without
    for k in range(len(without)):
        pack.table(f"F/{k}", without.alone[k] - base.table() - main["F"], STEP_OF_PARTS)
        for t in range(len(solution.suffers)):
            for side, tables in (("S", without.suffers), ("G", without.presses)):
                pack.table(f"{side}{t}/{k}", tables[k][t] - main[f"{side}{t}"], STEP_OF_PARTS)
    pack.exact("deviations", solution.deviations, "<f2")
    for name, values in (("A", spread.alone), ("B", spread.suffers), ("D", spread.presses)):
        pack.table(name, values, STEP_OF_SPREAD)
    for n, cross in bounds.cross.items():
        scaled = bounds.candidates.scales
        pack.exact(f"score{n}", cross.residual / cross.spread if scaled else cross.residual)
        pack.exact(f"part{n}", cross.part)
    header = {
        "platforms": features.platform_names, "workloads": features.workload_names,
        "seen": [np.flatnonzero(side).tolist() for side in (model.seen_platforms, model.seen_workloads)],
        "fresh": [np.flatnonzero(side).tolist() for side in (model.known.new_platforms, model.known.new_workloads)],
        "slope": float(np.float32(solution.options.negative_slope)), "types": len(solution.suffers),
        "parts": len(without), "devices": bounds.devices.tolist(), "eps": EPSILONS, "pools": pools,
        "spread": {"degree": spread.degree.tolist(), "power": spread.power.tolist(), "claim": CLAIM,
                   "most": spread.most.tolist()},
        "scaled": bool(bounds.candidates.scales),
        "cross": {str(n): [order(len(one.residual), eps) for eps in EPSILONS] for n, one in bounds.cross.items()},
        "shortage": {str(n): _shortage(model, n) for n in range(MAX_CO_RUNNERS + 1)},
        "alike": _alike(model), "arrays": pack.entries,
    }  # fmt: skip
    return Embedded(header, pack)


def _pools(model: Pitot, bounds: Bounds) -> dict[str, dict[str, Any]]:
    """By side ("", and "workload" and "platform" for newcomers) and number of co-runners: κ, and what gives t and z."""
    found: dict[str, dict[str, Any]] = {}
    for side, pools in ({"": bounds.pools} | bounds.newcomers).items():
        for n, pool in pools.items():
            if not side and (n in bounds.cross or n not in model.pools()):
                continue
            found.setdefault(side, {})[str(n)] = _lines(pool, int(bounds.devices.max()) + 1)
    return found


def _lines(pool: Pool, devices: int) -> dict[str, Any]:
    """κ of a pool; by ε the places t at `middle` (null for infinite); and by device z at `knots`, if not z = t."""
    candidate = int(pool.choice[0])
    curves, allotment = pool.curves.get(candidate), pool.allotments.get(candidate)
    middle = np.zeros(1) if allotment is None else allotment.middle
    places: list[list[float] | None] = []
    for eps in EPSILONS:
        score = gamma(pool.scores[candidate], eps)
        if np.isinf(score):
            places.append(None)
        else:
            places.append([score] if allotment is None else allotment.places(score, np.exp(middle)).tolist())
    lines = [] if curves is None else [curves.lines(device) for device in range(devices)]
    return {
        "power": pool.candidates.of_spread.get(candidate, (0.0,))[0], "middle": middle.tolist(), "places": places,
        "knots": lines[0][0].tolist() if lines else None, "values": [values.tolist() for _, values in lines],
    }  # fmt: skip


def _agrees(model: Pitot, bounds: Bounds, pools: dict[str, dict[str, Any]]) -> bool:
    """Whether these give the model's own bounds of questions drawn at random, at every ε."""
    completion = model.completion
    assert completion is not None
    draw = np.random.default_rng(0)
    seen = np.flatnonzero(model.seen_platforms), np.flatnonzero(model.seen_workloads)
    for n in model.pools():
        asked = Queries.of(
            draw.choice(seen[0], ASKED), draw.choice(seen[1], ASKED),
            draw.choice(seen[1], (ASKED, n)) if n else None,
        )  # fmt: skip
        if n in bounds.cross:
            continue  # the rows themselves are embedded
        judged, point, spread = completion.judged_ns(asked), completion.log_ns(asked), model.spread(asked)
        touched = {"": np.ones(len(asked), bool)} | model.known.touched(asked)
        for e, eps in enumerate(EPSILONS):
            bound = point.copy()
            for side, rows in touched.items():
                pool = pools[side][str(n)]
                away = judged + _away(pool, e, spread, bounds.devices[asked.platform])
                bound = np.where(rows, np.maximum(bound, away), bound)
            told = np.log(model.bound(asked, eps))
            if not np.allclose(bound, told, rtol=0, atol=AGREE):
                return False
    return True


def _away(pool: dict[str, Any], e: int, spread: Array, device: NDArray[np.int64]) -> Array:
    """(M,) by how much the page puts bounds above log Č."""
    if pool["places"][e] is None:
        return np.full(len(spread), np.inf)
    z = np.interp(np.log(spread), pool["middle"], pool["places"][e])
    if pool["knots"] is not None:
        z = np.array([np.interp(t, pool["knots"], pool["values"][d]) for t, d in zip(z, device, strict=True)])
    return np.asarray(spread ** pool["power"] * z)


def _shortage(model: Pitot, n: int) -> list[Any]:
    """Calibration rows and the smallest ε with a finite bound; nothing where that many were never measured."""
    pool = model.pools().get(n)
    return [pool.rows, pool.smallest_eps] if pool else []


def _alike(model: Pitot) -> list[list[list[int]]]:
    """Of every platform and of every workload the numbers of those that behave most alike, as `explain` names them."""
    features = model.features
    assert features is not None
    seen = np.flatnonzero(model.seen_platforms), np.flatnonzero(model.seen_workloads)
    found = []
    for side, names in enumerate((features.platform_names, features.workload_names)):
        number = {name: k for k, name in enumerate(names)}
        other = np.full(len(seen[side]), seen[1 - side][0])
        platform, workload = (seen[0], other) if side == 0 else (other, seen[1])
        parts = model.explain(Queries.of(platform, workload), nearest=NEAREST)
        told = parts.nearest_platforms if side == 0 else parts.nearest_workloads
        lists: list[list[int]] = [[] for _ in names]
        for k, near in zip(seen[side].tolist(), told, strict=True):
            lists[k] = [number[name] for name in near]
        found.append(lists)
    return found
