"""How far a training is, told while it runs; and keeping BLAS from competing with our own threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Where a training is: `done` of `total` steps of a phase; `held_out` is the mean loss on rows left out."""

    phase: str
    done: int
    total: int
    held_out: float


Progress = Callable[[Step], None]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread: the products here are small, and our own threads share the cores better."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield
