"""Full-batch training of several members at once, each leaving out one fold that chooses its best step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.errors import PitotError
from pitot_core.interference import Plan
from pitot_core.losses import Loss
from pitot_core.network import Network, Shape
from pitot_core.observations import Observations
from pitot_core.optimise import Adam, cosine
from pitot_core.settings import Settings, Sized

Array = NDArray[Any]
CHECK_EVERY = 10


@dataclass(frozen=True)
class Step:
    """Where a training is: `held_out` is the mean held-out loss of the members."""

    phase: str
    done: int
    total: int
    held_out: float


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Trained:
    """What training leaves behind for E members.

    parameters (E, n); platforms (E, P, (1+2s)·r) and workloads (E, W, H·r) embeddings; predictions (E, N, H)
    of ln ns in the order of the given rows, among them those that member e was not trained on.
    """

    shape: Shape
    parameters: Array
    platforms: Array
    workloads: Array
    predictions: Array
    best_step: NDArray[np.int64]
    best_loss: NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Rows and tables that every member shares.

    offset (E, N) is each member's own baseline in ln ns; fold (N,) the fold of each row.
    """

    rows: Observations
    x_w: Array
    x_p: Array
    offset: NDArray[np.float64]
    fold: NDArray[np.int64]


def train(
    task: Task, settings: Settings, sized: Sized, loss: Loss, progress: Progress | None = None
) -> Trained:
    """Train settings.members networks, spread over settings.threads threads."""
    members = np.arange(settings.members)
    chunks = [chunk for chunk in np.array_split(members, min(settings.threads, len(members))) if len(chunk)]
    stop = threading.Event()
    with one_blas_thread(len(chunks) > 1), ThreadPoolExecutor(max(1, len(chunks) - 1)) as pool:
        try:
            others = [
                pool.submit(_train_chunk, task, settings, sized, loss, c, None, stop) for c in chunks[1:]
            ]
            first = _train_chunk(task, settings, sized, loss, chunks[0], progress, stop)
            parts = [first, *(other.result() for other in others)]
        finally:
            stop.set()
    return Trained(
        parts[0].shape,
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("parameters", "platforms", "workloads", "predictions", "best_step", "best_loss")
        ),
    )


def _train_chunk(
    task: Task,
    settings: Settings,
    sized: Sized,
    loss: Loss,
    members: NDArray[np.int64],
    progress: Progress | None,
    stop: threading.Event,
) -> Trained:
    rows = task.rows
    types = settings.interference_types if settings.interference == "aware" else 0
    heads = loss.heads
    shape = Shape(
        len(task.x_w),
        len(task.x_p),
        task.x_w.shape[1],
        task.x_p.shape[1],
        sized.rank,
        types,
        settings.learned,
        sized.hidden,
        heads,
    )
    network = Network(shape, task.x_w, task.x_p, len(members))
    network.initialise([settings.seed * 1000 + int(m) for m in members], output_gain=settings.output_gain)
    plan = Plan.of(rows, types, len(task.x_w))
    gathered = network.gathered(plan, settings.negative_slope)
    target = (rows.log_ns - task.offset[members])[:, plan.order, None].astype(np.float32)
    train_weight, check_weight = _weights(task, settings, plan, members)
    values = network.parameters.flat
    optimiser = Adam(values, network.parameters.is_matrix(), decay=sized.weight_decay, beta2=settings.beta2)
    best, best_loss = values.copy(), np.full(len(members), np.inf)
    best_step = np.zeros(len(members), np.int64)
    error = np.empty_like(gathered.total)
    for step in range(sized.steps + 1):
        if stop.is_set():
            break
        np.subtract(network.forward(gathered), target, out=error)
        if step % CHECK_EVERY == 0 or step == sized.steps:
            now = (loss.value(error).mean(axis=2) * check_weight[..., 0]).sum(axis=1, dtype=np.float64)
            better = now < best_loss
            best[better], best_loss[better], best_step[better] = values[better], now[better], step
            if progress is not None:
                progress(Step("training", step, sized.steps, float(now.mean())))
            if not np.all(np.isfinite(now)):
                raise PitotError(
                    f"training diverged at step {step}; lower learning_rate ({settings.learning_rate})"
                )
        if step == sized.steps:
            break
        slope = loss.derivative(error)
        slope *= train_weight
        network.backward(gathered, slope)
        rate = settings.learning_rate * cosine(
            step, sized.steps, warm_up=min(settings.warm_up, sized.steps // 4)
        )
        optimiser.step(values, network.gradients.flat, rate)
    values[...] = best
    predictions = np.empty((len(members), len(rows), heads))
    predictions[:, plan.order] = network.forward(gathered) + task.offset[members][:, plan.order, None]
    platforms, workloads = network.embed()
    return Trained(shape, best, platforms.copy(), workloads.copy(), predictions, best_step, best_loss)


def _weights(
    task: Task, settings: Settings, plan: Plan, members: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(E, N, 1) weights of training and of held-out rows, each adding up to 1 per member."""
    row = np.where(task.rows.n_co_runners > 0, settings.co_run_weight, 1.0)[plan.order]
    fold = task.fold[plan.order]
    held = np.stack([fold == m % settings.folds for m in members])
    train_weight, check_weight = row * ~held, row * held
    check_weight = np.where(check_weight.sum(axis=1, keepdims=True) > 0, check_weight, train_weight)
    train_weight = np.where(train_weight.sum(axis=1, keepdims=True) > 0, train_weight, check_weight)

    def normal(weight: Array) -> NDArray[np.float32]:
        return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)[..., None]

    return normal(train_weight), normal(check_weight)


def member_baselines(
    rows: Observations, fold: NDArray[np.int64], settings: Settings, n_platforms: int, n_workloads: int
) -> list[Baseline]:
    """Each member's baseline, fitted on the rows it trains on."""
    if settings.objective != "log-residual":
        return [Baseline.constant(rows, n_platforms, n_workloads)] * settings.members
    startup = settings.baseline == "start-up"
    everything = Baseline.fit(rows, n_platforms, n_workloads, startup=startup)
    by_fold: dict[int, Baseline] = {}
    for held in range(min(settings.members, settings.folds)):
        kept = rows[fold != held]
        by_fold[held] = (
            Baseline.fit(kept, n_platforms, n_workloads, startup=startup, start=everything)
            if len(kept)
            else everything
        )
    return [by_fold[m % settings.folds] for m in range(settings.members)]


def offsets(baselines: Sequence[Baseline], rows: Observations) -> NDArray[np.float64]:
    """(E, N) log C̄ of every row by every member's baseline."""
    return np.stack([baseline(rows.platform, rows.workload) for baseline in baselines])


@contextmanager
def one_blas_thread(wanted: bool) -> Iterator[None]:
    """BLAS on one thread while our own threads share the cores."""
    if not wanted:
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield
