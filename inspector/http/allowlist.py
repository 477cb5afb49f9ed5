"""What of a message tells nothing of who sent it: common names of fields, and values that say how a message is framed or what a
proxy did with it. Everything else is replaced where strangers will read it: see `http.scrubbing`."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPMethod, HTTPStatus

_NUMBERS = b"""age max-forwards retry-after x-envoy-attempt-count x-envoy-upstream-service-time
    x-envoy-expected-rq-timeout-ms x-envoy-max-retries x-forwarded-port x-b3-sampled x-b3-flags grpc-status
    upgrade-insecure-requests dnt"""
_FRAMING = b"""transfer-encoding connection te upgrade expect content-encoding accept-encoding accept-ranges vary
    proxy-connection x-envoy-internal x-forwarded-proto x-forwarded-scheme x-envoy-overloaded grpc-encoding
    grpc-accept-encoding"""
_FRAMING_VALUE = rb"""(?xi: [\s,] | chunked | close | keep-alive | te | upgrade | websocket | h2c | trailers | 100-continue
    | gzip | x-gzip | deflate | br | zstd | identity | compress | \* | ;q=[01](\.\d+)? | bytes | none | true | false | https?
    | accept-encoding | accept | origin )+"""
_MEDIA_VALUE = rb"""(?xi: [\s,;] | \*/\* | text/(\*|plain|html|css|csv|xml|javascript|event-stream)
    | (image|audio|video|font)/(\*|png|jpeg|gif|webp|avif|apng|bmp|svg\+xml|x-icon|vnd\.microsoft\.icon|mpeg|mp4|ogg|webm|wav
    |woff2?|ttf|otf|collection) | application/(\*|json|xml|xhtml\+xml|javascript|octet-stream|pdf|zip
    |x-www-form-urlencoded|grpc(\+proto|-web)?|protobuf|x-protobuf|problem\+json)
    | charset="?(utf-?(8|16|32)(be|le)?|(us-)?ascii|iso-8859-\d{1,2}
    |windows-125\d|euc-(kr|jp)|shift_jis|gb(k|2312|18030)|big5|koi8-[ru])"?
    | q=[01](\.\d+)? )+"""
_CACHE_VALUE = rb"""(?xi: [\s,] | no-cache | no-store | private | public | must-revalidate | max-age=\d{1,10}
    | no-transform | s-maxage=\d{1,10} )+"""
_DATE_VALUE = rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"

VALUES = {
    name: re.compile(pattern)
    for names, pattern in (
        (b"content-length", rb"[0-9]{1,18}"),
        (_NUMBERS, rb"[0-9]{1,6}"),  # a longer one may be an id
        (_FRAMING, _FRAMING_VALUE),
        (b"content-type accept", _MEDIA_VALUE),
        (b"cache-control pragma", _CACHE_VALUE),
        (b"date", _DATE_VALUE),
        (b"server", rb"(istio-)?envoy|nginx(/[\d.]{1,8})?"),
        (b"keep-alive", rb"(?i:[\s,]|timeout=\d{1,6}|max=\d{1,6})+"),
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
# Behind a common beginning, words that say what a field is for; others are whoever's own.
_FAMILIES = {
    start: frozenset(words.split())
    for start, words in {
        b"x-envoy-": b"""internal external address attempt count upstream service time decorator operation peer metadata id
        expected rq timeout ms original path dst host force trace max retries
        retry on grpc retriable status codes header names overloaded
        immediate health check fail degraded is downstream cluster canary response flags per try alt stat name local ratelimited
        hedge ratelimit""",
        b"x-b3-": b"traceid spanid parentspanid sampled flags",
        b"x-istio-": b"attributes",
        b"x-datadog-": b"trace parent id sampling priority origin tags",
        b"x-forwarded-": b"""for host proto port scheme server prefix uri path method client cert ssl user email groups access
        token by""",
        b"proxy-": b"connection authenticate authorization authentication info status",
        b"access-control-": b"allow origin credentials headers methods expose max age request method headers private network",
        b"sec-": b"""fetch dest mode site user purpose websocket accept extensions key protocol version ch ua mobile platform arch
        model full list bitness prefers color scheme gpc""",
    }.items()
}
METHODS = frozenset(method.value.encode() for method in HTTPMethod) | frozenset(b"PROPFIND REPORT SEARCH PURGE".split())
REASONS = frozenset(status.phrase.encode() for status in HTTPStatus) | frozenset((b"", b"Moved Temporarily"))
WORDS = frozenset(b"http https ws wss localhost svc cluster local Bearer Basic Digest Negotiate".split())


@lru_cache(maxsize=4096)
def known(name: bytes) -> bool:
    """Whether a field's name (lower case) is a common one."""
    start = family(name)
    return name in NAMES or bool(start and set(name[len(start) :].split(b"-")) <= _FAMILIES[start])


def family(name: bytes) -> bytes:
    """The common beginning of a field's name (lower case), b"" where it has none."""
    return next((start for start in _FAMILIES if name.startswith(start)), b"")
