"""Mirrors and the requests that could have been mirrored, chunk by chunk, as columns of numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from inspector.batch.report import scan
from inspector.batch.report.columns import (
    BODY,
    ONE_SIDED,
    SAME,
    STATUS,
    UNKNOWN,
    VERDICTS,
    EligibleCounts,
    MirrorFigures,
    Route,
)
from inspector.batch.report.scan import ABSENT, DAY, Files
from inspector.errors import InspectorError
from inspector.lang import _
from inspector.render.ladder_parts import host
from inspector.table import I64, Bool

if TYPE_CHECKING:
    import pyarrow as pa

ROUTES = 2000  # told apart; mirrors of further ones are counted as one route
SENDERS = 50_000  # (proxy, host) whose share is counted
UPSTREAM = ("original", "other")  # legs that could have been mirrored
_NUMBERS = ("id", "original_status", "mirror_status", "original_duration_ns", "mirror_duration_ns", "lag_ns")
_FLAGS = ("status_same", "body_same", "headers_same")
_TEXTS = ("host", "mirror_host", "original_server", "mirror_server", "proxy", "downstream_client", "downstream_server")


class MirrorReader:
    """Mirrors, chunk by chunk."""

    texts = _TEXTS
    columns = ("verdict", "reason", "request_time", "original_id", "original_packet", *_NUMBERS, *_FLAGS, *_TEXTS)

    def __init__(self, first: I64, since: int | None) -> None:
        self.first = first
        self.since = since
        self.routes: list[Route] = []
        self.senders: dict[tuple[str | None, str | None], int] = {}
        self.servers: dict[
            int, set[str | None]
        ] = {}  # by sender: servers of originals, and where clients beside it dial
        self.dialled: dict[tuple[str | None, str | None], int] = {}  # (server, host) by which others reach a sender
        self.reasons: list[str] = []
        self._routes: dict[tuple[str | None, str | None], int] = {}
        self._parts: list[dict[str, I64]] = []

    def add(self, chunk: pa.Table) -> None:
        time, kept = since_of(chunk, self.first, self.since)
        chunk, time = scan.taken(chunk, kept), time[kept]
        number = scan.numbers_of(chunk).astype(np.int64)
        if not len(number):
            return
        part = {"unit": number, "time": time, **{name: scan.whole(chunk, name) for name in _NUMBERS}}
        part["route"], part["sender"] = self._routed(chunk)
        part["verdict"] = verdicts_of(chunk)
        part["reason"] = self._reasons(chunk)
        packet = scan.whole(chunk, "original_packet")
        part["original"] = np.where(packet == ABSENT, ABSENT, scan.whole(chunk, "original_id"))
        status, body = scan.flags(chunk, "status_same"), scan.flags(chunk, "body_same")
        part["answer"] = np.select(
            [status < 0, status == 0, body == 0, body < 0], [ONE_SIDED, STATUS, BODY, UNKNOWN], SAME
        ).astype(np.int64)
        part["headers"] = scan.flags(chunk, "headers_same")
        small = (
            "unit",
            "route",
            "sender",
            "verdict",
            "reason",
            "answer",
            "headers",
            "original_status",
            "mirror_status",
        )
        self._parts.append({k: v.astype(np.int32) if k in small and k not in _NUMBERS else v for k, v in part.items()})

    def mirrors(self) -> MirrorFigures:
        """All of them."""
        names = MirrorFigures.__dataclass_fields__
        empty = np.empty(0, np.int64)
        out = MirrorFigures(**{n: np.concatenate([p[n] for p in self._parts]) if self._parts else empty for n in names})
        self._parts.clear()
        return out

    def _routed(self, chunk: pa.Table) -> tuple[I64, I64]:
        """(route, sender) of each row."""
        columns = [scan.coded(chunk, name) for name in _TEXTS]
        which, first = scan.together([(codes, len(texts)) for codes, texts in columns])
        routes, senders = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
        for i, row in enumerate(first.tolist()):
            asked, copied, original, mirror, proxy, client, server = (texts[codes[row]] for codes, texts in columns)
            to = copied if copied is not None and copied != asked else mirror
            routes[i] = self._route(asked if asked is not None else original, to)
            sender = (proxy, asked)
            if sender not in self.senders and len(self.senders) < SENDERS:
                self.senders[sender] = len(self.senders)
            senders[i] = self.senders.get(sender, -1)
            if original is not None and senders[i] >= 0:
                self.servers.setdefault(int(senders[i]), set()).add(original)
            if client is not None and server is not None and senders[i] >= 0:
                if host(client) == proxy:
                    self.servers.setdefault(int(senders[i]), set()).add(server)
                elif (server, asked) in self.dialled or len(self.dialled) < SENDERS:
                    known = self.dialled.setdefault((server, asked), int(senders[i]))
                    if known != senders[i]:  # it leads to several proxies
                        self.dialled[server, asked] = -1
        return routes[which], senders[which]

    def _route(self, asked: str | None, copied: str | None) -> int:
        key = asked, copied
        if key not in self._routes:
            if len(self.routes) < ROUTES:
                self.routes.append(Route(asked, copied))
            elif len(self.routes) == ROUTES:
                self.routes.append(Route(None, None, other=True))
            self._routes[key] = len(self.routes) - 1
            if len(self._routes) > 10 * ROUTES:  # text without end: it is all "other" from here on
                del self._routes[key]
                return ROUTES
        return self._routes[key]

    def _reasons(self, chunk: pa.Table) -> I64:
        codes, texts = scan.coded(chunk, "reason")
        places = []
        for text in texts:
            word = text or ""
            if word not in self.reasons:
                self.reasons.append(word)
            places.append(self.reasons.index(word))
        return np.array(places, np.int64)[codes]


def since_of(chunk: pa.Table, first: I64, since: int | None) -> tuple[I64, Bool]:
    """The time of each mirror (its unit's first packet where its own is not known), and whether it counts."""
    time = scan.whole(chunk, "request_time")
    time = np.where(time == ABSENT, first[scan.numbers_of(chunk)], time)
    if since is None:
        return time, np.ones(len(time), bool)
    return time, (time >= since) | (time == ABSENT)


def verdicts_of(chunk: pa.Table) -> I64:
    """(n,) places in VERDICTS. Raises InspectorError for a word that is none."""
    codes, texts = scan.coded(chunk, "verdict")
    used = np.unique(codes).tolist()
    for i in used:
        if texts[i] not in VERDICTS:
            said = _("the store holds the verdict {word}, which this version does not know").format(word=repr(texts[i]))
            raise InspectorError(said, _("use the version that wrote it"))
    return np.array([VERDICTS.index(t) if t in VERDICTS else 0 for t in texts], np.int64)[codes]


def asked(
    found: Files, which: I64, since: int | None, slot: int, reader: MirrorReader
) -> tuple[EligibleCounts, Counter[str]]:
    """Requests by (proxy, host) that mirrors come from, and how many exchanges play which part.

    As the share of one capture is counted (`inspection/counts.py`): all requests that the same proxy sent for the same
    host or answered by itself, copies and retries left out; here over all captures, so that one in which nothing was
    copied counts too.
    """
    legs: Counter[str] = Counter()
    size = min(slot, DAY)
    columns = ("leg", "client", "server", "host", "request_time")
    keys: list[I64] = []
    counts: list[I64] = []
    units = int(which.max()) + 1 if len(which) else 1
    senders = max(len(reader.senders), 1)
    addresses: dict[str, str] = {}
    for chunk in scan.chunks(found, "exchanges", columns, which, ("client", "server", "host")):
        time = scan.whole(chunk, "request_time")
        codes, words = scan.coded(chunk, "leg")
        kept = (time >= since) | (time == ABSENT) if since is not None else np.ones(len(time), bool)
        for word, n in zip(words, np.bincount(codes[kept], minlength=len(words)).tolist(), strict=True):
            legs[word or ""] += n
        mask = kept & (time != ABSENT) & np.array([w in UPSTREAM for w in words])[codes]
        if not mask.any():
            continue
        rows = np.flatnonzero(mask)
        sender = _senders(chunk, rows, np.array([w == "other" for w in words])[codes], reader, addresses)
        rows, sender = rows[sender >= 0], sender[sender >= 0]
        place = time[rows] // size
        key = (place * senders + sender) * units + scan.numbers_of(chunk)[rows]
        found_keys, n = np.unique(key, return_counts=True)
        keys.append(found_keys)
        counts.append(n.astype(np.int64))
    if not keys:
        empty = np.empty(0, np.int64)
        return EligibleCounts(empty, empty, empty, empty), legs
    merged, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(inverse, weights=np.concatenate(counts)).astype(np.int64)
    return EligibleCounts(merged % units, merged // units % senders, merged // units // senders, total), legs


def _senders(chunk: pa.Table, rows: I64, other: Bool, reader: MirrorReader, addresses: dict[str, str]) -> I64:
    """The (proxy, host) of each of `rows`, -1 for none; a leg "other" counts where originals of it went to its server, or the
    proxy was asked for it and answered by itself."""
    columns = [scan.coded(chunk, name) for name in ("client", "host", "server")]
    client, texts = columns[0]
    used = np.zeros(len(texts), bool)
    used[client[rows]] = True
    short: dict[str | None, int] = {}
    fold = np.zeros(len(texts), np.int64)
    for i in np.flatnonzero(used).tolist():
        text = texts[i]
        address = None
        if text is not None:
            if len(addresses) > 1 << 18:
                addresses.clear()
            address = addresses.get(text)
            if address is None:
                address = addresses[text] = host(text)
        fold[i] = short.setdefault(address, len(short))
    names = list(short)
    parts = [(fold[client[rows]], len(names) or 1), *((c[rows], len(t)) for c, t in columns[1:]), (other[rows], 2)]
    group, first = scan.together([(np.asarray(c, np.int64), n) for c, n in parts])
    out = np.full(len(first), -1, np.int64)
    for i, at in enumerate(first.tolist()):
        address, asked = names[parts[0][0][at]], columns[1][1][parts[1][0][at]]
        sender = reader.senders.get((address, asked), -1)
        server = columns[2][1][parts[2][0][at]]
        if parts[3][0][at] and server not in reader.servers.get(sender, ()):
            sender = reader.dialled.get((server, asked), -1)
        out[i] = sender
    return out[group]
