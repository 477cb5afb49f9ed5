"""What proxies of several kinds write into the requests that they send: to the original, to a mirror, to a check.

After DESIGN's facts of the wire: Envoy marks its copies in up to four ways, nginx and Traefik in none.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from simulating.messages import Request

HEX = "0123456789abcdef"


@dataclass
class Marks:
    """The ways of one proxy."""

    kind: str = "envoy"  # envoy, nginx, traefik, haproxy, generic
    suffix: bool = True  # -shadow, before the port
    request_id: bool = True
    forwarded: bool = True  # x-forwarded-for, and what Envoy does to it in a copy
    internal: bool = True  # x-envoy-internal on copies and checks
    tracing: str = ""  # b3, traceparent
    attempts: bool = True  # x-envoy-attempt-count


def some_id(rng: random.Random, n: int) -> str:
    return "".join(rng.choice(HEX) for _ in range(n))


def uuid(rng: random.Random) -> str:
    h = some_id(rng, 32)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def suffixed(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return f"{name}-shadow:{port}" if colon else host + "-shadow"


def prepared(marks: Marks, rng: random.Random, request: Request, client_ip: str) -> Request:
    """The request with what belongs to the whole transaction: what original, mirrors and checks share."""
    if marks.kind in ("envoy",):
        if marks.request_id and request.line("x-request-id") is None:
            request = request.plus(("x-request-id", uuid(rng)))
        if marks.tracing == "b3" and request.line("x-b3-traceid") is None:
            request = request.plus(("x-b3-traceid", some_id(rng, 32)))
        if marks.tracing == "traceparent" and request.line("traceparent") is None:
            request = request.plus(("traceparent", f"00-{some_id(rng, 32)}-{some_id(rng, 16)}-01"))
        before = request.line("x-forwarded-for")
        if marks.forwarded:
            request = request.plus(("x-forwarded-for", f"{before},{client_ip}" if before else client_ip))
            request = request.plus(("x-forwarded-proto", "http"))
    elif marks.kind in ("traefik", "haproxy", "nginx") and marks.forwarded:
        before = request.line("x-forwarded-for")
        request = request.plus(("X-Forwarded-For", f"{before}, {client_ip}" if before else client_ip))
    return request.without("connection")


def to_original(marks: Marks, rng: random.Random, request: Request, attempt: int = 1) -> Request:
    """What the original is sent."""
    if marks.kind == "envoy":
        if marks.attempts:
            request = request.plus(("x-envoy-attempt-count", str(attempt)))
        request = _span(marks, rng, request)
    if marks.kind == "nginx":
        request = replace(request, version="1.0").plus(("Connection", "close"))
    return request


def _span(marks: Marks, rng: random.Random, request: Request, sampled: str = "1") -> Request:
    if marks.tracing == "b3":
        parent = request.line("x-b3-spanid")
        request = request.plus(("x-b3-spanid", some_id(rng, 16)), ("x-b3-sampled", sampled))
        if parent:
            request = request.plus(("x-b3-parentspanid", parent))
    elif marks.tracing == "traceparent":
        version, trace, _, flags = (request.line("traceparent") or "00-0-0-01").split("-")
        request = request.plus(("traceparent", f"{version}-{trace}-{some_id(rng, 16)}-{flags}"))
    return request


def to_mirror(
    marks: Marks, rng: random.Random, request: Request, original: Request | None, proxy_ip: str, upstream: str
) -> tuple[Request, frozenset[str]]:
    """What a mirror is sent, and the signs in it that no original has."""
    signs: set[str] = set()
    if marks.kind == "envoy":
        if marks.suffix:
            request = replace(request, host=suffixed(request.host))
            signs.add("suffix")
        if marks.internal:
            request = request.plus(("x-envoy-internal", "true"))
            signs.add("internal")
        if marks.forwarded:
            before = request.line("x-forwarded-for")
            request = request.plus(("x-forwarded-for", f"{before},{proxy_ip}" if before else proxy_ip))
            signs.add("forwarded")
        if marks.tracing == "b3" and original is not None and original.line("x-b3-spanid"):
            request = request.plus(("x-b3-spanid", original.line("x-b3-spanid") or ""))
            signs.add("parent")
        request = _span(marks, rng, request, "0")
    if marks.kind == "nginx":
        request = replace(request, version="1.0", host=upstream).plus(("Connection", "close"))
        if rng.random() < 0.3:
            request = request.plus(("X-Original-URI", request.target))
    if marks.kind == "haproxy":  # an agent sends it, without what the proxy adds
        request = request.without("x-forwarded-for").plus(("Accept", "*/*"))
    return request, frozenset(signs)


def to_check(marks: Marks, rng: random.Random, request: Request, target: str | None) -> Request:
    """What an authorization service is asked: the head of the request, without its body and without the proxy's address."""
    asked = replace(request, body=b"", chunked=False, bodiless=False)
    if marks.kind == "envoy":
        asked = asked.plus(("x-envoy-internal", "true")).plus(("content-length", "0"))
        asked = replace(asked, bodiless=True)
        return _span(marks, rng, asked)
    asked = replace(asked, bodiless=True, target=target or asked.target, method="GET" if target else asked.method)
    return asked.plus(("X-Original-URI", request.target)) if marks.kind == "nginx" else asked
