"""What an agent gets less of than its machine has: processors, memory, priority, the whole of its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.spelling import noun

GIB = 1 << 30
STOLEN = 0.01  # share of the processors' time that the host took


def limits(facts: Mapping[str, Any]) -> list[str]:
    """A sentence for each, with its number and what to do, by the facts that the device told."""
    told = []
    cores, allowed = facts.get("cores") or 0, facts.get("cpus_allowed") or 0
    if 0 < allowed < cores:
        told.append(
            f"only {allowed:g} of its {cores:g} {noun(cores, 'processor')} may be used (affinity or cpuset); what "
            "others run on the rest disturbs through caches and memory: give the agent all of them"
        )
    if facts.get("cpu_quota"):
        told.append(
            f"a quota allows {facts['cpu_quota']:.2g} {noun(facts['cpu_quota'], 'processor')}, so executions stop and "
            "go: give the agent's container whole processors (cpuset) and no quota"
        )
    if facts.get("memory_limit_bytes", math.inf) < facts.get("memory_bytes", 0):
        told.append(
            f"only {facts['memory_limit_bytes'] / GIB:.2g} GiB of its memory may be used (control group): larger "
            "suites may be killed"
        )
    if facts.get("hypervisor"):
        told.append("it is a virtual machine: its host may slow it down unseen; watch the anchors' drift")
    if facts.get("steal_share", 0) > STOLEN:
        told.append(
            f"its host took {facts['steal_share']:.1%} of its processors' time since it was started (steal): use a "
            "host that is less busy"
        )
    if facts.get("on_battery"):
        told.append("it runs on its battery, which lowers the clock: plug it in")
    if facts.get("nice", 0) > 0:
        told.append(f"the agent runs at lower priority (nice {facts['nice']:g}): start it at 0")
    return told
