"""The same packet in several captures: its number in each, so that an exchange is reported with one capture's numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.capture import Segments
from inspector.mirror.signs import blend
from inspector.ragged import Ragged
from inspector.table import I16, I64

KEEP = 1 << 20  # segments remembered, the latest
APART = 1_000_000_000  # ns: copies of one packet are no further apart


class Twins:
    """Remembers which segments of which captures are one and the same packet: those equal in all that routing keeps."""

    def __init__(self) -> None:
        self._own: I64 = np.empty(0, np.int64)  # (capture, packet) as one number, sorted
        self._key: I64 = np.empty(0, np.int64)
        self._time: I64 = np.empty(0, np.int64)

    def add(self, s: Segments) -> None:
        """Remember a block's segments."""
        key = blend(s.seq, s.ack, s.flags, s.length, s.ip_id, s.tsval, s.sport.astype(np.int64) * s.dport)
        own = np.concatenate([self._own, own_number(s.capture, s.packet)])
        key, time = np.concatenate([self._key, key]), np.concatenate([self._time, s.time])
        if len(own) > KEEP:
            latest = np.argsort(time, kind="stable")[-KEEP // 2 :]
            own, key, time = own[latest], key[latest], time[latest]
        order = np.argsort(own, kind="stable")
        self._own, self._key, self._time = own[order], key[order], time[order]

    def in_one_capture(self, captures: Ragged, packets: Ragged, home: NDArray[np.int16]) -> tuple[I16, Ragged]:
        """For each run of packets the capture it is reported with, and all its packets by their numbers there.

        home: (n,) the capture of the run's connection, so that a request and its response are reported with the same one. A run
        of which nothing was captured there is reported with the capture of its first packet. Packets that were not captured
        there are left out.
        """
        n = len(packets)
        owner = np.repeat(np.arange(n), packets.lengths)
        home = home.copy()
        numbers = self._all(captures, packets, home[owner])
        filled = packets.lengths > 0
        lost = filled & (np.bincount(owner[numbers > 0], minlength=n) == 0)
        if lost.any():
            home[lost] = captures.values[packets.offsets[:-1][lost]]
            numbers = self._all(captures, packets, home[owner])
        keep = numbers > 0
        offsets = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(owner[keep], minlength=n), out=offsets[1:])
        return home, Ragged(numbers[keep], offsets)

    def _all(self, captures: Ragged, packets: Ragged, there: NDArray[np.int16]) -> I64:
        """The numbers in captures `there` (a capture a packet) of all packets; 0 where they were not seen."""
        numbers = packets.values.copy()
        away = np.flatnonzero(captures.values != there)
        if len(away):
            numbers[away] = self._number(captures.values[away], packets.values[away], there[away])
        return numbers

    def _number(self, capture: NDArray[np.int16], packet: I64, there: NDArray[np.int16]) -> I64:
        """The numbers in captures `there` of the packets (capture, packet); 0 where they were not seen."""
        out = np.zeros(len(packet), np.int64)
        if not len(self._own):
            return out
        at = np.minimum(np.searchsorted(self._own, own_number(capture, packet)), len(self._own) - 1)
        known = self._own[at] == own_number(capture, packet)
        by_key = np.argsort(blend(self._key, self._own >> 40), kind="stable")
        keys = blend(self._key, self._own >> 40)[by_key]
        wanted = blend(self._key[at], there)
        low = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        row = by_key[low]
        known &= (keys[low] == wanted) & (np.abs(self._time[row] - self._time[at]) <= APART)
        out[known] = self._own[row[known]] & ((1 << 40) - 1)
        return out


def own_number(capture: NDArray[np.int16], packet: I64) -> I64:
    """(capture, packet number) as one int64."""
    return (capture.astype(np.int64) << 40) | packet
