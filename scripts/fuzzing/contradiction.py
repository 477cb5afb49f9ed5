"""What a damaged capture may not say: `discarded` or `leaked` where the undamaged capture says something else.

A mirror of the damaged capture is told by the packets of its request. It is a contradiction when its verdict is `discarded` or
`leaked`, and of the same request the undamaged capture says

- `other`: the other of these two verdicts;
- `unanswered`: that no response came, though nothing but packets is missing;
- `no mirror`: that it is no mirror, or that there is no such request at all.

Where packets are only missing, cut, moved or repeated, this must hold of every mirror. Where bytes, numbers or times were
forged the packets may really show something else: it must hold of the mirrors that the forged packets cannot have to do with:
those that carry a request id, and of whose connections (the mirror's, the original's, the downstream's) no packet was changed,
neither as it was nor as it is.

`unproven` in the undamaged capture contradicts nothing; how often it became a verdict is counted (`gained`).
"""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache

from capture_files import Everything, read

import inspector
from fuzzing import corpus
from fuzzing.mutations import Mutant, Original, Record
from fuzzing.targets.outputs import claims
from inspector.capture import format_address
from inspector.errors import CaptureError, InspectorError
from inspector.views.objects import ExchangeView, MirrorView

DEFINITE = ("discarded", "leaked")
RECORDS = 600  # of a capture
Ends = frozenset[str]


@dataclass(frozen=True)
class Truth:
    """What an undamaged capture says. exchanges: by packet of a request (of a response: its number negative); mirrors: by the id
    of the exchange that is the copy."""

    original: Original
    everything: Everything
    exchanges: dict[int, list[ExchangeView]]
    mirrors: dict[int, MirrorView]
    first: dict[
        int, int
    ]  # packet -> the first one with the same segment: on a node one packet is captured several times


@dataclass
class Judged:
    """What became of one damaged capture. found: contradictions, a sentence each."""

    mirrors: int = 0
    same: int = 0  # the same definite verdict
    weaker: int = 0  # unproven or unanswered
    gained: int = 0  # a definite verdict where the undamaged capture had none to give
    skipped: int = 0  # forged packets may have to do with it
    refused: bool = False
    found: list[str] = field(default_factory=list)


def ends_of(got: Everything) -> dict[int, Ends]:
    """The two ends of each segment, by packet number."""
    s = got.segments
    out = {}
    for i, packet in enumerate(s.packet.tolist()):
        source = f"{format_address(int(s.src_hi[i]), int(s.src_lo[i]))} {int(s.sport[i])}"
        target = f"{format_address(int(s.dst_hi[i]), int(s.dst_lo[i]))} {int(s.dport[i])}"
        out[packet] = frozenset((source, target))
    return out


@cache
def truth(name: str) -> Truth:
    """Of a capture by its path, its first RECORDS records."""
    path = next(p for p in corpus.captures() if str(p).endswith(name))
    data = corpus.plain(path)
    rows = corpus.records(data)[:RECORDS]
    records = tuple(Record(i + 1, (s, f), length, frame) for i, (s, f, length, frame) in enumerate(rows))
    whole = corpus.joined(data, rows)
    got = read(whole)
    sizes = dict(zip(got.segments.packet.tolist(), got.segments.length.tolist(), strict=True))
    original = Original(name, data[:24], records, ends_of(got), sizes)
    found = inspector.inspect(io.BytesIO(whole))
    same = same_segments(got, original.ends)
    exchanges = defaultdict(list)
    for x in found.exchange_views():
        for packet in x.request_packets:
            exchanges[same[packet]].append(x)
        for packet in x.response_packets:
            exchanges[-same[packet]].append(x)
    mirrors = {m.mirror.id: m for m in found.mirror_views()}
    return Truth(original, got, dict(exchanges), mirrors, same)


def same_segments(got: Everything, ends: dict[int, Ends]) -> dict[int, int]:
    """The first packet with the same ends, numbers and payload, for each."""
    s, known, out = got.segments, dict[object, int](), dict[int, int]()
    columns = zip(s.packet.tolist(), s.sport.tolist(), s.seq.tolist(), s.flags.tolist(), got.payloads, strict=True)
    for packet, *key in columns:
        out[packet] = known.setdefault((ends[packet], *key), packet)
    return out


def names() -> list[str]:
    """The captures that are damaged: those with HTTP in them, with mirrors more often."""
    out = []
    for path in corpus.captures():
        name = str(path.relative_to(path.parents[1]))
        if not path.name.startswith(("v1", "v2")) and len(corpus.plain(path)) < 1 << 20:
            out.append(name)
    return out


def judge(t: Truth, m: Mutant) -> Judged:
    """Inspect the damaged capture and compare. Anything raised but InspectorError goes on."""
    out = Judged()
    try:
        found = inspector.inspect(io.BytesIO(m.data))
    except InspectorError as error:
        assert str(error)
        out.refused = True
        return out
    claims(found)
    got = None if m.lossy else read(m.data)
    origins = numbering(t, m, got)
    touched = None if got is None else changed(t, got)
    for mirror in found.mirror_views():
        out.mirrors += 1
        if mirror.verdict not in DEFINITE:
            out.weaker += 1
            continue
        told = [t.first.get(origins.get(n, 0), 0) for n in mirror.mirror.request_packets]
        if not told:  # its request is among what was lost
            told = [-t.first.get(origins.get(n, 0), 0) for n in mirror.mirror.response_packets]
        verdict = compared(t, mirror, told, touched)
        if verdict in ("same", "gained", "skipped"):
            setattr(out, verdict, getattr(out, verdict) + 1)
        else:
            how = f"{mirror.verdict} by {'+'.join(mirror.proof) or 'evidence'}, paired by {'+'.join(mirror.paired_by)}"
            out.found.append(f"{verdict}: mirror {mirror.id} ({how}), packets {told[:3]} of the original")
    return out


def compared(t: Truth, mirror: MirrorView, packets: list[int], touched: Ends | None) -> str:
    """same, gained, skipped, or what is contradicted."""
    x = mirror.mirror
    there = [e for n in packets for e in t.exchanges.get(n, ())]
    there = [e for e in there if x.method is None or (e.method, e.path) == (x.method, x.path)] or there
    if touched is not None:
        own = ends(mirror)
        known = next((t.mirrors[e.id] for e in there if e.id in t.mirrors), None)
        own |= ends(known) if known else frozenset()
        if not packets or not mirror.request_id or own & touched or not there:
            return "skipped"
    if not there:
        return "no mirror (no such request)"
    for e in there:
        before = t.mirrors.get(e.id)
        if before is not None and before.verdict == mirror.verdict:
            return "same"
    e = there[0]
    if e.id not in t.mirrors:
        return f"no mirror ({e.leg})"
    before = t.mirrors[e.id].verdict
    return "gained" if before == "unproven" else f"other ({before})" if before in DEFINITE else before


def ends(m: MirrorView) -> Ends:
    """The clients' ends of a mirror's connections: ports of their own, while servers are everybody's."""
    return frozenset(
        " ".join(x.client.rsplit(":", 1)).replace("[", "").replace("]", "")
        for x in (m.mirror, m.original, m.downstream)
        if x
    )


def numbering(t: Truth, m: Mutant, got: Everything | None) -> dict[int, int]:
    """Packet numbers of the damaged capture -> those of the undamaged one; of a damaged file by time and bytes."""
    if m.origins is not None and (got is None or len(got.packets) == len(m.origins)):
        return {n + 1: origin for n, origin in enumerate(m.origins)}
    assert got is not None
    known = {row: n for n, row in packets(t.everything)}
    return {n: known[row] for n, row in packets(got) if row in known}


def changed(t: Truth, got: Everything) -> Ends:
    """The ends of all packets that are not in both captures with the same time, length and bytes."""
    before, after = ({row: n for n, row in packets(e)} for e in (t.everything, got))
    out: set[str] = set()
    for mine, other, where in ((before, after, t.original.ends), (after, before, ends_of(got))):
        for row, n in mine.items():
            if row not in other:
                out |= where.get(n, frozenset())
    return frozenset(out)


def packets(got: Everything) -> list[tuple[int, tuple[int, int, bytes]]]:
    """(number, (time, length, frame))."""
    rows = zip(got.packets.time.tolist(), got.packets.length.tolist(), got.frames, strict=True)
    return list(enumerate(rows, 1))


__all__ = ["CaptureError", "Judged", "Truth", "judge", "names", "truth"]
