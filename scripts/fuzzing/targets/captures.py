"""Files: pcap and pcapng records, compression, archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterable

import numpy as np
from capture_files import Everything, read, same

from fuzzing import corpus, dull
from fuzzing.target import Target
from inspector.capture import CaptureReader, open_captures
from inspector.capture.faults import HEADER_FAULTS
from inspector.errors import CaptureError

SMALL = 1024  # bytes of a block
ENOUGH = 4 << 20  # unpacked bytes that are looked at
LOSING = ("truncated-record", "damaged-record")


def sound(data: bytes, rows: list[dull.Row]) -> Everything | None:
    """What must hold of any file: read in blocks of two sizes it is the same, and begins with what a dull reader finds."""
    try:
        got = read(data)
    except CaptureError:
        try:
            read(data, SMALL)
        except CaptureError:
            return None
        raise AssertionError("refused in large blocks, read in small ones") from None
    assert got.info.packets == len(got.packets)
    assert got.packets.number.tolist() == list(range(1, len(got.packets) + 1))
    assert got.info.bytes == len(data) or got.info.compression
    assert np.isin(got.segments.packet, got.packets.number).all()
    assert all(count > 0 for count in got.info.faults.values())
    assert sum(n for code, n in got.info.faults.items() if code in HEADER_FAULTS) <= len(got.packets)
    if not got.info.compression:
        begin = list(zip(got.packets.time.tolist(), got.packets.length.tolist(), got.frames, strict=True))[: len(rows)]
        assert begin == rows, f"packet {next((i for i, r in enumerate(rows) if begin[i : i + 1] != [r]), -1) + 1}"
    same(got, read(data, SMALL))
    return got


def pcap(data: bytes) -> None:
    """A pcap: beside what must hold of any file, every byte is a record's or told to be lost."""
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
        data = b"\xd4\xc3\xb2\xa1" + data[4:]
    got = sound(data, dull.pcap(data))
    if got is None:
        return
    used = 24 + 16 * len(got.packets) + int(got.packets.captured.sum(dtype=np.int64))
    assert used <= len(data)
    assert (used == len(data)) == (not any(code in got.info.faults for code in LOSING))


def pcapng(data: bytes) -> None:
    """A pcapng."""
    if data[:4] != b"\x0a\x0d\x0d\x0a":
        data = b"\x0a\x0d\x0d\x0a" + data[4:]
    sound(data, dull.pcapng(data))


def whole(source: object, block_bytes: int) -> object:
    """What can be read of an input, or that it is refused: a pcapng perhaps only when its packets come."""
    try:
        return all_of(open_captures(source, block_bytes=block_bytes))  # type: ignore[arg-type]
    except CaptureError as error:
        assert str(error)
        return "refused"


def all_of(readers: list[CaptureReader]) -> object:
    """What the readers give."""
    out = []
    left = ENOUGH
    for reader in readers:
        rows = []
        for block in reader.blocks():
            rows += [(r, block.data[a : a + n].tobytes()) for r, a, n in zip(
                block.packets.time.tolist(), block.packets.at, block.packets.captured, strict=True
            )]  # fmt: skip
            if reader.info.bytes > left:
                for other in readers:
                    other.close()
                return "long"
        left -= reader.info.bytes
        assert reader.info.packets == len(rows)
        info = reader.info
        out.append(
            (rows, info.faults, info.compression, info.format, info.bytes, info.dropped_tail, len(info.warnings))
        )
    return out


def opening(data: bytes) -> None:
    """Compression and archives: a file and a pipe give the same, in blocks of any size; only CaptureError is raised."""
    piped = whole(io.BytesIO(data), 1 << 16)
    again = whole(io.BytesIO(data), 1 << 12)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        stored = whole(file.name, 1 << 16)
    assert piped == again or "long" in (piped, again)
    assert piped == stored or "long" in (piped, stored)


def packed(data: bytes) -> list[bytes]:
    """A capture in every packing, and some packings of packings."""
    import lz4.frame
    import zstandard

    z = zstandard.ZstdCompressor().compress(data)
    return [
        gzip.compress(data), lzma.compress(data), lz4.frame.compress(data), z, gzip.compress(z), bz2.compress(data),
        gzip.compress(data[:600]) + gzip.compress(data[600:]), archive([data, gzip.compress(data)]),
        gzip.compress(archive([data])), archive([data], tarfile.GNU_FORMAT), archive([archive([data])]),
    ]  # fmt: skip


def through_a_terminal(data: bytes) -> list[bytes]:
    """A capture with changed line ends, and with messages around it."""
    said = b"tcpdump: listening on any\n"
    spoken = [data, said + data, data[:24] + said + data[24:] + b"^C9 packets captured\n", corpus.pcapng(data)]
    return [said + data, *(part.replace(b"\n", b"\r\n") for part in spoken)]


def archive(members: list[bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar with names short and long."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for n, data in enumerate(members):
            member = tarfile.TarInfo("folder/" * (1 + 20 * n) + f"{n}.pcap")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        tar.addfile(link)
    return out.getvalue()


def swapped(data: bytes) -> bytes:
    """A little-endian pcap in the other byte order."""
    head = struct.pack(">IHHiIII", *struct.unpack("<IHHiIII", data[:24]))
    rows = corpus.records(data)
    return head + b"".join(struct.pack(">IIII", s, f, len(frame), n) + frame for s, f, n, frame in rows)


def seeds(make: Callable[[bytes], list[bytes]], count: int) -> Callable[[], Iterable[bytes]]:
    """Seeds made of the beginning of every capture."""
    return lambda: [seed for data in corpus.beginnings(count) for seed in make(data)]


TARGETS = [
    Target("pcap", "pcap files", pcap, seeds(lambda d: [d, swapped(d)], 12)),
    Target("pcapng", "pcapng files", pcapng, seeds(lambda d: [corpus.pcapng(d)], 12)),
    Target(
        "opening",
        "gz, zst, xz, lz4, tar, terminals",
        opening,
        lambda: [*[*seeds(packed, 4)()][::4], *seeds(through_a_terminal, 2)()],
    ),
]
