"""Dull readers: they follow a specification where the input is beyond reproach, and stop where it is not."""

from __future__ import annotations

import struct

LARGEST = 1 << 16  # bytes of a packet that they believe
DAY = 86_400

Row = tuple[int, int, bytes]  # time in ns, length on the wire, frame


def pcap(data: bytes) -> list[Row]:
    """The records of a pcap up to the first that is odd in any way."""
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 10**9 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 10**6
    out: list[Row] = []
    at, before = 24, None
    while at + 16 <= len(data):
        seconds, fraction, captured, length = struct.unpack_from(order + "IIII", data, at)
        odd = not 0 < captured <= min(length, LARGEST) or length > LARGEST or fraction >= unit
        if odd or at + 16 + captured > len(data) or (before is not None and abs(seconds - before) > DAY - 1):
            break
        out.append((seconds * 10**9 + fraction * (10**9 // unit), length, data[at + 16 : at + 16 + captured]))
        at, before = at + 16 + captured, seconds
    return out


def pcapng(data: bytes) -> list[Row]:
    """The packets of a pcapng's first section up to the first block that is odd in any way; times in microseconds only."""
    out: list[Row] = []
    at, order, interfaces = 0, "<", 0
    while at + 12 <= len(data):
        if at == 0:
            order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or size % 4 or size > LARGEST or at + size > len(data):
            break
        body = data[at + 8 : at + size - 4]
        if struct.unpack_from(order + "I", data, at + size - 4)[0] != size:
            break
        if kind == 1:
            if len(body) != 8:
                break  # options may set other times
            interfaces += 1
        elif kind == 6 and len(body) >= 20:
            number, high, low, captured, length = struct.unpack_from(order + "IIIII", body)
            if number >= interfaces or not 0 < captured <= min(length, len(body) - 20) or length > LARGEST:
                break
            time = (high << 32 | low) * 1000
            if time >= 1 << 62 or (out and abs(time - out[-1][0]) >= (DAY - 1) * 10**9):
                break
            out.append((time, length, body[20 : 20 + captured]))
        elif kind != 0x0A0D0D0A or at:
            break
        at += size
    return out


def server_name(data: bytes) -> bytes | None:
    """The server name of a ClientHello in one record (RFC 8446 section 4.1.2, RFC 6066 section 3); None where anything is odd."""
    try:
        if data[0] != 22 or data[1] != 3 or int.from_bytes(data[3:5], "big") + 5 != len(data):
            return None
        hello = data[5:]
        if hello[0] != 1 or int.from_bytes(hello[1:4], "big") + 4 != len(hello):
            return None
        at = 38 + 1 + hello[38]
        at += 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 1 + hello[at]
        stop = at + 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 2
        if stop != len(hello):
            return None
        while at < stop:
            kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
            value = hello[at + 4 : at + 4 + size]
            if len(value) != size:
                return None
            if kind == 0:
                name = int.from_bytes(value[3:5], "big")
                listed = int.from_bytes(value[:2], "big") + 2 == size
                return value[5:] if listed and value[2:3] == b"\0" and name + 5 == size else None
            at += 4 + size
    except IndexError:
        return None
    return b""
