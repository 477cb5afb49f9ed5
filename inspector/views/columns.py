"""What is shown, as columns: exchanges and mirrors of `views.objects`, a list or an array a field.

Presenter makes columns in bulk; views and machine output are both made from them, so each is fast and they cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.ragged import Ragged
from inspector.table import I64, Bool
from inspector.views.objects import CaptureEnd, Evidence, ExchangeView, GapView, LoneResponseView, MirrorView

ABSENT = int(np.iinfo(np.int64).min)  # in an array where a view has None: a time, a duration, a lag that is not known
V_co = TypeVar("V_co", covariant=True)
C_co = TypeVar("C_co", bound="Chunk[Any]", covariant=True)


class Chunk(Protocol[V_co]):
    """Columns that can be read as views."""

    def views(self) -> Iterator[V_co]:
        """One view a row."""


class Listing(Iterator[V_co], Generic[V_co, C_co]):
    """A listing that is made chunk by chunk: iterate it for views, or take its `chunks` of columns (one or the other)."""

    def __init__(self, chunks: Iterator[C_co]) -> None:
        self.chunks = chunks
        self._views = (view for chunk in chunks for view in chunk.views())

    def __next__(self) -> V_co:
        return next(self._views)


@dataclass(frozen=True, eq=False)
class ExchangeColumns:
    """Exchanges: the fields of ExchangeView in their order, n rows each.

    Lists hold what a view holds. request_packets, response_packets: Ragged of int64. Times and duration: (n,) int64 ns,
    ABSENT where a view has None.
    """

    id: list[int]
    leg: list[str]
    capture: list[int]
    client: list[str]
    server: list[str]
    connection: list[int]
    protocol: list[str]
    method: list[str | None]
    path: list[str | None]
    host: list[str | None]
    status: list[int | None]
    request_id: list[str | None]
    request_packets: Ragged
    response_packets: Ragged
    request_time: I64
    response_time: I64
    response_end_time: I64
    duration: I64
    request_body_bytes: list[int | None]
    response_body_bytes: list[int | None]
    response_body_hash: list[str | None]
    complete: list[bool]
    gaps: list[list[GapView]]
    unread: list[tuple[str, int | None] | None] = field(default_factory=list)  # none at all, or n

    def __len__(self) -> int:
        return len(self.id)

    def views(self) -> Iterator[ExchangeView]:
        """The exchanges as objects."""
        columns = [_listed(getattr(self, name)) for name in EXCHANGE_FIELDS]
        if not any(self.unread):
            return map(ExchangeView, *columns)
        rows = zip(self.unread, zip(*columns, strict=True), strict=True)
        return (ExchangeView(*row) if why is None else LoneResponseView(*row, why) for why, row in rows)  # type: ignore[call-arg]

    @staticmethod
    def of(views: Iterable[ExchangeView]) -> ExchangeColumns:
        """Objects back to columns."""
        views = list(views)
        columns: dict[str, Any] = {name: [getattr(v, name) for v in views] for name in EXCHANGE_FIELDS}
        for name in ("request_packets", "response_packets"):
            columns[name] = Ragged.of(columns[name], np.int64)
        for name in ("request_time", "response_time", "response_end_time", "duration"):
            columns[name] = _array(columns[name])
        return ExchangeColumns(**columns, unread=[v.unread for v in views])


@dataclass(frozen=True, eq=False)
class EvidenceColumns:
    """Steps of the evidence: those of mirror i are rows offsets[i] to offsets[i + 1]."""

    capture: list[int]
    packet: list[int]
    says: list[str]
    offsets: list[int]


@dataclass(frozen=True, eq=False)
class MirrorColumns:
    """Mirrors: the fields of MirrorView, n rows each; exchanges by row of `exchanges`, -1 where there is none.

    lag: (n,) int64 ns, ABSENT where a view has None. paired_by and proof hold tuples, shared by rows.
    """

    exchanges: ExchangeColumns
    id: list[int]
    request_id: list[str | None]
    method: list[str | None]
    path: list[str | None]
    host: list[str | None]
    proxy: list[str | None]
    original: list[int]
    mirror: list[int]
    downstream: list[int]
    paired_by: list[tuple[str, ...]]
    confidence: list[float]
    lag: I64
    verdict: list[str]
    proof: list[tuple[str, ...]]
    reason: list[str | None]
    delivered: list[str]
    arrived: list[str]
    acknowledged: list[bool]
    evidence: EvidenceColumns
    rivals: list[int]
    end: list[CaptureEnd | None]

    def __len__(self) -> int:
        return len(self.id)

    def views(self) -> Iterator[MirrorView]:
        """The mirrors as objects."""
        exchanges: list[ExchangeView | None] = [*self.exchanges.views(), None]  # row -1 is None
        steps = list(map(Evidence, self.evidence.capture, self.evidence.packet, self.evidence.says))
        columns = {name: _listed(getattr(self, name)) for name in MIRROR_FIELDS if name != "evidence"}
        for name in ("original", "mirror", "downstream"):
            columns[name] = [exchanges[row] for row in columns[name]]
        for name in ("paired_by", "proof"):
            columns[name] = list(map(list, columns[name]))
        offsets = self.evidence.offsets
        columns["evidence"] = [steps[a:b] for a, b in pairwise(offsets)]
        return map(MirrorView, *(columns[name] for name in MIRROR_FIELDS))

    @staticmethod
    def of(views: Iterable[MirrorView]) -> MirrorColumns:
        """Objects back to columns."""
        views = list(views)
        columns: dict[str, Any] = {name: [getattr(v, name) for v in views] for name in MIRROR_FIELDS}
        exchanges: list[ExchangeView] = []
        for name in ("original", "mirror", "downstream"):
            rows = []
            for exchange in columns[name]:
                rows.append(-1 if exchange is None else len(exchanges))
                if exchange is not None:
                    exchanges.append(exchange)
            columns[name] = rows
        for name in ("paired_by", "proof"):
            columns[name] = list(map(tuple, columns[name]))
        steps = [step for row in columns["evidence"] for step in row]
        offsets = [0, *np.cumsum([len(row) for row in columns["evidence"]], dtype=np.int64).tolist()]
        columns["evidence"] = EvidenceColumns(
            [s.capture for s in steps], [s.packet for s in steps], [s.says for s in steps], offsets
        )
        return MirrorColumns(ExchangeColumns.of(exchanges), **{**columns, "lag": _array(columns["lag"])})


EXCHANGE_FIELDS = tuple(f.name for f in fields(ExchangeView))
MIRROR_FIELDS = tuple(f.name for f in fields(MirrorView))


def _listed(column: Any) -> list[Any]:
    """A column as a view's values."""
    if isinstance(column, Ragged):
        values = column.values.tolist()
        return [values[a:b] for a, b in pairwise(column.offsets.tolist())]
    if isinstance(column, np.ndarray):
        return optional(column, column != ABSENT)
    return column


def optional(values: NDArray[np.signedinteger[Any]], known: Bool) -> list[Any]:
    """The values as a list, None where they are not known."""
    out: list[Any] = values.tolist()
    for i in np.flatnonzero(~known).tolist():
        out[i] = None
    return out


def _array(values: list[int | None]) -> I64:
    return np.array([ABSENT if v is None else v for v in values], np.int64)
