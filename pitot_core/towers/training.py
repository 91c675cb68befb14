"""Training several members at once, each leaving out one fold that chooses its best step."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import PitotError
from pitot_core.observations import Observations
from pitot_core.settings import Settings
from pitot_core.steps import Progress, Step, one_blas_thread
from pitot_core.towers.interference import Plan
from pitot_core.towers.losses import Loss
from pitot_core.towers.network import Network, Shape
from pitot_core.towers.optimise import Adam, cosine
from pitot_core.towers.options import Sized, TowerOptions

Array = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """Rows and tables that every member shares.

    offset (E, N) is each member's own baseline in ln ns; fold (N,) the fold of each row.
    """

    phase: str
    rows: Observations
    x_w: Array
    x_p: Array
    offset: Array
    fold: NDArray[np.int64]

    def held(self, members: NDArray[np.int64], folds: int) -> NDArray[np.bool_]:
        """(E, N) rows that member m is not trained on."""
        return np.stack([self.fold == m % folds for m in members])


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


def train(
    task: Task,
    settings: Settings,
    options: TowerOptions,
    sized: Sized,
    loss: Loss,
    progress: Progress | None = None,
) -> Trained:
    """Train options.members networks, spread over settings.threads threads."""
    members = np.arange(options.members)
    chunks = np.array_split(members, min(settings.threads, len(members)))
    stop = threading.Event()
    with one_blas_thread(), ThreadPoolExecutor(max(1, len(chunks) - 1)) as pool:
        try:
            made = [_Chunk(task, settings.seed, options, sized, loss, chunk) for chunk in chunks]
            others = [pool.submit(chunk.run, stop, None) for chunk in made[1:]]
            first = made[0].run(stop, progress)
            parts = [first, *(other.result() for other in others)]
        finally:
            stop.set()
    names = ("parameters", "platforms", "workloads", "predictions", "best_step", "best_loss")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **joined)


class _Chunk:
    """Some members on one thread."""

    def __init__(
        self,
        task: Task,
        seed: int,
        options: TowerOptions,
        sized: Sized,
        loss: Loss,
        members: NDArray[np.int64],
    ) -> None:
        self.task, self.seed, self.options, self.sized, self.loss = task, seed, options, sized, loss
        self.members = members
        self.types = options.interference_types if options.interference == "aware" else 0
        n_workloads, n_platforms = len(task.x_w), len(task.x_p)
        shape = Shape(
            n_workloads, n_platforms, task.x_w.shape[1], task.x_p.shape[1],
            sized.rank, self.types, sized.learned, sized.hidden, loss.heads,
        )  # fmt: skip
        self.network = Network(shape, task.x_w, task.x_p, len(members))
        seeds = [seed * 1000 + int(m) for m in members]
        self.network.initialise(seeds, output_gain=options.output_gain, phi=options.phi)
        self.held = task.held(members, options.folds)
        self.weight = row_weights(task.rows, options)
        self.target = (task.rows.log_ns - task.offset[members])[..., None].astype(np.float32)

    def run(self, stop: threading.Event, progress: Progress | None) -> Trained:
        network, options, sized, loss = self.network, self.options, self.sized, self.loss
        plan = Plan.of(self.task.rows, self.types, len(self.task.x_w))
        everything = network.gathered(plan, options.negative_slope)
        target = self.target[:, plan.order]
        train_weight, check_weight = self._weights(plan.order)
        values = network.parameters.flat
        optimiser = Adam(
            values, network.parameters.is_matrix(), decay=sized.weight_decay, beta2=options.beta2,
            infinity=options.optimiser == "adamaxw",
        )  # fmt: skip
        best, best_loss = values.copy(), np.full(len(values), np.inf)
        best_step = np.zeros(len(values), np.int64)
        error = np.empty_like(everything.total)
        rng = np.random.default_rng(self.seed)
        for step in range(sized.steps + 1):
            if stop.is_set():
                break
            checks = step % options.check_every == 0 or step == sized.steps
            if checks or sized.batch is None:
                np.subtract(network.forward(everything), target, out=error)
            if checks:
                now = (loss.value(error).mean(axis=2) * check_weight[..., 0]).sum(axis=1, dtype=np.float64)
                if not np.all(np.isfinite(now)):
                    raise PitotError(f"training diverged at step {step}; lower learning_rate")
                better = now < best_loss
                best[better], best_loss[better], best_step[better] = values[better], now[better], step
                if progress is not None:
                    progress(Step(self.task.phase, step, sized.steps, float(now.mean())))
            if step == sized.steps:
                break
            if sized.batch is None:
                slope = loss.derivative(error)
                slope *= train_weight
                network.backward(everything, slope)
            else:
                self._batch_gradient(sized.batch, rng)
            optimiser.step(values, network.gradients.flat, self._rate(step))
        values[...] = best
        predictions = np.empty((len(values), len(plan), loss.heads))
        predictions[:, plan.order] = network.forward(everything)
        predictions += self.task.offset[self.members][..., None]
        platforms, workloads = network.embed()
        return Trained(
            network.shape, best, platforms.copy(), workloads.copy(), predictions, best_step, best_loss
        )

    def _rate(self, step: int) -> float:
        options, steps = self.options, self.sized.steps
        if options.schedule == "constant":
            return options.learning_rate
        return options.learning_rate * cosine(step, steps, warm_up=min(options.warm_up, steps // 4))

    def _weights(self, order: NDArray[np.int64]) -> tuple[Array, Array]:
        """(E, N, 1) weights of training and of held-out rows, each adding up to 1 per member."""
        row, held = self.weight[order], self.held[:, order]
        training, checking = row * ~held, row * held
        checking = np.where(checking.sum(axis=1, keepdims=True) > 0, checking, training)
        training = np.where(training.sum(axis=1, keepdims=True) > 0, training, checking)
        return _normal(training), _normal(checking)

    def _batch_gradient(self, size: int, rng: np.random.Generator) -> None:
        """Gradient on `size` random training rows of every number of co-runners."""
        n_co = self.task.rows.n_co_runners
        drawn = []
        for n in np.unique(n_co):
            pool = np.flatnonzero((n_co == n) & ~self.held.all(axis=0))
            if len(pool):
                drawn.append(pool[rng.integers(0, len(pool), size)])
        chosen = np.concatenate(drawn)
        plan = Plan.of(self.task.rows[chosen], self.types, len(self.task.x_w), cell_sorted=False)
        chosen = chosen[plan.order]
        gathered = self.network.gathered(plan, self.options.negative_slope)
        slope = self.loss.derivative(self.network.forward(gathered) - self.target[:, chosen])
        # A row's weight over its chance of being drawn, so that the batch stands for all rows.
        share = np.bincount(n_co)[n_co[chosen]]
        slope *= _normal(self.weight[chosen] * share * ~self.held[:, chosen])
        self.network.backward(gathered, slope)


def _normal(weight: Array) -> Array:
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
    return np.asarray(weight / total, np.float32)[..., None]


def row_weights(rows: Observations, options: TowerOptions) -> NDArray[np.float64]:
    """(N,) weight of each row by its number of co-runners."""
    n_co = rows.n_co_runners
    if options.degree_weights is None:
        return np.where(n_co > 0, options.co_run_weight, 1.0)
    count = np.bincount(n_co, minlength=4)
    share = np.array(options.degree_weights)
    beside, present = share[1:].sum(), share[1:][count[1:] > 0].sum()
    if present:  # what degrees without rows would have had goes to the others
        share[1:] *= beside / present
    return np.asarray((share / np.maximum(count, 1))[n_co])
