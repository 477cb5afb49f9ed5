"""Connection strings: user and password in URLs of any scheme, in lists of `Name=value;`, and before the address of a driver."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inspector.redact.names import is_secret

# A scheme, and what stands before the last @ of the authority. Passwords that nobody has escaped hold an @ themselves.
_USERINFO = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,20}:(?://|\\/\\/)(?P<user>redacted:[0-9a-f]{8}|[^\s/?#@:\"'<>\\]{0,256})(?P<rest>:[^\s/?#\"'<>]{1,1024})?@"
)
_BARE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<user>[^/?#@\s:]{1,1000})@")
# Oracle's thin driver has user/password@, Go's MySQL driver user:password@tcp(host).
_THIN = re.compile(
    r"jdbc:oracle:[a-z0-9]{1,10}:(?P<user>[^\s/@\"']{1,128})/(?P<password>[^\s@\"']{1,256})@", re.IGNORECASE
)
_DRIVER = re.compile(
    r"(?<![\w/:@.%+-])(?P<user>redacted:[0-9a-f]{8}|[\w.%+-]{1,64}):(?P<password>[^\s\"'/@]{1,256})@(?:tcp6?|udp|unix)\("
)
# Of a list, as ADO and ODBC have it; a value with quotes or braces may hold a semicolon.
_ITEM = re.compile(
    r"(?:^|(?<=[;\"'\r\n]))[ \t]{0,8}(?P<name>[A-Za-z][\w .-]{0,40}?)[ \t]{0,8}=[ \t]{0,8}"
    r"(?P<value>\"[^\"\r\n]{1,1024}\"|'[^'\r\n]{1,1024}'|\{[^}\r\n]{1,1024}\}|[^;\"'<>&\r\n]{1,1024})(?=;|$|[\"'\r\n])",
    re.ASCII,
)

Place = tuple[int, int]


def userinfo(text: str) -> Iterator[Place]:
    """Where users and passwords stand, each for itself: the same password has the same word elsewhere."""
    if "@" not in text:
        return
    if "/" in text:
        for match in _USERINFO.finditer(text):
            if match["rest"]:
                yield match.span("user")
                yield match.start("rest") + 1, match.end("rest")
        for match in _THIN.finditer(text):
            yield match.span("user")
            yield match.span("password")
    if "(" in text:
        for match in _DRIVER.finditer(text):
            yield match.span("user")
            yield match.span("password")


def sole(text: str) -> Iterator[Place]:
    """Where a URL has a user and no password: that is a token, often."""
    match = _BARE.match(text)
    if match:
        yield match.span("user")


def items(text: str) -> Iterator[Place]:
    """The values of secrets in a list of `Name=value;`."""
    if ";" not in text or "=" not in text:
        return
    for match in _ITEM.finditer(text):
        if is_secret(match["name"].rstrip()):
            start, end = match.span("value")
            braces = text[start] in "\"'{"
            yield (start + 1, end - 1) if braces else (start, end - len(match["value"]) + len(match["value"].rstrip()))
