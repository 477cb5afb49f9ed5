"""From an inspection to Parquet: rows are made from columns, a bounded batch at a time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.batch.schema import DIFFERENCES, TABLES, schema
from inspector.compare.counts import change_of
from inspector.compare.json_bodies import path_text
from inspector.compare.pair import FieldDiff, PairDifference
from inspector.ragged import Ragged
from inspector.storable import everything, named
from inspector.table import I64
from inspector.views.columns import ABSENT, ExchangeColumns, MirrorColumns
from inspector.views.objects import CaptureView

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP, GROUP_BYTES = 1 << 15, 16 << 20  # rows, and bytes, gathered for a row group of a file
VALUE = 200  # characters of a value in `differences`
ENDPOINT = ("original", "mirror", "downstream")
MORE = "..."


class Writer:
    """The files of one unit in `folder`. Use it as a context: a table to which nothing was added has a file without rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, pq.ParquetWriter] = {}
        self._held: dict[str, list[pa.RecordBatch]] = {table: [] for table in TABLES}

    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """Rows as columns: lists, or arrays of Arrow; all of the table's columns, equally long."""
        import pyarrow as pa

        wanted = schema(table)
        arrays = [array(columns[field.name], field.type) for field in wanted]
        held = self._held[table]
        held.append(pa.RecordBatch.from_arrays(arrays, schema=wanted))
        if sum(batch.num_rows for batch in held) >= GROUP or sum(batch.nbytes for batch in held) >= GROUP_BYTES:
            self._flush(table)

    def row(self, table: str, values: Mapping[str, Any]) -> None:
        """One row; what is not given is null."""
        self.add(table, {name: [values.get(name)] for name in TABLES[table]})

    def _flush(self, table: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer = self._open.get(table)
        if writer is None:
            name, there = f"{table}.parquet", system(self.folder)
            writer = self._open[table] = pq.ParquetWriter(name, schema(table), filesystem=there, compression="zstd")
        if self._held[table]:
            writer.write_table(pa.Table.from_batches(self._held[table]).unify_dictionaries())
            self._held[table] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                for table in TABLES:
                    if table in self._open or self._held[table]:
                        self._flush(table)
                    else:
                        (self.folder / f"{table}.parquet").write_bytes(_without_rows(table))
        finally:
            for writer in self._open.values():
                writer.close()


@cache
def _without_rows(table: str) -> bytes:
    """The file of a table without rows: most units have one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(schema(table).empty_table(), sink, compression="zstd")
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def array(values: Any, kind: pa.DataType) -> pa.Array:
    """Values, an array or a list, as an array of Arrow of this type: all that a store holds comes through here.

    Text that Arrow cannot hold is made storable; looking for it in all other text would cost more.
    """
    import pyarrow as pa

    if isinstance(values, pa.Array):
        if pa.types.is_dictionary(kind) and values.type == kind.value_type:
            values = values.dictionary_encode()
        return values if values.type == kind else values.cast(kind)
    try:
        return pa.array(values, type=kind)
    except UnicodeEncodeError:
        return pa.array(everything(list(values)), type=kind)


def system(folder: Path) -> Any:
    """A folder as a file system of Arrow, which takes names in UTF-8 only: the folder's own may be none."""
    import pyarrow.fs

    return pyarrow.fs.SubTreeFileSystem(os.fsencode(folder), pyarrow.fs.LocalFileSystem())


def _moments(values: np.ndarray) -> pa.Array:
    """Times in ns, null where ABSENT."""
    import pyarrow as pa

    return pa.array(values, type=pa.timestamp("ns", tz="UTC"), mask=values == ABSENT)


def _spans(values: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, type=pa.int64(), mask=values == ABSENT)


def _lists(runs: Ragged) -> pa.Array:
    import pyarrow as pa

    offsets = pa.array((runs.offsets - runs.offsets[0]).astype(np.int32))
    inner = runs.values[int(runs.offsets[0]) : int(runs.offsets[-1])]
    return pa.ListArray.from_arrays(offsets, pa.array(inner, type=pa.int64()))


def exchange_columns(x: ExchangeColumns) -> dict[str, Any]:
    """Exchanges as columns of their table, without `id`."""
    columns = {
        name: getattr(x, name)
        for name in (
            "leg", "capture", "client", "server", "connection", "protocol", "method", "path", "host", "status",
            "request_id", "request_body_bytes", "response_body_bytes", "response_body_hash", "complete",
        )
    }  # fmt: skip
    for name in ("request_time", "response_time", "response_end_time"):
        columns[name] = _moments(getattr(x, name))
    columns["duration_ns"] = _spans(x.duration)
    columns["gap_bytes"] = [sum(g.bytes for g in gaps if g.reason != "reset") for gaps in x.gaps]
    for name in ("request_packets", "response_packets"):
        columns[name] = _lists(getattr(x, name))
    return columns


def mirror_columns(m: MirrorColumns) -> dict[str, Any]:
    """Mirrors as columns of their table, without what comparing tells (Same)."""
    x = m.exchanges
    rows = {leg: getattr(m, leg) for leg in ENDPOINT}
    start = x.request_time
    sent = np.array(rows["mirror"], np.int64)
    columns: dict[str, Any] = {
        name: getattr(m, name)
        for name in (
            "id", "verdict", "proof", "reason", "delivered", "arrived", "acknowledged", "request_id", "method", "path",
            "host", "proxy", "paired_by", "confidence",
        )
    }  # fmt: skip
    columns |= {
        "mirror_host": _taken(x.host, rows["mirror"]),
        "lag_ns": _spans(m.lag),
        "request_time": _moments(start[sent]),
        "evidence": _evidence(m),
    }
    packets = _firsts(x.request_packets)
    for leg, at in rows.items():
        columns[f"{leg}_id"] = _taken(x.id, at)
        columns[f"{leg}_status"] = _taken(x.status, at)
        columns[f"{leg}_capture"] = _taken(x.capture, at)
        columns[f"{leg}_packet"] = _taken(packets, at)
        columns[f"{leg}_server"] = _taken(x.server, at)
        if leg != "downstream":
            columns[f"{leg}_duration_ns"] = _taken([None if v == ABSENT else v for v in x.duration.tolist()], at)
    columns["downstream_client"] = _taken(x.client, rows["downstream"])
    return columns


def _taken(values: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    return [values[row] if row >= 0 else None for row in rows]


def _firsts(packets: Ragged) -> list[int | None]:
    """The first packet of each request."""
    values, offsets = packets.values.tolist(), packets.offsets.tolist()
    return [values[a] if b > a else None for a, b in itertools.pairwise(offsets)]


def _evidence(m: MirrorColumns) -> pa.Array:
    import pyarrow as pa

    e, kind = m.evidence, schema("mirrors").field("evidence").type
    steps = pa.StructArray.from_arrays(
        [pa.array(e.capture, pa.int16()), pa.array(e.packet, pa.int64()), array(e.says, pa.string())],
        fields=[kind.value_type.field(i) for i in range(3)],
    )
    return pa.ListArray.from_arrays(pa.array(e.offsets, pa.int32()), steps).cast(kind)


class Same:
    """What comparing told of each mirror (numbered from 1): four small codes, since pairs are not compared in their order."""

    NAMES = ("status_same", "headers_same", "body_same", "request_same")

    def __init__(self, mirrors: int) -> None:
        self.codes = np.full((len(self.NAMES), mirrors + 1), -1, np.int8)

    def tell(self, number: int, d: PairDifference) -> None:
        """Keep the outcome of one pair."""
        parts = (d.line_same, d.request_fields.same, d.request_body.same)
        asked = False if False in parts else None if None in parts else True
        for row, same in enumerate((d.status_same, d.response_fields.same, d.response_body.same, asked)):
            self.codes[row, number] = -1 if same is None else same

    def columns(self, numbers: I64) -> dict[str, Any]:
        """The four columns for these mirrors."""
        import pyarrow as pa

        rows = self.codes[:, numbers]
        return {name: pa.array(rows[k] == 1, mask=rows[k] < 0) for k, name in enumerate(self.NAMES)}


class Differing:
    """Gathers rows of `differences` and writes them in batches."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._rows: list[tuple[int, *Row]] = []

    def tell(self, number: int, d: PairDifference) -> None:
        """Rows for one mirror: at most DIFFERENCES, a last one says that there were more."""
        found = list(itertools.islice(rows_of(d), DIFFERENCES))
        if len(found) == DIFFERENCES:
            found[-1] = ("body", MORE, "changed", False, None, None)
        self._rows += [(number, *row) for row in found]
        if len(self._rows) >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Hand over what is gathered."""
        if self._rows:
            self.writer.add("differences", dict(zip(TABLES["differences"], zip(*self._rows, strict=True), strict=True)))
            self._rows = []


Row = tuple[str, str, str, bool, str | None, str | None]  # part, field, change, expected, original, copy


def rows_of(d: PairDifference) -> Iterator[Row]:
    """Rows of `differences` for one comparison, what should not differ first."""
    if d.status_same is False:
        yield "status", "status", "changed", False, str(d.status[0]), str(d.status[1])
    yield from _fields("header", d.response_fields.unexpected, False)
    body = d.response_body
    if body.same is False:
        told = set()
        for change in body.changes:
            key = (path_text(change.path, fold=True), _change(change.change))
            if key not in told:
                told.add(key)
                yield "body", *key, False, _cut(change.original), _cut(change.mirror)
        if not told:
            first = next((line for line in body.lines if not line.same), None)
            ours, theirs = (first.original, first.mirror) if first else (None, None)
            yield "body", body.kind, "changed", False, _cut(ours), _cut(theirs)
        elif body.more:
            yield "body", MORE, "changed", False, None, None
    if d.line_same is False:
        yield "request", "method and target", "changed", False, _cut(d.line[0]), _cut(d.line[1])
    yield from _fields("request", d.request_fields.unexpected, False)
    if d.request_body.same is False:
        yield "request", "body", "changed", False, None, None
    yield from _fields("header", d.response_fields.expected, True)
    yield from _fields("request", d.request_fields.expected, True)


def _fields(part: str, fields: Iterable[FieldDiff], expected: bool) -> Iterator[Row]:
    for f in fields:
        yield part, f.name[:VALUE], change_of(f), expected, _joined(f.original), _joined(f.mirror)


def _joined(values: tuple[str, ...] | None) -> str | None:
    return None if values is None else _cut(values[0] if len(values) == 1 else ", ".join(values))


def _change(word: str) -> str:
    return word if word in ("added", "removed") else "changed"


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= VALUE else text[: VALUE - 1] + "…"


def captures(writer: Writer, views: Sequence[CaptureView], contents: Sequence[str | None]) -> None:
    """A row a file, and a row for each kind of fault of one. contents: their hashes, beside the views."""
    for number, (view, content) in enumerate(zip(views, contents, strict=True)):
        writer.row(
            "captures",
            {
                "capture": number, "path": named(view.path), "bytes": view.bytes, "content": content, "format": view.format,
                "compression": view.compression, "link_types": view.link_types, "packets": view.packets,
                "copies": view.copies, "first": view.first, "last": view.last, "dropped_tail": view.dropped_tail,
                "warnings": view.warnings, "read": list(view.read), "read_bytes": [size for size, _n in view.read.values()],
                "read_connections": [n for _size, n in view.read.values()],
            },
        )  # fmt: skip
        for code, packets in view.faults.items():
            writer.row("faults", {"capture": number, "code": code, "packets": packets})
