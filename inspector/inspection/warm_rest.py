"""Inner loops that only long, damaged or followed captures need, on next to nothing: so that they are compiled ahead as well."""

from __future__ import annotations

import gzip
import struct

import numpy as np

from inspector.capture.blocks import chain_blocks
from inspector.capture.records import Framing, chain
from inspector.http.decoding import Decoding
from inspector.http.layout import GZIP_CODE
from inspector.kernels.gather import FEW, take
from inspector.mirror import lost_kernels
from inspector.mirror.layout import Grouped, Mates
from inspector.tcp import Tracker, blocks
from inspector.tcp import layout as col
from inspector.tcp.flows import write_row
from inspector.tcp.keys import rehash

SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE = struct.pack("<IIHHII", 1, 20, 1, 0, 262144, 20)  # Ethernet


def pcapng(frames: list[bytes]) -> bytes:
    """The frames as enhanced packet blocks (draft-ietf-opsawg-pcapng section 4.3)."""
    out = [SECTION, INTERFACE]
    for n, frame in enumerate(frames):
        size = 32 + (len(frame) + 3 & ~3)
        head = struct.pack("<IIIIIII", 6, size, 0, 0, n, len(frame), len(frame))
        out.append(head + frame + bytes(-len(frame) % 4) + struct.pack("<I", size))
    return b"".join(out)


def warm_rest() -> None:
    """Call each of them. Precondition: kernels run compiled."""
    take([[np.arange(FEW)], [np.arange(FEW)]], np.arange(2 * FEW))
    _of_capture()
    _of_tcp()
    _of_http()
    _of_mirror()


def _of_capture() -> None:
    data = np.frombuffer(SECTION * 4, np.uint8).copy()
    chain(data, 0, len(data), 1, Framing(0, 1, 65536, 16), 0, 1)
    chain_blocks(data, 0, len(data), 1, 0, 1)


def _of_http() -> None:
    decoding = Decoding(GZIP_CODE, 1 << 16)
    decoding.feed(gzip.compress(b"coded"), True)
    decoding.outcome()


def _of_tcp() -> None:
    tracker = Tracker()
    tracker.tick(1)
    r = tracker.arrays
    found = np.empty(len(r.nodes), np.int64)
    blocks.fresh_nodes(tracker._tcp(), found)
    blocks.stored_nodes(tracker._tcp(), found)
    blocks.keep(tracker._tcp(), np.empty((0, 5), np.int64), 0)
    rehash(r.table, np.zeros((2 * len(r.table), 2), np.int64))
    write_row(r.conns, r.streams, np.zeros((1, col.Z_WIDTH), np.int64), 0, 0)


def _of_mirror() -> None:
    none, rows, mates = np.empty(0, np.int64), np.empty((0, 4), np.int64), Mates.unknown(0)
    queues, outlines = lost_kernels.Queues(none, none, none, none), lost_kernels.Outlines(rows, rows, rows)
    lost_kernels.couple(Grouped(none, none), queues, outlines, mates, 0, False, lost_kernels.Shifts(none, none))
    lost_kernels.serve(none, none, none, outlines, mates, 0, none)
