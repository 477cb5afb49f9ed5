"""The hashes of segments: by rows (compiled or not) and by columns they are the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.capture.tables import Segments
from inspector.kernels import kernel
from inspector.table import dtypes
from inspector.tcp import layout as col
from inspector.tcp.duplicates import fill, hash_rows


def segments(n: int, seed: int) -> Segments:
    r = np.random.default_rng(seed)
    columns = {}
    for name, dtype in dtypes(Segments).items():
        assert dtype is not None
        info = np.iinfo(dtype) if dtype.kind in "iu" else None
        low = 0 if name in ("length", "captured") or info is None else info.min
        columns[name] = r.integers(low, info.max if info else 1, n, dtype, endpoint=True)
    return Segments(**columns)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_rows_and_columns_give_the_same_hashes(n: int) -> None:
    s, seed = segments(n, n), 0xFEDCBA9876543210
    by_column, by_row, compiled = (np.empty((col.T_WIDTH, n), np.int64) for _ in range(3))
    fill(s, seed, by_column)
    by_row[:] = by_column
    hashes = [col.T_SRC, col.T_DST, col.T_KEY, col.T_PRINT]
    by_row[hashes] = 0
    hash_rows.plain(memoryview(by_row.view(np.uint64)), memoryview(s.tsval), [seed])
    before = kernel.compiled()
    kernel.use("compiled")
    try:
        fill(s, seed, compiled)
    finally:
        kernel.use("compiled" if before else "plain")
    assert (by_column == by_row).all()
    assert (by_column == compiled).all()
    assert len(np.unique(by_column[col.T_PRINT])) == n
