"""Requests and responses of HTTP/1, as objects and as bytes (RFC 9112)."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field, replace

Lines = tuple[tuple[str, str], ...]
REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content", 302: "Found", 304: "Not Modified",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Payload Too Large",
    429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout",
}  # fmt: skip
BODILESS = (204, 304)
DECIDING = ("location", "set-cookie", "etag", "content-type")  # lines that a proxy rarely writes


@dataclass(frozen=True)
class Request:
    """A request; `lines` are header lines without Host and those of the body."""

    method: str
    target: str
    host: str
    lines: Lines = ()
    body: bytes = b""
    version: str = "1.1"
    chunked: bool = False
    bodiless: bool = False  # content-length: 0 is not written

    def line(self, name: str) -> str | None:
        return next((v for k, v in self.lines if k.lower() == name), None)

    def plus(self, *lines: tuple[str, str]) -> Request:
        """With further lines; one of the same name is replaced."""
        names = {k.lower() for k, _ in lines}
        return replace(self, lines=(*(x for x in self.lines if x[0].lower() not in names), *lines))

    def without(self, *names: str) -> Request:
        return replace(self, lines=tuple(x for x in self.lines if x[0].lower() not in names))

    def head(self) -> bytes:
        rows = [f"{self.method} {self.target} HTTP/{self.version}", f"Host: {self.host}"]
        rows += [f"{k}: {v}" for k, v in self.lines]
        if self.chunked and self.body:
            rows.append("Transfer-Encoding: chunked")
        elif self.body or (self.method in ("POST", "PUT") and not self.bodiless):
            rows.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(rows) + "\r\n\r\n").encode("latin-1")

    def tail(self) -> bytes:
        return in_chunks(self.body) if self.chunked and self.body else self.body


@dataclass(frozen=True)
class Response:
    """A response. `framing`: length, chunked, or close (the end of the connection ends the body)."""

    status: int
    lines: Lines = ()
    body: bytes = b""
    framing: str = "length"
    version: str = "1.1"
    coding: str = ""  # of what stands in `lines` as content-encoding; `body` is decoded
    to_head: bool = False  # answers HEAD: no body is sent, but its length is told
    cut: int | None = None  # bytes of the body that are sent, before the connection breaks

    def line(self, name: str) -> str | None:
        return next((v for k, v in self.lines if k.lower() == name), None)

    def plus(self, *lines: tuple[str, str]) -> Response:
        names = {k.lower() for k, _ in lines}
        return replace(self, lines=(*(x for x in self.lines if x[0].lower() not in names), *lines))

    def without(self, *names: str) -> Response:
        return replace(self, lines=tuple(x for x in self.lines if x[0].lower() not in names))

    @property
    def silent(self) -> bool:
        """Whether no body is sent, whatever the head says."""
        return self.to_head or self.status in BODILESS

    def coded(self) -> bytes:
        """The body with its coding."""
        if self.coding == "gzip":
            return gzip.compress(self.body, 6, mtime=0)
        return zlib.compress(self.body) if self.coding == "deflate" else self.body

    def head(self) -> bytes:
        rows = [f"HTTP/{self.version} {self.status} {REASONS.get(self.status, 'Other')}"]
        rows += [f"{k}: {v}" for k, v in self.lines]
        if self.coding:
            rows.append(f"Content-Encoding: {self.coding}")
        if self.status == 204:
            pass
        elif self.framing == "chunked" and not self.to_head:
            rows.append("Transfer-Encoding: chunked" if self.status != 304 else "X-Cache: revalidated")
        elif self.framing == "close" and not self.to_head and self.status != 304:
            rows.append("Connection: close")
        else:
            rows.append(f"Content-Length: {len(self.coded())}")
        return ("\r\n".join(rows) + "\r\n\r\n").encode("latin-1")

    def tail(self) -> bytes:
        """What follows the head."""
        if self.silent:
            return b""
        data = in_chunks(self.coded()) if self.framing == "chunked" else self.coded()
        return data if self.cut is None else data[: self.cut]

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for responses that nobody can distinguish behind a proxy: its class."""
        length = len(self.body) if self.silent and self.status != 204 else None
        sent = b"" if self.silent else self.body if self.cut is None else self.body[: self.cut]
        return self.status, sent, length, tuple(sorted((k.lower(), v) for k, v in self.lines if k.lower() in DECIDING))


def _is(down: Response, up: Response) -> bool:
    """Whether a body that went down is that of a response that came up, or the beginning of it."""
    return down.body == up.body if down.cut is None else up.body.startswith(down.body[: down.cut])


def tells(down: Response, a: Response, b: Response) -> int:
    """Whose response a client was given: 1 the first, -1 the second, 0 if nobody can know.

    A line that equals neither was written by the proxy and tells nothing.
    """
    facts: list[tuple[bool, bool]] = []
    if not down.silent:
        facts.append((_is(down, a), _is(down, b)))
    facts.append((down.status == a.status, down.status == b.status))
    if down.silent and down.status != 204:
        facts.append((len(down.body) == len(a.body), len(down.body) == len(b.body)))
    facts += [(down.line(k) == a.line(k), down.line(k) == b.line(k)) for k in DECIDING]
    return next((1 if first else -1 for first, second in facts if first != second), 0)


def in_chunks(body: bytes, size: int = 4096) -> bytes:
    parts = [body[a : a + size] for a in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


@dataclass(eq=False)
class Exchange:
    """The truth about one request and its response on one connection."""

    number: int
    role: str  # downstream, original, mirror, attempt, check, cascade, other
    sender: str  # host
    receiver: str
    request: Request
    connection: object = None
    response: Response | None = None
    response_begun: bool = False
    marks: frozenset[str] = frozenset()  # signs on the wire that tell this copy from its original
    group: object = None  # the transaction in which it was sent
    notes: dict[str, object] = field(default_factory=dict)
