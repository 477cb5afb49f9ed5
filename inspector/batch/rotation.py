"""Pieces of one capture are found again by their names and by the times and interfaces inside, and become one unit.

tcpdump -C (with -W) writes x.pcap, x.pcap1, x.pcap2, ...; -G writes a time into the name; dumpcap writes
x_00001_20261121100000.pcap. Such names follow each other where the first packets' times do, at most DAY apart, with the same
link types and interfaces. Names that hold just a number (a-1.pcap, a-2.pcap) may be anything: they are pieces only where
the next begins within a second after the last packet of the one before.
"""

from __future__ import annotations

import io
import mmap
import re
import struct
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, cast

from inspector.batch import archives, remote
from inspector.batch.seen import Memory
from inspector.batch.sources import folder_of, place_name
from inspector.batch.units import Piece, Unit, day_of, source_name
from inspector.capture import open_captures
from inspector.capture.opening import MAX_LAYERS
from inspector.capture.pcap import MAGICS
from inspector.capture.sniff import sniff
from inspector.capture.source import Damaged, Decompressed, FileSource, Peeked, Zstandard
from inspector.disk import Unwritable
from inspector.errors import InspectorError
from inspector.lang import _

HEAD = 1 << 16  # bytes of a capture that are looked at
RECORD = 24 + 16  # bytes of a pcap with its first record's header
DAY = 86_400_000_000_000  # ns between the first packets of two pieces that follow each other
CLOSE = 1_000_000_000  # ns between two pieces whose names say little
NAMED = 3  # seconds between the time in a name and the first packet
QUARTER = 900  # seconds: clocks of time zones differ by multiples of it
LONGEST, LARGEST = 96, 16 << 30  # pieces and bytes read as one
WALKED = 1 << 28  # bytes of a capture that is walked to its last packet

_PACKED = re.compile(r"\.(gz|zst|xz|lz4)$", re.IGNORECASE)
_COUNTED = re.compile(r"(\.(?:pcapng|pcap|cap|dmp))(\d{0,9})$", re.IGNORECASE)
_WRITTEN = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[T_\- .]?(\d\d)[-_:.hH]?(\d\d)[-_:.mM]?(\d\d)")
_EPOCH = re.compile(r"(?<!\d)(1\d{9})(?!\d)")
_RING = re.compile(r"(?<!\d)\d{5,10}(?=_@)")  # dumpcap's number before its time
_NUMBER = re.compile(r"\d+(?!.*\d)")


@dataclass(frozen=True)
class Name:
    """What a name says: the family it belongs to, and where it stands there. kind: count, time or number."""

    family: str
    kind: str
    number: int


@dataclass(frozen=True)
class FirstLook:
    """What the first bytes say: the first packet's time (ns), link types and interfaces."""

    first: int
    like: str


def name_of(name: str) -> Name | None:
    """What the name of a file says; None where no other piece could belong to it."""
    base = _PACKED.sub("", name)
    at = _WRITTEN.search(base)
    seconds = _seconds(at) if at else None
    if seconds is None and (at := _EPOCH.search(base)):
        seconds = int(at[1])
    if at is not None and seconds is not None:
        family = _RING.sub("#", base[: at.start()] + "@" + base[at.end() :])
        return Name(_COUNTED.sub(r"\1", family), "time", seconds)
    counted = _COUNTED.search(base)
    if counted is None:
        return None
    stem = base[: counted.start()]
    if counted[2]:
        return Name(stem + counted[1], "count", int(counted[2]))
    number = _NUMBER.search(stem)
    if number is not None and len(number[0]) < 10:
        return Name(f"{stem[: number.start()]}#{stem[number.end() :]}{counted[1]}", "number", int(number[0]))
    return Name(base, "count", 0)


def _seconds(at: re.Match[str]) -> int | None:
    try:
        return int(datetime(*(int(part) for part in at.groups()), tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]
    except (ValueError, OverflowError):
        return None


def units(pieces: Iterable[Piece], memory: Memory) -> list[Unit]:
    """Every piece in one unit. Only where names belong together the files are looked into."""
    families: dict[tuple[str, str, str], list[tuple[Piece, Name]]] = defaultdict(list)
    out: list[Unit] = []
    named = [(piece, folder_of(piece), file_name(piece), name_of(file_name(piece))) for piece in pieces]
    counted = {(folder, name.family) for _p, folder, _file, name in named if name and name.kind == "count"}
    for piece, folder, file, name in named:
        if name is None:
            out.append(_unit([piece]))
            continue
        if name.kind == "number" and (folder, _PACKED.sub("", file)) in counted:  # x1.pcap before x1.pcap1
            name = Name(_PACKED.sub("", file), "count", 0)
        families[(folder, name.family, name.kind)].append((piece, name))
    for members in families.values():
        for chain in _chains(members, memory) if len(members) > 1 else [[members[0][0]]]:
            parts = _cut(chain, memory)
            out += [_unit(part, len(parts) > 1) for part in parts]
    return out


def file_name(piece: Piece) -> str:
    """The name of a capture in its folder or archive."""
    return piece.path[len(folder_of(piece)) + 1 :]


def _unit(pieces: list[Piece], cut: bool = False) -> Unit:
    notes: tuple[str, ...] = ()
    if cut:
        notes = (_("This is a part of a longer rotated capture: connections that cross its ends are seen in parts."),)
    return Unit(tuple(pieces), source_name(place_name(pieces[0])), notes)


def _chains(members: list[tuple[Piece, Name]], memory: Memory) -> list[list[Piece]]:
    """Members of a family put together where one follows another."""
    looked = [(look(piece, memory), piece, name) for piece, name in members]
    seen = sorted(
        ((seen, piece, name) for seen, piece, name in looked if seen is not None),
        key=lambda item: (item[0].like, item[0].first, item[2].number, item[1].path),
    )
    out = [[piece] for seen, piece, _name in looked if seen is None]
    before: tuple[FirstLook, Piece, Name] | None = None
    for item in seen:
        if before is not None and _follows(before, item, memory):
            out[-1].append(item[1])
        else:
            out.append([item[1]])
        before = item
    return out


def _follows(before: tuple[FirstLook, Piece, Name], item: tuple[FirstLook, Piece, Name], memory: Memory) -> bool:
    (one, piece, name), (two, _next, following) = before, item
    if one.like != two.like or not 0 <= two.first - one.first <= DAY:
        return False
    if name.kind == "time" and following.number == name.number:  # -G with -C
        return True
    if name.kind == "time":
        late = (two.first // 1_000_000_000 - following.number) % QUARTER
        return following.number >= name.number and (late <= NAMED or late >= QUARTER - NAMED)
    if name.kind == "count":
        return following.number in (name.number + 1, 0)
    if following.number != name.number + 1:
        return False
    last = last_time(piece, memory)
    return last is not None and 0 <= two.first - last <= CLOSE


def _cut(chain: list[Piece], memory: Memory) -> list[list[Piece]]:
    """A chain in parts that are not too long: cut at midnight (UTC), so that older parts stay as they are while it grows."""
    if len(chain) <= LONGEST and sum(p.size for p in chain) <= LARGEST:
        return [chain]
    out: list[list[Piece]] = []
    day = ""
    for piece in chain:
        seen = look(piece, memory)
        today = day_of(seen.first if seen else None)
        full = bool(out) and (len(out[-1]) >= LONGEST or sum(p.size for p in out[-1]) + piece.size > LARGEST)
        if today != day or full:
            out.append([])
        out[-1].append(piece)
        day = today
    return out


def look(piece: Piece, memory: Memory) -> FirstLook | None:
    """What a capture's first bytes say; None where they hold no packet, or cannot be read."""
    known = memory.recall("look", piece.path, piece.stamp)
    if known is None:
        known = _look(piece)
        memory.keep("look", piece.path, piece.stamp, known)
    return FirstLook(int(known[0]), str(known[1])) if known else None


def _look(piece: Piece) -> tuple[int, str] | tuple[()]:
    try:
        head = _head(piece)
        plain = _plain(head)
        if plain[:4] in MAGICS:
            return _first_record(plain)
        reader = open_captures(cast(BinaryIO, io.BytesIO(head)), block_bytes=HEAD)[0]
        for block in reader.blocks():
            if len(block.packets):
                names = sorted({f.name for f in reader.info.interfaces}) if reader.info.format == "pcapng" else []
                return int(block.packets.time[0]), " ".join((*reader.info.link_types, *names))
    except Unwritable:  # there is no room to unpack it: this says nothing of the capture
        raise
    except (InspectorError, OSError, ValueError):
        pass
    except Exception as error:  # of an object store's library: the piece is read by itself, and says then what is wrong
        if not remote.is_url(piece.archive or piece.path):
            raise error
    return ()


def _plain(head: bytes) -> bytes:
    """The first bytes of a capture without its compression."""
    source = Peeked(FileSource(io.BytesIO(head)))
    for _layer in range(MAX_LAYERS):
        kind = sniff(source.peek(4))
        if kind not in ("gz", "zst", "xz", "lz4"):
            break
        source = Peeked(Zstandard(source) if kind == "zst" else Decompressed(source, kind))
    try:
        return source.peek(RECORD)
    except Damaged:  # the rest of it is not here
        return b""


def _first_record(head: bytes) -> tuple[int, str] | tuple[()]:
    """What a pcap's header and its first record say."""
    if len(head) < RECORD:
        return ()
    big, unit = MAGICS[head[:4]]
    order = ">" if big else "<"
    link = struct.unpack_from(order + "I", head, 20)[0] & 0xFFFF
    seconds, part = struct.unpack_from(order + "II", head, 24)
    return seconds * 1_000_000_000 + part * (1_000_000_000 // unit), f"pcap {link}"


def _head(piece: Piece) -> bytes:
    if piece.archive:
        with archives.member(piece) as range_:
            return range_.read(HEAD)
    if remote.is_url(piece.path):
        return remote.head(piece.path, HEAD)
    with open(piece.path, "rb", buffering=0) as file:
        return file.read(HEAD)


def last_time(piece: Piece, memory: Memory) -> int | None:
    """The last packet's time (ns) of a plain pcap, found by going from record to record; None of any other file."""
    known = memory.recall("last", piece.path, piece.stamp)
    if known is None:
        known = _last(piece) or 0
        memory.keep("last", piece.path, piece.stamp, known)
    return int(known) or None


def _last(piece: Piece) -> int | None:
    if piece.archive or remote.is_url(piece.path) or not 24 < piece.size <= WALKED:
        return None
    try:
        with open(piece.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] not in MAGICS:
                return None
            big, unit = MAGICS[data[:4]]
            record, at, last = struct.Struct((">" if big else "<") + "III"), 24, 24
            while at + 16 <= len(data):
                last = at
                at += 16 + record.unpack_from(data, at)[2]
            seconds, part, _size = record.unpack_from(data, last)
            return int(seconds) * 1_000_000_000 + int(part) * (1_000_000_000 // unit)
    except (OSError, ValueError, struct.error):
        return None
