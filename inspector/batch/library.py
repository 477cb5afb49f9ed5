"""The store as tables: pandas DataFrames with filters pushed down to files, row groups and columns; or a pyarrow dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from inspector.batch.rows import system
from inspector.batch.schema import PARTITIONS, TABLES, schema
from inspector.batch.store import StoreFolder
from inspector.errors import UsageError
from inspector.lang import _

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds

Moment: TypeAlias = "str | date | datetime | int | pd.Timestamp | None"  # text as ISO 8601, int as ns since the epoch
Words: TypeAlias = str | Sequence[str] | None
T = TypeVar("T")
TRIES = 3  # where a run replaces a unit while it is read


class Store:
    """A store that is read. Every method takes the same filters; `columns` reads these only.

    since, until: a moment each (UTC where it names no zone): rows from `since` on and before `until`, by the time of the request.
    day: "2026-11-21" (of a unit's first packet) or several; source: a name or several; columns: names, all without it.
    Frames keep nanoseconds, and use pandas' nullable integers and booleans.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.folder = StoreFolder(root)
        self.root = self.folder.root

    def units(
        self,
        since: Moment = None,
        until: Moment = None,
        day: Words = None,
        source: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row a unit; those of which no packet could be read have no time and are always in."""
        return self._frame("units", _spanning(since, until), day, source, columns, until)

    def captures(
        self,
        since: Moment = None,
        until: Moment = None,
        day: Words = None,
        source: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row a file; those of which no packet could be read are always in."""
        return self._frame("captures", _spanning(since, until), day, source, columns, until)

    def exchanges(
        self,
        since: Moment = None,
        until: Moment = None,
        day: Words = None,
        source: Words = None,
        leg: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row an exchange, in no particular order."""
        where = _both(_timed(since, until, ("request_time", "response_time")), _among("leg", leg))
        return self._frame("exchanges", where, day, source, columns, until)

    def mirrors(
        self,
        since: Moment = None,
        until: Moment = None,
        day: Words = None,
        source: Words = None,
        verdict: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row a mirror, in no particular order."""
        where = _both(_timed(since, until, ("request_time",)), _among("verdict", verdict))
        return self._frame("mirrors", where, day, source, columns, until)

    def differences(
        self,
        since: Moment = None,
        until: Moment = None,
        day: Words = None,
        source: Words = None,
        verdict: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row a difference between a mirror and its original; time and verdict are those of the mirror."""
        if since is None and until is None and verdict is None:
            return self._frame("differences", None, day, source, columns, None)
        few = self.mirrors(since, until, day, source, verdict, columns=["unit", "id"])
        wanted = list(dict.fromkeys([*(columns or self.names("differences")), "unit", "mirror"]))
        rows = self._frame("differences", None, day, source, wanted, until)
        for frame in (few, rows):
            frame["unit"] = frame["unit"].astype(str)
        found = rows.merge(few.rename(columns={"id": "mirror"}), on=["unit", "mirror"], how="inner")
        return found[list(columns or self.names("differences"))]

    def faults(
        self,
        since: Moment = None,
        until: Moment = None,
        day: Words = None,
        source: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row a kind of fault of a file; the time is that of the file."""
        if since is None and until is None:
            return self._frame("faults", None, day, source, columns, None)
        files = self.captures(since, until, day, source, columns=["unit", "capture"])
        wanted = list(dict.fromkeys([*(columns or self.names("faults")), "unit", "capture"]))
        rows = self._frame("faults", None, day, source, wanted, until)
        for frame in (files, rows):
            frame["unit"] = frame["unit"].astype(str)
        return rows.merge(files, on=["unit", "capture"], how="inner")[list(columns or self.names("faults"))]

    def names(self, table: str) -> list[str]:
        """The columns of a table, those of the partitions last."""
        return [*TABLES[table], *PARTITIONS]

    def dataset(self, table: str, day: Words = None, source: Words = None) -> ds.Dataset:
        """A table as a pyarrow dataset; `day`, `source` and `unit` are columns. Raises UsageError for no such table."""
        import pyarrow as pa
        import pyarrow.dataset as ds

        if table not in TABLES:
            raise UsageError(
                _("there is no table {table}").format(table=repr(table)),
                _("tables: {tables}").format(tables=", ".join(TABLES)),
            )
        days, sources = _set(day), _set(source)
        files = [
            self.folder.file(place, table)
            for place in self.folder.places()
            if (days is None or place.day in days) and (sources is None or place.source in sources)
        ]
        parts = pa.schema([(name, pa.string()) for name in PARTITIONS])
        whole = pa.schema([*schema(table), *parts])
        if not files:
            return ds.dataset(whole.empty_table())
        hive = ds.partitioning(parts, flavor="hive")
        there = system(self.root)
        return ds.dataset(
            files, schema=whole, format="parquet", partitioning=hive, partition_base_dir="data", filesystem=there
        )

    def table(
        self,
        table: str,
        where: ds.Expression | None = None,
        day: Words = None,
        source: Words = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows as an Arrow table. where: a filter of pyarrow.dataset."""
        return self._again(lambda: self.dataset(table, day, source).to_table(columns=_list(columns), filter=where))

    def _frame(
        self,
        table: str,
        where: ds.Expression | None,
        day: Words,
        source: Words,
        columns: Sequence[str] | None,
        until: Moment,
    ) -> pd.DataFrame:
        for name in columns or ():
            if name not in self.names(table):
                raise UsageError(
                    _("{table} has no column {name}").format(table=table, name=repr(name)),
                    _("columns: {names}").format(names=", ".join(self.names(table))),
                )
        if until is not None:  # a unit's day is that of its first packet: no later one holds anything earlier
            where = _both(where, _until_day(until))
        return frame(self.table(table, where, day, source, columns))

    def _again(self, read: Callable[[], T]) -> T:
        """Read once more where a run has replaced a unit meanwhile."""
        for _try in range(TRIES - 1):
            try:
                return read()
            except FileNotFoundError:
                continue
        return read()


def open_store(root: str | os.PathLike[str]) -> Store:
    """The store at `root`, to be read. Raises UsageError where there is none."""
    return Store(root)


def frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as pandas: integers and booleans that may be null, times in ns, words as categories."""
    import pandas as pd
    import pyarrow as pa

    kinds = {pa.int64(): pd.Int64Dtype(), pa.int16(): pd.Int16Dtype(), pa.bool_(): pd.BooleanDtype()}
    found: pd.DataFrame = table.to_pandas(types_mapper=kinds.get, split_blocks=True, self_destruct=False)
    return found


def moment(value: Moment) -> int | None:
    """ns since the epoch (UTC where no zone is named). Raises UsageError for what is not a time."""
    if value is None or isinstance(value, int):
        return value
    import pandas as pd

    try:
        at = pd.Timestamp(value)
        if pd.isna(at):
            raise ValueError
        at = at.tz_localize("UTC") if at.tzinfo is None else at.tz_convert("UTC")
        return int(at.as_unit("ns").value)
    except (ValueError, TypeError, OverflowError):
        raise UsageError(
            _("{value} is not a time").format(value=repr(value)), _("write 2026-11-21 or 2026-11-21T10:00:00Z")
        ) from None


def _stamp(value: int) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(value, pa.timestamp("ns", tz="UTC"))


def _timed(since: Moment, until: Moment, columns: tuple[str, ...]) -> ds.Expression | None:
    """Rows whose time is in the span: the first of the columns that is not null."""
    import pyarrow.dataset as ds

    where: ds.Expression | None = None
    for value, later in ((moment(since), True), (moment(until), False)):
        if value is None:
            continue
        one: ds.Expression | None = None
        for name in reversed(columns):
            fits = ds.field(name) >= _stamp(value) if later else ds.field(name) < _stamp(value)
            one = fits if one is None else fits | (ds.field(name).is_null() & one)
        where = _both(where, one)
    return where


def _spanning(since: Moment, until: Moment) -> ds.Expression | None:
    """Rows with `first` and `last` that touch the span, or without them."""
    import pyarrow.dataset as ds

    where: ds.Expression | None = None
    begin, end = moment(since), moment(until)
    if begin is not None:
        where = (ds.field("last") >= _stamp(begin)) | ds.field("last").is_null()
    if end is not None:
        where = _both(where, (ds.field("first") < _stamp(end)) | ds.field("first").is_null())
    return where


def _until_day(until: Moment) -> ds.Expression:
    import pyarrow.dataset as ds

    day = datetime.fromtimestamp((moment(until) or 0) / 1e9 + 1, UTC).date().isoformat()
    return (ds.field("day") <= day) | (ds.field("day") == "unknown")


def _among(name: str, words: Words) -> ds.Expression | None:
    import pyarrow.dataset as ds

    chosen = _set(words)
    return None if chosen is None else ds.field(name).isin(sorted(chosen))


def _both(one: ds.Expression | None, other: ds.Expression | None) -> ds.Expression | None:
    return other if one is None else one if other is None else one & other


def _set(words: Words) -> set[str] | None:
    return None if words is None else {words} if isinstance(words, str) else set(words)


def _list(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)
