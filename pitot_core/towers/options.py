"""Options of the towers, checked in one place, and the published configuration by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pitot_core.errors import SettingsError
from pitot_core.settings import Settings, at_least, one_of, positive

CHOICES = {
    "baseline": ("start-up", "log-linear"),
    "objective": ("log-residual", "log", "proportional"),
    "interference": ("aware", "ignored", "discarded"),
    "loss": ("huber", "squared", "pinball"),
    "optimiser": ("adamw", "adamaxw"),
    "schedule": ("cosine", "constant"),
    "phi": ("normal", "uniform"),
}
SMALL = 3000  # training rows below which the network shrinks and is held closer to its baseline
FEW = 40_000  # training rows below which depth helps more than width
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class TowerOptions:
    """rank r, interference_types s, learned q and hidden layers as in the paper; then how they are trained.

    negative_slope     of α below zero; 1 makes α the identity
    objective          log-residual (Eq. 1 over Eq. 2), log (no baseline) or proportional (relative error)
    interference       aware; ignored (co-runners unknown, rows kept); discarded (rows with co-runners dropped)
    co_run_weight      of one row with co-runners against one isolated row
    degree_weights     instead: share of the whole weight for 0, 1, 2, 3 co-runners; what a number of co-runners that
                       no row has would get goes to the other ones above 0
    batch              rows drawn per step and number of co-runners; None: all rows in every step
    members, folds     networks trained side by side and averaged; member m leaves out fold m mod folds, by which
                       its best checkpoint is chosen
    quantiles          levels ξ of the quantile heads. With bounds="heads" a second training has them (published);
                       with bounds="shared" there is one training, whose median is the point prediction
    None stands for what the number of training rows suggests.
    """

    rank: int | None = None
    interference_types: int = 2
    learned: int | None = None
    hidden: tuple[int, ...] | None = None
    negative_slope: float = 0.1
    workload_features: bool = True
    platform_features: bool = True
    standardise: bool = True
    baseline: str = "start-up"
    objective: str = "log-residual"
    interference: str = "aware"
    loss: str = "huber"
    huber_delta: float | None = None
    co_run_weight: float = 0.7
    degree_weights: tuple[float, float, float, float] | None = None
    members: int = 8
    folds: int = 8
    optimiser: str = "adamw"
    beta2: float = 0.999
    steps: int | None = None
    batch: int | None = None
    learning_rate: float = 1e-2
    schedule: str = "cosine"
    warm_up: int = 50
    check_every: int = 10
    weight_decay: float | None = None
    output_gain: float = 0.5
    phi: str = "normal"
    quantiles: tuple[float, ...] = LEVELS

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            one_of(name, getattr(self, name), allowed)
        for name in ("rank", "members", "steps", "batch", "check_every"):
            if getattr(self, name) is not None:
                at_least(name, getattr(self, name), 1)
        for name in ("interference_types", "learned", "warm_up"):
            if getattr(self, name) is not None:
                at_least(name, getattr(self, name), 0)
        at_least("folds", self.folds, 2)
        for name in ("weight_decay", "negative_slope", "output_gain", "co_run_weight"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name), or_zero=True)
        for name in ("learning_rate", "huber_delta"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        positive("beta2", self.beta2)
        if self.beta2 >= 1:
            raise SettingsError(f"beta2 must be below 1, not {self.beta2}")
        for name in ("hidden", "degree_weights", "quantiles"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for width in self.hidden or ():
            at_least("a layer of hidden", width, 1)
        if self.degree_weights is not None:
            if len(self.degree_weights) != 4:
                raise SettingsError(f"degree_weights must be 4 numbers, not {len(self.degree_weights)}")
            for share in self.degree_weights:
                positive("a share in degree_weights", share, or_zero=True)
        if not self.quantiles or not all(0 < xi < 1 for xi in self.quantiles):
            raise SettingsError(f"quantiles must lie between 0 and 1, not {self.quantiles}")

    @classmethod
    def published(cls) -> dict[str, Any]:
        """The configuration of the paper, as options of `Pitot`, with Eq. 9 and Eq. 13 repaired.

        Its baseline is fitted on training rows only.
        """
        return {
            "method": "towers", "rank": 32, "interference_types": 2, "learned": 1, "hidden": (128, 128),
            "standardise": False, "baseline": "log-linear", "loss": "squared",
            "degree_weights": (1.0, 0.5 / 3, 0.5 / 3, 0.5 / 3), "members": 1, "folds": 10, "optimiser": "adamaxw",
            "steps": 20_000, "batch": 512, "learning_rate": 1e-3, "schedule": "constant", "warm_up": 0,
            "check_every": 200, "weight_decay": 1e-4, "output_gain": 0.05, "phi": "uniform", "bounds": "heads",
            "quantiles": LEVELS, "split_by": "row", "calibration": "split",
        }  # fmt: skip

    @property
    def crosses(self) -> bool:
        """Whether every row was left out by a member, and no kind of row is ignored: then CV+ can calibrate."""
        return self.members >= self.folds and self.interference != "discarded"

    @property
    def rehearses_apart(self) -> bool:
        """Rehearsals are by towers that have seen all rows that train."""
        return False

    def check(self, settings: Settings) -> None:
        """Raise SettingsError where these options and those of every Pitot do not go together."""
        if settings.bounds == "shared" and 0.5 not in self.quantiles:
            raise SettingsError('bounds="shared" needs the median, 0.5, among its quantiles')

    def sized(self, rows: int) -> Sized:
        """The sizes left open, for this many training rows."""
        small, few = rows < SMALL, rows < FEW
        hidden = (32,) if small else (128, 128, 128) if few else (128, 128)
        decay = 3.0 if small else min(1.2, max(0.08, 0.17 * (55_000 / rows) ** 1.2))
        return Sized(
            rank=self.rank or (8 if small else 48 if few else 64),
            learned=self.learned if self.learned is not None else (1 if small else 8),
            hidden=self.hidden if self.hidden is not None else hidden,
            steps=self.steps or (300 if small else max(400, min(800, rows * 400 // 60_000))),
            weight_decay=self.weight_decay if self.weight_decay is not None else decay,
            huber_delta=self.huber_delta or (0.1 if small else 0.02),
            batch=self.batch or (None if rows <= 600_000 else 100_000),
        )


@dataclass(frozen=True)
class Sized:
    """Sizes of one training, none left open; fields as in TowerOptions."""

    rank: int
    learned: int
    hidden: tuple[int, ...]
    steps: int
    weight_decay: float
    huber_delta: float
    batch: int | None
