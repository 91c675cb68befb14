"""Interference-aware matrix completion with conformal bounds, in NumPy.

Which workload runs how long on which platform, alone or beside up to three others; and a time it stays below
with a chosen probability. Times are nanoseconds; logarithms are natural. A *platform* is an engine on a
device, a *workload* a program with its input, a *co-runner* a workload running beside the one asked for; here
each is just a row number into a table of features.
"""

from pitot_core.baseline import Baseline
from pitot_core.completion import Completion, LeftOut, State
from pitot_core.conformal import PoolSize
from pitot_core.errors import (
    ArchiveError,
    FeaturesError,
    ModelFileError,
    NotFitted,
    ObservationsError,
    PitotError,
    SettingsError,
    SplitError,
    UncalibratedDegree,
    UnknownEntity,
)
from pitot_core.explanation import Explanation
from pitot_core.features import Features
from pitot_core.gathering import Gathered, Gathering
from pitot_core.known import Known
from pitot_core.metrics import (
    Coverage,
    binomial_interval,
    coverage,
    mape,
    mape_reference,
    margin,
    width_reference,
)
from pitot_core.model import Pitot
from pitot_core.observations import MAX_CO_RUNNERS, Observations, Queries, joined
from pitot_core.settings import Settings
from pitot_core.splits import Split, folds, split
from pitot_core.steps import Progress, Step
from pitot_core.towers import TowerOptions

__all__ = [
    "MAX_CO_RUNNERS",
    "ArchiveError",
    "Baseline",
    "Completion",
    "Coverage",
    "Explanation",
    "Features",
    "FeaturesError",
    "Gathered",
    "Gathering",
    "Known",
    "LeftOut",
    "ModelFileError",
    "NotFitted",
    "Observations",
    "ObservationsError",
    "Pitot",
    "PitotError",
    "PoolSize",
    "Progress",
    "Queries",
    "Settings",
    "SettingsError",
    "Split",
    "SplitError",
    "State",
    "Step",
    "TowerOptions",
    "UncalibratedDegree",
    "UnknownEntity",
    "binomial_interval",
    "coverage",
    "folds",
    "joined",
    "mape",
    "mape_reference",
    "margin",
    "split",
    "width_reference",
]
