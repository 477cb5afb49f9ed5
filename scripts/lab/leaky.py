"""A faulty mirroring proxy: every third downstream is given the mirror's response. It exists to be caught.

usage: leaky.py ADDRESS PORT V1:PORT V2:PORT LOGFILE [EVERY [SUFFIX]]
"""

import json
import random
import socket
import sys
import threading
import time
import uuid
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = tuple[int, list[tuple[str, str]], bytes]
FAILED: Answer = (502, [], b"no answer\n")
HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


def with_suffix(host: str, suffix: str) -> str:
    """The host with the suffix before its port, as Envoy puts it.

    >>> with_suffix("httpbin:8000", "-shadow"), with_suffix("[::1]:80", "-shadow"), with_suffix("a", "-shadow")
    ('httpbin-shadow:8000', '[::1]-shadow:80', 'a-shadow')
    """
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and not name.endswith(":"):
        return f"{name}{suffix}:{port}"
    return host + suffix


def fetch(address: str, handler: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str]) -> Answer:
    """One upstream exchange on a connection of its own."""
    try:
        connection = HTTPConnection(address, timeout=10)
        connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, [h for h in response.getheaders() if h[0].lower() not in HOP], content
    except OSError:
        return FAILED


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536  # head and body in one segment where they fit
    server: "LeakyServer"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def forward(self) -> None:
        started = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        count, leak = self.server.turn()
        host = self.headers.get("Host") or ""
        xrid = self.headers.get("X-Request-Id") or str(uuid.UUID(int=random.getrandbits(128), version=4))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "x-request-id")}
        headers |= {"X-Request-Id": xrid, "X-Forwarded-For": self.client_address[0]}
        copied = headers | {
            "Host": with_suffix(host, self.server.suffix),
            "X-Forwarded-For": f"{self.client_address[0]},{self.connection.getsockname()[0]}",
            "X-Envoy-Internal": "true",
        }
        answers: list[Answer] = [FAILED, FAILED]

        def mirror() -> None:
            answers[1] = fetch(self.server.v2, self, body, copied)

        thread = threading.Thread(target=mirror)
        thread.start()
        answers[0] = fetch(self.server.v1, self, body, headers)
        if leak:
            thread.join()
        self.give(answers[1 if leak else 0])
        thread.join()
        self.server.write(
            {
                "start": f"{started:.6f}", "n": count, "xrid": xrid, "leak": leak, "line": self.requestline,
                "method": self.command, "path": self.path, "code": answers[1 if leak else 0][0],
                "downstream": f"{self.client_address[0]}:{self.client_address[1]}",
            }
        )  # fmt: skip

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = forward

    def give(self, answer: Answer) -> None:
        status, headers, content = answer
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(content)


class LeakyServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str, port: int, v1: str, v2: str, log: Path, every: int, suffix: str) -> None:
        self.v1, self.v2, self.every, self.suffix = v1, v2, every, suffix
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._lock, self._count, self._log = threading.Lock(), 0, log.open("a", buffering=1)
        super().__init__((address, port), Proxy)

    def server_bind(self) -> None:  # HTTPServer's own asks a name server for the host's name
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "leaky", self.server_address[1]

    def turn(self) -> tuple[int, bool]:
        with self._lock:
            self._count += 1
            return self._count, self._count % self.every == 0

    def write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    LeakyServer(
        sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]),
        int(sys.argv[6]) if len(sys.argv) > 6 else 3, sys.argv[7] if len(sys.argv) > 7 else "-shadow",
    ).serve_forever()  # fmt: skip
