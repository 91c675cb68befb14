"""A workload or platform that is new to a trained model, learned from a handful of observations.

Nothing that is known changes. The new one's baseline and embedding start from what its features suggest (kernel
ridge regression over the known ones) and move as far as the observations ask for: with the other side fixed, the
prediction is linear in the new embedding, so the answer is Bayesian linear regression in closed form, with the
errors of the suggestion on the known ones as its prior variance.

Its bounds need scores of entities as new as itself. They come from known entities that are made new again: with
as many of their calibration rows as the newcomer has observations each is learned afresh, and predicts the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import Observations
from pitot_core.towers.learned import Learned

Array = NDArray[Any]
Mask = NDArray[np.bool_]
NOISE = 0.04  # ln units: what a good prediction is still wrong by
RIDGE = 0.3
LEVEL_STEPS = 6


@dataclass(frozen=True)
class Suggestion:
    """What features suggest for one entity: mean (E, d) and standard deviation (E, d) of each member's numbers."""

    mean: Array
    deviation: Array


def suggest(x: Array, known: Mask, new: int, values: Array) -> Suggestion:
    """Kernel ridge regression of values (E, n, d) on standardised features x (n, f), for entity `new`.

    The deviation is that of leave-one-out predictions of the known entities.
    """
    members, _, width = values.shape
    others = np.flatnonzero(known & (np.arange(len(x)) != new))
    squares = np.sum(x**2, axis=1)
    distance = np.maximum(squares[others, None] + squares[None, others] - 2.0 * x[others] @ x[others].T, 0.0)
    scale = max(float(np.median(distance)), 1e-9)
    to_new = np.exp(-np.sum((x[others] - x[new]) ** 2, axis=1) / scale)
    y = np.moveaxis(values[:, others], 0, 1).reshape(len(others), -1).astype(np.float64)
    centre = y.mean(axis=0)
    inverse = np.linalg.inv(np.exp(-distance / scale) + RIDGE * np.eye(len(others)))
    weights = inverse @ (y - centre)
    left_out = weights / np.diag(inverse)[:, None]
    deviation = np.sqrt(np.mean(left_out**2, axis=0)) + 1e-6
    shape = (members, width)
    return Suggestion((centre + to_new @ weights).reshape(shape), deviation.reshape(shape))


def learn_workload(
    learned: Learned, rows: Observations, x_w: Array, known: Mask, new: int
) -> tuple[Array, Array]:
    """(E,) w̄_i and (E, r) w_i of workload `new` from the rows where it is the target."""
    rank, types = learned.rank, learned.types
    level = suggest(x_w, known, new, learned.workload_level[..., None])
    embedding = suggest(x_w, known, new, learned.workloads[..., :rank])
    levels, embeddings = level.mean[:, 0].copy(), embedding.mean.copy()
    for member in range(learned.members):
        platforms = learned.platforms[member].reshape(-1, 1 + 2 * types, rank)
        p = platforms[rows.platform].astype(np.float64)
        pressure = _pressure(learned, member, rows, p[:, 1 + types :])
        design = p[:, 0] + np.einsum("nt,ntr->nr", pressure, p[:, 1 : 1 + types])
        start, speed = learned.startup[member, rows.platform], learned.platform_level[member, rows.platform]
        deviation = np.concatenate([level.deviation[member], embedding.deviation[member]])
        for _ in range(LEVEL_STEPS):
            base = np.logaddexp(start, speed + levels[member])
            joint = np.column_stack([np.exp(speed + levels[member] - base), design])
            prior = np.concatenate([level.mean[member] - levels[member], embedding.mean[member]])
            found = _regress(joint, rows.log_ns - base, prior, deviation)
            levels[member] += np.clip(found[0], -2.0, 2.0)
            embeddings[member] = found[1:]
    return levels, embeddings


def learn_platform(
    learned: Learned, rows: Observations, x_p: Array, known: Mask, new: int
) -> tuple[Array, Array]:
    """(E, 2) u_j and p̄_j, and (E, (1+2s)·r) [p_j, v_s, v_g] of platform `new`.

    How it reacts to co-runners stays as its features suggest.
    """
    rank, types = learned.rank, learned.types
    level = suggest(x_p, known, new, np.stack([learned.startup, learned.platform_level], axis=-1))
    embedding = suggest(x_p, known, new, learned.platforms)
    levels, embeddings = level.mean.copy(), embedding.mean.copy()
    for member in range(learned.members):
        suggested = embedding.mean[member].reshape(1 + 2 * types, rank)
        pressing = np.broadcast_to(suggested[1 + types :], (len(rows), types, rank))
        pressure = _pressure(learned, member, rows, pressing)
        w = learned.workloads[member, rows.workload, :rank].astype(np.float64)
        beside = np.einsum("nt,nt->n", pressure, w @ suggested[1 : 1 + types].T)
        deviation = np.concatenate([level.deviation[member], embedding.deviation[member, :rank]])
        for _ in range(LEVEL_STEPS):
            start, speed = levels[member]
            work = speed + learned.workload_level[member, rows.workload]
            base = np.logaddexp(start, work)
            share = np.exp(work - base)
            joint = np.column_stack([1.0 - share, share, w])
            prior = np.concatenate([level.mean[member] - levels[member], suggested[0]])
            found = _regress(joint, rows.log_ns - base - beside, prior, deviation)
            levels[member] += np.clip(found[:2], -2.0, 2.0)
            embeddings[member, :rank] = found[2:]
    return levels, embeddings


def _pressure(learned: Learned, member: int, rows: Observations, pressing: Array) -> Array:
    """(N, s) α(Σ_k w_k · v_g), with v_g (N, s, r) of each row's platform."""
    total = np.zeros((len(rows), learned.types))
    for column in range(rows.co_runners.shape[1]):
        at = np.flatnonzero(rows.co_runners[:, column] >= 0)
        w = learned.workloads[member, rows.co_runners[at, column], : learned.rank].astype(np.float64)
        total[at] += np.einsum("nr,ntr->nt", w, pressing[at])
    return np.where(total > 0, total, learned.slope * total)


def _regress(design: Array, y: Array, prior: Array, deviation: Array) -> Array:
    """Posterior mean of y = design·θ + noise with θ about `prior`; (N, d) design, solved in N dimensions."""
    scaled = design * deviation
    gram = scaled @ scaled.T + NOISE**2 * np.eye(len(y))
    return np.asarray(prior + deviation * (scaled.T @ np.linalg.solve(gram, y - design @ prior)))


def with_newcomer(
    learned: Learned, side: str, new: int, rows: Observations, x: Array, known: Mask
) -> Learned:
    """A copy in which one workload or platform has the numbers that its rows and its features suggest."""
    if side == "workload":
        return with_workload(learned, new, *learn_workload(learned, rows, x, known, new))
    return with_platform(learned, new, *learn_platform(learned, rows, x, known, new))


def with_workload(learned: Learned, new: int, level: Array, embedding: Array) -> Learned:
    """A copy with one workload's numbers replaced; further heads keep their mean distance from the first."""
    levels, workloads = learned.workload_level.copy(), learned.workloads.copy()
    others = np.arange(workloads.shape[1]) != new
    heads = workloads.reshape(*workloads.shape[:2], learned.heads, learned.rank)
    distance = (heads[:, others] - heads[:, others, :1]).mean(axis=1)
    levels[:, new] = level
    heads[:, new] = embedding[:, None, :] + distance
    return replace(learned, workload_level=levels, workloads=workloads)


def with_platform(learned: Learned, new: int, level: Array, embedding: Array) -> Learned:
    """A copy with one platform's numbers replaced."""
    startup, levels, platforms = (
        learned.startup.copy(),
        learned.platform_level.copy(),
        learned.platforms.copy(),
    )
    startup[:, new], levels[:, new], platforms[:, new] = level[:, 0], level[:, 1], embedding
    return replace(learned, startup=startup, platform_level=levels, platforms=platforms)


def learned_again(
    learned: Learned, rows: Observations, side: str, x: Array, known: Mask, n_rows: int, *, most: int = 40
) -> tuple[Learned, NDArray[np.int64]]:
    """A copy in which known entities were learned afresh from `n_rows` of `rows`, and the rows left over for each.

    side: "workload" or "platform". Made to see how wrong a newcomer with as many observations would be.
    """
    rng = np.random.default_rng(0)
    target = rows.workload if side == "workload" else rows.platform
    count = np.bincount(target, minlength=len(x))
    eligible = np.flatnonzero(known & (count > n_rows))
    chosen = rng.permutation(eligible)[:most]
    left = []
    startup, level_p = learned.startup.copy(), learned.platform_level.copy()
    level_w, platforms, workloads = (
        learned.workload_level.copy(), learned.platforms.copy(), learned.workloads.copy(),
    )  # fmt: skip
    for entity in chosen:
        mine = rng.permutation(np.flatnonzero(target == entity))
        if side == "workload":
            level, embedding = learn_workload(learned, rows[mine[:n_rows]], x, known, int(entity))
            level_w[:, entity], workloads[:, entity, : learned.rank] = level, embedding
        else:
            level, embedding = learn_platform(learned, rows[mine[:n_rows]], x, known, int(entity))
            startup[:, entity], level_p[:, entity], platforms[:, entity] = level[:, 0], level[:, 1], embedding
        left.append(mine[n_rows:])
    changed = replace(
        learned, startup=startup, platform_level=level_p, workload_level=level_w, platforms=platforms,
        workloads=workloads,
    )  # fmt: skip
    if side == "workload":  # co-runners are the known ones: only the target is made new
        changed.forecast.presses[...] = learned.forecast.presses
    return changed, np.concatenate(left).astype(np.int64) if left else np.zeros(0, np.int64)
