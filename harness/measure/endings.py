"""Ends of a job that the controller itself tells: what counts as measured, and what never reached the device."""

from __future__ import annotations

import time

from harness.dataset.records import Job, JobResult, MemberResult, State


class Unfit(Exception):
    """The device was not fit to give a job's result; the text is the cause."""


def measured(member: MemberResult) -> bool:
    """Whether it has a mean."""
    return any(sample.covered and not sample.warm for sample in member.samples) or member.more_count > 0


def refused(job: Job, name: str, reason: str) -> JobResult:
    """A job that ended before it reached the device: one of its workloads could not be compiled here."""
    others = f"{name}: refused, {reason}"[:1000]
    members = [
        MemberResult(workload, "refused", reason[:1000], [])
        if workload == name
        else MemberResult(workload, "co_runner_failed", others, [])
        for workload in job.workloads
    ]
    return JobResult(job.id, time.time_ns(), State(), members)
