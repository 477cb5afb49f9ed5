"""An original against its mirror: status, header fields and bodies, each as equal, different, or not known.

What was not captured is never called equal. Equality is judged on the captured bytes (content codings undone); texts in a
result have gone through the redactor, since they are there to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspector.compare.bodies import Bodies, BodyDiff
from inspector.http.content import CapturedMessage, Content, as_text
from inspector.lang import _
from inspector.mirror.signs import without_suffix
from inspector.redact import Redactor
from inspector.views.cache import Memo

# Why a field may differ between a request and its copy, or between two responses (section 5 of the design).
SUFFIX = "suffix"  # Envoy appended -shadow to the host
HOST = "host"  # another host: a policy rewrites it, nginx sends its own
FORWARDED = "forwarded-for"  # the proxy's address was appended
INTERNAL = "internal"
TRACE = "trace"
SAMPLED = "sampled"
ENVOY = "envoy"  # Envoy's own bookkeeping
FRAMING = "framing"  # hop by hop (RFC 9110 section 7.6.1), and how the length is reported
TIME = "time"

TRAILER = " (trailer)"
FRAMING_FIELDS = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length", "trailer")
)
TRACE_FIELDS = frozenset(
    (
        "b3",
        "traceparent",
        "tracestate",
        "grpc-trace-bin",
        "x-cloud-trace-context",
        "uber-trace-id",
        "x-amzn-trace-id",
        "sw8",
    )
)
TRACE_PREFIXES = ("x-b3-", "x-ot-", "x-datadog-", "uberctx-")
SAMPLED_FIELDS = frozenset(("x-b3-sampled", "x-b3-flags", "x-datadog-sampling-priority", "x-ot-span-context"))
ENVOY_FIELDS = frozenset(
    (
        *("x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms", "x-envoy-decorator-operation"),
        *("x-envoy-peer-metadata", "x-envoy-peer-metadata-id", "x-envoy-is-timeout-retry"),
    )
)
TIME_FIELDS = frozenset(
    ("date", "age", "x-envoy-upstream-service-time", "server-timing", "x-runtime", "x-response-time")
)


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """A header field that differs. original, mirror: its values as shown, None where it is absent. rule: why it may, or ""."""

    name: str
    original: tuple[str, ...] | None
    mirror: tuple[str, ...] | None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class FieldsDiff:
    """The header fields (and trailers) of two messages.

    expected: those that differ for a reason. unexpected: those that should not. equal: the names of the others. same: whether
    nothing unexpected differs; None where a head was not captured to its end: then fields seen on both sides are compared.
    """

    expected: tuple[FieldDiff, ...]
    unexpected: tuple[FieldDiff, ...]
    equal: tuple[str, ...]
    same: bool | None


@dataclass(frozen=True, slots=True)
class PairDifference:
    """What `compare` found. notes: sentences about what could not be seen."""

    status: tuple[int | None, int | None]
    status_same: bool | None
    line: tuple[str | None, str | None]  # method and target, as shown
    line_same: bool | None
    request_fields: FieldsDiff
    request_body: BodyDiff
    response_fields: FieldsDiff
    response_body: BodyDiff
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rules need to know: how bodies are compared, the suffix of copied hosts, the proxy's address."""

    bodies: Bodies
    suffix: str = "-shadow"
    proxy: str | None = None

    @property
    def redactor(self) -> Redactor:
        """The redactor of what is shown."""
        return self.bodies.redactor


def compare(original: Content | None, mirror: Content | None, setting: Setting) -> PairDifference:
    """Compare the two exchanges of a pair, as captured. None: there is no such exchange. Texts of the result are Unicode."""
    asked = [c.request if c else None for c in (original, mirror)]
    answered = [c.response if c else None for c in (original, mirror)]
    status = [status_of(p) for p in answered]
    lines = [request_line(p) if p else None for p in asked]
    shown = _shown_line(lines[0], setting)
    return PairDifference(
        status=(status[0], status[1]),
        status_same=None if None in status else status[0] == status[1],
        line=(shown, shown if lines[0] == lines[1] else _shown_line(lines[1], setting)),
        line_same=None if None in lines else lines[0] == lines[1],
        request_fields=compare_fields(asked[0], asked[1], setting, True),
        request_body=setting.bodies.compare(asked[0], asked[1]),
        response_fields=compare_fields(answered[0], answered[1], setting, False),
        response_body=setting.bodies.compare(answered[0], answered[1]),
        notes=tuple(_notes(original, mirror)),
    )


def status_of(p: CapturedMessage | None) -> int | None:
    """The status of a response."""
    words = p.start.split(b" ", 2) if p else []
    return int(words[1]) if len(words) > 1 and len(words[1]) == 3 and words[1].isdigit() else None


def request_line(p: CapturedMessage) -> str | None:
    """Method and target of a request."""
    method, space, rest = p.start.decode("latin-1").rstrip().partition(" ")
    target, _space, version = rest.rpartition(" ")  # a target that is not valid may hold blanks
    return f"{method} {target if target and version.startswith('HTTP/') else rest}" if space else None


def _shown_line(line: str | None, setting: Setting) -> str | None:
    if line is None:
        return None
    method, _space, target = line.partition(" ")
    return as_text(f"{method} {setting.redactor.target(target)}".encode("latin-1"))


def _notes(original: Content | None, mirror: Content | None) -> list[str]:
    notes = []
    names = ((original, _("original")), (mirror, _("mirror")))
    for content, name in names:
        if content is None:
            notes.append(_("The {leg} was not captured: there is nothing to compare it with.").format(leg=name))
        elif content.why:
            notes.append(_("The {leg} could not be read again: {why}.").format(leg=name, why=content.why))
        elif content.response is None:
            notes.append(_("No response of the {leg} was captured.").format(leg=name))
        if content is None:
            continue
        for p, what in ((content.request, _("request")), (content.response, _("response"))):
            if p and p.missing:
                text = _("{count:,} bytes of the {leg}'s {message} were not captured.")
                notes.append(text.format(count=p.missing, leg=name, message=what))
            elif p and not p.complete:
                text = _("The {leg}'s {message} was not captured to its end.")
                notes.append(text.format(leg=name, message=what))
            if p and p.dropped:
                text = _("{count:,} bytes of the {leg}'s {message} are beyond the limit and were not read again.")
                notes.append(text.format(count=p.dropped, leg=name, message=what))
    return notes


def compare_fields(a: CapturedMessage | None, b: CapturedMessage | None, setting: Setting, request: bool) -> FieldsDiff:
    """Header fields and trailers by name, in the order in which they come; one sent several times has several values."""
    if a is None or b is None:
        return FieldsDiff((), (), (), None)
    known = a.head_complete and b.head_complete
    ours, theirs = _by_name(a), _by_name(b)
    expected: list[FieldDiff] = []
    unexpected: list[FieldDiff] = []
    equal: list[str] = []
    for name in dict.fromkeys((*ours, *theirs)):
        mine, other = ours.get(name), theirs.get(name)
        if mine == other:
            equal.append(name)
        elif known or (mine is not None and other is not None):
            rule = request_rule(name, mine, other, setting) if request else response_rule(name)
            diff = FieldDiff(name, _shown(name, mine, setting), _shown(name, other, setting), rule)
            (expected if rule else unexpected).append(diff)
    same = False if unexpected else True if known else None
    return FieldsDiff(tuple(expected), tuple(unexpected), tuple(equal), same)


def _by_name(p: CapturedMessage) -> dict[str, list[bytes]]:
    out: dict[str, list[bytes]] = {}
    for name, value in p.headers:
        key = _NAMES[name]
        if key in out:
            out[key].append(value)
        else:
            out[key] = [value]
    for name, value in p.trailers:
        out.setdefault(_NAMES[name] + TRAILER, []).append(value)
    return out


_NAMES = Memo[bytes, str](lambda name: as_text(name).lower())


def _shown(name: str, values: list[bytes] | None, setting: Setting) -> tuple[str, ...] | None:
    if values is None:
        return None
    key = name.removesuffix(TRAILER)
    return tuple([setting.bodies.field(key, value) for value in values])


def request_rule(name: str, original: list[bytes] | None, mirror: list[bytes] | None, setting: Setting) -> str:
    """Why a mirroring proxy may send the copy with another value, "" where it should not."""
    if name in ("host", ":authority"):
        return _host_rule(original, mirror, setting.suffix)
    if name == "x-forwarded-for":
        return FORWARDED if _appended(original, mirror, setting.proxy) else ""
    if name == "x-envoy-internal":
        return INTERNAL
    if name in SAMPLED_FIELDS:
        return SAMPLED
    if name in TRACE_FIELDS or name.startswith(TRACE_PREFIXES):
        return TRACE
    if name in FRAMING_FIELDS:
        return FRAMING
    return ENVOY if name in ENVOY_FIELDS else ""


def _host_rule(original: list[bytes] | None, mirror: list[bytes] | None, suffix: str) -> str:
    if not original or not mirror:
        return ""
    base = without_suffix(mirror[0], suffix.encode()) if suffix else None
    return SUFFIX if base is not None and base.lower() == original[0].lower() else HOST


def _appended(original: list[bytes] | None, mirror: list[bytes] | None, proxy: str | None) -> bool:
    """Whether the copy's x-forwarded-for is the original's with the proxy's own address behind it, or that address alone."""
    if mirror is None or proxy is None:
        return False
    before = [part.strip() for value in original or [] for part in value.split(b",")]
    after = [part.strip() for value in mirror for part in value.split(b",")]
    own = proxy.strip("[]").encode()
    return after == [*before, own] or after == [own]


def response_rule(name: str) -> str:
    """Why two responses to one request differ by nature, "" where they need not."""
    if name in TIME_FIELDS:
        return TIME
    return FRAMING if name in FRAMING_FIELDS else ""
