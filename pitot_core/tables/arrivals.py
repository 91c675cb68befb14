"""A workload or a platform that comes after the fit, learned from a handful of rows.

The known tables stay as they are, to the bit. Given them, everything about the newcomer is Gaussian: its row of F, of
each S and of each G has for a mean what its likes have, weighted by a = K⁻¹k, and for a covariance s · amplitude · K of
the other side with s = k(new, new) − kᵀa. Its level (start-up and speed of a platform, work of a workload) is Gaussian
too. A row of measurement is linear in all of them once Eq. 9 is linearised, so they are found in one regression of as
many unknowns as there are rows, a few times over: with the weights of `sweeps`, so that one wild row is no
more than a row; and with k from features first, then also from how the newcomer has turned out to behave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import MAX_CO_RUNNERS, Observations
from pitot_core.tables.hyperparameters import Hyperparameters
from pitot_core.tables.kernels import behaviour, matern, squared_distances, unit

Array = NDArray[Any]
Mask = NDArray[np.bool_]
ROUNDS = 4  # the first knows only features
STEPS = 4
JITTER = 1e-6
LEAST_LEFT = 0.02  # of s: nobody is quite like others
LEVEL_FLOOR = 0.05
WILD = 0.3  # ln units: a row that is further off than this is more likely wrong than informative


@dataclass
class Likeness:
    """Kernel of one side over the known, its inverse, and the same towards a newcomer.

    kernel (n, n), inverse (n, n); features (N, N) prior over all, of which `at` (n,) are the known
    """

    features: Array
    at: NDArray[np.int64]
    rows: Array
    weight: float
    length: float
    constant: float

    def __post_init__(self) -> None:
        prior = self.features[np.ix_(self.at, self.at)]
        self.kernel = prior
        self.norm, self.scale = 1.0, 0.0
        if self.weight:
            distance = squared_distances(np.asarray(self.rows, np.float64))
            apart = distance[~np.eye(len(distance), dtype=bool)]
            self.scale = float(np.median(apart)) if len(apart) else 0.0
            alike = prior + self.weight * behaviour(self.rows, self.length)
            self.norm = float(np.mean(np.diag(alike)))
            self.kernel = alike / self.norm
        self.kernel = self.kernel + self.constant + JITTER * np.eye(len(prior))
        self.inverse = np.linalg.inv(self.kernel)

    def towards(self, new: int, row: Array) -> tuple[Array, float]:
        """a (n,) and s of number `new` that behaves like `row`; a known one is taken out first."""
        k, own = self.features[new, self.at].copy(), float(self.features[new, new])
        if self.weight:
            distance = np.mean((np.asarray(self.rows, np.float64) - row) ** 2, axis=1)
            near = matern(distance / self.scale, self.length) if self.scale > 0 else np.ones(len(k))
            k, own = (k + self.weight * near) / self.norm, (own + self.weight) / self.norm
        k, own = k + self.constant, own + self.constant
        inverse = self.inverse
        at = np.flatnonzero(self.at == new)
        if len(at):  # inverse without that row and column
            q = inverse[:, at[0]]
            k[at[0]] = 0.0
            a = inverse @ k - q * (q @ k) / q[at[0]]
            a[at[0]] = 0.0
        else:
            a = inverse @ k
        return a, max(own - float(k @ a), LEAST_LEFT * own)


@dataclass(frozen=True)
class Newcomer:
    """level (L,); work (m,), suffers and presses (s, m) over the other side; deviation (m,) of log Ĉ alone."""

    level: Array
    work: Array
    suffers: Array
    presses: Array
    deviation: Array


@dataclass
class Side:
    """One side of the tables, "platform" or "workload", with the other side across.

    work (N, m), suffers, presses (s, N, m); levels (N, L): start-up and speed of platforms, work of workloads;
    other_levels (m, …) of the other side; other, other_beside (m, m) its kernels for F and for S and G
    known (N,) whose numbers are learned; judged (m,) of the other side, by which behaviour is compared
    """

    name: str
    work: Array
    suffers: Array
    presses: Array
    levels: Array
    other_levels: Array
    other: Array
    other_beside: Array
    features: Array
    known: Mask
    judged: Mask
    slope: float
    hyper: Hyperparameters

    def __post_init__(self) -> None:
        at, hyper = np.flatnonzero(self.known), self.hyper
        rows = self.work[np.ix_(at, np.flatnonzero(self.judged))]
        if self.name == "platform":
            weight, length, constant = hyper.behaviour_platform, hyper.behaviour_platform_length, 0.0
        else:
            weight, length = hyper.behaviour_workload, hyper.behaviour_workload_length
            constant = hyper.platform_mean
        self.at = at
        self.by_features = Likeness(self.features, at, rows, 0.0, length, 0.0)
        self.by_behaviour = Likeness(self.features, at, rows, weight, length, 0.0)
        self.beside = (
            self.by_behaviour if not constant else Likeness(self.features, at, rows, weight, length, constant)
        )

    def learn(self, new: int, rows: Observations) -> Newcomer:
        """Number `new` of this side from rows in which it is the target's own and everything else is known."""
        mine, other = self._numbers(rows)
        found: Newcomer | None = None
        for _ in range(ROUNDS):
            found = self._round(new, rows, mine, other, found)
        assert found is not None
        return found

    def _numbers(self, rows: Observations) -> tuple[Array, Array]:
        pair = rows.platform, rows.workload
        return pair if self.name == "platform" else (pair[1], pair[0])

    def _round(
        self, new: int, rows: Observations, mine: Array, other: Array, before: Newcomer | None
    ) -> Newcomer:
        hyper, at = self.hyper, self.at
        n, m, types = len(rows), self.work.shape[1], len(self.suffers)
        a, left = (
            self.by_features.towards(new, np.zeros(0))
            if before is None
            else self.by_behaviour.towards(new, before.work[self.judged])
        )
        a_beside, left_beside = (
            (a, left) if before is None else self.beside.towards(new, before.work[self.judged])
        )
        work = a @ self.work[at]
        amplitude = left * hyper.work * hyper.work_later
        centre = self.levels[at].mean(axis=0)
        level = centre + a @ (self.levels[at] - centre)
        spread = self.levels[at].std(axis=0)
        level_deviation = np.maximum(spread * np.sqrt(min(left, 1.0)), LEVEL_FLOOR)
        suffers, presses = self.suffers[:, at], self.presses[:, at]
        means = [1.0 if t == 0 else 0.0 for t in range(types)]
        pressing = [hyper.pressing if t == 0 else 0.0 for t in range(types)]
        s = np.array([mean + a_beside @ (suffers[t] - mean) for t, mean in enumerate(means)]).reshape(
            types, m
        )
        g = np.array([mean + a_beside @ (presses[t] - mean) for t, mean in enumerate(pressing)]).reshape(
            types, m
        )
        s_now, g_now = s.copy(), g.copy()

        level_now, beside = level.copy(), rows.n_co_runners > 0
        one_hot = np.zeros((n, m))
        one_hot[np.arange(n), other] = 1.0
        pressed = np.zeros((n, m))
        if self.name == "platform":
            for column in range(MAX_CO_RUNNERS):
                present = np.flatnonzero(rows.co_runners[:, column] >= 0)
                np.add.at(pressed, (present, rows.co_runners[present, column]), 1.0)
        noise = np.where(beside, hyper.noise_beside, hyper.noise)
        weight = _first_weight(rows.log_ns - self._base(level, other)[0] - work[other], noise)
        gain = np.zeros(n)
        for _ in range(STEPS):
            base, jacobian = self._base(level_now, other)
            cover = (jacobian * level_deviation**2) @ jacobian.T + amplitude * self.other[
                np.ix_(other, other)
            ]
            target = rows.log_ns - base - work[other] + jacobian @ (level_now - level)
            for t in range(types):
                load = self._load(rows, g_now[t], pressed, t)
                alpha = np.where(load > 0, load, self.slope * load)
                tilt = s_now[t, other] * np.where(load > 0, 1.0, self.slope)
                target -= s[t, other] * alpha
                shrink = hyper.further**t * left_beside
                by_s = alpha[:, None] * one_hot
                cover += shrink * hyper.suffers * by_s @ self.other_beside @ by_s.T
                if self.name == "platform":
                    by_g = tilt[:, None] * pressed
                    cover += shrink * hyper.presses * by_g @ self.other_beside @ by_g.T
                    target += by_g @ (g_now[t] - g[t])
            inverse = np.linalg.inv(cover + np.diag(1.0 / np.maximum(weight, 1e-9)))
            gain = inverse @ target
            level_now = level + level_deviation**2 * (jacobian.T @ gain)
            for t in range(types):
                load = self._load(rows, g_now[t], pressed, t)
                alpha = np.where(load > 0, load, self.slope * load)
                tilt = s_now[t, other] * np.where(load > 0, 1.0, self.slope)
                shrink = hyper.further**t * left_beside
                s_next = s[t] + shrink * hyper.suffers * self.other_beside[:, other] @ (alpha * gain)
                if self.name == "platform":
                    g_now[t] = g[t] + shrink * hyper.presses * self.other_beside @ (pressed.T @ (tilt * gain))
                s_now[t] = s_next
            work_now = work + amplitude * self.other[:, other] @ gain
            e = rows.log_ns - self._base(level_now, other)[0] - work_now[other]
            for t in range(types):
                load = self._load(rows, g_now[t], pressed, t)
                e -= s_now[t, other] * np.where(load > 0, load, self.slope * load)
            weight = 1.0 / (noise * np.sqrt(1.0 + (e / hyper.scale) ** 2) * (1.0 + (e / WILD) ** 2))
            weight[~rows.measured & (e <= 0)] = 0.0
        everywhere = np.arange(m)
        _, jacobian_all = self._base(level_now, everywhere)
        _, jacobian = self._base(level_now, other)
        cross = (jacobian_all * level_deviation**2) @ jacobian.T + amplitude * self.other[:, other]
        own = np.sum((jacobian_all * level_deviation) ** 2, axis=1) + amplitude * np.diag(self.other)
        variance = own - np.sum((cross @ inverse) * cross, axis=1)
        return Newcomer(level_now, work_now, s_now, g_now, np.sqrt(np.maximum(variance, 1e-6)))

    def _base(self, level: Array, other: Array) -> tuple[Array, Array]:
        """(n,) log C̄ and its derivative (n, L) by the newcomer's levels."""
        if self.name == "platform":
            work = level[1] + self.other_levels[other, 0]
            total = np.logaddexp(level[0], work)
            share = np.exp(work - total)
            return total, np.column_stack([1.0 - share, share])
        startup, speed = self.other_levels[other].T
        work = speed + level[0]
        total = np.logaddexp(startup, work)
        return total, np.exp(work - total)[:, None]

    def _load(self, rows: Observations, presses: Array, pressed: Array, t: int) -> Array:
        """(n,) Σ_k G: the newcomer's own row of G for a platform, the known ones' for a workload."""
        if self.name == "platform":
            return np.asarray(pressed @ presses)
        load = np.zeros(len(rows))
        for column in range(MAX_CO_RUNNERS):
            present = np.flatnonzero(rows.co_runners[:, column] >= 0)
            load[present] += self.presses[t][rows.co_runners[present, column], rows.platform[present]]
        return load


def _first_weight(e: Array, noise: Array) -> Array:
    """(n,) before anything is fitted: small, and smaller for rows that are far from what most of them say.

    e (n,) are residuals from what the newcomer's likes suggest, whose level may be wrong by any factor.
    """
    away = np.abs(e - np.median(e))
    usual = max(3.0 * float(np.median(away)), WILD)
    return np.asarray(1.0 / (10.0 * noise * (1.0 + (away / usual) ** 4)))


def other_kernels(features: Array, work: Array, hyper: Hyperparameters, side: str) -> tuple[Array, Array]:
    """K of one side (n, n) for F, and for S and G, from features and from how its rows of F (n, m) behave."""
    if side == "platform":
        kernel = unit(features + hyper.behaviour_platform * behaviour(work, hyper.behaviour_platform_length))
        return kernel, kernel
    kernel = unit(features + hyper.behaviour_workload * behaviour(work, hyper.behaviour_workload_length))
    return kernel, kernel + hyper.platform_mean
