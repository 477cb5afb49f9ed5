"""Messages as they came, in parts, and exchanges made of them: a column is put together only where all of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.http.tables import Fact, Messages
from inspector.inspection.located import PLACE_COLUMNS, Placed
from inspector.kernels.gather import take
from inspector.mirror.groups import in_time
from inspector.mirror.tables import NONE, Exchanges
from inspector.ragged import Ragged, Spans, gather
from inspector.table import I64, U8, Bool

REQUEST_COLUMNS = (
    "method", "target", "host", "request_id", "xff", "trace", "span", "parent", "headers", "method_end", "target_end",
    "host_end", "request_id_end", "xff_end", "content_type_end", "attempt",
)  # fmt: skip
# Columns of exchanges, and of messages or places.
FIRST = {name: name for name in (*PLACE_COLUMNS, "id", "version")}
REQUEST = {name: name for name in REQUEST_COLUMNS}
SIDE = {
    "facts": "facts", "marks": "marks", "bytes": "body_bytes", "hash": "body_hash", "gap": "gap_bytes", "time": "first_time",
    "end_time": "last_time",
}  # fmt: skip
ANSWER = {"status": "status", "response_decoded": "decoded", "response_decoded_bytes": "decoded_bytes"}
UNKNOWN_AS = {"attempt": NONE, "status": NONE, "first_time": NONE, "last_time": NONE}  # of all others 0


class Pile:
    """Messages and their places, row by row beside each other, in parts."""

    def __init__(self, messages: list[Messages], placed: list[Placed]) -> None:
        self.messages = [part for part in messages if len(part)]
        self.placed = [part for part in placed if len(part)]
        self._whole: dict[str, Any] = {}

    def __len__(self) -> int:
        return sum(map(len, self.messages))

    def _parts(self, name: str) -> list[Any]:
        tables: list[Any] = [*self.placed] if name in Placed.__dataclass_fields__ else [*self.messages]
        return [getattr(part, name) for part in tables]

    def column(self, name: str) -> NDArray[Any]:
        """A column of all rows."""
        if name not in self._whole:
            parts = self._parts(name)
            self._whole[name] = np.concatenate(parts) if len(parts) > 1 else parts[0]
        whole: NDArray[Any] = self._whole[name]
        return whole

    def taken(self, names: Mapping[str, str], index: I64) -> dict[str, NDArray[Any]]:
        """The rows at `index` of the columns `names`, under other names; of a negative row nothing is known."""
        columns = zip(*(self._parts(source) for source in names.values()), strict=True)
        fills = [UNKNOWN_AS.get(source, 0) for source in names.values()]
        return dict(zip(names, take([list(part) for part in columns], index, fills), strict=True))

    def runs(self, name: str, index: I64) -> Spans:
        """The runs at `index` of a column of runs, empty ones where it is negative."""
        if name not in self._whole:
            self._whole[name] = Ragged.concat(self._parts(name))
        runs: Ragged = self._whole[name]
        starts, lengths = take([[runs.offsets[:-1], runs.lengths]], index, [0, 0])
        return Spans(runs.values, starts, lengths)

    def lines(self, index: I64) -> Spans:
        """The header lines of the responses at `index`, none where it is negative: they stand behind their text fields."""
        text = self.runs("text", index)
        skip = self.taken({"skip": "content_type_end"}, index)["skip"].astype(np.int64)
        return Spans.of(gather(text.values, text.starts + skip, text.lengths - skip))

    def rows(self, index: I64) -> tuple[Messages, Placed]:
        """The rows at `index`, for themselves."""
        return Messages.merged(self.messages, index), Placed.merged(self.placed, index)


@dataclass(frozen=True)
class Over:
    """Beside messages: the time from which on no further byte of their exchange's response can come (ns, NONE where that is not
    shown), and whether no byte of one was sent at all."""

    time: I64
    silent: Bool


def overtake(pile: Pile, over: Over, gone: I64) -> None:
    """A request that got no response, on a connection that goes on, was over when one was sent that all responses before its own
    had arrived for. gone: (2, n), ids of such requests and of what overtook them, NONE where nothing did. `over` is changed."""
    gone = gone[:, gone[1] != NONE]
    if not gone.shape[1]:
        return
    ids = pile.column("id")
    order = np.argsort(ids, kind="stable")
    found = order[np.minimum(np.searchsorted(ids, gone, sorter=order), len(ids) - 1)]
    there = (ids[found] == gone).all(axis=0)
    rows, later = found[:, there]
    rows, later = rows[over.time[rows] == NONE], later[over.time[rows] == NONE]
    over.time[rows] = pile.column("first_time")[later]


def join(pile: Pile, lossy: U8, acked: Bool, refused: I64, over: Over, rows: I64) -> Exchanges:
    """One row a request with its response or alone, one a response alone; sorted by the first packet's time.

    lossy (Lossy), acked, refused (bytes), over: (n,) beside the messages. rows: those to join. An exchange has its first
    message's id.
    """
    if not len(rows):
        return Exchanges.empty()
    ids, asked = pile.column("id"), pile.column("request")
    kind = pile.column("kind")[rows]
    requests, responses = rows[kind == 1], rows[kind == 2]
    requests = requests[np.argsort(ids[requests], kind="stable")]
    known, wanted = ids[requests], asked[responses]
    at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    fits = (wanted >= 0) & (len(known) > 0)
    if len(known):
        fits &= known[at] == wanted
    answer = np.full(len(requests), NONE)
    answer[at[fits]] = responses[fits]
    orphans = responses[~fits]
    request = np.concatenate([requests, np.full(len(orphans), NONE)])
    response = np.concatenate([answer, orphans])
    first = np.where(request >= 0, request, response)
    order = in_time(pile.column("first_time")[first], ids[first])
    request, response, first = request[order], response[order], first[order]
    columns: dict[str, Any] = pile.taken(FIRST, first)
    columns |= pile.taken(REQUEST | {f"request_{name}": source for name, source in SIDE.items()}, request)
    answers = {f"response_{name}": source for name, source in SIDE.items()}
    columns |= pile.taken(ANSWER | answers, response)
    columns["lossy"] = lossy[first]
    columns["acknowledged"] = np.where(response >= 0, acked[response], False)
    if refused.any():
        whole = refused >= pile.column("end") - pile.column("start")
        whole &= refused > 0
        for side, of in (("request", request), ("response", response)):
            columns[f"{side}_facts"] |= np.where((of >= 0) & whole[of], np.uint32(Fact.REFUSED), np.uint32(0))
    columns["request_refused"] = np.where(request >= 0, refused[request], 0)
    columns["response_refused"] = np.where(response >= 0, refused[response], 0)
    columns["over_time"], columns["silent"] = over.time[first], over.silent[first]
    some = np.flatnonzero(response >= 0)
    late = np.maximum(over.time[response[some]], columns["response_end_time"][some])
    open_ended = (columns["response_facts"][some] & Fact.COMPLETE == 0) & (over.time[response[some]] != NONE)
    columns["over_time"][some] = np.where(open_ended, late, NONE)
    columns["silent"][some] = False
    columns["text"] = pile.runs("text", request)
    columns["response_lines"] = pile.lines(response)
    columns["request_packets"] = pile.runs("packets", request)
    columns["response_packets"] = pile.runs("packets", response)
    return Exchanges.build(**columns)
