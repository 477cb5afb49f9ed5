"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/): a page for each mirror, an entry for each of its legs.

Our own fields begin with an underscore, as the specification asks. Entries come in the order in which exchanges end: readers
sort them by time. Secrets are replaced before anything is written (see inspector.redact).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_plus

from inspector.evidence.legs import LegView
from inspector.http.codings import Decoded, decoded
from inspector.http.content import CapturedMessage
from inspector.lang import _
from inspector.redact import Redactor
from inspector.render.source import Shown
from inspector.render.text import readable, rfc3339
from inspector.storable import everything
from inspector.views.objects import ExchangeView, MirrorView

UNKNOWN_TYPE = "x-unknown"  # what the specification's example writes where there is no content type
TEXTUAL = ("json", "xml", "javascript", "x-www-form-urlencoded", "graphql", "yaml")
VERSIONS = {"http/1.0": "HTTP/1.0", "http/1.1": "HTTP/1.1", "h2": "HTTP/2"}
REASONS = {status.value: status.phrase for status in HTTPStatus}
Json = dict[str, Any]


def document(source: Shown, legs: Iterable[LegView], creator: tuple[str, str], redactor: Redactor) -> Iterator[str]:
    """The whole document, entry by entry. source: already redacted. creator: name and version of the program."""
    head = {"name": creator[0], "version": creator[1], "comment": source.summary.finding}
    yield f'{{"log": {{"version": "1.2", "creator": {_dump(head)}, "pages": ['
    yield from _joined(_dump(page(m)) for m in source.mirror_views())
    yield '], "entries": ['
    yield from _joined(_dump(entry(leg, redactor)) for leg in legs)
    yield "]}}\n"


def _joined(items: Iterable[str]) -> Iterator[str]:
    lead = "\n"
    for item in items:
        yield lead + item
        lead = ",\n"
    if lead != "\n":
        yield "\n"


def _dump(value: Json) -> str:
    return json.dumps(everything(value), allow_nan=False).replace("\x7f", "\\u007f")


def page(m: MirrorView) -> Json:
    """A mirror as a page: readers group entries by it."""
    first = min(t for leg in (m.downstream, m.original, m.mirror) if leg and (t := _begun(leg)) is not None)
    why = ", ".join(m.proof) or m.reason
    verdict = f"{m.verdict} ({why})" if why else m.verdict
    title = _("mirror {n}: {method} {path}: {verdict}").format(
        n=m.id, method=m.method or "?", path=m.path or "?", verdict=verdict
    )
    return {
        "startedDateTime": rfc3339(first),
        "id": f"mirror_{m.id}",
        "title": readable(title),
        "pageTimings": {"onContentLoad": -1, "onLoad": -1},
    }


def _begun(x: ExchangeView) -> int | None:
    return x.request_time if x.request_time is not None else x.response_time


def entry(leg: LegView, redactor: Redactor) -> Json:
    """An exchange as an entry, with fields of our own: _leg, _mirrorOf, _packets, _verdict and more."""
    x = leg.exchange
    timings = timings_of(x, leg.sent)
    host, port = x.server.rsplit(":", 1)
    out: Json = {
        "pageref": f"mirror_{leg.mirrors[0]}",
        "startedDateTime": rfc3339(_begun(x) or 0),
        "time": round(sum(timings.values()), 6),
        "request": request(x, leg.content.request, redactor),
        "response": response(x, leg.content.response, redactor),
        "cache": {},
        "timings": timings,
        "serverIPAddress": host.strip("[]"),
        "connection": port,  # of the server: browsers show it beside serverIPAddress
        "_id": x.id,
        "_leg": leg.leg,
        "_mirrors": list(leg.mirrors),
        "_client": x.client,
        "_server": x.server,
        "_connection": x.connection,
        "_resourceType": "fetch",  # or browsers guess what asked for it
        "_packets": {"capture": x.capture, "request": x.request_packets, "response": x.response_packets},
    }
    if leg.judged is not None:
        m = leg.judged
        out["_mirrorOf"] = None if m.original is None else m.original.id
        out |= {"_verdict": m.verdict, "_proof": m.proof, "_reason": m.reason, "_delivered": m.delivered}
    said = [text for text in (_missing(x, leg), leg.content.why) if text]
    if said:
        out["comment"] = "; ".join(said)
    return out


def _missing(x: ExchangeView, leg: LegView) -> str:
    sides = []
    if x.request_time is None:
        sides.append(_("the request was not captured"))
    if x.response_time is None:
        sides.append(_("no response was seen"))
    for part, missing, dropped in (
        (
            leg.content.request,
            _("{count} bytes of the request are missing from the capture"),
            _("{count} bytes of the request are left out: it is too long"),
        ),
        (
            leg.content.response,
            _("{count} bytes of the response are missing from the capture"),
            _("{count} bytes of the response are left out: it is too long"),
        ),
    ):
        if part is not None and part.missing:
            sides.append(missing.format(count=f"{part.missing:,}"))
        if part is not None and part.dropped:
            sides.append(dropped.format(count=f"{part.dropped:,}"))
    return "; ".join(sides)


def timings_of(x: ExchangeView, sent: int | None) -> dict[str, float]:
    """Milliseconds, exact to the nanosecond: the request's first to last byte, to the response's first, to its last."""
    start, first, last = x.request_time, x.response_time, x.response_end_time
    if start is None:
        return {"send": 0, "wait": 0, "receive": _ms(first, last)}
    sent = start if sent is None else sent
    if first is not None:
        sent = min(sent, first)  # a response may come before the request's end
    return {"send": _ms(start, sent), "wait": _ms(sent, first), "receive": _ms(first, last)}


def _ms(start: int | None, end: int | None) -> float:
    return 0 if start is None or end is None else round(max(end - start, 0) / 1e6, 6)


# -- messages ----------------------------------------------------------------------------------------------------------


def request(x: ExchangeView, part: CapturedMessage | None, redactor: Redactor) -> Json:
    """The request; what was not captured is empty."""
    fields = headers(part, redactor)
    url = url_of(x, redactor)
    out: Json = {
        "method": readable(x.method or ""),
        "url": url,
        "httpVersion": VERSIONS.get(x.protocol, ""),
        "cookies": [
            cookie(c) for f in fields if f["name"].lower() == "cookie" for c in f["value"].split(";") if c.strip()
        ],
        "headers": fields,
        "queryString": query(url),
        "headersSize": -1,
        "bodySize": -1 if x.request_body_bytes is None else x.request_body_bytes,
    }
    if part is not None and part.body:
        text, encoding, said, _ = body(part, redactor)
        out["postData"] = {"mimeType": content_type(part, redactor), "params": [], "text": text}
        if encoding:
            out["postData"]["_encoding"] = encoding  # HAR 1.2 has such a field for responses only
        if said:
            out["postData"]["comment"] = said
    return out


def response(x: ExchangeView, part: CapturedMessage | None, redactor: Redactor) -> Json:
    """The response; status 0 where none was seen, as browsers write it."""
    fields = headers(part, redactor)
    size = x.response_body_bytes or 0
    content: Json = {"size": size, "mimeType": content_type(part, redactor)}
    if part is not None and part.body:
        text, encoding, said, length = body(part, redactor)
        content |= {"size": length, "text": text}
        if length != size:
            content["compression"] = length - size
        if encoding:
            content["encoding"] = encoding
        if said:
            content["comment"] = said
    return {
        "status": x.status or 0,
        "statusText": reason(x.status, part, redactor),
        "httpVersion": VERSIONS.get(x.protocol, "") if x.status else "",
        "cookies": [set_cookie(f["value"]) for f in fields if f["name"].lower() == "set-cookie"],
        "headers": fields,
        "content": content,
        "redirectURL": next((f["value"] for f in fields if f["name"].lower() == "location"), ""),
        "headersSize": -1,
        "bodySize": -1 if x.response_body_bytes is None else x.response_body_bytes,
    }


def headers(part: CapturedMessage | None, redactor: Redactor) -> list[Json]:
    """The header fields as they may be shown."""
    given = redactor.headers(part.headers) if part is not None else []
    return [
        {"name": readable(name.decode("latin-1")), "value": readable(value.decode("latin-1"))} for name, value in given
    ]


def reason(status: int | None, part: CapturedMessage | None, redactor: Redactor) -> str:
    """The reason phrase that was sent, else the usual one."""
    if part is not None and part.start.count(b" ") >= 2:
        return readable(redactor.header(b"", part.start.split(b" ", 2)[2]).decode("latin-1"))
    return REASONS.get(status or 0, "")


def content_type(part: CapturedMessage | None, redactor: Redactor) -> str:
    """The media type with its parameters."""
    given = part.text(b"content-type") if part is not None else ""
    return (
        readable(redactor.header(b"content-type", given.encode("latin-1")).decode("latin-1")) if given else UNKNOWN_TYPE
    )


def url_of(x: ExchangeView, redactor: Redactor) -> str:
    """An absolute URL: the host that was asked for, or the address where it is not known."""
    target = redactor.target(x.path or "/")
    if target.startswith(("http://", "https://")):
        return readable(target)
    host = x.host or x.server
    return readable(
        f"http://{host}" if x.method == "CONNECT" else f"http://{host}{target if target[:1] == '/' else '/' + target}"
    )


def query(url: str) -> list[Json]:
    """The pairs of the query, decoded."""
    _, mark, text = url.partition("?")
    text = text.partition("#")[0]
    pairs = (pair.partition("=") for pair in text.split("&") if pair) if mark else ()
    return [{"name": unquote_plus(name), "value": unquote_plus(value)} for name, _, value in pairs]


def cookie(text: str) -> Json:
    """One pair of a Cookie field."""
    name, _, value = text.strip().partition("=")
    return {"name": name, "value": value}


def set_cookie(text: str) -> Json:
    """A Set-Cookie field (RFC 6265 section 5.2)."""
    first, *attributes = text.split(";")
    out = cookie(first)
    for attribute in attributes:
        name, _, value = (part.strip() for part in attribute.partition("="))
        if name.lower() in ("path", "domain"):
            out[name.lower()] = value
        elif name.lower() in ("secure", "httponly"):
            out["httpOnly" if name.lower() == "httponly" else "secure"] = True
        elif name.lower() == "expires":
            try:
                out["expires"] = parsedate_to_datetime(value).isoformat()
            except (ValueError, TypeError, IndexError):
                continue
    return out


def body(part: CapturedMessage, redactor: Redactor) -> tuple[str, str, str, int]:
    """A body without its codings: text, its encoding ("" or "base64"), what is to be said of it, its length."""
    found: Decoded = decoded(part)
    kind = part.text(b"content-type").lower()
    said = [found.problem] if found.problem else []
    if part.holes:
        said.append(_("bytes that are missing are left out"))
    raw = found.body if found.opaque else redactor.body(found.body, kind)
    text = None if found.opaque else as_text(raw, kind)
    if text is None:
        return b64encode(raw).decode("ascii"), "base64", "; ".join(said), len(found.body)
    return text, "", "; ".join(said), len(found.body)


def as_text(raw: bytes, kind: str) -> str | None:
    """UTF-8 text; None for what is none, or holds control characters that no text has."""
    named = kind.startswith("text/") or any(word in kind for word in TEXTUAL)
    if kind and not named and not kind.startswith("application/octet-stream"):
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(ord(c) < 32 and c not in "\t\n\r\f" for c in text) else text
