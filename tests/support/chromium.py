"""Debian's Chromium, spoken to through a pipe (Chrome DevTools Protocol, --remote-debugging-pipe): no port, no library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from types import TracebackType
from typing import Any

BINARY = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip


class Page:
    """A page of a browser of its own. Use it as a context."""

    def __init__(self, url: str) -> None:
        assert BINARY
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # its helpers write on for a moment
        read, theirs_out = os.pipe()
        theirs_in, write = os.pipe()

        def connect() -> None:
            """The browser reads file 3 and writes file 4."""
            out, into = os.dup(theirs_out), os.dup(theirs_in)
            os.dup2(into, 3)
            os.dup2(out, 4)

        self._browser = subprocess.Popen(
            [BINARY, *OPTIONS, f"--user-data-dir={self._folder.name}", "about:blank"],
            close_fds=False, preexec_fn=connect, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._rest, self._number, self._session = b"", 0, ""
        target = self.call("Target.createTarget", url=url)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = json.loads(self._receive())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _receive(self) -> bytes:
        while b"\0" not in self._rest:
            part = os.read(self._in.fileno(), 1 << 16)
            assert part, "the browser has gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return message

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, a promise's when it is kept."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.kill()
        self._browser.wait()
        self._in.close()
        self._out.close()
        self._folder.cleanup()
