"""How far a training is, told while it runs; and keeping BLAS from competing with our own threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Step:
    """Where a training is: `done` of `total` steps of a phase; `held_out` is the mean loss on rows left out."""

    phase: str
    done: int
    total: int
    held_out: float


Progress = Callable[[Step], None]


_POOL: ContextVar[ThreadPoolExecutor | None] = ContextVar("pool", default=None)
Part = TypeVar("Part")
Found = TypeVar("Found")


@contextmanager
def one_blas_thread(threads: int = 1) -> Iterator[None]:
    """BLAS on one thread: most products here are small, and our own threads share the cores better.

    So many of those serve `side_by_side`, where what is worked at is large.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        token = _POOL.set(pool if threads > 1 else None)
        try:
            yield
        finally:
            _POOL.reset(token)


def side_by_side(work: Callable[[Part], Found], parts: Sequence[Part], *, worth: bool) -> list[Found]:
    """What work gives of each part, on several threads where that is worth it; within another thread on that one.

    Parts may not depend on how many threads there are, so that what comes out does not.
    """
    return list(one_by_one(work, parts, worth=worth))


def one_by_one(work: Callable[[Part], Found], parts: Sequence[Part], *, worth: bool) -> Iterator[Found]:
    """The same in the order of the parts, each as soon as it is there."""
    pool = _POOL.get()
    if pool is None or not worth or len(parts) < 2:
        return map(work, parts)
    return pool.map(work, parts)
