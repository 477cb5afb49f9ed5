"""Captures for checks of `inspect batch`: real ones with shifted times and addresses, some of them damaged."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import zstandard

CAPTURES = Path(__file__).parent.parent / "captures"
MAGIC = b"\xd4\xc3\xb2\xa1"  # little-endian pcap with microseconds, as all of ours are


def plain(path: Path) -> bytes:
    """A capture without compression."""
    data = path.read_bytes()
    return zstandard.ZstdDecompressor().stream_reader(data).read() if path.suffix == ".zst" else data


def records(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """(seconds, microseconds, captured, length, bytes) of each record of a plain pcap."""
    assert data[:4] == MAGIC
    at = 24
    while at + 16 <= len(data):
        seconds, micros, captured, length = struct.unpack_from("<IIII", data, at)
        yield seconds, micros, captured, length, data[at + 16 : at + 16 + captured]
        at += 16 + captured


def shifted(data: bytes, number: int) -> bytes:
    """The capture a number of hours later, from other pods: 10.244.0.0/16 is another 10.x.0.0/16, in headers and in texts
    (of the same length, so that streams stay as they are)."""
    net = 100 + number % 100
    out = [data[:24]]
    for seconds, micros, captured, length, body in records(data):
        body = body.replace(b"\x0a\xf4", bytes((10, net))).replace(b"10.244.", b"10.%d." % net)
        out.append(struct.pack("<IIII", seconds + 3600 * number, micros, captured, length) + body)
    return b"".join(out)


def damaged(data: bytes, number: int) -> bytes:
    """Cut inside a record, overwritten in the middle, not a capture at all, or empty."""
    kind = number % 4
    if kind == 0:
        return data[: len(data) * 2 // 3 + 5]
    if kind == 1:
        middle = len(data) // 2
        return data[:middle] + b"\xff" * 4096 + data[middle + 4096 :]
    return b"this is no capture\n" * 40 if kind == 2 else b""


def pieces(data: bytes, count: int) -> list[bytes]:
    """A capture as tcpdump -C would have written it: each piece with the file's header."""
    each = list(records(data))
    size = -(-len(each) // count)
    packed = [struct.pack("<IIII", *record[:4]) + record[4] for record in each]
    return [data[:24] + b"".join(packed[i : i + size]) for i in range(0, len(packed), size)]


def make(folder: Path, count: int, bad: int = 0) -> list[Path]:
    """`count` captures in four folders below `folder`, the first `bad` of every `count / bad` damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    real = [plain(path) for path in sorted(CAPTURES.glob("*.pcap*"))]
    every = count // bad if bad else count + 1
    out = []
    for number in range(count):
        data = shifted(real[number % len(real)], number)
        if bad and number % every == 0 and number // every < bad:
            data = damaged(data, number // every)
        path = folder / f"node-{number % 4}" / f"capture-{number:05d}-of.pcap"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        out.append(path)
    return out
