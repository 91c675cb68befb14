"""A dask cluster that others run: reached by its scheduler's address, and given work a few pieces at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from pkgutil import resolve_name
from typing import Any

from harness import __version__
from harness.dataset.pieces import Across
from harness.errors import DatasetError, ModelError, why

ANSWERS_S = 10.0  # until a scheduler is taken for none, and one for without workers
RETURNS_S = 60.0  # for workers that are started again
LOOK_S = 5.0


@contextlib.contextmanager
def reached(address: str | None) -> Iterator[Any]:
    """The client of the scheduler at that address, which joblib's dask backend finds too; None for no address.

    Raises ModelError where dask is not installed, the scheduler cannot be reached, no worker is with it, or one has
    another version of harness.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ModelError(
            "--dask needs dask.distributed; install it with: pip install 'harness[dask]'."
        ) from None
    try:
        _greet(address)
        client = Client(address, timeout=ANSWERS_S)  # type: ignore[no-untyped-call]
    except Exception as error:  # what else may listen there answers anything
        told = why(error)
        if isinstance(error, TimeoutError):
            told = f"what listens there, if anything does, says nothing that one would within {ANSWERS_S:g} s"
        elif not isinstance(
            error, OSError | ValueError | ImportError
        ):  # its words made no sense, at any length
            told = "what listens there speaks otherwise"
        raise ModelError(
            f"no dask scheduler answers at {address}: {told}; name another address, or start one with: dask scheduler."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWERS_S)
        except TimeoutError:
            raise _alone(address) from None
        # What is sent is known everywhere: a worker that cannot import what it is given ends without an answer.
        for worker, told in client.run(resolve_name, "harness:__version__", on_error="return").items():
            if told != __version__:
                what = f"harness {told}" if isinstance(told, str) else f"no harness ({told})"
                raise ModelError(
                    f"the dask worker at {worker} has {what}; install there what is here, harness {__version__}."
                )
        yield client


def _greet(address: str) -> None:
    """Exchange the first words with a scheduler, as a client waits for them without end. Raises what that raises,
    and TimeoutError where it takes longer than ANSWERS_S."""
    from distributed.comm.core import connect
    from distributed.security import Security

    async def greet() -> None:
        options = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
        comm = await connect(address, timeout=ANSWERS_S, **options)  # type: ignore[no-untyped-call]
        await comm.close()

    def wait() -> None:
        try:
            greeted.set_result(asyncio.run(asyncio.wait_for(greet(), ANSWERS_S)))
        except Exception as error:
            greeted.set_exception(error)

    greeted: Future[None] = Future()
    threading.Thread(
        target=wait, name="dask greeting", daemon=True
    ).start()  # a notebook's own loop may run here
    greeted.result(ANSWERS_S + 1)


@contextlib.contextmanager
def workers_at(address: str | None) -> Iterator[Across | None]:
    """What calls a function on the workers there (see `dataset.pieces.Across`); None for no address.

    Two arguments a thread are under way at most, so that neither the workers nor this process hold more results. Raises
    ModelError as `reached` does, and where workers or the scheduler are lost; what the function raises is raised here,
    and DatasetError where a worker was refused a file.
    """
    with reached(address) as client:
        yield None if client is None else lambda work, given: _spread(client, str(address), work, given)


def _spread(client: Any, address: str, work: Callable[[Any], Any], given: Iterable[Any]) -> Iterator[Any]:
    left, ended, under_way, seen = iter(given), False, set[Any](), time.monotonic()
    while under_way or not ended:
        with _scheduler_at(address):
            threads = sum(client.nthreads().values())
        if threads:
            seen = time.monotonic()
        elif time.monotonic() - seen > RETURNS_S:
            raise _alone(address)
        while not ended and len(under_way) < 2 * threads:
            if (one := next(left, None)) is None:
                ended = True
            else:
                with _scheduler_at(address):
                    under_way.add(client.submit(work, one, pure=False))
        if not under_way:
            time.sleep(0 if ended else LOOK_S)
            continue
        for done in _done(under_way, address):
            under_way.remove(done)
            yield _result(done, address)


def _done(under_way: set[Any], address: str) -> set[Any]:
    """Those that came to an end, at once or within LOOK_S."""
    from distributed import wait

    with _scheduler_at(address):
        try:
            found: set[Any] = wait(under_way, LOOK_S, "FIRST_COMPLETED").done  # type: ignore[no-untyped-call]
        except TimeoutError:
            found = set()
    return found


def _result(done: Any, address: str) -> Any:
    """What a worker answered. Raises what happened to it there, of which an OSError is nobody's lost link."""
    from distributed import KilledWorker

    with _scheduler_at(address):
        error = done.exception() if done.status == "error" else None
    if isinstance(error, KilledWorker):
        raise ModelError(
            f"workers of the dask scheduler at {address} died again and again at the same files, as they do where "
            "memory is short; give each more, or let it have one thread: dask worker --nthreads 1."
        ) from error
    if isinstance(error, OSError):
        raise DatasetError(
            f"a worker of the dask scheduler at {address} cannot read the dataset: {why(error)}; let all workers read "
            "it by the path that it has here."
        ) from error
    if error is not None:
        raise error
    with _scheduler_at(address):
        return done.result()


@contextlib.contextmanager
def _scheduler_at(address: str) -> Iterator[None]:
    """What is asked of the scheduler itself, which fails so only where that is gone."""
    try:
        yield
    except (CancelledError, OSError) as error:
        raise ModelError(
            f"the dask scheduler at {address} went away; start it again, then repeat."
        ) from error


def _alone(address: str) -> ModelError:
    return ModelError(
        f"the dask scheduler at {address} has no workers; start some with: dask worker {address}."
    )
