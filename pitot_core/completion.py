"""The seam between Pitot and whatever fills in the matrix: towers, solved tables, or something to come.

`Pitot` keeps calibration rows apart, makes bounds and speaks to people. A *completion* is what it fitted: it knows
the expected log time of every question, how wrong it was on rows it had not seen, and how to learn newcomers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.features import Features
from pitot_core.known import Known
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.steps import Progress

Array = NDArray[Any]


@dataclass(frozen=True)
class LeftOut:
    """N rows with predictions that had not seen them: as wrong as predictions of new rows are.

    rows      the observations
    log_ns    (N,) predicted, ln ns
    quantile  (Q, N) predicted quantiles of log C*, ln ns, where the completion has quantile heads
    part      (N,) which part of the completion predicted the row (see `Completion.by_part`)
    deviation (N,) standard deviation of the prediction in ln units, where the method knows it
    """

    rows: Observations
    log_ns: Array
    quantile: Array | None = None
    part: NDArray[np.int64] | None = None
    deviation: Array | None = None

    @property
    def residual(self) -> Array:
        """(N,) log C* − log Ĉ."""
        return np.asarray(self.rows.log_ns - self.log_ns)

    def __getitem__(self, chosen: Any) -> LeftOut:
        quantile = None if self.quantile is None else self.quantile[:, chosen]
        part = None if self.part is None else self.part[chosen]
        deviation = None if self.deviation is None else self.deviation[chosen]
        return LeftOut(self.rows[chosen], self.log_ns[chosen], quantile, part, deviation)


@dataclass(frozen=True)
class State:
    """A completion as plain values: `header` goes into JSON, `arrays` into the model file."""

    header: dict[str, Any]
    arrays: dict[str, Array]


class Completion(Protocol):
    """A fitted point model. Nothing here changes it: `updated` gives another.

    Options is the dataclass of the method's own options. It has `check(settings)`, which raises SettingsError where the
    two do not go together, and two properties: `crosses`, whether the parts that had not seen some rows can be asked
    later (`by_part`), as CV+ needs; and `rehearses_apart`, whether rehearsals (`updated`) may be of rows that train.
    DTYPES has the only type that each array of its state may have, as in "f4" (a name may be a pattern with "*").
    """

    Options: ClassVar[type[Any]]
    DTYPES: ClassVar[dict[str, str]]

    @classmethod
    def usable(cls, rows: Observations, options: Any) -> Observations:
        """The rows that it learns from. Raises ObservationsError where there are none."""

    @classmethod
    def fit(
        cls,
        rows: Observations,
        features: Features,
        settings: Settings,
        options: Any,
        progress: Progress | None,
        further: Observations | None = None,
    ) -> tuple[Self, LeftOut]:
        """Learn from usable rows; with predictions of the rows (or of some) by parts that had not seen them.

        Calibration rows are `further` rows: `log_ns` may learn from them, `judged_ns` must not.
        """

    def log_ns(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns."""

    def judged_ns(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns by a fit that has not seen the further rows: bounds are measured from here."""

    def quantiles(self, queries: Queries) -> NDArray[np.float64] | None:
        """(Q, M) quantiles of log C* at `levels`, in ln ns; None without quantile heads."""

    @property
    def levels(self) -> tuple[float, ...]:
        """(Q,) the levels of `quantiles`; empty without quantile heads."""

    def deviation(self, queries: Queries) -> NDArray[np.float64] | None:
        """(M,) standard deviation of log Ĉ in ln units, as the method itself sees it; None where it does not."""

    @property
    def parts(self) -> int:
        """K: how many parts were fitted without some rows each; 0 where none is kept, and then CV+ is not used."""

    def by_part(self, queries: Queries) -> NDArray[np.float64]:
        """(K, M) log Ĉ of every part, in ln ns."""

    def alone(self) -> Array:
        """(P, W) log Ĉ without co-runners, in ln ns."""

    def startup_share(self, queries: Queries) -> Array:
        """(M,) the part of the time without co-runners that is start-up."""

    def interference_norms(self) -> Array:
        """(P,) how strongly one co-runner can act on a platform: the spectral norm of its interference matrix."""

    def updated(
        self, rows: Observations, features: Features, known: Known, rehearsal: Observations
    ) -> tuple[Self, Known, dict[str, LeftOut]]:
        """Learn from further rows; `features` begin with the rows it was fitted with.

        Gives the new completion, what is known then, and by side ("workload", "platform") predictions of some of the
        `rehearsal` rows as though their workload or platform were as new as the newcomers are: from those the
        bounds of newcomers are calibrated. Raises ObservationsError.
        """

    def state(self) -> State:
        """Everything `restored` needs."""

    @classmethod
    def restored(cls, state: State, features: Features, settings: Settings, options: Any) -> Self:
        """From what `state` gave. Raises ModelFileError where shapes do not fit."""
