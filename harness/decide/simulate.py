"""`harness simulate`: how a scheduling policy would do on a pool of devices, by one loop over events.

Policies see predicted sizes; what passes are measured times that the model was not shown. A job's size is its time
alone; devices of one engine count as one pool of equal processors, and a job runs on at most one of them at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.decide.policies import Policy

DONE = 1e-12  # of a size: what is left when a job has ended, but for rounding


@dataclass(frozen=True)
class Job:
    """Times in seconds: when it comes, how long it really takes on one processor, and how long it is predicted to."""

    arrival_s: float
    size_s: float
    predicted_s: float


@dataclass(frozen=True)
class Completed:
    """By job: how long from arrival to end, and what was predicted at its arrival, in seconds."""

    jct_s: list[float]
    predicted_jct_s: list[float]


def simulate(jobs: Sequence[Job], policy: Policy) -> Completed:
    """Run jobs, sorted by arrival, to the end of the last."""
    jct, predicted = [0.0] * len(jobs), [0.0] * len(jobs)
    present: list[int] = []  # in order of arrival; the lists below go with it
    true_left: list[float] = []
    left: list[float] = []
    classes: list[int] = []
    now, coming, shares = 0.0, 0, policy.shares
    while present or coming < len(jobs):
        until = jobs[coming].arrival_s if coming < len(jobs) else float("inf")
        given: list[float] = []
        step = until - now
        if present:
            given = shares(left, classes)
            for share, rest in zip(given, true_left, strict=True):
                if share and rest < step * share:
                    step = rest / share
        now += step
        ended = []
        for i, share in enumerate(given):
            if share:
                true_left[i] -= share * step
                left[i] = max(left[i] - share * step, 0.0)
                if true_left[i] <= DONE * jobs[present[i]].size_s:
                    ended.append(i)
        for i in reversed(ended):
            jct[present[i]] = now - jobs[present[i]].arrival_s
            for one in (present, true_left, left, classes):
                del one[i]
        if not ended and coming < len(jobs) and now >= until:
            now = until
            job = jobs[coming]
            present.append(coming)
            true_left.append(job.size_s)
            left.append(job.predicted_s)
            classes.append(policy.class_of(job.predicted_s))
            predicted[coming] = play_out(left, classes, policy)
            coming += 1
    return Completed(jct, predicted)


def play_out(left: Sequence[float], classes: Sequence[int], policy: Policy) -> float:
    """Seconds until the last of the jobs present has ended, if nobody else comes and predictions are true."""
    left, classes, shares = list(left), list(classes), policy.shares
    last, now = len(left) - 1, 0.0
    while True:
        given = shares(left, classes)
        step = min(rest / share for rest, share in zip(left, given, strict=True) if share)
        now += step
        kept = []
        for i, share in enumerate(given):
            left[i] -= share * step
            if left[i] <= DONE * now:
                if i == last:
                    return now
            else:
                kept.append(i)
        left, classes = [left[i] for i in kept], [classes[i] for i in kept]
        last = len(left) - 1
