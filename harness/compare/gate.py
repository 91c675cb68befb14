"""Whether B takes longer than A by more than is let pass: the question that continuous integration asks.

Chance must not stop anybody's work, so a ratio counts only by the lower end of its interval, and of many workloads
together: each is tested against the limit (one-sided t test of its log ratio), and the p of all of them are adjusted
by Holm's procedure, so that a comparison in which none is beyond the limit calls one so in at most a share
``false_share`` of all cases.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtr

from harness.compare.comparison import Comparison
from harness.compare.ratios import Floats
from harness.errors import UsageError
from harness.spelling import several

Outcome = Literal["slower", "broken", "passed", "unknown"]


@dataclass(frozen=True)
class Check:
    """One ratio under the gate, of a suite or a workload; null where B has no time of it."""

    kind: Literal["suite", "workload"]
    name: str
    outcome: Outcome
    ratio: float | None
    low: float | None
    high: float | None
    ended: str = ""  # how it ended in B, where it is broken

    @property
    def failed(self) -> bool:
        return self.outcome in ("slower", "broken")

    def sentence(self) -> str:
        if self.outcome == "broken":
            return f"{self.name}: {self.ended} in B"
        if self.ratio is None or self.outcome == "unknown":
            return f"{self.name}: nothing is known of its noise"
        low = f"at least {self.low:.3g}" if self.low else "any"
        return f"{self.name}: {self.ratio:.3g} times as long in B ({low})"


@dataclass(frozen=True)
class Gate:
    limit: float  # 0.05: up to 5 % longer passes
    checks: list[Check]

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks if check.failed]

    @property
    def passed(self) -> bool:
        return not self.failures

    def sentence(self) -> str:
        """How it went, in one line."""
        kinds = Counter((check.kind, check.failed) for check in self.checks)
        told = ", ".join(
            f"{kinds[kind, True]} of {several(kinds[kind, True] + kinds[kind, False], kind)}"
            for kind in ("workload", "suite")
        )
        unknown = sum(check.outcome == "unknown" for check in self.checks if check.kind == "workload")
        more = f"; of {several(unknown, 'workload')} too little is known to tell" if unknown else ""
        return f"{'passed' if self.passed else 'failed'}: slower by more than {100 * self.limit:g} % are {told}{more}"


def gate(found: Comparison, limit: float, false_share: float = 0.05) -> Gate:
    """Every suite and workload of a comparison under a limit on the ratio less 1.

    Fails where the lower end of an interval is above it, and where a workload that A has a time of ended in B by its
    own doing. Raises UsageError where nothing at all can be judged.
    """
    above = _beyond(found.workloads, math.log1p(limit)) <= false_share
    workloads = [
        _check("workload", row["workload"], row, limit, sure=bool(sure))
        for row, sure in zip(found.workloads, above, strict=True)
    ]
    broken = [Check("workload", name, "broken", None, None, None, how) for name, how in found.broken.items()]
    kept = [check for check in workloads if check.name not in found.broken]
    suites = [_check("suite", row["suite"], row, limit, sure=True) for row in found.suites]
    checks = [*suites, *sorted([*kept, *broken], key=lambda check: check.name)]
    if all(check.outcome == "unknown" for check in checks):
        raise UsageError(
            "nothing can be judged: no workload was measured often enough to know its noise; collect both sides with "
            "more --anchors, or once more with another --seed."
        )
    return Gate(limit, checks)


def _check(
    kind: Literal["suite", "workload"], name: str, row: dict[str, Any], limit: float, *, sure: bool
) -> Check:
    low, high = row["low"], row["high"]
    outcome: Outcome = "passed"
    if low is not None and low > 1 + limit and sure:
        outcome = "slower"
    elif low is None and high is None:
        outcome = "unknown"
    return Check(kind, name, outcome, row["ratio"], low, high)


def _beyond(rows: Sequence[dict[str, Any]], log_limit: float) -> Floats:
    """(K,) p of "the ratio is not beyond the limit", adjusted by Holm (Scand. J. Statist. 1979); 1 where unknown.

    Where the limit of time ended B's jobs ("at least") no noise is known, and the lower end speaks for itself: 0.
    """
    p = np.ones(len(rows))
    tested = [i for i, row in enumerate(rows) if row.get("log_error") is not None]
    for i in tested:
        row = rows[i]
        over = math.log(row["ratio"]) - log_limit
        t = over / row["log_error"] if row["log_error"] else math.copysign(math.inf, over)
        p[i] = stdtr(row["freedom"], -t)
    order = sorted(tested, key=lambda i: p[i])
    worst = 0.0
    for rank, i in enumerate(order):
        worst = p[i] = max(worst, min(1.0, (len(order) - rank) * p[i]))
    for i, row in enumerate(rows):
        if row["verdict"] == "at least":
            p[i] = 0.0
    return p
