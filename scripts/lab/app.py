"""The catalog service of the lab: v1 and v2 (and a third service), what the query asks for, one log line a request.

usage: app.py NAME ADDRESS PORT LOGFILE

Query parameters act on every version, or on one with its name in front (``v2.delay=0.4``):
``status=N``, ``delay=SECONDS``, ``reset=1`` (RST, no answer), ``chunked=1``, ``close=1`` (body ends with the connection),
``size=N`` (a body of N bytes), ``gzip=1``, ``next=HOST:PORT`` (call that service first, with the same x-request-id),
``drip=SECONDS`` (head at once, body in four pieces over that time).
A path part ``echo`` answers with the request's body, ``headers`` with its headers, ``same`` alike in every version.
"""

import gzip
import http.client
import json
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ITEMS = (
    ("Eyeglasses", "black", "Eyewear", 1000, 3),
    ("Trousers", "navy", "Clothing", 7432, 2),
    ("Lantern", "copper", "Camping", 2150, 9),
    ("Notebook", "cream", "Paper", 480, 40),
)


def parameters(target: str, name: str) -> dict[str, str]:
    """What the query asks of this version: ``v1.``/``v2.`` parameters of the others left out."""
    found: dict[str, str] = {}
    for key, value in parse_qsl(urlsplit(target).query, keep_blank_values=True):
        owner, dot, rest = key.partition(".")
        if not dot:
            found.setdefault(key, value)
        elif owner == name:
            found[rest] = value
    return found


def catalog(name: str) -> bytes:
    """The catalog as this version tells it; v2 adds imageUrl."""
    items: list[dict[str, Any]] = []
    for n, (title, color, department, price, stock) in enumerate(ITEMS, 1):
        item = {"id": n, "name": title, "color": color, "department": department, "price": price, "stock": stock}
        if name == "v2":
            item["imageUrl"] = f"http://lorempixel.example/640/480?{n}"
        items.append(item)
    return json.dumps(items).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536  # head and body in one segment where they fit
    server: "App"

    def version_string(self) -> str:
        return f"catalog-{self.server.name}"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self) -> None:
        started = time.time()
        ask = parameters(self.path, self.server.name)
        body = self.read_body()
        if "delay" in ask:
            time.sleep(min(float(ask["delay"]), 10))
        if "next" in ask:
            self.call_next(ask["next"])
        if ask.get("reset") == "1":
            self.log(started, None, None)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        status = int(ask.get("status", "200"))
        content, kind = self.content(ask, body)
        if status == 204 or self.command == "HEAD":
            self.log(started, status, 0)
        else:
            self.log(started, status, len(content))
        try:
            self.send(ask, status, content, kind)
        except OSError:  # the proxy has gone: its right
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = answer

    def content(self, ask: dict[str, str], body: bytes) -> tuple[bytes, str]:
        parts = urlsplit(self.path).path.split("/")
        if "echo" in parts:
            return body, self.headers.get("Content-Type") or "application/octet-stream"
        if "headers" in parts:
            pairs = {key.lower(): value for key, value in self.headers.items()}
            return json.dumps(pairs).encode(), "application/json"
        if "same" in parts:
            return b'{"same": true}'[:13] + b"\n", "application/json"
        if "size" in ask:
            line = f"{self.server.name} 0123456789abcdef\n".encode()
            size = min(int(ask["size"]), 5_000_000)
            return (line * (size // len(line) + 1))[:size], "text/plain"
        return catalog(self.server.name), "application/json"

    def send(self, ask: dict[str, str], status: int, content: bytes, kind: str) -> None:
        packed = ask.get("gzip") == "1"
        if packed:
            content = gzip.compress(content, mtime=0)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        bodiless = status in (204, 304) or self.command == "HEAD"
        chunked = ask.get("chunked") == "1" and not bodiless
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif ask.get("close") == "1" and not bodiless:
            self.send_header("Connection", "close")
            self.close_connection = True
        elif status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if bodiless:
            return
        drip = float(ask.get("drip", "0"))
        step = max(1, len(content) // 4) if drip else 4096 if chunked else len(content) or 1
        for at in range(0, len(content), step):
            piece = content[at : at + step]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if chunked else piece)
            if drip:
                self.wfile.flush()
                time.sleep(min(drip, 5) / 4)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def call_next(self, address: str) -> None:
        passed = {k: v for k, v in self.headers.items() if k.lower() == "x-request-id" or k.lower().startswith("x-b3-")}
        try:
            connection = http.client.HTTPConnection(address, timeout=5)
            connection.request("GET", f"/stock?from={self.server.name}", headers=passed)
            connection.getresponse().read()
            connection.close()
        except OSError:
            pass  # the third service's own log says what arrived

    def log(self, started: float, status: int | None, size: int | None) -> None:
        self.server.write(
            {
                "start": f"{started:.6f}", "app": self.server.name, "method": self.command, "path": self.path,
                "authority": self.headers.get("Host"), "xrid": self.headers.get("X-Request-Id"),
                "code": status, "bytes": size, "peer": self.client_address[0],
            }
        )  # fmt: skip


class App(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, name: str, address: str, port: int, log: Path) -> None:
        self.name = name
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._log = log.open("a", buffering=1)
        self._lock = threading.Lock()
        super().__init__((address, port), Handler)

    def server_bind(self) -> None:  # HTTPServer's own asks a name server for the host's name
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.name, self.server_address[1]

    def write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._log.write(json.dumps(line) + "\n")

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # resets are what some scenarios are about


if __name__ == "__main__":
    App(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])).serve_forever()
