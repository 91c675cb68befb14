"""Options that every Pitot has, whatever completes its matrix."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pitot_core.errors import SettingsError

BOUNDS = ("spread", "heads", "shared", "plain")
CALIBRATIONS = ("auto", "split", "cross")
SPLIT_BY = ("job", "row")
FEW = 3000  # rows below which none are kept apart for calibration alone
MOST_CALIBRATE = 4000  # rows of a number of co-runners; with 2,000 coverage scattered twice as much


@dataclass(frozen=True)
class Settings:
    """What is calibrated on which rows.

    bounds             spread: the distance from the prediction grows with the row's own spread;
                       heads, shared: with quantile heads (towers only; see `towers.options`);
                       plain: one residual distribution for all rows
    calibration        split: calibrate on rows kept apart; cross: on the rows that train, each predicted by a part of
                       the model that had not seen it (CV+); auto: cross below 3,000 rows, else split
    calibration_share  of the rows given to `fit`, kept apart with "split"
    split_by           job: rows measured together are kept together; row: as published
    threads            how many threads may work at the same time
    seed               decides splits and initial values
    """

    bounds: str = "spread"
    calibration: str = "auto"
    calibration_share: float = 0.1
    split_by: str = "job"
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("bounds", self.bounds, BOUNDS)
        one_of("calibration", self.calibration, CALIBRATIONS)
        one_of("split_by", self.split_by, SPLIT_BY)
        at_least("threads", self.threads, 1)
        at_least("seed", self.seed, 0)
        if not _number(self.calibration_share) or not 0 <= self.calibration_share < 1:
            raise SettingsError(
                f"calibration_share must be at least 0 and below 1, not {self.calibration_share!r}"
            )

    def crosses(self, rows: int, able: bool) -> bool:
        """Whether this many rows are calibrated by CV+, where the method is `able` to. Raises SettingsError."""
        able = able and self.bounds in ("spread", "plain")
        if self.calibration == "cross" and not able:
            raise SettingsError(f'calibration="cross" does not go with bounds={self.bounds!r} of this method')
        return able and (self.calibration == "cross" or (self.calibration == "auto" and rows < FEW))


def made_of(options: dict[str, Any], shared: type[Any], own: type[Any], where: str) -> tuple[Any, Any]:
    """Two dataclasses from the options of both. Raises SettingsError for an option that neither has."""
    names = [{field.name for field in fields(kind)} for kind in (shared, own)]
    for name in options:
        if name not in names[0] | names[1]:
            there = ", ".join(sorted(names[0] | names[1]))
            raise SettingsError(f"there is no option {name!r} with {where}; there are {there}")
    first, second = ({name: value for name, value in options.items() if name in some} for some in names)
    return shared(**first), own(**second)


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise SettingsError unless an option has one of these values."""
    if value not in allowed:
        raise SettingsError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


def at_least(name: str, value: object, least: int) -> None:
    """Raise SettingsError unless an option is a whole number and not below `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingsError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        rule = "must not be negative" if least == 0 else f"must be at least {least}"
        raise SettingsError(f"{name} {rule}, not {value}")


def positive(name: str, value: object, *, or_zero: bool = False) -> None:
    """Raise SettingsError unless an option is a finite number above zero (or zero, where that is allowed)."""
    if not _number(value) or not (value > 0 or (or_zero and value == 0)) or value == float("inf"):  # type: ignore[operator]
        raise SettingsError(f"{name} must be a finite number {'≥' if or_zero else 'above'} 0, not {value!r}")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
