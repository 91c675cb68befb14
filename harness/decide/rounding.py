"""From a relaxed choice of sets to a real one: draw, strike what is hosted twice, then improve by single moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.decide.packing import Packing, Relaxed

Array = NDArray[Any]
DRAWS = 40
ROUNDS = 3
Find = Callable[[Array, Array], Array]
NOTHING = -1


class Family:
    """The sets of a packing by device, so that one with a member more or less is found.

    ``places`` are numbers of platforms, of which a device may have several; ``key`` numbers each set there.
    """

    def __init__(
        self, packing: Packing, place: Array, key: Array, keys: Callable[[Array, Array], Array]
    ) -> None:
        self.packing, self.place, self.key, self.keys = packing, place, key, keys
        self.value = np.append(packing.value, 0.0)  # NOTHING is worth nothing
        self.members = np.vstack([packing.members, np.full((1, packing.members.shape[1]), -1)])
        devices = int(packing.device.max(initial=-1)) + 1
        self.platforms = [np.unique(place[packing.device == device]) for device in range(devices)]

    def find(self, device: int, members: Array) -> Array:
        """(n,) of the sets ``members`` (n, k), the one of most value on any platform of the device, or NOTHING."""
        ordered = np.sort(members, axis=1)
        best = np.full(len(members), NOTHING)
        for platform in self.platforms[device]:
            wanted = self.keys(np.full(len(members), platform), ordered)
            at = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
            here = np.where(self.key[at] == wanted, at, NOTHING)
            better = (here != NOTHING) & ((best == NOTHING) | (self.value[here] > self.value[best]))
            best = np.where(better, here, best)
        return best


class Choice:
    """One set, or NOTHING, for each device; and what single moves would make of it."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.devices = len(family.platforms)
        self.demands, self.most = len(family.packing.copies), family.packing.members.shape[1]
        self.chosen = np.full(self.devices, NOTHING)
        self.left = family.packing.copies.copy()
        self.add = np.full((self.devices, self.demands), NOTHING)
        self.drop = np.full((self.devices, self.most), NOTHING)
        self.swap = np.full((self.devices, self.most, self.demands), NOTHING)
        for device in range(self.devices):
            self._look(device)

    @property
    def value(self) -> float:
        return float(self.family.value[self.chosen].sum())

    def put(self, device: int, chosen: int) -> None:
        """Let this set live there instead of what does."""
        for sign, which in ((1, self.chosen[device]), (-1, chosen)):
            members = self.family.members[which]
            np.add.at(self.left, members[members >= 0], sign)
        self.chosen[device] = chosen
        self._look(device)

    def _look(self, device: int) -> None:
        """What this device's set becomes with one member more, less or other."""
        members = self.family.members[self.chosen[device]]
        everyone = np.arange(self.demands)
        self.add[device] = NOTHING
        self.drop[device] = NOTHING
        self.swap[device] = NOTHING
        if (members == -1).any():  # sorted, so the first place is free
            more = np.tile(members, (self.demands, 1))
            more[:, 0] = everyone
            self.add[device] = self.family.find(device, more)
        for position in np.flatnonzero(members >= 0):
            other = np.tile(members, (self.demands + 1, 1))
            other[:-1, position], other[-1, position] = everyone, -1
            found = self.family.find(device, other)
            self.swap[device, position], self.drop[device, position] = found[:-1], found[-1]
            if (members >= 0).sum() > 1 and found[-1] == NOTHING:
                self.drop[device, position] = -2  # cannot be left alone

    def improve(self) -> None:
        """Host what is left out, if need be by moving one resident elsewhere; then move residents where it pays."""
        for _ in range(ROUNDS):
            before = self.value
            for demand in np.flatnonzero(self.left > 0).tolist():
                while self.left[demand] > 0 and (self._insert(demand) or self._insert_by_moving(demand)):
                    pass
            self._move()
            if self.value <= before + 1e-12:
                return

    def _gains(self) -> Array:
        """(devices, demands) what adding a demand to a device's set brings; −∞ where it does not fit."""
        value = self.family.value
        return np.where(self.add == NOTHING, -np.inf, value[self.add] - value[self.chosen][:, None])

    def _insert(self, demand: int) -> bool:
        gain = self._gains()[:, demand]
        device = int(gain.argmax())
        if gain[device] <= 0:
            return False
        self.put(device, int(self.add[device, demand]))
        return True

    def _insert_by_moving(self, demand: int) -> bool:
        value, gains = self.family.value, self._gains()
        swapped = self.swap[:, :, demand]
        here = np.where(swapped == NOTHING, -np.inf, value[swapped] - value[self.chosen][:, None])
        found = self._elsewhere(gains, here)
        if found is None:
            return False
        device, position, other = found
        moved = int(self.family.members[self.chosen[device], position])
        self.put(device, int(swapped[device, position]))
        self.put(other, int(self.add[other, moved]))
        return True

    def _move(self) -> None:
        """Move single residents to other devices while that adds value, by fewer places or a better time."""
        value = self.family.value
        for _ in range(self.devices * self.most):
            here = np.where(self.drop == -2, -np.inf, value[self.drop] - value[self.chosen][:, None])
            here[self.family.members[self.chosen] < 0] = -np.inf
            found = self._elsewhere(self._gains(), here)
            if found is None:
                return
            device, position, other = found
            moved = int(self.family.members[self.chosen[device], position])
            self.put(device, int(self.drop[device, position]))
            self.put(other, int(self.add[other, moved]))

    def _elsewhere(self, gains: Array, here: Array) -> tuple[int, int, int] | None:
        """Device and position of the resident whose move brings most, with the device it moves to; None: nothing does.

        ``here`` (devices, most) is what its own device gains or loses by its leaving.
        """
        if self.devices < 2:
            return None
        members = self.family.members[self.chosen]
        order = np.argsort(-gains, axis=0, kind="stable")[:2]  # the best two devices for each demand
        first, second = order[0][members], order[1][members]
        to = np.where(first == np.arange(self.devices)[:, None], second, first)
        total = here + gains[to, members]
        total[members < 0] = -np.inf
        device, position = np.unravel_index(int(total.argmax()), total.shape)
        if not total[device, position] > 1e-9:
            return None
        return int(device), int(position), int(to[device, position])


def draw(family: Family, relaxed: Relaxed, rng: np.random.Generator) -> Choice:
    """Devices in random order each draw a set in proportion to x; who is hosted often enough is struck from it."""
    choice = Choice(family)
    of = family.packing.device[relaxed.columns]
    for device in rng.permutation(choice.devices):
        here = np.flatnonzero(of == device)
        x = relaxed.x[here]
        if not len(here) or rng.random() >= x.sum():
            continue
        members = family.members[relaxed.columns[rng.choice(here, p=x / x.sum())]].copy()
        left = choice.left.copy()
        for position, demand in enumerate(members):
            if demand >= 0 and left[demand] > 0:
                left[demand] -= 1
            else:
                members[position] = -1
        chosen = int(family.find(int(device), members[None])[0])
        if chosen != NOTHING:
            choice.put(int(device), chosen)
    return choice


def round_off(
    family: Family, relaxed: Relaxed, rng: np.random.Generator, enough: Callable[[Choice], bool]
) -> Array:
    """The best of DRAWS roundings, as numbers of sets; ends early with one that is ``enough``."""
    best, chosen = -np.inf, np.zeros(0, np.int64)
    for _ in range(DRAWS):
        choice = draw(family, relaxed, rng)
        choice.improve()
        if choice.value > best:
            best, chosen = choice.value, choice.chosen[choice.chosen != NOTHING]
        if enough(choice):
            break
    return chosen
