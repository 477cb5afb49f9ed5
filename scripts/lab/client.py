"""The client of the lab: sends a list of requests on a bounded number of connections and logs what it was answered.

usage: client.py PLAN.json LOGFILE

The plan: ``address``, ``port``, ``host``, ``connections``, ``keepalive``, ``pause`` (seconds between requests of a
connection), ``headers``, ``requests``: a list of ``{method, path, body, chunked, headers}``. Each connection takes the
next request that is left; the log says which local port carried it.
"""

import hashlib
import http.client
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO


class Client:
    """Sends the plan's requests, `connections` at a time."""

    def __init__(self, plan: dict[str, Any], log: TextIO) -> None:
        self._plan, self._log = plan, log
        self._lock = threading.Lock()
        self._next = 0

    def run(self) -> None:
        threads = [threading.Thread(target=self._work) for _ in range(max(1, self._plan["connections"]))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _take(self) -> tuple[int, dict[str, Any]] | None:
        with self._lock:
            n, self._next = self._next, self._next + 1
        requests: list[dict[str, Any]] = self._plan["requests"]
        return (n, requests[n]) if n < len(requests) else None

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while taken := self._take():
            n, request = taken
            connection = connection or http.client.HTTPConnection(self._plan["address"], self._plan["port"], timeout=20)
            if not self._send(n, request, connection) or not self._plan["keepalive"]:
                connection.close()
                connection = None
            time.sleep(self._plan["pause"])
        if connection is not None:
            connection.close()

    def _send(self, n: int, request: dict[str, Any], connection: http.client.HTTPConnection) -> bool:
        """One request; whether the connection may carry another."""
        if connection.sock is None:
            connection.connect()
        port = connection.sock.getsockname()[1]
        started = time.time()
        line = {"n": n, "start": f"{started:.6f}", "method": request["method"], "path": request["path"], "port": port}
        reusable = False
        try:
            self._write(request, connection)
            response = connection.getresponse()
            body = response.read()
            line |= {"code": response.status, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()[:16]}
            reusable = not response.will_close
        except (OSError, http.client.HTTPException) as error:
            line |= {"code": None, "bytes": None, "error": type(error).__name__}
        line["seconds"] = round(time.time() - started, 6)
        with self._lock:
            self._log.write(json.dumps(line) + "\n")
        return reusable

    def _write(self, request: dict[str, Any], connection: http.client.HTTPConnection) -> None:
        connection.putrequest(request["method"], request["path"], skip_host=True, skip_accept_encoding=True)
        body = (request.get("body") or "").encode()
        headers = {"Host": self._plan["host"], **self._plan["headers"], **request.get("headers", {})}
        if request.get("chunked"):
            headers["Transfer-Encoding"] = "chunked"
        elif body or request["method"] in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            connection.putheader(name, value)
        if not request.get("chunked"):
            connection.endheaders(body or None)
            return
        connection.endheaders()
        step = max(1, len(body) // 3)
        for at in range(0, len(body), step):
            piece = body[at : at + step]
            connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(0.005)
        connection.send(b"0\r\n\r\n")


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", buffering=1) as out:
        Client(json.loads(Path(sys.argv[1]).read_text()), out).run()
