"""The streams of a capture with other words in them: learned in one reading, asked for by sequence number in the next.

The bytes of the streams go to a private file (unlinked), and so do those that stand in their place; memory holds where they
lie and where messages begin. A byte that nothing is known of stands as zero: what is not understood is not kept.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from inspector import disk
from inspector.capture import open_captures
from inspector.evidence.rewriting import FoundSegment
from inspector.evidence.scrub_heads import SHORT_BODY, SHORTEST_GZIP, Scrubber
from inspector.http.parser import Parser, Read
from inspector.http.tables import Fact, Protocol
from inspector.tcp import Tracker
from inspector.tcp.tables import StreamBlock
from inspector.views.present import format_endpoint

PART = 1 << 18  # bytes of a body read at once
LONGEST_HEAD = 1 << 20
LONGEST_LINE = 1 << 12  # of chunked framing
BLOCK_BYTES = 4 << 20
_GZIP = re.compile(rb"(?i)\ncontent-encoding:[ \t]*(?:x-)?gzip[ \t]*\r?\n")
_INTERIM = re.compile(rb"(?:HTTP/1\.\d 1\d\d[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n)+")


@dataclass
class ScrubbedStream:
    """One direction of a connection. pieces: offset -> place in the file, in order; messages: rows of (start, head_end, end,
    kind, facts, hash and length of the content once its codings are undone) by start."""

    connection: int
    from_client: bool
    base: int
    protocol: int = Protocol.UNKNOWN
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    messages: list[tuple[int, int, int, int, int, int, int]] = field(default_factory=list)

    def add(self, start: int, stop: int, at: int) -> None:
        """The bytes from offset `start` to `stop` stand in the file at `at`."""
        if self.ends and self.ends[-1] == start and self.at[-1] + start - self.starts[-1] == at:
            self.ends[-1] = stop
        else:
            self.starts.append(start)
            self.ends.append(stop)
            self.at.append(at)

    def within(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The pieces of [start, stop): (offset, place in the file, length)."""
        for k in range(bisect_right(self.ends, start), len(self.starts)):
            low, high = max(start, self.starts[k]), min(stop, self.ends[k])
            if low >= high:
                return
            yield low, self.at[k] + low - self.starts[k], high - low


class Scrubbed:
    """The streams of the capture at `path`, scrubbed. Raises CaptureError, Unwritable."""

    def __init__(self, path: str, scrubber: Scrubber) -> None:
        self.scrubber = scrubber
        self.blanked: Counter[str] = Counter()  # bytes by what they were
        self._streams: dict[int, ScrubbedStream] = {}
        self._raw, self._new = disk.temporary_file(), disk.temporary_file()
        self._size = 0
        connections = self._learn(path)
        os.ftruncate(self._new.fileno(), self._size)  # zeros
        for stream in self._streams.values():
            stream.messages.sort()
            self._scrub(stream)
        self._by_client: dict[tuple[str, bool], list[tuple[ScrubbedStream, int, int]]] = {}
        for stream in self._streams.values():
            client, first, last = connections[stream.connection]
            self._by_client.setdefault((client, stream.from_client), []).append((stream, first, last))

    def close(self) -> None:
        """Let go of the files."""
        self._raw.close()
        self._new.close()

    # -- the first reading --------------------------------------------------------------------------------------------

    def _learn(self, path: str) -> dict[int, tuple[str, int, int]]:
        """Read the capture: its streams and messages; returns the client, first and last time of each connection."""
        tracker, parser = Tracker(), Parser()
        for reader in open_captures(path, 0, BLOCK_BYTES):
            for block in reader.blocks():
                self._block(tracker, parser, tracker.feed(block.segments, block.data))
        self._block(tracker, parser, tracker.finish())
        c = tracker.connections()
        columns = (c.connection, c.client_hi, c.client_lo, c.client_port, c.first, c.last)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return {number: (format_endpoint(hi, lo, port), first, last) for number, hi, lo, port, first, last in rows}

    def _block(self, tracker: Tracker, parser: Parser, streams: StreamBlock) -> None:
        self._keep(tracker, streams)
        read: Read = parser.feed(streams, tracker.synced)
        p, m = read.protocols, read.messages
        for number, protocol in zip(p.stream.tolist(), p.protocol.tolist(), strict=True):
            if number in self._streams:
                self._streams[number].protocol = protocol
        columns = (m.stream, m.start, m.head_end, m.end, m.kind, m.facts, m.decoded, m.decoded_bytes)
        for number, *message in zip(*(column.tolist() for column in columns), strict=True):
            if number in self._streams:
                self._streams[number].messages.append((*message,))
        tracker.forget(read.open_slots, read.open_starts)
        tracker.release(read.consumed_slots, read.consumed)

    def _keep(self, tracker: Tracker, streams: StreamBlock) -> None:
        """Write down bytes that were not seen before: some are presented twice."""
        runs = streams.runs
        slots = np.unique(runs.slot)
        about = tracker.streams(slots)
        known = zip(about.stream.tolist(), about.connection.tolist(), about.from_client.tolist(), strict=True)
        for (number, connection, from_client), base in zip(known, tracker.bases(slots).tolist(), strict=True):
            found = self._streams.setdefault(number, ScrubbedStream(connection, from_client, base))
            found.connection, found.from_client = connection, from_client
        columns = (runs.stream, runs.offset, runs.at, runs.length)
        for number, offset, at, length in zip(*(column.tolist() for column in columns), strict=True):
            stream = self._streams[number]
            skip = max(stream.ends[-1] - offset, 0) if stream.ends else 0
            if skip >= length:
                continue
            self._raw.seek(self._size)
            self._raw.write(streams.arena[at + skip : at + length].tobytes())
            stream.add(offset + skip, offset + length, self._size)
            self._size += length - skip

    # -- scrubbing ----------------------------------------------------------------------------------------------------

    def _read(self, stream: ScrubbedStream, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """The bytes of [start, stop) that were captured, in parts."""
        for offset, at, length in stream.within(start, stop):
            for skip in range(0, length, PART):
                self._raw.seek(at + skip)
                yield offset + skip, self._raw.read(min(PART, length - skip))

    def _write(self, stream: ScrubbedStream, offset: int, data: bytes) -> None:
        for low, at, length in stream.within(offset, offset + len(data)):
            self._new.seek(at)
            self._new.write(data[low - offset : low - offset + length])

    def _scrub(self, stream: ScrubbedStream) -> None:
        if stream.protocol == Protocol.TLS:
            self._tls(stream)
            return
        end = stream.starts[0] if stream.starts else 0
        for start, head_end, stop, kind, facts, content, length in stream.messages:
            self._between(stream, end, start)
            head = b"".join(raw for _, raw in self._read(stream, start, min(head_end, start + LONGEST_HEAD)))
            new = self.scrubber.head(head, kind == 1)
            at = 0
            for offset, raw in self._read(stream, start, start + len(head)):
                self._write(stream, offset, new[at : at + len(raw)])
                at += len(raw)
            zipped = (content, length) if length >= 0 and _GZIP.search(head) else None
            self._body(stream, head_end, stop, bool(facts & Fact.CHUNKED), zipped)
            end = stop
        self._between(stream, end, stream.ends[-1] if stream.ends else 0)

    def _between(self, stream: ScrubbedStream, start: int, stop: int) -> None:
        """What lies between messages: interim responses and empty lines stay, all else is blanked."""
        for offset, raw in self._read(stream, start, min(stop, start + LONGEST_HEAD)):
            if not raw.strip(b"\r\n"):
                self._write(stream, offset, raw)
            elif stream.protocol == Protocol.HTTP1 and _INTERIM.fullmatch(raw):
                self._write(stream, offset, b"".join(self.scrubber.head(part, False) for part in heads(raw)))
            else:
                self.blanked[Protocol(stream.protocol).name] += len(raw)

    def _body(
        self, stream: ScrubbedStream, start: int, stop: int, chunked: bool, zipped: tuple[int, int] | None
    ) -> None:
        """zipped: hash and length of what a gzip body says, None for other bodies and what cannot be unpacked."""
        spans = self._chunked(stream, start, stop) if chunked else [(o, n) for o, _, n in stream.within(start, stop)]
        digest, size, held = hashlib.blake2b(digest_size=32), 0, b""
        end = start
        for offset, length in spans:
            if offset > end and not chunked:
                digest.update(b"%d missing" % (offset - end))
            for _, raw in self._read(stream, offset, offset + length):
                digest.update(raw)
                size += len(raw)
                held = held + raw if size < SHORT_BODY else b""
            end = offset + length
        if size < SHORT_BODY:
            pieces = iter((self.scrubber.short(held),))
        elif zipped is not None and size >= SHORTEST_GZIP:
            pieces = self.scrubber.zipped(digest.digest(), size, *zipped)
        else:
            pieces = self.scrubber.filler(digest.digest())
        rest = b""
        for offset, length in spans:
            while length:
                rest = rest or next(pieces)
                part, rest = rest[:length], rest[length:]
                self._write(stream, offset, part)
                offset, length = offset + len(part), length - len(part)

    def _chunked(self, stream: ScrubbedStream, start: int, stop: int) -> list[tuple[int, int]]:
        """Where the content lies in chunked framing (RFC 9112 section 7.1); the framing itself is written here.

        A hole inside a chunk is stepped over; where framing is missing or damaged, the rest is blank.
        """
        spans: list[tuple[int, int]] = []
        left, state, line, at = 0, "size", b"", start
        for offset, raw in self._read(stream, start, stop):
            gap = offset - at
            if gap and (state != "data" or gap > left):
                break
            left, i, at = left - gap, 0, offset + len(raw)
            state = "end" if gap and not left else state
            while i < len(raw):
                if state == "data":
                    spans.append((offset + i, min(left, len(raw) - i)))
                    i, left = i + spans[-1][1], left - spans[-1][1]
                    state = "data" if left else "end"
                    continue
                if state == "trailer":
                    line, i = line + raw[i:], len(raw)
                    continue
                cut = raw.find(b"\n", i) + 1 or len(raw)
                line, i = line + raw[i:cut], cut
                if len(line) > LONGEST_LINE:
                    return spans
                if not line.endswith(b"\n"):
                    continue
                place = offset + i - len(line)
                size = re.match(rb"[0-9A-Fa-f]{1,15}", line)
                if state == "size" and size:
                    self._write(stream, place, size[0] + self.scrubber.text(line[size.end() :]))
                    left = int(size[0], 16)
                    state = "data" if left else "trailer"
                elif state == "end" and not line.strip():
                    self._write(stream, place, line)
                    state = "size"
                else:
                    return spans
                line = b""
        if state == "trailer" and len(line) <= LONGEST_HEAD:
            self._write(stream, at - len(line), self.scrubber.fields(line))
        return spans

    def _tls(self, stream: ScrubbedStream) -> None:
        """Record headers and the hello stay (its server name replaced): enough to see that it is TLS."""
        at, end = stream.starts[0] if stream.starts else 0, stream.ends[-1] if stream.ends else 0
        while at + 5 <= end:
            head = b"".join(raw for _, raw in self._read(stream, at, at + 5))
            if len(head) < 5 or not 20 <= head[0] <= 24 or head[1] != 3:
                break
            size = int.from_bytes(head[3:5], "big")
            self._write(stream, at, head)
            if head[0] == 22:
                hello = b"".join(raw for _, raw in self._read(stream, at + 5, at + 5 + size))
                if hello[:1] == b"\x01":
                    self._write(stream, at + 5, self.scrubber.hello(hello))
            self.blanked[Protocol.TLS.name] += size
            at += 5 + size

    # -- the second reading -------------------------------------------------------------------------------------------

    def payload(self, found: FoundSegment, time: int) -> bytes:
        """What stands in place of a segment's payload; zeros where nothing is known of it."""
        source, target = (endpoint(*end) for end in (found.source, found.target))
        for client, from_client in ((source, True), (target, False)):
            for stream, first, last in self._by_client.get((client, from_client), ()):
                if first <= time <= last + 1_000_000_000 and stream.starts:
                    low = stream.starts[0]
                    offset = (found.seq - stream.base - low & 0xFFFFFFFF) + low
                    if offset < stream.ends[-1]:
                        return self._clean(stream, offset, found.captured)
        return bytes(found.captured)

    def _clean(self, stream: ScrubbedStream, offset: int, size: int) -> bytes:
        out = bytearray(size)
        for low, at, length in stream.within(offset, offset + size):
            self._new.seek(at)
            out[low - offset : low - offset + length] = self._new.read(length)
        return bytes(out)


def endpoint(address: bytes, port: int) -> str:
    """An address of 4 or 16 bytes with its port, as the streams have it."""
    whole = address if len(address) == 16 else bytes(10) + b"\xff\xff" + address
    return format_endpoint(int.from_bytes(whole[:8], "big"), int.from_bytes(whole[8:], "big"), port)


def heads(raw: bytes) -> list[bytes]:
    """Several heads, one after another."""
    return [part[0] for part in re.finditer(rb"[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n", raw)]
