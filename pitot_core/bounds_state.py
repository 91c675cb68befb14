"""Bounds as plain arrays of a model file, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.allotment import Allotment
from pitot_core.archive import check_shape
from pitot_core.bounds import Bounds
from pitot_core.candidates import FORMER, Candidates
from pitot_core.completion import Completion, State
from pitot_core.cross import CrossPool
from pitot_core.curves import Curves
from pitot_core.errors import ModelFileError
from pitot_core.features import Features
from pitot_core.observations import MAX_CO_RUNNERS
from pitot_core.pool import GRID, Pool
from pitot_core.spread import DEGREES, UNLIMITED, Spread

Array = NDArray[Any]
DTYPES = {"pool*_choice": "i8", "pool*_part": "i8", "pool*_residual": "f8", "pool*_spread": "f8", "pool*_curves*": "f8",
          "pool*_middle*": "f8", "pool*_place*": "f8",
          "pool*": "f4"}  # fmt: skip


def state(bounds: Bounds) -> State:
    """Everything that `restored` needs."""
    arrays: dict[str, Array] = {
        f"spread_{name}": getattr(bounds.spread, name) for name in Spread.array_names()
    }
    for n, pool in bounds.pools.items():
        arrays |= {f"pool{n}_choice": pool.choice, f"pool{n}_scores": pool.scores}
        arrays |= {f"pool{n}_curves{c}": curves.values for c, curves in pool.curves.items()}
        for c, allotment in pool.allotments.items():
            arrays |= {f"pool{n}_middle{c}": allotment.middle, f"pool{n}_place{c}": allotment.place}
    for n, cross in bounds.cross.items():
        arrays |= {f"pool{n}_{part}": getattr(cross, part) for part in ("residual", "spread", "part")}
    for side, pools in bounds.newcomers.items():
        arrays |= {f"pool{n}_{side}": pool.scores for n, pool in pools.items()}
    header = {
        "scales": bounds.candidates.scales,
        "pools": sorted(bounds.pools),
        "cross": sorted(bounds.cross),
        "newcomers": sorted(bounds.newcomers),
    }
    return State(header, arrays)


def restored(kept: State, completion: Completion, features: Features) -> Bounds:
    """From what `state` gave. Raises ModelFileError where shapes do not fit."""
    header, arrays = kept.header, kept.arrays
    sizes = len(features.platforms), len(features.workloads)
    unlimited = {"spread_most": np.full(DEGREES, UNLIMITED)}  # of models of before there was a limit
    spread = Spread(*((unlimited | arrays)[f"spread_{name}"] for name in Spread.array_names()))
    spread.check(*sizes)
    devices, candidates = features.devices, Candidates(_scales(header["scales"]), completion.levels)
    pools = {n: _pool(n, arrays, candidates, int(devices.max()) + 1) for n in _degrees(header["pools"])}
    cross = {n: _cross(n, arrays, completion.parts) for n in _degrees(header["cross"])}
    if not set(cross) <= set(pools):
        raise ModelFileError("the model cross-calibrates what it has no pool for")
    newcomers = {}
    for side in header["newcomers"]:
        newcomers[str(side)] = {
            n: pool.with_scores(_scores(arrays[f"pool{n}_{side}"], candidates)) for n, pool in pools.items()
        }
    return Bounds(candidates, spread, devices, pools, cross, newcomers)


def _degrees(numbers: Any) -> list[int]:
    degrees = [int(n) for n in numbers]
    if not all(0 <= n <= MAX_CO_RUNNERS for n in degrees):
        raise ModelFileError(f"the model has pools of {degrees} co-runners; 0 to {MAX_CO_RUNNERS} make sense")
    return degrees


def _pool(n: int, arrays: dict[str, Array], candidates: Candidates, n_devices: int) -> Pool:
    choice = arrays[f"pool{n}_choice"]
    check_shape("choice", choice, (len(GRID),))
    if choice.min() < 0 or choice.max() >= len(candidates.names):
        raise ModelFileError("the model chooses a form of bound that it does not have")
    curves, allotments = {}, {}
    for candidate in candidates.of_spread:
        if f"pool{n}_curves{candidate}" in arrays:
            curves[candidate] = Curves(arrays[f"pool{n}_curves{candidate}"])
            curves[candidate].check(n_devices)
        if f"pool{n}_place{candidate}" in arrays:
            allotments[candidate] = Allotment(
                arrays[f"pool{n}_middle{candidate}"], arrays[f"pool{n}_place{candidate}"]
            )
            allotments[candidate].check()
    if not set(allotments) <= set(curves):
        raise ModelFileError("the model allots places on a curve that it does not have")
    return Pool(candidates, curves, choice, _scores(arrays[f"pool{n}_scores"], candidates), allotments)


def _scales(kept: Any) -> tuple[tuple[float, float], ...]:
    """What a header says of scales: the pairs, or, before format 5, whether there are those that all models had."""
    if isinstance(kept, bool):
        return FORMER if kept else ()
    scales = tuple((float(power), float(own)) for power, own in kept)
    if not all(0.0 < power < 10.0 and 0.0 <= own <= 1.0 for power, own in scales):
        raise ModelFileError("the scales of the model's bounds make no sense")
    return scales


def _scores(scores: Array, candidates: Candidates) -> Array:
    check_shape("scores", scores, (len(candidates.names), None))
    if np.any(np.diff(scores, axis=1) < 0):
        raise ModelFileError("the calibration scores of the model are not sorted")
    return scores


def _cross(n: int, arrays: dict[str, Array], parts: int) -> CrossPool:
    residual, spread, part = (arrays[f"pool{n}_{name}"] for name in ("residual", "spread", "part"))
    check_shape("spread", spread, residual.shape)
    check_shape("part", part, residual.shape)
    if residual.ndim != 1 or np.any(spread <= 0) or np.any((part < 0) | (part >= parts)):
        raise ModelFileError("the cross-calibration scores of the model make no sense")
    return CrossPool(residual, spread, part)
