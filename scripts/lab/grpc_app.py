"""The catalog service of the lab as a gRPC server: unary, server streaming, an error, an error of one version.

usage: grpc_app.py NAME ADDRESS PORT LOGFILE

``/catalog.Catalog/GetItem`` answers one message, ``ListItems`` five, ``Missing`` status 5, ``Broken`` status 13 from v2
and a message from the others, ``Slow`` one message after 0.2 s.
"""

import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from lab.h2_client import grpc_message

HEAD = [(":status", "200"), ("content-type", "application/grpc")]


class Session:
    """One accepted connection."""

    def __init__(self, name: str, sock: socket.socket, log: TextIO, lock: threading.Lock) -> None:
        self._name, self._sock, self._log, self._lock = name, sock, log, lock
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._asked: dict[int, dict[str, str]] = {}

    def run(self) -> None:
        self._h2.initiate_connection()
        try:
            self._sock.sendall(self._h2.data_to_send())
            while data := self._sock.recv(65536):
                for event in self._h2.receive_data(data):
                    self._event(event)
                self._sock.sendall(self._h2.data_to_send())
        except (OSError, ProtocolError):
            pass  # the proxy has gone
        finally:
            self._sock.close()

    def _event(self, event: Any) -> None:
        if isinstance(event, RequestReceived):
            self._asked[event.stream_id] = dict(event.headers)
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self._answer(event.stream_id, self._asked.pop(event.stream_id))

    def _answer(self, stream: int, asked: dict[str, str]) -> None:
        started = time.time()
        method = asked[":path"].rpartition("/")[2]
        if method == "Slow":
            time.sleep(0.2)
        broken = {"Missing": "5", "Broken": "13" if self._name == "v2" else "0"}.get(method, "0")
        count = 0 if broken != "0" else 5 if method == "ListItems" else 1
        if count:
            self._h2.send_headers(stream, HEAD)
            for n in range(count):
                extra = f" http://lorempixel.example/{n}" if self._name == "v2" else ""
                self._h2.send_data(stream, grpc_message(f"item {n} of {self._name}{extra}"))
            self._h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        else:
            self._h2.send_headers(stream, [*HEAD, ("grpc-status", broken), ("grpc-message", method)], end_stream=True)
        line = {
            "start": f"{started:.6f}", "app": self._name, "method": asked[":method"], "path": asked[":path"],
            "authority": asked.get(":authority"), "xrid": asked.get("x-request-id"), "code": 200, "bytes": None,
            "grpc": int(broken),
        }  # fmt: skip
        with self._lock:
            self._log.write(json.dumps(line) + "\n")


def serve(name: str, address: str, port: int, log: TextIO) -> None:
    """Accept until the run ends."""
    lock = threading.Lock()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family, backlog=64) as listener:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=Session(name, sock, log, lock).run, daemon=True).start()


if __name__ == "__main__":
    with Path(sys.argv[4]).open("a", buffering=1) as out:
        serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), out)
