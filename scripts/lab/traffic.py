"""Requests for seeded runs: the kinds that a scenario may send, each with random paths, bodies and headers. Pure."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

WORDS = [
    "items",
    "orders",
    "users",
    "carts",
    "stock",
    "prices",
    "search",
    "reviews",
    "media",
    "sessions",
    "reports",
    "teams",
    "invoices",
    "rooms",
]
AGENTS = (
    "curl/7.88.1",
    "python-httpx/0.27.0",
    "Go-http-client/1.1",
    "okhttp/4.12.0",
    "Mozilla/5.0 (X11; Linux x86_64)",
)
Request = dict[str, Any]
Maker = Callable[[random.Random], Request]


def path(rng: random.Random, *parts: str, **query: str) -> str:
    """A path of one to three words, the given parts after them, with the given query and perhaps one more key."""
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.3:
        words.append(str(rng.randint(1, 99999)))
    pairs = [f"{key.replace('_', '.')}={value}" for key, value in query.items()]
    if rng.random() < 0.3:
        pairs.insert(rng.randint(0, len(pairs)), f"q{rng.randint(0, 9)}={rng.choice(WORDS)}")
    return "/" + "/".join([*words, *parts]) + ("?" + "&".join(pairs) if pairs else "")


def headers(rng: random.Random) -> dict[str, str]:
    """A browser's or a program's headers, sometimes many."""
    found = {"User-Agent": rng.choice(AGENTS), "Accept": rng.choice(["*/*", "application/json"])}
    if rng.random() < 0.3:
        found["Accept-Language"] = rng.choice(["en", "ko-KR,ko;q=0.9", "de-DE,de;q=0.8,en;q=0.5"])
    if rng.random() < 0.2:
        found["Cookie"] = f"session={rng.getrandbits(128):032x}; theme=dark"
    if rng.random() < 0.2:
        found["Authorization"] = f"Bearer {rng.getrandbits(256):064x}"
    if rng.random() < 0.1:
        found["X-Filler"] = "x" * rng.randint(200, 3000)
    return found


def body(rng: random.Random, size: int) -> str:
    """Text of that many bytes; now and then with lines that look like the start of a message."""
    if size < 200:
        return json.dumps({"item": rng.randint(1, 999), "note": "x" * size})
    lure = "GET /lure HTTP/1.1\r\nHost: lure\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" if rng.random() < 0.3 else ""
    line = f"{rng.getrandbits(64):016x} {rng.choice(WORDS)}\n"
    return (lure + line * (size // len(line) + 1))[:size]


def _get(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng)}


def _post(rng: random.Random) -> Request:
    size = rng.choice([0, 5, 100, 1400, 5000, 70000])
    return {"method": rng.choice(["POST", "PUT", "PATCH"]), "path": path(rng, "echo"), "body": body(rng, size)}


def _chunked(rng: random.Random) -> Request:
    return {"method": "POST", "path": path(rng, "echo"), "body": body(rng, rng.randint(300, 9000)), "chunked": True}


def _size(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, size=str(rng.choice([0, 1, 900, 1448, 20000, 66000, 300000])))}


def _encoded(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, **rng.choice([{"gzip": "1"}, {"chunked": "1"}, {"close": "1"}]))}


def _bodiless(rng: random.Random) -> Request:
    method, status = rng.choice([("HEAD", "200"), ("DELETE", "204"), ("GET", "304"), ("OPTIONS", "204")])
    return {"method": method, "path": path(rng, status=status)}


def _status(rng: random.Random) -> Request:
    first, second = (
        rng.choice(["200", "201", "404", "302", "400"]),
        rng.choice(["200", "500", "503", "404", "204", "429"]),
    )
    return {"method": "GET", "path": path(rng, v1_status=first, v2_status=second)}


def _slow_mirror(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, v2_delay=str(round(rng.uniform(0.02, 0.6), 3)))}


def _slow_original(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, v1_delay=str(round(rng.uniform(0.02, 0.4), 3)))}


def _reset(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, v2_reset="1")}


def _same(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, "same")}


def _headers(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, "headers")}


def _drip(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, size="30000", drip=str(round(rng.uniform(0.02, 0.3), 3)))}


def _failing(rng: random.Random) -> Request:
    return {"method": rng.choice(["GET", "POST"]), "path": path(rng, v1_status=rng.choice(["503", "502", "504"]))}


def _late(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, v1_delay=str(round(rng.uniform(0.3, 0.4), 2)))}


def _aborted(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng), "headers": {"end-user": "jason"}}


def _delayed(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng), "headers": {"end-user": "slow"}}


def _grpc(rng: random.Random) -> Request:
    method = rng.choice(["GetItem", "GetItem", "ListItems", "Missing", "Broken", "Slow"])
    return {"method": "POST", "path": f"/catalog.Catalog/{method}", "body": f"item-{rng.randint(1, 99)}"}


def _cascade(rng: random.Random) -> Request:
    return {"method": "GET", "path": path(rng, next="third")}  # the recorder puts the address there


KINDS: dict[str, Maker] = {
    "get": _get, "post": _post, "chunked": _chunked, "size": _size, "encoded": _encoded, "bodiless": _bodiless,
    "status": _status, "slow-mirror": _slow_mirror, "slow-original": _slow_original, "reset": _reset, "same": _same,
    "headers": _headers, "drip": _drip, "failing": _failing, "late": _late, "aborted": _aborted, "delayed": _delayed,
    "cascade": _cascade, "grpc": _grpc,
}  # fmt: skip


def random_requests(rng: random.Random, kinds: Sequence[str], count: int, *, short: bool = False) -> list[Request]:
    """`count` requests of the given kinds; now and then one is repeated, as equal requests are the hard ones.

    ``equal`` among the kinds: one request, `count` times. `short`: no more headers than curl sends, for captures that are cut.
    """
    if "equal" in kinds:
        only = _get(rng) | {"headers": headers(rng)}
        return [only] * count
    made: list[Request] = []
    while len(made) < count:
        if made and rng.random() < 0.25:
            made.append(rng.choice(made))
            continue
        request = KINDS[rng.choice(list(kinds))](rng)
        request["headers"] = ({} if short else headers(rng)) | request.get("headers", {})
        made.append(request)
    return made
