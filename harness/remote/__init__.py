"""How the controller reaches a device: one small transport interface, and the session with an agent over it."""

from harness.remote.local import LocalTransport
from harness.remote.session import Refused, Session
from harness.remote.transport import LinkLost, Transport, Unreachable

__all__ = ["LinkLost", "LocalTransport", "Refused", "Session", "Transport", "Unreachable"]
