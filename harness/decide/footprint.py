"""How much memory the workloads of questions take, for `harness predict --memory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.decide.predict import Question, encode
from harness.errors import ModelError
from harness.learn.peak_memory import Memory
from harness.output import Column
from pitot_core import Pitot

MEMORY_COLUMNS = [
    Column(
        "memory_bytes",
        "memory",
        True,
        "most that was measured there, or what is expected; null where unknown",
    ),
    Column("memory_bound_bytes", "at most", True, "bytes; null where no bound can be promised"),
]


def answer_memory(model: Pitot, asked: Sequence[Question], eps: float) -> list[dict[str, Any]]:
    """``memory_bytes`` and ``memory_bound_bytes`` of each workload's own process; co-runners are not in them.

    Raises ModelError where the model was told nothing of memory.
    """
    memory, queries = need_memory(model), encode(model, asked)
    cells = queries.platform, queries.workload
    expected, bound = memory.expected[cells].tolist(), memory.bound(eps)[cells].tolist()
    return [
        {"memory_bytes": None if np.isnan(m) else m, "memory_bound_bytes": b}
        for m, b in zip(expected, bound, strict=True)
    ]


def need_memory(model: Pitot) -> Memory:
    """What the model was told of memory. Raises ModelError where that is nothing."""
    memory = Memory.of(model)
    if memory is None:
        raise ModelError(
            "the model was told of no memory, as where it was trained on imported times or before this version; "
            "train it again on a dataset of `harness collect`."
        )
    return memory
