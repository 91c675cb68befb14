"""The numbers of the priors: how far tables may lie from their means, and how alike their rows are.

They were found by a random search on splits of the published rows (seeds 100 and 101, at 10, 50 and 90 % of the rows at
once); the errors hardly move when any of them is doubled.
"""

from __future__ import annotations

from dataclasses import dataclass

from pitot_core.errors import SettingsError
from pitot_core.settings import Settings, at_least, positive


@dataclass(frozen=True)
class Hyperparameters:
    """Lengths are in standard deviations of a feature, amplitudes variances of ln units, the rest shares of kernels.

    workload_*, platform_*, same_*, any_*  the kernels of features (see `kernels`); own: shared with no other
    behaviour_*                            weight and length of the kernels of learned behaviour, for workloads,
                                           platforms, and both sides of the interference tables
    work                                   amplitude of F before behaviour is known, and times work_later after
    suffers, presses                       amplitudes of S and G of the first type; of each next type `further` of it
    platform_mean                          added to K_w of S and G: what all workloads share on a platform
    pressing                               mean of the first G: the slowdown by a co-runner, in ln units
    noise, noise_beside                    variance of a row without and with co-runners
    scale                                  δ, where the loss turns from square to absolute
    quiet                                  power of a platform's own mean residual in its rows' variance
    pace                                   of the machine's pace (see `Observations`), how much of it times go by
    """

    workload_length: float = 1.39
    workload_far: float = 0.1
    workload_far_length: float = 16.0
    workload_own: float = 0.02
    workload_network: float = 0.5
    platform_length: float = 2.14
    platform_features: float = 20.5
    platform_own: float = 0.76
    same_device: float = 1.0
    any_device: float = 3.65
    same_engine: float = 1.0
    any_engine: float = 5.3
    behaviour_workload: float = 3.5
    behaviour_workload_length: float = 0.78
    behaviour_platform: float = 3.74
    behaviour_platform_length: float = 0.98
    behaviour_beside: float = 3.9
    behaviour_beside_length: float = 0.92
    work: float = 0.022
    work_later: float = 3.1
    suffers: float = 0.039
    presses: float = 0.005
    further: float = 0.75
    platform_mean: float = 13.8
    pressing: float = 0.25
    noise: float = 0.00056
    noise_beside: float = 0.0017
    scale: float = 0.02
    quiet: float = 0.5
    pace: float = 0.0

    @property
    def work_variance(self) -> float:
        """Variance of F beforehand."""
        return self.work * self.work_later


@dataclass(frozen=True)
class TableOptions:
    """What a person may choose about the tables.

    interference_types  s of Eq. 9; 0 ignores co-runners
    negative_slope      of α below zero; 1 makes α the identity
    *_features          whether features say what is alike before anything is measured
    """

    interference_types: int = 3
    negative_slope: float = 0.5
    workload_features: bool = True
    platform_features: bool = True

    def __post_init__(self) -> None:
        at_least("interference_types", self.interference_types, 0)
        positive("negative_slope", self.negative_slope, or_zero=True)

    @property
    def crosses(self) -> bool:
        """CV+ bounds are possible: the fits without a fold are kept where rows are few."""
        return True

    @property
    def rehearses_apart(self) -> bool:
        """Rehearsals know nothing of the rows of those that are rehearsed, so that rows which train may be of them."""
        return True

    def check(self, settings: Settings) -> None:
        """Raise SettingsError where these options and those of every Pitot do not go together."""
        if settings.bounds not in ("spread", "plain"):
            raise SettingsError(
                f'bounds="{settings.bounds}" needs quantile heads, which method="tables" has not; '
                'choose "spread" or "plain"'
            )
