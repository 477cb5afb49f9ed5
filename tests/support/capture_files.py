"""Builds capture files for the tests of the capture room, and reads them whole."""

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from inspector.capture import CaptureInfo, Packets, Segments, merge, open_captures
from inspector.kernels import kernel

T0 = 1_700_000_000_000_000_000


def pcap(frames, link=1, big=False, nano=False, times=None, lengths=None, snaplen=262144) -> bytes:
    """A pcap of `frames` (bytes), a millisecond apart."""
    order = ">" if big else "<"
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for i, frame in enumerate(frames):
        frame = bytes(frame)
        ns = times[i] if times else T0 + i * 1_000_000
        length = lengths[i] if lengths else len(frame)
        fraction = ns % 10**9 if nano else ns % 10**9 // 1000
        out.append(struct.pack(order + "IIII", ns // 10**9, fraction, len(frame), length) + frame)
    return b"".join(out)


def modified_pcap(frames, link=1, big=False) -> bytes:
    """A pcap of Kuznetzov's libpcap: behind the lengths of a record stand interface index, protocol and packet type."""
    order = ">" if big else "<"
    out = [struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 262144, link)]
    for i, frame in enumerate(frames):
        frame = bytes(frame)
        ns = T0 + i * 1_000_000
        head = (ns // 10**9, ns % 10**9 // 1000, len(frame), len(frame), 2, 0x0800, i % 5, 0)
        out.append(struct.pack(order + "IIIIIHBB", *head) + frame)
    return b"".join(out)


def block(kind, body, order="<") -> bytes:
    """A pcapng block."""
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(code, value, order="<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def section(order="<", options=b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def described(link=1, order="<", options=b"", snaplen=0) -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(frame, units, interface=0, order="<", options=b"", length=None) -> bytes:
    frame = bytes(frame)
    head = struct.pack(
        order + "IIIII",
        interface,
        units >> 32,
        units & 0xFFFFFFFF,
        len(frame),
        len(frame) if length is None else length,
    )
    return block(6, head + frame + b"\0" * (-len(frame) % 4) + options, order)


@dataclass
class Everything:
    """All of a capture: what `read` gives."""

    packets: Packets
    segments: Segments
    frames: list[bytes]
    payloads: list[bytes]
    info: CaptureInfo


def gather(blocks, info) -> Everything:
    packets, segments, frames, payloads = [], [], [], []
    for b in blocks:
        packets.append(b.packets)
        segments.append(b.segments)
        assert (b.packets.at >= 0).all()
        assert (b.packets.at + b.packets.captured <= len(b.data)).all()
        assert (b.segments.at >= 0).all()
        assert (b.segments.captured >= 0).all()
        assert (b.segments.captured <= b.segments.length).all()
        assert (b.segments.at + b.segments.captured <= len(b.data)).all()
        frames += [b.data[a : a + n].tobytes() for a, n in zip(b.packets.at, b.packets.captured, strict=True)]
        payloads += [b.data[a : a + n].tobytes() for a, n in zip(b.segments.at, b.segments.captured, strict=True)]
    return Everything(Packets.concat(packets), Segments.concat(segments), frames, payloads, info)


def read(source, block_bytes=1 << 20) -> Everything:
    """The one capture in `source` (bytes or a path)."""
    reader = one(source, block_bytes)
    return gather(reader.blocks(), reader.info)


def one(source, block_bytes=1 << 20):
    (reader,) = open_captures(io.BytesIO(source) if isinstance(source, bytes) else source, block_bytes=block_bytes)
    return reader


def read_merged(sources, block_bytes=1 << 20) -> Everything:
    readers = [one(s, block_bytes) for s in sources]
    for i, reader in enumerate(readers):
        reader.info.number = i
    return gather(merge(readers), readers[0].info)


def same(a: Everything, b: Everything) -> None:
    """Equal in everything but where blocks put the bytes."""
    for mine, other in ((a.packets, b.packets), (a.segments, b.segments)):
        for f in fields(mine):
            if f.name != "at":
                np.testing.assert_array_equal(getattr(mine, f.name), getattr(other, f.name), f.name)
    assert a.frames == b.frames
    assert a.payloads == b.payloads
    assert a.info == b.info


@contextlib.contextmanager
def speed(mode: str) -> Iterator[None]:
    """Kernels at another speed for a while."""
    before = kernel.compiled()
    kernel.use(mode)
    try:
        yield
    finally:
        kernel.use("compiled" if before else "plain")
