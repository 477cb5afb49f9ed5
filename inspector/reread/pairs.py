"""The pairs that are to be compared, as rows of numbers: all that a second reading must know of them, in order of time.

A pair has a row for its original and one for its mirror. Reading takes them up when it comes to their time, so it holds no more
than what is open; the rows lie in memory, or in a file without a name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture import parse_address
from inspector.inspection.copies_across_captures import own_number
from inspector.inspection.merge_sorted import Place, Slab, merged
from inspector.ragged import Ragged
from inspector.reread.messages import READABLE
from inspector.reread.second_pass import NONE, endpoints, key_of
from inspector.table import I64
from inspector.views.cache import Memo
from inspector.views.columns import ABSENT, ExchangeColumns, MirrorColumns

SLAB = 1 << 12  # rows that are written and read at once
KEPT = 1 << 15  # rows that stay in memory
FEW = 1 << 16  # clients that are gathered before equal ones are put together

LEG = np.dtype(
    [
        ("time", np.int64),  # of the exchange's first packet, ns
        ("exchange", np.int64),
        ("key", np.int64),  # what is known of it (again.key_of)
        ("asked", np.int64),  # the packet in which its request begins, as own_number(capture, packet); NONE
        ("answered", np.int64),  # the packet in which its response begins; NONE
        ("readable", np.bool_),  # whether it can be read again
        ("pair", np.int64),  # the mirror's number
        ("original", np.int64),  # the exchanges of the pair; NONE where there is no original
        ("mirror", np.int64),
        ("proxy_hi", np.uint64),
        ("proxy_lo", np.uint64),
        ("proxied", np.bool_),  # whether the proxy is known
    ]
)
Rows = NDArray[Any]  # of LEG


class PairRows:
    """Rows for both exchanges of many pairs. pairs: the largest number of one. readable: how many rows can be read again."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: where the rows are written once they are many, to a file without a name; without it they stay in memory."""
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._kept: list[Rows] = []
        self._runs: list[list[Place]] = []
        # Of each run's slabs: where in the list, where in the file, how many rows.
        self._slabs: list[list[tuple[int, int, int]]] = []
        self._rows = 0
        self._clients: list[I64] = []
        self._client = Memo[str, tuple[int, int, int]](_parsed)
        self.pairs = 0
        self.readable = 0

    def add(self, m: MirrorColumns) -> None:
        """The pairs of these mirrors."""
        x = m.exchanges
        original, mirror = np.array(m.original, np.int64), np.array(m.mirror, np.int64)
        there = np.flatnonzero(original >= 0)
        row = np.concatenate([original[there], mirror])
        owner = np.concatenate([there, np.arange(len(m), dtype=np.int64)])
        if not len(row):
            return
        rows = np.zeros(len(row), LEG)
        self._tell_exchanges(rows, x, row)
        ids = np.array([*x.id, NONE], np.int64)  # row -1 is none
        proxies = [self._address(proxy) for proxy in m.proxy]
        rows["pair"] = np.array(m.id, np.int64)[owner]
        rows["original"], rows["mirror"] = ids[original][owner], ids[mirror][owner]
        rows["proxy_hi"] = np.array([p[0] for p in proxies], np.uint64)[owner]
        rows["proxy_lo"] = np.array([p[1] for p in proxies], np.uint64)[owner]
        rows["proxied"] = np.array([p is not None for p in m.proxy])[owner]
        self.pairs = max(self.pairs, *m.id)
        self.readable += int(rows["readable"].sum())
        self._keep(rows[np.lexsort((rows["pair"], rows["exchange"], rows["time"]))])

    def _tell_exchanges(self, rows: Rows, x: ExchangeColumns, row: I64) -> None:
        """What is known of the exchanges `row`."""
        asked, answered = x.request_time != ABSENT, x.response_time != ABSENT
        capture = np.array(x.capture, np.int16)
        requests, responses = _firsts(x.request_packets), _firsts(x.response_packets)
        questions = zip(requests.tolist(), x.path, x.request_id, x.request_body_bytes, strict=True)
        answers = zip(responses.tolist(), x.status, x.response_body_bytes, x.response_body_hash, strict=True)
        keys = [
            key_of(capture, question if has_question else None, answer if has_answer else None)
            for capture, question, answer, has_question, has_answer in zip(
                x.capture, questions, answers, asked.tolist(), answered.tolist(), strict=True
            )
        ]
        columns = {
            "time": np.where(asked, x.request_time, x.response_time),
            "exchange": np.array(x.id, np.int64),
            "key": np.array(keys, np.int64),
            "asked": np.where(asked, own_number(capture, requests), NONE),
            "answered": np.where(answered, responses, NONE),
            "readable": np.array([protocol in READABLE for protocol in x.protocol]),
        }
        for name, values in columns.items():
            rows[name] = values[row]
        clients = np.array(self._client.all(x.client[k] for k in row.tolist()), object)
        hi, lo, port = (clients[:, i].astype(kind) for i, kind in enumerate((np.uint64, np.uint64, np.uint16)))
        self._clients.append(np.unique(endpoints(hi, lo, port)))
        if sum(map(len, self._clients)) > FEW + 2 * len(self._clients[0]):
            self._clients = [np.unique(np.concatenate(self._clients))]

    def _address(self, proxy: str | None) -> tuple[int, int]:
        return (0, 0) if proxy is None else self._client[f"{proxy}:0"][:2]

    def _keep(self, rows: Rows) -> None:
        places, slabs = [], []
        for start in range(0, len(rows), SLAB):
            part = rows[start : start + SLAB]
            places.append((int(part["time"][0]), int(part["exchange"][0])))
            slabs.append((len(self._kept), self._rows, len(part)))
            self._rows += len(part)
            self._kept.append(part)
        self._runs.append(places)
        self._slabs.append(slabs)
        if self._folder is not None and (self._file is not None or self._rows > KEPT):
            self._file = self._file or tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` does
            for part in self._kept:
                self._file.write(part.tobytes())
            self._kept = []

    def _load(self, run: int, number: int) -> Slab[Rows]:
        place, at, count = self._slabs[run][number]
        if self._file is None:
            rows = self._kept[place]
        else:
            self._file.seek(at * LEG.itemsize)
            rows = np.frombuffer(self._file.read(count * LEG.itemsize), LEG)
        return Slab(np.ascontiguousarray(rows["time"]), np.ascontiguousarray(rows["exchange"]), rows)

    def merged(self) -> Iterator[Rows]:
        """All rows in order of time, then of exchanges."""
        for pieces, order, _places in merged(self._runs, self._load):
            yield np.concatenate([rows[a:b] for rows, a, b in pieces])[order]

    def clients(self) -> I64:
        """The clients' addresses and ports, as `again.endpoints`, sorted."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *self._clients]))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def _firsts(packets: Ragged) -> I64:
    """The first packet of each message, 0 where there is none."""
    out = np.zeros(len(packets), np.int64)
    there = packets.lengths > 0
    out[there] = packets.values[packets.offsets[:-1][there]]
    return out


def _parsed(client: str) -> tuple[int, int, int]:
    address, _colon, port = client.rpartition(":")
    return *parse_address(address), int(port)
