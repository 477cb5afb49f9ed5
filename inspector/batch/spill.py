"""Rows of a table that wait on disk until their order and their numbers are known: sorted runs in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.batch.schema import schema
from inspector.inspection.runs import Place, Slab, merged
from inspector.table import I64

if TYPE_CHECKING:
    import pyarrow as pa

TIME, ID = "_time", "_id"  # the columns that rows are sorted by


class Spill:
    """Rows of some columns of a table. Close it, so that its room on the disk is free."""

    def __init__(self, folder: Path, table: str, leave_out: tuple[str, ...] = ()) -> None:
        import pyarrow as pa

        fields = [field for field in schema(table) if field.name not in leave_out]
        plain = [field.with_type(_plain(field.type)) for field in fields]
        self.schema = pa.schema([*plain, (TIME, pa.int64()), (ID, pa.int64())])
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close` does
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(pa.PythonFile(self._file, "w"), self.schema, options=options)
        self._runs: list[list[Place]] = []
        self._first: list[int] = []  # of each run: the number of its first batch
        self._batches = 0
        self._ended = False

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
        arrays = [_array(columns[field.name], field.type) for field in self.schema]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self._runs[-1].append((int(time[0]), int(id_[0])))
        self._batches += 1

    def merged(self, columns: tuple[str, ...] | None = None) -> Iterator[tuple[pa.RecordBatch, I64]]:
        """All rows in order, some at a time, with the ids that they were sorted by. Nothing can be added any more.

        columns: only these are read.
        """
        import pyarrow as pa

        if not self._ended:
            self._ended = True
            self._writer.close()
        names = self.schema.names if columns is None else [*columns, TIME, ID]
        fields = [i for i, name in enumerate(self.schema.names) if name in names]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"), options=options)

        def load(run: int, number: int) -> Slab[pa.RecordBatch]:
            batch = reader.get_batch(self._first[run] + number)
            time, id_ = (batch.column(name).to_numpy() for name in (TIME, ID))
            return Slab(time, id_, batch)

        for pieces, order, places in merged(self._runs, load):
            table = pa.Table.from_batches([batch.slice(start, stop - start) for batch, start, stop in pieces])
            if len(pieces) > 1:
                table = table.take(pa.array(order))
            (whole,) = table.combine_chunks().to_batches()
            yield whole, places.id

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _plain(kind: pa.DataType) -> pa.DataType:
    """A word as text: a file of Arrow has one dictionary for all of its batches."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, type=kind)


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
