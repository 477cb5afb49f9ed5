"""Frames: link types, tunnels, IP and TCP headers, fragments; and the same frames rewritten."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

from capture_files import Everything, pcap, read, same

from fuzzing import corpus
from fuzzing.target import Choices, Target, sized
from inspector.capture import PacketKind
from inspector.capture.links import RAW
from inspector.evidence.masking import Mask
from inspector.evidence.rewriting import Refused, Rewriter

LINKS = (1, 113, 276, 101, 228, 229, 0, 108, 9, 50, 239, 12, 14, 51, 104, 105, 127, 192, 258)
MASK = Mask(b"the fuzzer's key")
FRAMES = 24  # of an input
KEPT = ("sport", "dport", "seq", "ack", "flags", "tsval", "tunnel", "captured", "length")


def frames(choices: Choices) -> tuple[int, list[bytes], list[int]]:
    """A link type, frames of it and their lengths on the wire."""
    link = LINKS[choices.below(len(LINKS))]
    out: list[bytes] = []
    lengths = []
    while choices and len(out) < FRAMES:
        longer = choices.byte()
        if frame := choices.sized():
            out.append(frame)
            lengths.append(len(frame) + (longer if longer < 0xF0 else longer << 8))
    return link, out, lengths


def decode(data: bytes) -> None:
    """Every frame is a packet; payload lies in its frame; a frame means the same alone as among others, and when rewritten."""
    link, some, lengths = frames(Choices(data))
    if not some:
        return
    file = pcap(some, link, lengths=lengths)
    got = read(file)
    assert got.frames == some
    same(got, read(file, 1024))
    partial = (got.packets.kind == PacketKind.FRAGMENT).any() or any("fragment" in code for code in got.info.faults)
    assert (got.segments.length >= got.segments.captured).all()
    if not partial:
        assert len(got.segments) == (got.packets.kind == PacketKind.TCP).sum()
        for packet, payload in zip(got.segments.packet.tolist(), got.payloads, strict=True):
            assert payload in some[packet - 1]
    which = len(data) % len(some)
    alone = read(pcap([some[which]], link, lengths=[lengths[which]]))
    if not partial:
        assert alone.packets.kind[0] == got.packets.kind[which]
        at = (got.segments.packet == which + 1).nonzero()[0].tolist()
        assert [row(alone, i) for i in range(len(alone.segments))] == [row(got, i) for i in at]
        rewrite(link, some[which], lengths[which], alone)


def row(got: Everything, i: int) -> tuple[object, ...]:
    """What a segment says, without its place."""
    return (*(int(getattr(got.segments, name)[i]) for name in KEPT), got.payloads[i])


def rewrite(link: int, frame: bytes, length: int, before: Everything) -> None:
    """Rewritten, a frame has its length, and ports, numbers and sizes are the same."""
    asked = []
    try:
        again = Rewriter(MASK, lambda found: asked.append(found) or b"x" * found.captured).frame(link, frame, length)  # type: ignore[func-returns-value]
    except Refused:
        return
    whole = again.link_type == link
    assert len(again.data) == len(frame) if whole else again.link_type == RAW
    after = read(pcap([again.data], again.link_type, lengths=[again.length]))
    names = [name for name in KEPT if whole or name != "tunnel"]
    assert [getattr(before.segments, name).tolist() for name in names] == [
        getattr(after.segments, name).tolist() for name in names
    ]
    if len(before.segments) and asked:
        assert after.payloads[0] == b"x" * len(before.payloads[0])


def fragments(data: bytes) -> None:
    """A datagram in fragments, in any order, some twice or overlapping: the segment is that of the whole datagram."""
    choices = Choices(data)
    flags = choices.byte()
    cuts = sorted({8 * (1 + choices.below(64)) for _ in range(choices.below(6))})
    shuffle = [choices.byte() for _ in range(16)]
    payload = choices.rest()[:2000]
    segment = struct.pack(">HHIIBBHHH", 40000, 80, 77, 5, 5 << 4, 24, 1000, 0, 0) + payload
    v6 = flags & 1
    places = [0, *[c for c in cuts if c < len(segment)], len(segment)]
    pieces = list(pairwise(places))
    if flags & 2 and len(pieces) > 1:  # the same bytes once more, across a border
        pieces.append((pieces[0][0], pieces[1][1]))
    if flags & 4:
        pieces.append(pieces[shuffle[15] % len(pieces)])
    lost = shuffle[14] % len(pieces) if flags & 8 else -1
    made = [(v6_part if v6 else v4_part)(segment[a:b], a, b < len(segment)) for a, b in pieces]
    kept = [m for i, m in enumerate(made) if i != lost]
    kept = [m for _, m in sorted(enumerate(kept), key=lambda x: (shuffle[x[0] % 14], x[0]))]
    whole = (v6_part if v6 else v4_part)(segment, 0, False)
    want = read(pcap([whole], 101))
    if not kept:
        return
    got = read(pcap(kept, 101))
    same(got, read(pcap(kept, 101), 1024))
    assert len(got.packets) == len(kept)
    covered = set()
    for i, (a, b) in enumerate(pieces):
        covered |= set(range(a, b)) if i != lost else set()
    last_seen = any(i != lost and b == len(segment) for i, (_, b) in enumerate(pieces))
    if len(covered) == len(segment) and last_seen:
        # RFC 5722: an IPv6 datagram with overlapping fragments is dropped
        assert len(got.segments) >= 1 or (v6 and "fragment-overlap" in got.info.faults)
    else:
        assert not len(got.segments)
    for i in range(len(got.segments)):
        assert row(got, i) == row(want, 0)


def v4_part(piece: bytes, at: int, more: bool) -> bytes:
    field = (0x2000 if more else 0) | at // 8
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(piece), 99, field, 64, 6, 0) + addresses + piece


def v6_part(piece: bytes, at: int, more: bool) -> bytes:
    addresses = (bytes.fromhex("fd") + bytes(14) + b"\1") + (bytes.fromhex("fd") + bytes(14) + b"\2")
    if not at and not more:
        return struct.pack(">IHBB", 6 << 28, len(piece), 6, 64) + addresses + piece
    extra = struct.pack(">BBHI", 6, 0, at | more, 99)
    return struct.pack(">IHBB", 6 << 28, 8 + len(piece), 44, 64) + addresses + extra + piece


def decode_seeds() -> Iterable[bytes]:
    """Real frames by link type, and frames of the types that no capture of ours has."""
    for link, some in corpus.frames().items():
        for i in range(0, len(some), 3):
            yield bytes([LINKS.index(link)]) + b"".join(b"\0" + sized(frame) for frame in some[i : i + 3])
    cooked = [frame for frame in corpus.frames().get(276, ()) if frame[:2] == b"\x08\0"]
    for link, before in ((101, b""), (228, b""), (0, b"\2\0\0\0"), (108, b"\0\0\0\2"), (9, b"\xff\x03\0\x21")):
        parts = [b"\0" + sized(before + frame[20:]) for frame in cooked[:4]]
        yield bytes([LINKS.index(link)]) + b"".join(parts)


def fragment_seeds() -> Iterable[bytes]:
    """Each way once."""
    for flags in range(16):
        yield bytes([flags, 3, 1, 0, 9, 0, 20, 0]) + bytes(range(16, 0, -1)) + bytes(range(200))


TARGETS = [
    Target("decode", "link types, tunnels, IP, TCP; rewriting", decode, decode_seeds, longest=4096),
    Target("fragments", "IP fragments", fragments, fragment_seeds, longest=2100),
]
