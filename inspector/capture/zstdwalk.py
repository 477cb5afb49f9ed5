"""Where the frames and blocks of zstandard data lie, without unpacking them."""

from __future__ import annotations


class ZstdWalk:
    """Follows frames and blocks of RFC 8878, section 3.1, to know whether the bytes end inside a frame.

    The library does not say so: a frame that is cut off at a block looks to it like one that is complete.
    """

    def __init__(self) -> None:
        self.skip = 0  # bytes up to the next header
        self.checksum = 0  # bytes of it behind this frame's last block
        self.owed = 0  # the same, once that block was met
        self.at_block = False  # the next header is a block's
        self.cut = False  # bytes are left over in which no header is whole

    @property
    def inside(self) -> bool:
        """Whether the bytes so far end inside a frame."""
        return bool(self.at_block or self.skip or self.owed or self.cut)

    def feed(self, data: bytes) -> None:
        """All of the data."""
        at = 0
        while at < len(data) and not self.cut:
            at = self.advance(data, at)

    def advance(self, data: bytes, at: int) -> int:
        """From `at` to where a block or a checksum ends, or as far as the bytes reach: to a header that is not whole in
        them. `cut` where that is `at` itself."""
        begin = at
        while True:
            step = min(self.skip, len(data) - at)
            at += step
            self.skip -= step
            if self.skip or step:
                return at
            if self.owed:
                self.skip, self.owed = self.owed, 0
                continue
            need = self._header(data, at)
            self.cut = not need and at == begin and at < len(data)
            if not need:
                return at
            at += need

    def _header(self, data: bytes, at: int) -> int:
        """Read the frame or block header at `at`: its length, 0 where it is not whole."""
        if self.at_block:
            if len(data) - at < 3:
                return 0
            value = int.from_bytes(data[at : at + 3], "little")
            self.skip = 1 if value >> 1 & 3 == 1 else value >> 3
            if value & 1:
                self.at_block = False
                self.owed = self.checksum
            return 3
        if len(data) - at < 8:
            return 0
        if data[at + 1 : at + 4] == b"\x2a\x4d\x18":  # a skippable frame
            self.skip = int.from_bytes(data[at + 4 : at + 8], "little")
            return 8
        descriptor = data[at + 4]
        single = descriptor >> 5 & 1
        self.checksum = 4 if descriptor & 4 else 0
        self.at_block = True
        self.skip = (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6] + (1 - single)
        return 5
