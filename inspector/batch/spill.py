"""Rows of a table that wait on disk until their order and their numbers are known: sorted runs in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from inspector.batch.rows import array
from inspector.batch.schema import schema
from inspector.inspection.merge_sorted import Place, Slab, merged
from inspector.table import I64

if TYPE_CHECKING:
    import pyarrow as pa

FEW = 4 << 20  # bytes that stay in memory
TIME, ID = "_time", "_id"  # the columns that rows are sorted by


class Spill:
    """Rows of some columns of a table: in memory while they are few, then in the file. `close` frees its room on the disk."""

    def __init__(self, folder: Path, table: str, leave_out: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self.schema = _spilled(table, leave_out)
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0  # of these
        self._file: IO[bytes] | None = None
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._runs: list[list[Place]] = []
        self._first: list[int] = []  # of each run: the number of its first batch
        self._batches = 0

    def begin(self) -> None:
        """A new run: what is added from now on is in order by itself."""
        self._runs.append([])
        self._first.append(self._batches)

    def add(self, columns: Mapping[str, Any], time: I64, id_: I64) -> None:
        """Rows of the run, as columns, at their places in the order of all."""
        import pyarrow as pa

        if not len(time):
            return
        columns = {**columns, TIME: time, ID: id_}
        arrays = [array(columns[field.name], field.type) for field in self.schema]
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self._bytes += self._held[-1].nbytes
        self._runs[-1].append((int(time[0]), int(id_[0])))
        self._batches += 1
        if self._writer is not None or self._bytes > FEW:
            self._spill()

    def _spill(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` does
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_file(pa.PythonFile(self._file, "w"), self.schema, options=options)
        for batch in self._held:
            self._writer.write_batch(batch)
        self._held = []

    def merged(self, columns: tuple[str, ...] | None = None) -> Iterator[tuple[pa.RecordBatch, I64]]:
        """All rows in order, some at a time, with the ids that they were sorted by. Nothing can be added any more.

        columns: only these are read.
        """
        import pyarrow as pa

        batch_at = self._reader([*(self.schema.names if columns is None else columns), TIME, ID])

        def load(run: int, number: int) -> Slab[pa.RecordBatch]:
            batch = batch_at(self._first[run] + number)
            time, id_ = (batch.column(name).to_numpy() for name in (TIME, ID))
            return Slab(time, id_, batch)

        for pieces, order, places in merged(self._runs, load):
            parts = [batch.slice(start, stop - start) for batch, start, stop in pieces]
            if len(parts) > 1:
                (whole,) = pa.Table.from_batches(parts).take(pa.array(order)).combine_chunks().to_batches()
            else:
                whole = parts[0]
            yield whole, places.id

    def _reader(self, names: list[str]) -> Callable[[int], pa.RecordBatch]:
        """What gives batch by batch with these columns."""
        import pyarrow as pa

        if self._file is None:
            return self._held.__getitem__
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        fields = [i for i, name in enumerate(self.schema.names) if name in names]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        read: Callable[[int], pa.RecordBatch] = pa.ipc.open_file(
            pa.PythonFile(self._file, "r"), options=options
        ).get_batch
        return read

    def close(self) -> None:
        """Let go of the rows."""
        self._held = []
        if self._file is not None:
            self._file.close()


@cache
def _spilled(table: str, leave_out: tuple[str, ...]) -> pa.Schema:
    """The table's columns without `leave_out`, and those that rows are sorted by."""
    import pyarrow as pa

    fields = [field for field in schema(table) if field.name not in leave_out]
    return pa.schema([*(field.with_type(_plain(field.type)) for field in fields), (TIME, pa.int64()), (ID, pa.int64())])


def _plain(kind: pa.DataType) -> pa.DataType:
    """A word as text: a file of Arrow has one dictionary for all of its batches."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


class Numbers:
    """What number each id got: four bytes an id. Ids count up from 0, so that few are unused."""

    def __init__(self) -> None:
        self._numbers = np.zeros(1 << 12, np.uint32)

    def give(self, ids: I64, first: int) -> I64:
        """Number these ids first, first + 1, ...; the numbers."""
        numbers = np.arange(first, first + len(ids))
        most = int(ids.max(initial=0))
        if most >= len(self._numbers):
            room = np.zeros(most + most // 4 + 1, np.uint32)
            room[: len(self._numbers)] = self._numbers
            self._numbers = room
        self._numbers[ids] = numbers
        return numbers

    def __getitem__(self, id_: int) -> int:
        return int(self._numbers[id_])

    def of(self, ids: pa.Array) -> pa.Array:
        """The numbers of ids, null where there is none."""
        import pyarrow as pa

        return pa.array(self._numbers[ids.fill_null(0).to_numpy()].astype(np.int64), mask=ids.is_null().to_numpy(False))
