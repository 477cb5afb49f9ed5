"""The client of the lab for HTTP/2 in clear and gRPC: many streams at once on each connection.

usage: h2_client.py PLAN.json LOGFILE      (the plan is client.py's; bodies of gRPC requests are framed here)
"""

import json
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

AT_ONCE = 8  # streams that are open together on a connection
PATIENCE = 20.0


def grpc_message(text: str) -> bytes:
    """One length-prefixed gRPC message that holds a protobuf string in field 1."""
    data = text.encode()
    message = b"\x0a" + bytes([len(data) & 0x7F | 0x80, len(data) >> 7]) + data
    return b"\0" + struct.pack(">I", len(message)) + message


class Connection:
    """One connection that sends its share of the requests."""

    def __init__(
        self, plan: dict[str, Any], share: list[tuple[int, dict[str, Any]]], log: TextIO, lock: threading.Lock
    ) -> None:
        self._plan, self._share, self._log, self._lock = plan, share, log, lock
        self._open: dict[int, dict[str, Any]] = {}

    def run(self) -> None:
        family = socket.AF_INET6 if ":" in self._plan["address"] else socket.AF_INET
        with socket.socket(family) as self._sock:
            self._sock.settimeout(PATIENCE)
            self._sock.connect((self._plan["address"], self._plan["port"]))
            self._port = self._sock.getsockname()[1]
            self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
            self._h2.initiate_connection()
            waiting = list(self._share)
            while waiting or self._open:
                while waiting and len(self._open) < AT_ONCE:
                    self._request(*waiting.pop(0))
                if not self._receive():
                    break
            for line in list(self._open.values()):
                self._write(line)
            self._h2.close_connection()
            self._flush()

    def _flush(self) -> None:
        self._sock.sendall(self._h2.data_to_send())

    def _request(self, n: int, request: dict[str, Any]) -> None:
        grpc = self._plan["protocol"] == "grpc"
        body = grpc_message(request.get("body") or "") if grpc else (request.get("body") or "").encode()
        stream = self._h2.get_next_available_stream_id()
        extra = {**self._plan["headers"], **request.get("headers", {})}
        headers = [
            (":method", request["method"]),
            (":scheme", "http"),
            (":authority", self._plan["host"]),
            (":path", request["path"]),
        ]
        headers += [("content-type", "application/grpc"), ("te", "trailers")] if grpc else []
        headers += [(name.lower(), value) for name, value in extra.items()]
        self._open[stream] = {
            "n": n, "start": f"{time.time():.6f}", "method": request["method"], "path": request["path"],
            "port": self._port, "code": None, "bytes": 0,
        }  # fmt: skip
        self._h2.send_headers(stream, headers, end_stream=not body)
        for at in range(0, len(body), 16000):
            while self._h2.local_flow_control_window(stream) < 16000 and self._receive():
                pass
            self._h2.send_data(stream, body[at : at + 16000], end_stream=at + 16000 >= len(body))
        self._flush()

    def _receive(self) -> bool:
        """Read once; whether the connection still stands."""
        self._flush()
        try:
            data = self._sock.recv(65536)
        except TimeoutError:
            return False
        if not data:
            return False
        for event in self._h2.receive_data(data):
            self._event(event)
        self._flush()
        return True

    def _event(self, event: Any) -> None:
        line = self._open.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if line is None:
            return
        if isinstance(event, ResponseReceived | TrailersReceived):
            headers = dict(event.headers)
            if ":status" in headers:
                line["code"] = int(headers[":status"])
            if "grpc-status" in headers:
                line["grpc"] = int(headers["grpc-status"])
        elif isinstance(event, DataReceived):
            line["bytes"] += len(event.data)
        elif isinstance(event, StreamEnded | StreamReset):
            self._write(self._open.pop(event.stream_id))

    def _write(self, line: dict[str, Any]) -> None:
        line["seconds"] = round(time.time() - float(line["start"]), 6)
        with self._lock:
            self._log.write(json.dumps(line) + "\n")


def run(plan: dict[str, Any], log: TextIO) -> None:
    """Deal the requests to the connections in turn and run them together."""
    numbered = list(enumerate(plan["requests"]))
    count, lock = max(1, plan["connections"]), threading.Lock()
    threads = [threading.Thread(target=Connection(plan, numbered[i::count], log, lock).run) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", buffering=1) as out:
        run(json.loads(Path(sys.argv[1]).read_text()), out)
