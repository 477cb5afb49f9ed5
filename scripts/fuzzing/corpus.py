"""Seeds from real captures: whole small files, the first records of larger ones, frames by link type, HTTP streams."""

from __future__ import annotations

import functools
import io
import struct
from collections import defaultdict
from pathlib import Path

from inspector.capture import open_captures
from inspector.tcp import Tracker

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "captures"
LARGEST = 3 << 20  # bytes of a file that is looked into
RECORDS = 60  # of a capture that becomes a seed


@functools.cache
def captures() -> tuple[Path, ...]:
    """The real captures: the project's own, and the shared ones where they are present."""
    found = [*sorted((ROOT / "captures").glob("*.pcap*")), *sorted(SHARED.glob("*/*.pcap*"))]
    return tuple(p for p in found if p.stat().st_size <= LARGEST)


@functools.cache
def plain(path: Path) -> bytes:
    """A capture without its compression."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            return reader.read()
    return data


def records(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(seconds, fraction, length on the wire, frame) of a little-endian pcap."""
    out, at = [], 24
    while at + 16 <= len(data):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", data, at)
        out.append((seconds, fraction, length, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return out


def joined(head: bytes, rows: list[tuple[int, int, int, bytes]]) -> bytes:
    """A pcap of records."""
    parts = [head[:24]]
    parts += [struct.pack("<IIII", s, f, len(frame), length) + frame for s, f, length, frame in rows]
    return b"".join(parts)


def beginnings(count: int = RECORDS) -> list[bytes]:
    """The first records of each capture."""
    return [joined(plain(p), records(plain(p))[:count]) for p in captures()]


def link_type(data: bytes) -> int:
    """Of a pcap."""
    return int(struct.unpack_from("<I", data, 20)[0]) & 0xFFFF


@functools.cache
def frames() -> dict[int, tuple[bytes, ...]]:
    """Frames by link type: the first ones of each capture."""
    out: dict[int, list[bytes]] = defaultdict(list)
    for path in captures():
        data = plain(path)
        out[link_type(data)] += [frame for *_, frame in records(data)[:12]]
    return {link: tuple(some) for link, some in out.items()}


@functools.cache
def streams() -> tuple[tuple[bytes, bytes], ...]:
    """Connections as what the client sent and what the server sent, by the tracker, without gaps; the shortest first."""
    out = set()
    for data in beginnings(200):
        (reader,) = open_captures(io.BytesIO(data))
        tracker, sent = Tracker(), defaultdict(bytes)
        blocks = [tracker.feed(block.segments, block.data) for block in reader.blocks()]  # one: they are small
        for block in [*blocks, tracker.finish()]:
            for stream, at, length in zip(block.runs.stream, block.runs.at, block.runs.length, strict=True):
                sent[int(stream)] += block.arena[at : at + length].tobytes()
        out |= {(sent[n & ~1], sent[n | 1]) for n in list(sent)}
    return tuple(sorted(out, key=lambda pair: len(pair[0]) + len(pair[1])))


def pcapng(data: bytes) -> bytes:
    """A pcap's records as a pcapng."""
    from capture_files import described, enhanced, section

    rows = records(data)
    blocks = [enhanced(frame, s * 10**6 + f, length=length) for s, f, length, frame in rows]
    return section() + described(link_type(data)) + b"".join(blocks)
