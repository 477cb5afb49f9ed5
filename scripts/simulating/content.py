"""What servers answer: how the responses of original and mirror differ, or do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from simulating.messages import Request, Response

MODES = (
    "unique", "versions", "equal", "pool", "status", "errors", "empty", "empties", "cookies", "locations", "etags",
    "unchanged",
)  # fmt: skip
TELLING = ("unique", "versions")  # bodies that tell whose they are


class _Named(Protocol):
    name: str


class Content:
    """Makes responses. `mode` is what differs between servers; the size of bodies is by chance."""

    def __init__(self, rng: random.Random, mode: str) -> None:
        self.rng, self.mode = rng, mode
        self.sizes = rng.choice(((0, 20), (0, 300), (200, 3000), (3000, 14000)))
        self.framing = rng.choice(("length", "length", "chunked"))
        self.coding = ""
        self.old: set[str] = set()  # servers that speak HTTP/1.0
        self.verdict: Callable[[], int] | None = None  # of a check
        self._count = 0
        self._length: dict[tuple[str, str], int] = {}

    def _padding(self, who: str, what: str) -> str:
        key = (who, what)
        if key not in self._length:
            self._length[key] = self.rng.randrange(*self.sizes) if self.sizes[1] else 0
        return (who + "-" + what + " ") * (self._length[key] // (len(who) + len(what) + 2) + 1)

    def response(self, server: _Named, request: Request) -> Response:
        """The response of a server."""
        self._count += 1
        if self.verdict is not None:
            status = self.verdict()
            return Response(status, (("content-type", "text/plain"),), b"" if status == 200 else b"refused\n")
        name, path, method = server.name, request.target.lstrip("/").split("/")[-1], request.method
        kind = (("content-type", "application/json"),)
        status, lines = 200, [("date", "Tue, 01 Dec 2026 12:00:00 GMT"), *kind]
        text = f'{{"of":"{path}","all":"{self._padding("all", path)}"}}'
        second = name != "v1"
        if self.mode == "unique":
            text = f'{{"by":"{name}","n":{self._count},"pad":"{self._padding(name, path)}"}}'
        elif self.mode == "versions":
            text = f'{{"by":"{name}","of":"{path}","pad":"{self._padding(name, path)}"}}'
        elif self.mode == "pool":
            text = f'{{"of":"{path}","is":{self.rng.randrange(2)}}}'
        elif self.mode == "status":
            status = self.rng.choice((500, 404)) if second else 200
            text = f'{{"by":"{name}","status":{status}}}' if second else text
        elif self.mode == "errors":
            status = self.rng.choice((500, 404)) if second else 200
        elif self.mode == "empty":
            status, text = self.rng.choice((200, 204)) if "?" in path else 200, ""
        elif self.mode == "empties":
            status, text = (201 if second else 204), ""
        elif self.mode == "cookies":
            lines.append(("set-cookie", f"sid={name}-{self._count}; Path=/; Domain={name}.internal"))
        elif self.mode == "locations":
            status, text = 302, "moved\n"
            lines.append(("location", f"http://{name}.internal:8080/at/{path}/{name}"))
        elif self.mode in ("etags", "unchanged"):
            lines.append(("etag", f'"{name}-{path}"'))
            if self.mode == "unchanged":
                status, text = 304, ""
        body = b"" if status == 204 else text.encode()
        version = "1.0" if name in self.old else "1.1"
        framing = "close" if version == "1.0" else self.framing
        coding = self.coding if len(body) > 30 and method != "HEAD" else ""
        return Response(status, tuple(lines), body, framing, version, coding, to_head=method == "HEAD")
