"""Every error of the predictor, each one sentence for a person.

PitotError (a ValueError)
├── ObservationsError   rows that do not fit together: shapes, numbers out of range, times that are not finite
├── FeaturesError       feature tables that do not fit their names, or the rows that use them
├── SplitError          shares that make no sense, or too few rows to divide
├── SettingsError       an option that makes no sense
├── NotFitted           asked for a prediction before ``fit``
├── UnknownEntity       a workload or platform that was never observed
├── UncalibratedDegree  more co-runners than any calibration row had
└── ModelFileError      bytes that are not a model of this version
"""

from __future__ import annotations


class PitotError(ValueError):
    pass


class ObservationsError(PitotError):
    pass


class FeaturesError(PitotError):
    pass


class SplitError(PitotError):
    pass


class SettingsError(PitotError):
    pass


class NotFitted(PitotError):
    def __init__(self) -> None:
        super().__init__("this model has not seen any observation; call fit(observations, features) first")


class UnknownEntity(PitotError):
    pass


class UncalibratedDegree(PitotError):
    def __init__(self, co_runners: int, calibrated: tuple[int, ...]) -> None:
        have = ", ".join(str(n) for n in calibrated) or "none"
        super().__init__(
            f"no bound for {co_runners} co-runners: calibration rows exist for {have}; "
            f"observe jobs of {co_runners + 1} workloads and train again"
        )


class ModelFileError(PitotError):
    pass
