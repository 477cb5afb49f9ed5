"""The store's rows as a few columns of numbers: what every figure of the report is counted from.

A mirror takes some sixty bytes here, an exchange none (they are counted while they pass). Routes are made of hosts and
servers, which captured text names: how many are told apart is bounded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.batch.report import scan
from inspector.batch.report.scan import ABSENT, DAY, Files
from inspector.errors import InspectorError
from inspector.lang import _
from inspector.render.ladder_parts import host
from inspector.table import I64, Bool

if TYPE_CHECKING:
    import pyarrow as pa

ROUTES = 2000  # told apart; mirrors of further ones are counted as one route
SENDERS = 50_000  # (proxy, host) whose share is counted
FIELDS = 5000  # (route, part, field, change) told apart
SLOTS = 96  # of the plots over time, about
STEPS = (60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400)  # seconds of a slot
VERDICTS = ("leaked", "unproven", "unanswered", "discarded")  # what alarms first
ANSWERS = ("status", "body", "unknown", "same", "one-sided")  # how original and mirror were answered
STATUS, BODY, UNKNOWN, SAME, ONE_SIDED = range(5)
LEAKED, UNPROVEN, UNANSWERED, DISCARDED = range(4)
UPSTREAM = ("original", "other")  # legs that could have been mirrored
_NUMBERS = ("id", "original_status", "mirror_status", "original_duration_ns", "mirror_duration_ns", "lag_ns")
_FLAGS = ("status_same", "body_same", "headers_same")
_TEXTS = ("host", "mirror_host", "original_server", "mirror_server", "proxy")


@dataclass(frozen=True)
class Unit:
    """A row of `units` with its files. Times in ns, None where not known."""

    number: int
    day: str
    source: str
    key: str
    row: dict[str, Any]
    paths: tuple[str, ...] = ()
    files: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Its first file, and that there are more."""
        return self.paths[0] if self.paths else self.key

    @property
    def state(self) -> str:
        """read, damaged or failed."""
        return str(self.row["state"])


@dataclass(frozen=True)
class Route:
    """A service route: requests for `asked` (host, or the original's server), copied to `copied` (host or server)."""

    asked: str | None
    copied: str | None
    other: bool = False  # stands for all beyond ROUTES


@dataclass(frozen=True)
class Mirrors:
    """Columns, one row a mirror, in order of units. ABSENT where a number is not known."""

    unit: I64
    id: I64
    time: I64  # of the request; the unit's first packet where it is not known
    route: I64
    sender: I64  # place of (proxy, host); -1 beyond SENDERS
    verdict: I64  # place in VERDICTS
    reason: I64  # place in Gathered.reasons
    answer: I64  # place in ANSWERS
    original: I64  # id of the original where its request was captured
    original_status: I64
    mirror_status: I64
    original_duration_ns: I64
    mirror_duration_ns: I64
    lag_ns: I64
    headers: I64  # 1 the same, 0 not, -1 not known

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def failing(self) -> Bool:
        """Leaked, or answered with another status or body."""
        out: Bool = (self.verdict == LEAKED) | (self.answer == STATUS) | (self.answer == BODY)
        return out


@dataclass(frozen=True)
class Asked:
    """Requests that could have been mirrored, counted by unit, (proxy, host) and slot."""

    unit: I64
    sender: I64
    slot: I64
    count: I64


@dataclass(frozen=True)
class Field:
    """Something that differs: where, in which route, how often, and the first mirrors (rows of Mirrors) that show it."""

    route: int
    part: str
    name: str
    change: str
    pairs: int
    examples: tuple[int, ...]


@dataclass
class Gathered:
    """All that the report is counted from."""

    units: list[Unit]
    mirrors: Mirrors
    asked: Asked
    routes: list[Route]
    reasons: list[str]
    legs: Counter[str]
    fields: list[Field]
    since: int | None
    slot: int  # ns
    dropped_fields: int = 0  # differences beyond FIELDS
    cut: int = 0  # mirrors whose list of differences was cut short
    dropped_senders: int = 0  # mirrors beyond SENDERS
    senders: list[tuple[str | None, str | None]] = field(default_factory=list)


def units_of(found: Files, since: int | None) -> list[Unit]:
    """The units that can hold something at or after `since`; what could not be read counts by the time it was tried."""
    by_unit: dict[int, list[dict[str, Any]]] = {}
    for row in scan.small(found, "captures"):
        by_unit.setdefault(row[scan.NUMBER], []).append(row)
    out = []
    for row in scan.small(found, "units"):
        number = row[scan.NUMBER]
        latest = row["last"] if row["last"] is not None else row["written"]
        if since is not None and latest is not None and latest < since:
            continue
        parts = tuple(sorted(by_unit.get(number, ()), key=lambda part: part["capture"] or 0))
        paths = tuple(part["path"] or "" for part in parts)
        out.append(Unit(number, row["day"], row["source"], row["unit"], row, paths, parts))
    return sorted(out, key=lambda unit: unit.number)


def gather(found: Files, since: int | None = None) -> Gathered:
    """Read the store. since: ns; earlier mirrors and exchanges are left out, those without a time count with their unit."""
    units = units_of(found, since)
    which = np.array([u.number for u in units], np.int64)
    first = np.full(len(found.units), ABSENT, np.int64)
    for u in units:
        if u.row["first"] is not None:
            first[u.number] = u.row["first"]
    slot = _slot(units, since)
    reader = _Reader(first, since)
    for chunk in scan.chunks(found, "mirrors", reader.columns, which, _TEXTS):
        reader.add(chunk)
    mirrors = reader.mirrors()
    asked, legs = _asked(found, which, since, slot, reader)
    g = Gathered(units, mirrors, asked, reader.routes, reader.reasons, legs, [], since, slot)
    g.dropped_senders, g.senders = int((mirrors.sender < 0).sum()), list(reader.senders)
    _differences(found, which, g)
    return g


def _slot(units: list[Unit], since: int | None) -> int:
    times = [t for u in units for t in (u.row["first"], u.row["last"]) if t is not None]
    span = max(times) - max(min(times), since or ABSENT) if times else 0
    fit = [step for step in STEPS if span // (step * 10**9) < SLOTS]
    if fit:
        return fit[0] * 10**9
    return (span // (SLOTS * STEPS[-1] * 10**9) + 1) * STEPS[-1] * 10**9


class _Reader:
    """Mirrors, chunk by chunk."""

    columns = ("verdict", "reason", "request_time", "original_id", "original_packet", *_NUMBERS, *_FLAGS, *_TEXTS)

    def __init__(self, first: I64, since: int | None) -> None:
        self.first = first
        self.since = since
        self.routes: list[Route] = []
        self.senders: dict[tuple[str | None, str | None], int] = {}
        self.servers: dict[int, set[str | None]] = {}  # by sender: servers that originals went to
        self.reasons: list[str] = []
        self._routes: dict[tuple[str | None, str | None], int] = {}
        self._parts: list[dict[str, I64]] = []

    def add(self, chunk: pa.Table) -> None:
        number = scan.numbers_of(chunk).astype(np.int64)
        time = scan.whole(chunk, "request_time")
        time = np.where(time == ABSENT, self.first[number], time)
        if self.since is not None:
            mask = (time >= self.since) | (time == ABSENT)
            chunk, number, time = scan.taken(chunk, mask), number[mask], time[mask]
        if not len(number):
            return
        part = {"unit": number, "time": time, **{name: scan.whole(chunk, name) for name in _NUMBERS}}
        part["route"], part["sender"] = self._routed(chunk)
        part["verdict"] = _verdicts(chunk)
        part["reason"] = self._reasons(chunk)
        packet = scan.whole(chunk, "original_packet")
        part["original"] = np.where(packet == ABSENT, ABSENT, scan.whole(chunk, "original_id"))
        status, body = scan.flags(chunk, "status_same"), scan.flags(chunk, "body_same")
        part["answer"] = np.select(
            [status < 0, status == 0, body == 0, body < 0], [ONE_SIDED, STATUS, BODY, UNKNOWN], SAME
        ).astype(np.int64)
        part["headers"] = scan.flags(chunk, "headers_same")
        small = ("unit", "route", "sender", "verdict", "reason", "answer", "headers", "original_status", "mirror_status")
        self._parts.append({k: v.astype(np.int32) if k in small and k not in _NUMBERS else v for k, v in part.items()})

    def mirrors(self) -> Mirrors:
        """All of them."""
        names = Mirrors.__dataclass_fields__
        empty = np.empty(0, np.int64)
        out = Mirrors(**{n: np.concatenate([p[n] for p in self._parts]) if self._parts else empty for n in names})
        self._parts.clear()
        return out

    def _routed(self, chunk: pa.Table) -> tuple[I64, I64]:
        """(route, sender) of each row."""
        columns = [scan.coded(chunk, name) for name in _TEXTS]
        which, first = scan.together([(codes, len(texts)) for codes, texts in columns])
        routes, senders = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
        for i, row in enumerate(first.tolist()):
            asked, copied, original, mirror, proxy = (texts[codes[row]] for codes, texts in columns)
            to = copied if copied is not None and copied != asked else mirror
            routes[i] = self._route(asked if asked is not None else original, to)
            sender = (proxy, asked)
            if sender not in self.senders and len(self.senders) < SENDERS:
                self.senders[sender] = len(self.senders)
            senders[i] = self.senders.get(sender, -1)
            if original is not None and senders[i] >= 0:
                self.servers.setdefault(int(senders[i]), set()).add(original)
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


def _verdicts(chunk: pa.Table) -> I64:
    codes, texts = scan.coded(chunk, "verdict")
    used = np.unique(codes).tolist()
    for i in used:
        if texts[i] not in VERDICTS:
            said = _("the store holds the verdict {word}, which this version does not know").format(word=repr(texts[i]))
            raise InspectorError(said, _("use the version that wrote it"))
    return np.array([VERDICTS.index(t) if t in VERDICTS else 0 for t in texts], np.int64)[codes]


def _asked(found: Files, which: I64, since: int | None, slot: int, reader: _Reader) -> tuple[Asked, Counter[str]]:
    """Requests by (proxy, host) that mirrors come from, and how many exchanges play which part.

    As the share of one capture is counted (`inspection/tally.py`): all requests that the same proxy sent for the same
    host, copies and retries left out; here over all captures, so that one in which nothing was copied counts too.
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
        return Asked(empty, empty, empty, empty), legs
    merged, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(inverse, weights=np.concatenate(counts)).astype(np.int64)
    return Asked(merged % units, merged // units % senders, merged // units // senders, total), legs


def _senders(chunk: pa.Table, rows: I64, other: Bool, reader: _Reader, addresses: dict[str, str]) -> I64:
    """The (proxy, host) of each of `rows`, -1 for none; a leg "other" counts where originals of it went to its server."""
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
        if parts[3][0][at] and columns[2][1][parts[2][0][at]] not in reader.servers.get(sender, ()):
            sender = -1
        out[i] = sender
    return out[group]


def _differences(found: Files, which: I64, g: Gathered) -> None:
    """Fields that differ, by route."""
    m = g.mirrors
    span = int(m.id.max()) + 1 if len(m) else 1
    order = np.argsort(m.unit.astype(np.int64) * span + m.id, kind="stable")
    keys = (m.unit.astype(np.int64) * span + m.id)[order]
    numbers: dict[tuple[int, str, str, str], int] = {}
    counts: list[int] = []
    examples: list[list[int]] = []
    tail = np.empty(0, np.int64)
    for chunk in scan.chunks(found, "differences", ("mirror", "part", "field", "change", "expected"), which, ("field",)):
        if not len(m):
            return
        mirror = scan.whole(chunk, "mirror")
        key = scan.numbers_of(chunk).astype(np.int64) * span + mirror
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        columns = [scan.coded(chunk, name) for name in ("part", "field", "change")]
        kept = (keys[at] == key) & (mirror < span) & (scan.flags(chunk, "expected") != 1)
        rows = np.flatnonzero(kept & ~np.array([t == "status" for t in columns[0][1]])[columns[0][0]])
        if not len(rows):
            continue
        row = order[at[rows]]
        parts = [(m.route[row].astype(np.int64), len(g.routes)), *((c[rows], len(t)) for c, t in columns)]
        group, first = scan.together(parts)
        place = np.empty(len(first), np.int64)
        for i, x in enumerate(first.tolist()):
            words = (texts[codes[rows[x]]] or "" for codes, texts in columns)
            name = (int(parts[0][0][x]), *words)
            if name not in numbers and len(numbers) < FIELDS:  # type: ignore[comparison-overlap]
                numbers[name] = len(numbers)  # type: ignore[index]
                counts.append(0)
                examples.append([])
            place[i] = numbers.get(name, -1)  # type: ignore[call-overload]
        pairs = np.unique(place[group] * len(m) + row)  # a mirror counts once for a field, however many rows it has
        pairs = np.setdiff1d(pairs, tail, assume_unique=True)
        last = int(row[-1])
        tail = np.union1d(tail[tail % len(m) == last], pairs[pairs % len(m) == last])
        g.dropped_fields += int((pairs < 0).sum())
        pairs = pairs[pairs >= 0]
        which_field, start, n = np.unique(pairs // len(m), return_index=True, return_counts=True)
        for f, s, k in zip(which_field.tolist(), start.tolist(), n.tolist(), strict=True):
            counts[f] += k
            room = EXAMPLES - len(examples[f])
            examples[f] += (pairs[s : s + min(k, room)] % len(m)).tolist()
    g.fields = [
        Field(route, part, name, change, counts[i], tuple(examples[i]))
        for (route, part, name, change), i in numbers.items()
    ]
    g.cut = sum(f.pairs for f in g.fields if f.name == "...")
    g.fields = sorted((f for f in g.fields if f.name != "..."), key=lambda f: (-f.pairs, f.route, f.part, f.name, f.change))


EXAMPLES = 3  # mirrors remembered for a field
