"""The store's tables, read in chunks: only the columns asked for, only the units that can hold what is asked for.

Nothing here makes a Python object a row of `exchanges`, `mirrors` or `differences`; units and captures are few.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from inspector.batch import library
from inspector.batch.library import Moment
from inspector.batch.rows import system
from inspector.batch.schema import TABLES, schema
from inspector.batch.store import StoreFolder
from inspector.errors import InspectorError, UsageError
from inspector.lang import _
from inspector.table import I32, I64, Bool

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

T = TypeVar("T")
TRIES = 3  # of reading all
CHUNK = 1 << 17  # rows passed on at once, or some more
ABSENT = np.iinfo(np.int64).min  # a number or a time that is not known
DAY = 86_400 * 10**9
NUMBER = "unit_number"  # column of every scan: place of the row's unit in the list of units
_SPAN = re.compile(r"(\d{1,6})\s*([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


def moment(since: Moment, now: datetime | None = None) -> int | None:
    """A moment as ns since the epoch: a time or a date (UTC without a zone), or `36h`, `7d`, `2w` before now.

    Raises UsageError for anything else.
    """
    if isinstance(since, str) and (span := _SPAN.fullmatch(since.strip())):
        now = now or datetime.now(UTC)
        return (int(now.timestamp()) - int(span[1]) * _HOURS[span[2]] * 3600) * 10**9
    found = library.moment(since)
    if found == ABSENT:  # pandas reads "" and "NaT" as no time at all
        raise UsageError(
            _("{value} is not a time").format(value=repr(since)), _("write 2026-11-21, or 36h for the last hours")
        )
    return found


@dataclass(frozen=True)
class Files:
    """The complete units of a store: (day, source, key, folder below the store) of each, in that order."""

    system: Any  # the store as a file system of Arrow
    units: tuple[tuple[str, str, str, str], ...]


def files(store: str | os.PathLike[str] | StoreFolder) -> Files:
    """The units of a store. Raises UsageError where there is not a store."""
    folder = store if isinstance(store, StoreFolder) else StoreFolder(store)
    places = ((p.day, p.source, p.unit, p.relative) for p in folder.places())
    return Files(system(folder.root), tuple(places))


def read_again(read: Callable[[], T]) -> T:
    """What `read` gives; once more where a run has replaced a unit while it was read."""
    for _try in range(TRIES - 1):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def small(found: Files, table: str) -> list[dict[str, Any]]:
    """All rows of a table that is small (units, captures, faults), each with NUMBER, `day`, `source` and `unit`. Times are ns."""
    out: list[dict[str, Any]] = []
    for chunk in chunks(found, table, list(TABLES[table])):
        columns = {name: _plain(chunk.column(name)) for name in chunk.column_names}
        numbers = columns[NUMBER]
        for i in range(chunk.num_rows):
            row = {name: values[i] for name, values in columns.items()}
            day, source, unit, _folder = found.units[numbers[i]]
            out.append({**row, "day": day, "source": source, "unit": unit})
    return out


def _plain(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.to_pylist()


def chunks(
    found: Files, table: str, columns: Sequence[str], which: I64 | None = None, folded: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """A table of the units `which` (all of them without), in order, CHUNK rows or more at a time, with NUMBER.

    folded: text columns to be read as dictionaries. Raises InspectorError where a file of the store cannot be read.
    """
    numbers = range(len(found.units)) if which is None else which.tolist()
    if not len(numbers):
        return
    held: list[pa.RecordBatch] = []
    rows = 0
    with unreadable(table):
        data = _dataset(found, table, numbers, folded)
        batches = data.to_batches(columns=[*columns, NUMBER], batch_size=CHUNK, batch_readahead=4, fragment_readahead=4)
        for batch in batches:
            if not batch.num_rows:
                continue
            held.append(batch)
            rows += batch.num_rows
            if rows >= CHUNK:
                yield _joined(held)
                held, rows = [], 0
        if held:
            yield _joined(held)


@contextmanager
def unreadable(table: str) -> Iterator[None]:
    """Makes a clear error of a file that cannot be read."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise  # a run has replaced the unit meanwhile: whoever reads begins again
    except (pa.ArrowException, OSError) as error:
        said = _("the store's table {table} cannot be read: {why}").format(table=table, why=str(error).split("\n")[0])
        raise InspectorError(said, _("run the batch again with --force")) from None


def _dataset(found: Files, table: str, numbers: Sequence[int], folded: Sequence[str]) -> ds.Dataset:
    import pyarrow as pa
    import pyarrow.dataset as ds

    fields = [
        pa.field(f.name, pa.dictionary(pa.int32(), pa.string())) if f.name in folded else f for f in schema(table)
    ]
    words = [f.name for f in fields if pa.types.is_dictionary(f.type)]
    form = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=words))
    paths = [f"{found.units[i][3]}/{table}.parquet" for i in numbers]
    parts = [ds.field(NUMBER) == pa.scalar(i, pa.int32()) for i in numbers]
    whole = pa.schema([*fields, pa.field(NUMBER, pa.int32())])
    return ds.FileSystemDataset.from_paths(
        paths, schema=whole, format=form, filesystem=found.system, partitions=parts, root_partition=ds.scalar(True)
    )


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()


def whole(chunk: pa.Table, name: str) -> I64:
    """(n,) int64: a column of integers, times or durations; ABSENT for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = chunk.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    column = pc.fill_null(column.cast(pa.int64()), pa.scalar(ABSENT, pa.int64()))
    out: I64 = column.to_numpy()
    return out


def flags(chunk: pa.Table, name: str) -> I64:
    """(n,) int64: 1 true, 0 false, -1 null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    out: I64 = pc.fill_null(chunk.column(name).cast(pa.int8()), pa.scalar(-1, pa.int8())).to_numpy().astype(np.int64)
    return out


def coded(chunk: pa.Table, name: str) -> tuple[I64, list[str | None]]:
    """A text column as (n,) codes and the texts they stand for; None, the last of these, is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = chunk.column(name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if not column.num_chunks:
        return np.empty(0, np.int64), [None]
    array = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    texts: list[str | None] = array.dictionary.to_pylist()
    codes = pc.fill_null(array.indices, pa.scalar(len(texts), array.indices.type)).to_numpy().astype(np.int64)
    return codes, [*texts, None]


def together(parts: Sequence[tuple[I64, int]]) -> tuple[I64, I64]:
    """Columns of codes as one: (numbers (n,), the first row of each). parts: codes and how many there may be."""
    key = np.zeros(len(parts[0][0]), np.int64)
    room = 1
    for codes, size in parts:
        if room * size > 1 << 62:
            _first, key = np.unique(key, return_inverse=True)
            room = int(key.max()) + 1 if len(key) else 1
        key = key * size + codes
        room *= size
    _keys, first, numbers = np.unique(key, return_index=True, return_inverse=True)
    return numbers.astype(np.int64), first.astype(np.int64)


def numbers_of(chunk: pa.Table) -> I32:
    """(n,) int32: the place of each row's unit."""
    out: I32 = chunk.column(NUMBER).to_numpy()
    return out


def taken(chunk: pa.Table, mask: Bool) -> pa.Table:
    """The rows of a chunk for which `mask` is true."""
    import pyarrow as pa

    return chunk if mask.all() else chunk.filter(pa.array(mask)).combine_chunks()
