"""What kernels of this room work on, and how they read big-endian and little-endian fields.

`Octets` and `Rows` are what both speeds have in common: numpy arrays when compiled, memoryviews when interpreted. No
kernel here checks a bound: its caller has.
"""

from __future__ import annotations

from typing import Protocol

from inspector.kernels.kernel import kernel


class Octets(Protocol):
    """(n,) uint8."""

    def __getitem__(self, i: int, /) -> int: ...
    def __len__(self) -> int: ...


class ByteRows(Protocol):
    """(k, n) int64 or uint64: column `k` of a table in the making, row `n`."""

    def __getitem__(self, i: tuple[int, int], /) -> int: ...
    def __setitem__(self, i: tuple[int, int], value: int, /) -> None: ...


@kernel
def be16(data: Octets, at: int) -> int:
    """Two bytes, big-endian."""
    return (data[at] << 8) | (data[at + 1] & 0xFF)


@kernel
def be32(data: Octets, at: int) -> int:
    """Four bytes, big-endian."""
    return (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | (data[at + 3] & 0xFF)


@kernel
def be64(data: Octets, at: int) -> int:
    """Eight bytes, big-endian. Compiled, the top bit makes it negative: only for storing as uint64."""
    return (be32(data, at) << 32) | be32(data, at + 4)


@kernel
def host16(data: Octets, at: int, big: int) -> int:
    """Two bytes in the byte order of who wrote the file (`big` is 1 or 0)."""
    if big:
        return (data[at] << 8) | (data[at + 1] & 0xFF)
    return (data[at + 1] << 8) | (data[at] & 0xFF)


@kernel
def host32(data: Octets, at: int, big: int) -> int:
    """Four bytes in the byte order of who wrote the file."""
    if big:
        return (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | (data[at + 3] & 0xFF)
    return (data[at + 3] << 24) | (data[at + 2] << 16) | (data[at + 1] << 8) | (data[at] & 0xFF)
