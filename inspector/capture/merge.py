"""Several captures as one: packets in time order, whatever the sizes of the blocks they are read in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inspector.capture.reader import SMALLEST, CaptureReader
from inspector.capture.tables import Block, Packets, Segments
from inspector.table import I64

LEAST_BLOCK = 1 << 20  # bytes: many captures share the memory of one, but not below this


class _Lane:
    """One capture of a merge: its current block, and how far it has been passed on.

    A packet's place is its `key`: the latest time so far in its capture, so that a capture's own order is kept where
    its times go back a little.
    """

    def __init__(self, reader: CaptureReader) -> None:
        self.number = reader.info.number
        self.blocks = reader.blocks()
        self.block: Block | None = None
        self.key: I64 = np.empty(0, np.int64)
        self.segment_key: I64 = np.empty(0, np.int64)
        self.packet = 0  # next row
        self.segment = 0
        self.high = np.iinfo(np.int64).min
        self.position = 0
        self.advance()

    def advance(self) -> None:
        """Take the next block; `block` is None at the end."""
        self.block = None
        for block in self.blocks:
            self.position = block.position
            if len(block.packets):
                self.block = block
                self.key = np.maximum(np.maximum.accumulate(block.packets.time), self.high)
                self.high = int(self.key[-1])
                row = block.segments.packet - block.packets.number[0]
                self.segment_key = self.key[row]
                self.packet = self.segment = 0
                return

    def take(self, bound: int, inclusive: bool) -> tuple[NDArray[np.uint8], Packets, Segments, I64, I64] | None:
        """What comes up to key `bound`: its bytes (copied), packets and segments with `at` in them, and their keys."""
        assert self.block is not None
        end = int(np.searchsorted(self.key, bound, "right" if inclusive else "left"))
        stop = int(np.searchsorted(self.segment_key, bound, "right" if inclusive else "left"))
        if end == self.packet:
            return None
        packets = self.block.packets.take(np.arange(self.packet, end))
        segments = self.block.segments.take(np.arange(self.segment, stop))
        keys, segment_keys = self.key[self.packet : end], self.segment_key[self.segment : stop]
        self.packet, self.segment = end, stop
        low, high = int(packets.at[0]), int(packets.at[-1] + packets.captured[-1])
        data = [self.block.data[low:high]]
        at = segments.at - low
        behind = segments.at > high  # payload of reassembled datagrams, which stand behind the packets
        if behind.any():
            first = int(segments.at[behind].min())
            last = int((segments.at + segments.captured)[behind].max())
            data.append(self.block.data[first:last])
            at = np.where(behind, segments.at - first + (high - low), at)
        return np.concatenate(data), packets.replace(at=packets.at - low), segments.replace(at=at), keys, segment_keys


def merge(readers: Sequence[CaptureReader]) -> Iterator[Block]:
    """The blocks of one reader as they are, those of several merged into time order (equal times: by capture number).

    Captures are not sorted within themselves. The order of rows does not depend on block sizes; where blocks end does.
    """
    if len(readers) == 1:
        yield from readers[0].blocks()
        return
    for reader in readers:
        share = max(reader.block_bytes // len(readers), min(reader.block_bytes, LEAST_BLOCK), SMALLEST)
        reader.block_bytes = share
    lanes = [_Lane(reader) for reader in readers]
    while running := [lane for lane in lanes if lane.block is not None]:
        # Nothing earlier than this can come any more: whichever lane's block ends first is consumed whole.
        first = min(running, key=lambda lane: (lane.high, lane.number))
        parts = [p for lane in running if (p := lane.take(first.high, lane.number <= first.number)) is not None]
        yield _join(parts, sum(lane.position for lane in lanes))
        first.advance()


def _join(parts: list[tuple[NDArray[np.uint8], Packets, Segments, I64, I64]], position: int) -> Block:
    """The parts as one block, in the order of (key, capture). Precondition: each is in order, parts are by capture."""
    shift = np.cumsum([0] + [len(p[0]) for p in parts])
    packets = Packets.concat(p[1].replace(at=p[1].at + s) for p, s in zip(parts, shift, strict=False))
    segments = Segments.concat(p[2].replace(at=p[2].at + s) for p, s in zip(parts, shift, strict=False))
    order = np.argsort(np.concatenate([p[3] for p in parts]), kind="stable")
    segment_order = np.argsort(np.concatenate([p[4] for p in parts]), kind="stable")
    return Block(np.concatenate([p[0] for p in parts]), packets.take(order), segments.take(segment_order), position)
