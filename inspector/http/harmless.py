"""What of a message tells nothing of who sent it: common names of fields, and values that say how a message is framed or what a
proxy did with it. Everything else is replaced where strangers will read it: see `http.scrubbing`."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPMethod, HTTPStatus

_NUMBERS = b"""content-length age max-forwards retry-after x-envoy-attempt-count x-envoy-upstream-service-time
    x-envoy-expected-rq-timeout-ms x-envoy-max-retries x-forwarded-port x-b3-sampled x-b3-flags grpc-status
    upgrade-insecure-requests dnt"""
_FRAMING = b"""transfer-encoding connection te upgrade expect content-encoding accept-encoding accept-ranges vary
    proxy-connection x-envoy-internal x-forwarded-proto x-forwarded-scheme x-envoy-overloaded grpc-encoding
    grpc-accept-encoding"""
_FRAMING_VALUE = rb"""(?xi: [\s,] | chunked | close | keep-alive | te | upgrade | websocket | h2c | trailers | 100-continue
    | gzip | x-gzip | deflate | br | zstd | identity | compress | \* | ;q=[01](\.\d+)? | bytes | none | true | false | https?
    | accept-encoding | accept | origin )+"""
_MEDIA_VALUE = rb"""(?xi: [\s,;] | \*/\* | text/(\*|plain|html|css|csv|xml|javascript|event-stream)
    | (image|audio|video|font)/[a-z0-9.+*-]{1,20} | application/(\*|json|xml|xhtml\+xml|javascript|octet-stream|pdf|zip
    |x-www-form-urlencoded|grpc(\+proto|-web)?|protobuf|x-protobuf|problem\+json) | charset="?[\w-]{1,12}"?
    | q=[01](\.\d+)? )+"""
_CACHE_VALUE = rb"""(?xi: [\s,] | no-cache | no-store | private | public | must-revalidate | max-age=\d{1,10}
    | no-transform | s-maxage=\d{1,10} )+"""
_DATE_VALUE = rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"

VALUES = {
    name: re.compile(pattern)
    for names, pattern in (
        (_NUMBERS, rb"[0-9]{1,18}"),
        (_FRAMING, _FRAMING_VALUE),
        (b"content-type accept", _MEDIA_VALUE),
        (b"cache-control pragma", _CACHE_VALUE),
        (b"date", _DATE_VALUE),
        (b"server", rb"(istio-)?envoy|nginx(/[\d.]{1,8})?"),
        (b"keep-alive", rb"[\w=, ]{1,40}"),
        (b"b3", rb"[01d]"),
    )
    for name in names.split()
}  # a value stays where all of it looks like this

NAMES = frozenset(
    b"""host accept-language user-agent cookie set-cookie authorization proxy-authorization www-authenticate origin referer
    location etag last-modified expires if-match if-none-match if-modified-since if-unmodified-since if-range range
    content-range content-disposition content-language content-location content-security-policy allow link forwarded via from
    trailer warning strict-transport-security x-request-id x-correlation-id x-real-ip x-client-trace-id x-ot-span-context
    x-cloud-trace-context traceparent tracestate baggage grpc-timeout grpc-message idempotency-key x-api-key x-auth-token
    x-csrf-token x-requested-with x-powered-by""".split()
) | frozenset(VALUES)
STARTS = tuple(b"x-envoy- x-b3- x-istio- x-datadog- x-forwarded- proxy- access-control- sec-".split())
METHODS = frozenset(method.value.encode() for method in HTTPMethod) | frozenset(b"PROPFIND REPORT SEARCH PURGE".split())
REASONS = frozenset(status.phrase.encode() for status in HTTPStatus) | frozenset((b"", b"Moved Temporarily"))
WORDS = frozenset(b"http https ws wss localhost svc cluster local Bearer Basic Digest Negotiate".split())


@lru_cache(maxsize=4096)
def known(name: bytes) -> bool:
    """Whether a field's name (lower case) is a common one."""
    return name in NAMES or name.startswith(STARTS)
