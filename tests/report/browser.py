"""A real Chromium without a window, driven over the pipe of its DevTools protocol, without a driver or a library.

`python -m tests.report.browser PAGE OUT.png [--width N] [--height N] [--dark] [--at ID]` takes a picture of a page.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ABSENT = "no chromium; apt-get install chromium"
PATIENCE_S = 60.0
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One tab. ``problems`` are console errors and uncaught exceptions; ``requests`` is every address asked for."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._pending, self._number = b"", 0
        self._session: str | None = None
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return dict(told["result"])

    def open(self, page: Path | str) -> None:
        self._loaded = False
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        while not self._loaded:
            self._next()

    def run(self, script: str) -> Any:
        """What an expression gives, after every event before it was heard."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{script}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def size(self, width: int, height: int = 900) -> None:
        mobile = width < 600
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def dark(self, dark: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, allowed: bool) -> None:
        self.ask("Emulation.setScriptExecutionDisabled", value=not allowed)

    def press(self, key: str) -> None:
        text = {"Enter": {"text": "\r"}}.get(key, {})
        code = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowDown": 40}[key]
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text
            )

    def type(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def move(self, x: float, y: float) -> None:
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path: Path, section: str | None = None) -> None:
        """Of what is in the window, or of what has this id."""
        clip: dict[str, Any] = {}
        if section:
            box = self.run(
                f"(b => [b.x + scrollX, b.y + scrollY, b.width, b.height])"
                f"(document.getElementById({json.dumps(section)}).getBoundingClientRect())"
            )
            clip = {"clip": dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}}
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=bool(section), **clip)
        path.write_bytes(base64.b64decode(told["data"]))

    def printed(self) -> bytes:
        """The page as a PDF."""
        told = self.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(told["data"])

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._pending:
            readable, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._from, 1 << 20) if readable else b""
            if not data:
                raise RuntimeError(
                    "chromium ended" if readable else f"chromium said nothing for {PATIENCE_S:g} s"
                )
            self._pending += data
        raw, _, self._pending = self._pending.partition(b"\0")
        told: dict[str, Any] = json.loads(raw)
        self._hear(told.get("method", ""), told.get("params", {}))
        return told

    def _hear(self, method: str, told: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.problems.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.problems.append(told["entry"]["text"])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium with an empty profile; it and all of its processes end with the block."""
    assert CHROMIUM, ABSENT
    theirs_in, to_browser, from_browser, theirs_out = (_high(end) for end in (*os.pipe(), *os.pipe()))
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        # The protocol is spoken on the descriptors 3 and 4, whatever numbers the pipes have here.
        place = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        command = ["bash", "-c", place, "-", str(theirs_in), str(theirs_out), CHROMIUM, *OPTIONS,
                   f"--user-data-dir={profile}", "about:blank"]  # fmt: skip
        process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=os.environ | {"HOME": profile},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            driven = Browser(to_browser, from_browser)
            yield driven
            with contextlib.suppress(RuntimeError, OSError):
                driven._session = None
                driven.ask("Browser.close")
        finally:
            os.close(to_browser)  # chromium ends when nobody speaks to it any more
            os.close(from_browser)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _high(end: int) -> int:
    """The same pipe end under a number that is not 3 or 4."""
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return moved


def main() -> None:
    parser = argparse.ArgumentParser(description="Take a picture of a page.")
    parser.add_argument("page", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--at", help="the id of what stands at the top")
    asked = parser.parse_args()
    with browser() as tab:
        tab.size(asked.width, asked.height)
        tab.dark(asked.dark)
        tab.open(asked.page)
        if asked.at:
            tab.run(f"document.getElementById({json.dumps(asked.at)}).scrollIntoView()")
        tab.picture(asked.output)


if __name__ == "__main__":
    main()
