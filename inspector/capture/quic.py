"""QUIC is recognised by its long headers, on any port of UDP, and not read (RFC 9000, RFC 9369).

Random bytes look like a long header once in 2**33: a version that is known and two connection ids of 20 bytes at most. A short
header says nothing; it counts between addresses that a long header was seen between before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.capture.octets import Octets, be32
from inspector.kernels.kernel import cold
from inspector.table import I64, U64

# Rows of `datagrams`, (4, n) int64.
SPORT = 0
DPORT = 1
SIZE = 2  # of the payload as sent
LONG = 3  # whether a long header begins it
DATAGRAM_ROWS = 4

UDP_HEADER = 8
SHORTEST = 7  # first byte, version, the lengths of two empty connection ids
LONGEST_ID = 20
PAIRS = 10_000  # of addresses and ports that are remembered

Address = tuple[int, int]


@cold
def known_version(version: int) -> int:
    """Whether it is version 1, 2 or a draft of 1."""
    return 1 if version == 1 or version == 0x6B3343CF or version >> 8 == 0xFF0000 else 0


@cold
def long_header(data: Octets, at: int, cap: int) -> int:
    """Whether the UDP header at `at` carries a long header of QUIC, a version negotiation too (RFC 9000 section 17.2)."""
    at += UDP_HEADER
    if cap - at < SHORTEST or data[at] & 0x80 == 0:
        return 0
    version = be32(data, at + 1) & 0xFFFFFFFF
    negotiates = version == 0
    if not negotiates and (data[at] & 0x40 == 0 or known_version(version) == 0):
        return 0
    i = at + 5
    for _ in range(2):
        if i >= cap or data[i] > LONGEST_ID:
            return 0
        i += 1 + (data[i] & 0xFF)
    if not negotiates:
        return 1 if i <= cap else 0
    while i + 4 <= cap:
        if known_version(be32(data, i) & 0xFFFFFFFF):
            return 1
        i += 4
    return 0


@dataclass(frozen=True)
class QuicConnection:
    """Two addresses and ports with QUIC between them. The lower port is taken for the server's."""

    client: Address
    client_port: int
    server: Address
    server_port: int
    packets: int
    bytes: int


@dataclass
class Quic:
    """Counts the datagrams of a capture between addresses that speak QUIC, from the first long header on."""

    _found: dict[tuple[int, ...], list[int]] = field(default_factory=dict)  # addresses and ports -> packets, bytes

    def add(self, rows: I64, addresses: U64) -> None:
        """Count a batch, in its order."""
        if not len(rows[0]) or not (self._found or rows[LONG].any()):
            return
        src = np.stack([addresses[0], addresses[1], rows[SPORT].astype(np.uint64)])
        dst = np.stack([addresses[2], addresses[3], rows[DPORT].astype(np.uint64)])
        swap = _below(src, dst)
        ends = np.concatenate([np.where(swap, dst, src), np.where(swap, src, dst)])
        pairs, group = np.unique(ends, axis=1, return_inverse=True)
        group = group.reshape(-1)
        keys = [tuple(int(v) for v in pair) for pair in pairs.T]
        place = np.arange(len(group))
        begins = np.full(len(keys), len(group))
        np.minimum.at(begins, group[rows[LONG] != 0], place[rows[LONG] != 0])
        begins[[key in self._found for key in keys]] = 0
        counted = place >= begins[group]
        packets = np.bincount(group[counted], minlength=len(keys)).tolist()
        sizes = np.bincount(group[counted], rows[SIZE][counted], minlength=len(keys)).tolist()
        for key, n, size in zip(keys, packets, sizes, strict=True):
            if n and (key in self._found or len(self._found) < PAIRS):
                total = self._found.setdefault(key, [0, 0])
                total[0] += n
                total[1] += int(size)

    def __len__(self) -> int:
        return len(self._found)

    def connections(self) -> list[QuicConnection]:
        """Those found, in the order in which they were met."""
        return [QuicConnection((k[0], k[1]), k[2], (k[3], k[4]), k[5], n, size) for k, (n, size) in self._found.items()]


def _below(a: U64, b: U64) -> np.ndarray:
    """By column: whether `a` is the server: the side with the lower port, or else with the higher address."""
    same = a[2] == b[2]
    higher = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] > b[1]))
    return np.asarray(np.where(same, higher, a[2] < b[2]))


def union(found: list[Quic]) -> list[QuicConnection]:
    """The connections of several captures. Each capture may hold the same packets: the one that has most of them counts."""
    out: dict[tuple[object, ...], QuicConnection] = {}
    for one in found:
        for c in one.connections():
            key = c.client, c.client_port, c.server, c.server_port
            if key not in out or out[key].packets < c.packets:
                out[key] = c
    return list(out.values())
