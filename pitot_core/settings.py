"""Every option of the model, checked in one place."""

from __future__ import annotations

from dataclasses import dataclass

from pitot_core.errors import SettingsError

OBJECTIVES = ("log-residual", "log", "proportional")
INTERFERENCE = ("aware", "ignored", "discarded")
BASELINES = ("start-up", "log-linear")
LOSSES = ("huber", "squared", "pinball")


@dataclass(frozen=True)
class Settings:
    """rank r, interference_types s, learned q and hidden layers as in the paper; then how they are trained.

    members: networks trained side by side and averaged; each leaves out one fold of the training rows, by
    which its best checkpoint is chosen. None: chosen by the number of training rows.
    """

    rank: int | None = None
    interference_types: int = 2
    learned: int = 1
    hidden: tuple[int, ...] | None = None
    negative_slope: float = 0.1
    workload_features: bool = True
    platform_features: bool = True
    standardise: bool = True
    baseline: str = "start-up"
    objective: str = "log-residual"
    interference: str = "aware"
    loss: str = "huber"
    huber_delta: float = 0.05
    quantiles: tuple[float, ...] = ()
    beta2: float = 0.999
    co_run_weight: float = 1.0
    members: int = 4
    folds: int = 5
    steps: int | None = None
    learning_rate: float = 1e-2
    warm_up: int = 50
    weight_decay: float | None = None
    output_gain: float = 0.3
    calibration_share: float = 0.1
    split_by: str = "job"
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("baseline", BASELINES),
            ("objective", OBJECTIVES),
            ("interference", INTERFERENCE),
            ("loss", LOSSES),
            ("split_by", ("job", "row")),
        ):
            if getattr(self, name) not in allowed:
                raise SettingsError(
                    f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                )
        for name in ("rank", "members", "steps", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} must be at least 1, not {value}")
        for name in ("interference_types", "learned", "warm_up", "seed"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.folds < 2:
            raise SettingsError(f"folds must be at least 2, not {self.folds}")
        if not 0 <= self.calibration_share < 1:
            raise SettingsError(
                f"calibration_share must be at least 0 and below 1, not {self.calibration_share}"
            )
        if self.hidden is not None:
            object.__setattr__(self, "hidden", tuple(int(width) for width in self.hidden))

    def sized(self, rows: int, entities: int) -> Sized:
        """The sizes left open, for this many training rows and workloads + platforms."""
        small = rows < 3000
        return Sized(
            rank=self.rank or (8 if small else 32),
            hidden=self.hidden if self.hidden is not None else ((32,) if small else (128, 128)),
            steps=self.steps or (300 if small else 500),
            weight_decay=self.weight_decay if self.weight_decay is not None else (1.0 if small else 0.1),
        )


@dataclass(frozen=True)
class Sized:
    rank: int
    hidden: tuple[int, ...]
    steps: int
    weight_decay: float
