"""Devices and controllers under a seeded storm of faults: every job once, every row right, and nothing left.

``make storm`` runs the long form, of 200 faults and more; here a short one is enough.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.dataset.store import Dataset
from tests.cluster import HAVE_SSHD, WHY_NOT, Server
from tests.fleet.test_agent import wait_for
from tests.measure.storm import CRASHES, TRAPS, make_storm_plan, sleeps_s
from tests.measure.weather import Cluster

FAULTS = int(os.environ.get("HARNESS_STORM", "30"))
pytestmark = [
    pytest.mark.skipif(not HAVE_SSHD, reason=WHY_NOT),
    pytest.mark.timeout(300 if FAULTS <= 30 else 7200),
]
COUNT = 27 if FAULTS > 30 else 12  # workloads
NAMES = ["one", "two", "three"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, int(os.environ.get("HARNESS_STORM_SEED", "7")), COUNT)
    yield made
    made.close()


def expected(workload: str, job_workloads: tuple[str, ...]) -> str:
    """What a quiet run says of a workload in a job."""
    of_itself = {TRAPS: "trap", CRASHES: "crash"}
    failing = next((name for name in job_workloads if name in of_itself), None)
    if failing is None:
        return "ok"
    return of_itself[failing] if workload == failing else "co_runner_failed"


def check(cluster: Cluster, which: int) -> None:
    dataset = Dataset.open(cluster.datasets[which])
    plan, _ = make_storm_plan(cluster.root / "modules", NAMES, cluster.counts[which], failing=True)
    jobs = {job.id: job for job in plan.jobs}
    table = dataset.observations(
        ["job", "workload", "status", "reason", "wall_ns_mean", "attempts"]
    ).to_pylist()
    found = Counter((row["job"], row["workload"]) for row in table)
    assert found == Counter((job.id, name) for job in plan.jobs for name in job.workloads)
    wrong = [row for row in table if row["status"] != expected(row["workload"], jobs[row["job"]].workloads)]
    assert wrong == []
    sleeps = {f"fake/small/w{number}": sleep_s for number, sleep_s in enumerate(sleeps_s())}
    late = [
        row["wall_ns_mean"] / 1e9 - sleeps[row["workload"]]
        for row in table
        if row["wall_ns_mean"] is not None
    ]
    assert min(late) > 0
    assert max(late) < 0.25, sorted(late)[
        -5:
    ]  # the shortest pauses that could be in a mean of three are longer


def test_a_storm_loses_nothing_doubles_nothing_spoils_nothing_and_leaves_nothing(cluster: Cluster) -> None:
    cluster.start(0)
    cluster.start(1)
    while cluster.happened.total() < FAULTS:
        time.sleep(cluster.draw.uniform(0.1, 0.7))
        cluster.repeat()
        cluster.fault()
    cluster.finish()
    print(cluster.happened)
    for which in (0, 1):
        check(cluster, which)
        assert "Traceback" not in cluster.log(which)
    needed = sum(
        job.degree
        for count in cluster.counts
        for job in make_storm_plan(cluster.root / "modules", NAMES, count, failing=True)[0].jobs
    )
    loaded = sum(len((cache / "runs.log").read_text().split()) for cache in cluster.caches)
    assert loaded <= 2 * needed + 12 * FAULTS  # crashes are repeated once, and per fault the running jobs
    with contextlib.suppress(AssertionError):
        wait_for(lambda: not cluster.left(), within_s=30)
    assert cluster.left() == []


def test_the_log_names_each_cause(cluster: Cluster) -> None:
    """One fault of a kind at a time, as often as it takes to meet a running job, and the words a person reads."""

    def until_told(fault: Callable[[], object], *words: str) -> None:
        before = sum(cluster.log().count(word) for word in words)
        for _ in range(20):
            fault()
            with contextlib.suppress(AssertionError):
                wait_for(lambda: sum(cluster.log().count(word) for word in words) > before, within_s=3)
                return
            cluster.repeat()
        raise AssertionError(f"never told: {words}")

    def agents_of(server: Server) -> list[int]:
        return [pid for pid in cluster.agents() if pid in server.agents()]

    first, second = cluster.servers
    cluster.start()
    wait_for(lambda: "planned" in cluster.log(), within_s=60)
    until_told(lambda: cluster.kill(agents_of(first)), "one: the agent ended with", "one: the link was lost")
    until_told((second.cache.parent / "garbage").touch, "two: sent something that is not of its protocol")
    until_told(cluster.proxies[1].cut, "two: the link was lost")
    cluster.proxies[0].mode = "silent"
    until_told(lambda: None, "one: the agent has not been heard for 2 s", "one: the agent did not answer")
    cluster.proxies[0].mode = "open"
    cluster.write_known_hosts(wrong=1)
    until_told(cluster.proxies[1].cut, "shows another host key")
