"""The server of `harness watch`: four files and a stream of events, from the standard library.

It answers GET only and changes nothing. A page of another site cannot read it: it answers only under its own name
(the header Host), so that a name which somebody points at this machine is of no use, and it allows no other origin.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from harness.errors import UsageError
from harness.report.live_feed import Feed

MOST_CONNECTIONS = 64
SILENCE_S = 5.0  # after which a reader is told that we are still here
LOOK_S = 0.5  # how soon a closed tab is noticed
STUCK_S = 30.0  # a reader that takes nothing for so long is let go
KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
PAGES = {"/": "live.html", "/live.js": "live.js", "/live.css": "live.css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, feed: Feed) -> None:
        """Raises UsageError where the address cannot be had."""
        self.feed, self.host = feed, host
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"{host} port {port} cannot be served: {reason}; name another with --host or --port."
            ) from None

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.server_address[1]}/"

    def knows(self, host: str) -> bool:
        """Whether a request to this Host is meant for us: an address, `localhost`, or the name we were given."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.removeprefix("[").removesuffix("]").lower()
        if name in ("localhost", self.host.lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that left in the middle of an answer is nobody's trouble."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = STUCK_S
    server_version, sys_version = "harness", ""

    def do_GET(self) -> None:
        if not self.server.knows(self.headers.get("Host", "")):
            self._answer(421, "text/plain", b"this page is known by its address only: open it by that\n")
        elif self.path == "/events":
            self._events()
        elif self.path in PAGES:
            name = PAGES[self.path]
            content = resources.files("harness.report").joinpath(name).read_bytes()
            self._answer(200, KINDS[name.rpartition(".")[2]], content)
        else:
            self._answer(404, "text/plain", b"there is only /\n")

    do_HEAD = do_GET

    def _head(self, code: int, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        for name, value in HEADERS.items():
            self.send_header(name, value)

    def _answer(self, code: int, kind: str, content: bytes) -> None:
        self._head(code, kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _events(self) -> None:
        """Server-sent events until the reader or the server leaves."""
        self._head(200, "text/event-stream")
        self.end_headers()
        if self.command == "HEAD":
            return
        self.close_connection = True
        seen, silent_s = -1, 0.0
        with contextlib.suppress(OSError):
            while not self.server.feed.closed.is_set() and not self._left():
                told = self.server.feed.message(seen, LOOK_S)
                silent_s += LOOK_S
                if told:
                    seen, data = told
                    self.wfile.write(b"data: " + data + b"\n\n")
                    silent_s = 0.0
                elif silent_s >= SILENCE_S:
                    self.wfile.write(b": here\n\n")
                    silent_s = 0.0

    def _left(self) -> bool:
        ready, _, _ = select.select([self.connection], [], [], 0)
        return bool(ready) and not self.connection.recv(1024)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said about requests."""


@contextlib.contextmanager
def serving(feed: Feed, host: str, port: int) -> Iterator[Server]:
    """Serve until the block ends. Raises UsageError where the address cannot be had."""
    with Server(host, port, feed) as server:
        threads = [
            threading.Thread(target=feed.run, name="live feed", daemon=True),
            threading.Thread(target=server.serve_forever, args=(0.1,), name="live server", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            feed.close()
            server.shutdown()
            for thread in threads:
                thread.join()
