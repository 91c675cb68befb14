"""Every error of the predictor, each one sentence for a person.

PitotError (a ValueError)
├── ObservationsError   rows that do not fit together: shapes, numbers out of range, times that are not finite
├── FeaturesError       feature tables that do not fit their names, or the rows that use them
├── SplitError          shares that make no sense, or too few rows to divide
├── SettingsError       an option that makes no sense
├── NotFitted           asked for a prediction before ``fit``
├── UnknownEntity       a workload or platform that was never observed
├── UncalibratedDegree  more co-runners than any calibration row had
└── ArchiveError        an .npz file that is damaged, or that claims more than it can hold
    └── ModelFileError  bytes that are not a model of this version
"""

from __future__ import annotations

from pathlib import Path


class PitotError(ValueError):
    """What went wrong and what to do about it, in one sentence; every error of this package is one."""


class ObservationsError(PitotError):
    """Rows that do not fit together, numbers out of range, or no rows at all.

    ``what`` is wrong, in row number ``row`` (from 0) where it is one row's alone, else None: ``what`` then goes on
    from "row 7", as in "has 4 co-runners".
    """

    def __init__(self, what: str, row: int | None = None) -> None:
        self.what, self.row = what, row
        super().__init__(what if row is None else f"row {row} {what}")


class FeaturesError(PitotError):
    """Feature tables that do not fit their names, or that are not those a model was fitted with."""


class SplitError(PitotError):
    """Shares that are negative or exceed 1, or too few rows to leave any for training."""


class SettingsError(PitotError):
    """An option that does not exist, has a value that makes no sense, or contradicts another."""


class NotFitted(PitotError):
    """A model was asked something before it had learned anything."""

    def __init__(self) -> None:
        super().__init__("this model has not seen any observation; call fit(observations, features) first")


class UnknownEntity(PitotError):
    """A workload or platform that the feature tables do not have, or that no training row measured.

    Of a name in a table of questions ``kind`` (workload or platform), ``name`` and ``row`` (from 0), else None;
    ``name`` is None also where the row names none.
    """

    def __init__(
        self, told: str, *, kind: str | None = None, name: str | None = None, row: int | None = None
    ) -> None:
        self.kind, self.name, self.row = kind, name, row
        super().__init__(told)


class UncalibratedDegree(PitotError):
    """A bound was asked for a number of co-runners that no calibration row had."""

    def __init__(self, co_runners: int, calibrated: tuple[int, ...]) -> None:
        have = ", ".join(str(n) for n in calibrated) or "none"
        super().__init__(
            f"no bound for {co_runners} co-runners: calibration rows exist for {have}; "
            f"observe jobs of {co_runners + 1} workloads and train again"
        )


class ArchiveError(PitotError):
    """An .npz file that is damaged, holds anything but plain arrays, or claims more than it can hold.

    ``what`` is wrong with the file at ``path``, where that is known; it is a sentence of its own about it, as in
    "it has two arrays 'a'", for those who name the file themselves.
    """

    def __init__(self, what: str, path: Path | None = None) -> None:
        self.what, self.path = what, path
        if path is not None:
            what = f"{path}{what.removeprefix('it')}" if what.startswith("it ") else f"{path}: {what}"
        super().__init__(what)


class ModelFileError(ArchiveError):
    """A file that is not a model, is a damaged one, or one of another version."""
