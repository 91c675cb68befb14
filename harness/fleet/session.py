"""A conversation with one agent: what the controller asks, and checks on what the device answers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from harness.dataset.records import JobResult, State
from harness.errors import DeviceError
from harness.fleet.events import EVENTS, RESULTS, Event
from harness.fleet.links import Notes
from harness.fleet.transport import LinkLost, Transport

CHUNK_BYTES = 1 << 20
ANSWER_S = 60.0
PING_EVERY_S = 10.0
LISTEN_S = 0.5  # how soon a cancellation from another thread is sent
CANCEL_S = 5.0  # an agent that has not answered that for so long is left
SILENT_S = 35.0  # an agent that answered no ping for so long cannot be heard
MOST_PREAMBLE_LINES = 100  # what a login shell may print before the agent's greeting
AGENT_VERSION = 1


class Refused(Exception):
    """The agent answered that it cannot do what was asked."""


class Session:
    """Raises LinkLost where the agent is gone, Refused where it says no, DeviceError where it talks nonsense.

    The transport is the session's: closed with it, also where the session could not begin.
    """

    def __init__(
        self,
        transport: Transport,
        device: str,
        *,
        wait_s: float = 600.0,
        on_busy: Callable[[str], None] | None = None,
    ) -> None:
        self._transport, self._device = transport, device
        self._has: set[str] = set()
        self._cancelled = False
        self._dropping = False
        self.dropped: set[str] = set()  # jobs that were sent and will not be begun
        self.notes = Notes(device)
        self.boot = ""  # the same of all agents on one running machine; empty where it does not tell
        self.heard = time.time()  # when the device last said anything, seconds since 1970
        try:
            self._greet(time.monotonic() + wait_s, wait_s, on_busy)
        except BaseException:
            transport.close()
            raise

    def _greet(self, deadline: float, wait_s: float, on_busy: Callable[[str], None] | None) -> None:
        """Hear the agent's greeting; while another controller's agent works there, wait for it."""
        while (event := self._greeting()).event != "hello":
            if event.event != "busy":
                raise DeviceError(self._device, f"expected the agent's greeting and got {event.event!r}")
            if time.monotonic() > deadline:
                raise DeviceError(self._device, f"it is held by {event.holder}; waited {wait_s:g} s for it")
            if on_busy:
                on_busy(event.holder)
        self.boot = event.boot
        if event.agent != AGENT_VERSION:
            raise DeviceError(
                self._device, f"its agent speaks version {event.agent}, this harness {AGENT_VERSION}"
            )

    def facts(self) -> dict[str, str | float | bool]:
        """What the machine is, and ``clock_skew_s``: how far its clock is ahead of ours."""
        before = time.time()
        answer = self._ask("facts", op="facts")
        skew_s = answer.unix_ns / 1e9 - (before + time.time()) / 2
        load, cores = answer.state.load_1m, answer.facts.get("cores")
        self.notes.add(load_1m=load, cores=float(cores) if isinstance(cores, int | float) else None)
        return answer.facts | {"clock_skew_s": round(skew_s, 3)}

    def state(self) -> State:
        return self._ask("facts", op="facts").state

    def ping(self) -> int:
        """Nanoseconds of one round trip to the agent and back."""
        before = time.perf_counter_ns()
        self._send(op="ping")
        while self._event(self._line(ANSWER_S)).event != "alive":
            continue
        taken_ns = time.perf_counter_ns() - before
        self.notes.add(rtt_ns=taken_ns)
        return taken_ns

    def trial_push(self, data: bytes) -> int:
        """Nanoseconds until the device has taken and hashed these bytes; it does not keep them."""
        nobodys = hashlib.sha256(b"other than " + data).hexdigest()  # so that it throws them away
        before = time.perf_counter_ns()
        self._send(op="put", sha256=nobodys, data=base64.b64encode(data).decode(), more=False)
        with contextlib.suppress(Refused):
            self._answer("stored", ANSWER_S)
        taken_ns = time.perf_counter_ns() - before
        self.notes.pushed(len(data), taken_ns)
        return taken_ns

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Which of these contents the device does not have."""
        return self._ask("missing", op="have", digests=digests).digests

    def install(self, wheels: list[str]) -> None:
        """Unpack wheels that were pushed, for runners to import from."""
        self._ask("installed", op="install", wheels=wheels, within_s=300)

    def bring(self, program: str, archive: str | None, *, undo: bool = False) -> None:
        """Have the program of a pushed zip used before others of its name; with none take it away; or undo either."""
        self._ask("brought", op="bring", name=program, sha256=archive, undo=undo, within_s=300)

    def detect(self, engines: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
        """Per engine either ``{"version": …}`` or ``{"absent": reason}``; its runner files must have been pushed."""
        return self._ask("detected", op="detect", engines=engines, within_s=40.0 * len(engines)).engines

    def push(self, contents: Mapping[str, Callable[[], bytes]]) -> None:
        """Store what the device does not have yet; ``contents`` gives the bytes by their SHA-256."""
        wanted = [digest for digest in contents if digest not in self._has]
        if not wanted:
            return
        for digest in self.missing(wanted):
            if digest not in contents:
                raise DeviceError(self._device, f"asked for {digest!r}, which it was not offered")
            data = contents[digest]()
            before = time.perf_counter_ns()
            for start in range(0, max(len(data), 1), CHUNK_BYTES):
                chunk, more = data[start : start + CHUNK_BYTES], start + CHUNK_BYTES < len(data)
                self._send(op="put", sha256=digest, data=base64.b64encode(chunk).decode(), more=more)
            self._answer("stored", ANSWER_S)
            self.notes.pushed(len(data), time.perf_counter_ns() - before)
        self._has.update(wanted)

    def forget(self) -> None:
        """What was pushed may be gone: ask before the next job what is there."""
        self._has.clear()

    def run(self, dataset: str, spec: dict[str, Any], within_s: float) -> JobResult | None:
        """Run a job to its end; None when it was cancelled. ``cancel`` may be called from another thread."""
        self.send_job(dataset, spec)
        return self.result(spec["id"], within_s)

    def send_job(self, dataset: str, spec: dict[str, Any]) -> None:
        """Let the device run a job, after those that were sent before."""
        self._send(op="run", dataset=dataset, job=spec)

    def result(
        self, job: str, within_s: float, ending: Callable[[], bool] = lambda: False
    ) -> JobResult | None:
        """Wait for the result of the first job that was sent and not heard of; None when it was cancelled or dropped.

        Once ``ending`` says so, the device drops what it has not begun, and ``dropped`` tells what that was.
        """
        deadline = time.monotonic() + within_s
        while job not in self.dropped:
            event = self._next_while_working(deadline, ending)
            if event.event == "dropped":
                self.dropped.update(event.jobs)
                continue
            if event.event == "cancelled":
                return None
            if event.event == "result":
                result = self._result(event)
                if result.job != job:
                    raise DeviceError(self._device, f"sent job {result.job!r} when {job!r} was asked for")
                return result
            raise DeviceError(self._device, f"answered {event.event!r} to a job")
        return None

    def spooled(self, dataset: str, said: Callable[[str], None] = lambda text: None) -> list[JobResult]:
        """Results that were finished while nobody listened; each stays on the device until ``ack``.

        One that cannot be read, such as that of another version, is set aside on the device, and ``said`` is told.
        """
        self._send(op="spool", dataset=dataset)
        found, unreadable = [], {}
        while (event := self._next(ANSWER_S)).event in ("result", "aside"):
            if event.event == "aside":
                unreadable[event.job] = event.reason
                continue
            try:
                found.append(self._result(event))
            except DeviceError as error:
                unreadable[event.job] = error.reason
                self.put_aside(dataset, event.job, error.reason)
        if event.event != "spool_end":
            raise DeviceError(self._device, f"answered {event.event!r} when asked for its spool")
        for job, reason in unreadable.items():
            said(
                f"its result of job {job} cannot be read and is set aside there; the job is done again ({reason})"
            )
        return found

    def ack(self, dataset: str, job: str) -> None:
        self._send(op="ack", dataset=dataset, job=job)

    def put_aside(self, dataset: str, job: str, reason: str) -> None:
        """Let the device keep a spooled result apart, as unreadable."""
        self._send(op="aside", dataset=dataset, job=job, reason=reason)

    def cancel(self) -> None:
        """End the running job at once. Returns at once, from any thread or signal handler."""
        self._cancelled = True

    def close(self) -> None:
        """Hang up, and remember what was seen of the device's load and of the link to it."""
        self._transport.close()
        self.notes.remember()

    def _ask(self, answer: str, *, within_s: float = ANSWER_S, **message: Any) -> Event:
        self._send(**message)
        return self._answer(answer, within_s)

    def _answer(self, answer: str, within_s: float) -> Event:
        event = self._next(within_s)
        if event.event != answer:
            raise DeviceError(self._device, f"answered {event.event!r} where {answer!r} was due")
        return event

    def _send(self, **message: Any) -> None:
        self._transport.send(msgspec.json.encode(message))

    def _next_while_working(self, deadline: float, ending: Callable[[], bool]) -> Event:
        """The next event but `alive`; pings meanwhile, so that a dead link is noticed whatever the job's length."""
        heard = asked = time.monotonic()
        cancelled: float | None = None
        while True:
            if self._cancelled and cancelled is None:
                self._send(op="cancel")
                cancelled = time.monotonic()
            if not self._dropping and ending():
                self._send(op="drop")
                self._dropping = True
            line = self._transport.receive(min(LISTEN_S, PING_EVERY_S))
            now = time.monotonic()
            if line is None:
                if cancelled is not None and now - cancelled > CANCEL_S:
                    raise LinkLost(f"the agent has not ended its job for {CANCEL_S:g} s")
                if now > deadline:
                    raise LinkLost("the job is long over and the agent has not answered")
                if now - heard > SILENT_S:
                    raise LinkLost(f"the agent has not been heard for {SILENT_S:g} s")
                if now - max(heard, asked) >= PING_EVERY_S:
                    self._send(op="ping")
                    asked = now
                continue
            heard = now
            event = self._event(line)
            if event.event != "alive":
                return event

    def _greeting(self) -> Event:
        """The first event, after whatever a login shell prints."""
        for _ in range(MOST_PREAMBLE_LINES):
            line = self._line(ANSWER_S)
            if line.startswith(b'{"event"'):
                return self._event(line)
        raise DeviceError(self._device, "its login shell prints on and on before the agent's greeting")

    def _line(self, timeout_s: float) -> bytes:
        line = self._transport.receive(max(0.0, timeout_s))
        if line is None:
            raise LinkLost(f"the agent did not answer within {timeout_s:.0f} s")
        return line

    def _next(self, timeout_s: float) -> Event:
        deadline = time.monotonic() + timeout_s
        while (event := self._event(self._line(deadline - time.monotonic()))).event in ("alive", "dropped"):
            self.dropped.update(event.jobs)
        return event

    def _event(self, line: bytes) -> Event:
        try:
            event = EVENTS.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DeviceError(self._device, f"sent something that is not of its protocol: {error}") from error
        self.heard = time.time()
        if event.event == "error":
            raise Refused(event.reason)
        return event

    def _result(self, event: Event) -> JobResult:
        try:
            return RESULTS.decode(event.result)
        except msgspec.DecodeError as error:
            raise DeviceError(self._device, f"sent a result that is not one: {error}") from error
