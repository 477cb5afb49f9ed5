"""A dull reader of whole, well-formed HTTP/1 streams (RFC 9112), written with other means than the parser."""

from __future__ import annotations

import re
from typing import Any

import xxhash


def _head(data: bytes, at: int) -> tuple[int, list[bytes]]:
    end = re.compile(rb"\r?\n\r?\n").search(data, at)
    assert end, data[at : at + 80]
    text = re.sub(rb"\r?\n[ \t]+", b" ", data[at : end.start()])
    return end.end(), re.split(rb"\r?\n", text)


def _values(lines: list[bytes], name: bytes) -> list[bytes]:
    pairs = [line.split(b":", 1) for line in lines[1:]]
    return [value.strip() for key, value in pairs if key.lower() == name]


def _chunked(data: bytes, at: int) -> tuple[int, bytes]:
    body = b""
    while True:
        line_end = data.index(b"\n", at)
        size = int(data[at:line_end].split(b";")[0].strip(), 16)
        at = line_end + 1
        if size == 0:
            break
        body += data[at : at + size]
        at = data.index(b"\n", at + size) + 1
    while True:
        line_end = data.index(b"\n", at)
        line = data[at:line_end].rstrip(b"\r")
        at = line_end + 1
        if not line:
            return at, body


def read_all(requests: bytes, responses: bytes) -> list[dict[str, Any]]:
    """Messages by kind and start; responses answer requests in order."""
    out = []
    asked: list[tuple[int, bytes]] = []
    at = 0
    while at < len(requests):
        if requests[at : at + 1] in b"\r\n":
            at += 1
            continue
        start = at
        at, lines = _head(requests, at)
        method, target, _ = lines[0].split(b" ")
        head_end, body = at, b""
        if _values(lines, b"transfer-encoding"):
            at, body = _chunked(requests, at)
        elif length := _values(lines, b"content-length"):
            body = requests[at : at + int(length[0])]
            at += len(body)
        asked.append((start, method))
        out.append(
            {"kind": 1, "start": start, "head_end": head_end, "end": at, "status": -1, "method": method,
             "target": target, "request": -1, "body_bytes": len(body), "body_hash": xxhash.xxh64_intdigest(body)}
        )  # fmt: skip
    at = 0
    while at < len(responses):
        start = at
        at, lines = _head(responses, at)
        status = int(lines[0].split(b" ")[1])
        if status < 200:
            continue
        request, method = asked.pop(0) if asked else (-1, b"GET")
        head_end, body = at, b""
        if method == b"HEAD" or status in (204, 304):
            pass
        elif _values(lines, b"transfer-encoding"):
            at, body = _chunked(responses, at)
        elif length := _values(lines, b"content-length"):
            body = responses[at : at + int(length[0])]
            at += len(body)
        else:
            body = responses[at:]
            at = len(responses)
        out.append(
            {"kind": 2, "start": start, "head_end": head_end, "end": at, "status": status, "method": b"",
             "target": b"", "request": request, "body_bytes": len(body), "body_hash": xxhash.xxh64_intdigest(body)}
        )  # fmt: skip
    return out
