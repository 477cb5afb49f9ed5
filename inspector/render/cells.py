"""What the table and Markdown say in a cell: the same words, before each cuts or escapes them in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inspector.lang import _, several
from inspector.render.text import clock, day, escape, shown
from inspector.views.objects import CaptureView, ExchangeView, MirrorView, Share, SummaryView
from inspector.views.sentences import capture_ends
from inspector.views.sentences import span as span_of

NONE = "-"


def request(method: str | None, path: str | None, unread: tuple[str, int | None] | None = None) -> str:
    """`GET /items`; unknown parts are `?`; a response without its request is said to be one, with why that was not read where
    it was captured."""
    if method is None and path is None and unread is not None:
        why, packet = unread
        if packet is None:
            return _("(request not read)")
        said = {
            "snaplen": _("(request cut off, packet {packet})"),
            "lost": _("(request lost in part, packet {packet})"),
        }.get(why, _("(request not read, packet {packet})"))
        return said.format(packet=packet)
    if method is None and path is None:
        return _("(request not captured)")
    return f"{shown(method)} {shown(path)}"


def mirror_request(m: MirrorView) -> str:
    """Method and path of a mirror."""
    return request(m.method, m.path, m.mirror.unread)


def server(x: ExchangeView | None) -> str:
    """`10.244.0.21:3000 200`: the server and its status."""
    if x is None:
        return _("not captured")
    return f"{escape(x.server)} {status(x)}"


def status(x: ExchangeView) -> str:
    """The status, or `-` where no response was seen."""
    return NONE if x.status is None else str(x.status)


def started(x: ExchangeView) -> int | None:
    """When an exchange began, as far as seen."""
    return x.request_time if x.request_time is not None else x.response_time


def why(m: MirrorView) -> str:
    """What stands behind the verdict: its proof, the reason why there is none, or that the capture ended too early."""
    ends = "" if m.end is None else capture_ends(span_of(m.end.after), m.end.cut)
    return escape(", ".join(m.proof) or m.reason or ends)


def verdict(m: MirrorView) -> str:
    """`discarded (content)`, `unproven (no-downstream-leg)`, `unanswered (the capture ends 0.2 ms later)`."""
    behind = why(m)
    return f"{escape(m.verdict)} ({behind})" if behind else escape(m.verdict)


def span(first: int | None, last: int | None) -> str:
    """`2026-11-21 03:09:26.429 to 03:09:27.114 UTC (0.685 s)`."""
    if first is None or last is None:
        return _("no times")
    to = clock(last) if day(first) == day(last) else f"{day(last)} {clock(last)}"
    said = _("{first} to {last} UTC ({seconds} s)")
    return said.format(first=f"{day(first)} {clock(first)}", last=to, seconds=f"{(last - first) / 1e9:,.3f}")


def capture_facts(c: CaptureView) -> list[str]:
    """What is known of a capture, a line each."""
    form = f"{escape(c.format)}, {escape(c.compression)}" if c.compression else escape(c.format)
    links = ", ".join(escape(name) for name in c.link_types) or _("no link type")
    lines = [_("{format}, link type {links}").format(format=form or _("unknown format"), links=links)]
    named = [name for name in c.interfaces if name]
    if named:
        said = several("interface {names}", "interfaces {names}", len(named))
        lines.append(said.format(names=listed(named)))
    lines.append(f"{packets(c.packets)}, {octets(c.bytes)}")
    if c.packets:
        lines.append(span(c.first, c.last))
    if c.read:
        lines.append(_("read: {shares}").format(shares=read(c.read)))
    if c.copies:
        said = _("{packets} captured again on another interface (copies)")
        lines.append(said.format(packets=packets(c.copies)))
    if c.faults:
        found = ", ".join(f"{escape(code)} {n:,}" for code, n in sorted(c.faults.items()))
        lines.append(_("faults: {faults}").format(faults=found))
    if c.dropped_tail:
        lines.append(_("the file ends inside a record: the rest was used"))
    return lines


def packets(n: int) -> str:
    """`1 packet`, `12,856 packets`."""
    return several("{n} packet", "{n} packets", n).format(n=f"{n:,}")


def octets(n: int) -> str:
    """`12,856 bytes`."""
    return several("{n} byte", "{n} bytes", n).format(n=f"{n:,}")


def listed(names: Iterable[str], most: int = 12) -> str:
    """`lo, eth0, ...`: the first `most` names, and how many more there are."""
    all_names = [escape(name) for name in names]
    more = len(all_names) - most
    first = ", ".join(all_names[:most])
    return _("{names} and {n} more").format(names=first, n=f"{more:,}") if more > 0 else first


def verdicts(counts: dict[str, int]) -> str:
    """`3 discarded, 1 leaked`; verdicts without a mirror are left out."""
    return ", ".join(f"{n:,} {escape(word)}" for word, n in counts.items() if n)


def read(payload: Mapping[str, tuple[int, int]]) -> str:
    """`71 % HTTP/1, 29 % TLS (12 connections)`: what the TCP payload is, the largest part that was understood first."""
    names = {
        "http/1": "HTTP/1",
        "h2": "HTTP/2",
        "tls": "TLS",
        "quic": "QUIC",
        "websocket": "WebSocket",
        "tunnel": _("tunnels"),
        "proxy": _("PROXY protocol"),
        "http/1-unread": _("HTTP/1 that could not be read"),
        "other": _("other protocols"),
        "missing": _("not in the capture"),
    }
    total = sum(size for size, _connections in payload.values())
    out = []
    for name in sorted(payload, key=list(names).index):
        size, n = payload[name]
        part = f"{percent(100 * size / total)} % {names[name]}"
        if name != "http/1":
            part += " " + several("({n} connection)", "({n} connections)", n).format(n=f"{n:,}")
        out.append(part)
    return ", ".join(out)


def summed_share(s: SummaryView) -> str:
    """The share of a summary, or why none can be told: it says the same as the rows above it."""
    if s.share.percent is not None:
        return share(s.share)
    if s.mirrors:
        return several(
            "cannot tell: the original of the {n} mirror was not read",
            "cannot tell: no original of the {n} mirrors was read",
            s.mirrors,
        ).format(n=f"{s.mirrors:,}")
    counts = s.near if s.exchanges else s.unread
    why = [_closed(kind, n).format(n=f"{n:,}") for kind, n in counts.items()]
    if why:
        return _("cannot tell: {why}").format(why="; ".join(why))
    return _("no request was read")


def _closed(kind: str, n: int) -> str:
    """Why connections were not read."""
    words = {
        "tls": several("{n} connection is encrypted", "{n} connections are encrypted", n),
        "h2": several(
            "{n} connection speaks HTTP/2, which is not read", "{n} connections speak HTTP/2, which is not read", n
        ),
        "quic": several(
            "{n} connection speaks QUIC, which is not read", "{n} connections speak QUIC, which is not read", n
        ),
        "cut-heads": several(
            "{n} connection was cut by the snap length", "{n} connections were cut by the snap length", n
        ),
        "gaps": several("{n} connection has gaps", "{n} connections have gaps", n),
    }
    return words[kind]


def share(s: Share) -> str:
    """The observed share of requests that were mirrored, with its interval."""
    if s.percent is None:
        return NONE
    if not s.mirrored and s.low is not None:
        said = several(
            "0 of {n} request mirrored (95 %: {low} to {high} %)",
            "0 of {n} requests mirrored (95 %: {low} to {high} %)",
            s.eligible,
        )
        return said.format(n=f"{s.eligible:,}", low=percent(s.low), high=percent(s.high))
    said = several(
        "{mirrored} of {n} request mirrored: {percent} %",
        "{mirrored} of {n} requests mirrored: {percent} %",
        s.eligible,
    )
    text = said.format(mirrored=f"{s.mirrored:,}", n=f"{s.eligible:,}", percent=percent(s.percent))
    if s.low is None or s.high is None:
        return text
    interval = _("{share} (95 % interval {low} to {high} %)")
    return interval.format(share=text, low=percent(s.low), high=percent(s.high))


def percent(value: float | None) -> str:
    """A percentage with three digits; never rounded to all or nothing."""
    if value is None:
        return "?"
    near = 99 < value < 100 or 0 < value < 1
    return f"{value:.2f}" if near else f"{value:.3g}"
