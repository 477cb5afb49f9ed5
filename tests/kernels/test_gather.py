"""Rows moved by address against numpy, and the instructions against the loops that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector.kernels.kernel
from inspector.kernels import gather, instructions
from inspector.kernels.instructions import load64, load64_bytewise, lowest_bit, lowest_bit_stepwise, move, move_bytewise
from inspector.kernels.kernel import kernel

DTYPES = (np.int64, np.uint64, np.int32, np.uint16, np.uint8, np.bool_)


@pytest.fixture(autouse=True)
def compiled():
    inspector.kernels.kernel.use("compiled")
    yield
    inspector.kernels.kernel.use("plain")


def parts_of(sizes: list[int], seed: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [[rng.integers(0, 2 if d is np.bool_ else 200, n).astype(d) for d in DTYPES] for n in sizes]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=4).filter(any), st.integers(0, 2**32), st.booleans(),
    st.integers(0, 3 * gather.FEW),
)  # fmt: skip
def test_rows_are_those_that_numpy_takes(sizes: list[int], seed: int, blanks: bool, n: int):
    parts, total = parts_of(sizes, seed), sum(sizes)
    order = np.random.default_rng(seed + 1).integers(-1 if blanks else 0, total, n)
    fills = [-1, 7, -1, 3, 200, 1] if blanks else None
    found = gather.take(parts, order, fills)
    for c, columns in enumerate(zip(*parts, strict=True)):
        whole = np.concatenate(columns)
        wanted = whole[order]
        if fills:
            wanted[order < 0] = np.array(fills[c]).astype(whole.dtype)
        assert found[c].dtype == whole.dtype
        assert (found[c] == wanted).all()


@pytest.mark.parametrize("bad", [-1, 60])
@pytest.mark.parametrize("n", [10, 2 * gather.FEW])
def test_a_row_that_is_not_there(bad: int, n: int):
    order = np.zeros(n, np.int64)
    order[n // 2] = bad
    with pytest.raises(IndexError):
        gather.take(parts_of([40, 20], 1), order)


def test_strided_columns():
    rows = np.arange(3000).reshape(1000, 3)
    order = np.arange(999, -1, -1)
    assert (gather.take([[rows[:, 1]]], order)[0] == rows[::-1, 1]).all()


@kernel
def by_instructions(data, at, out):
    """One call of each."""
    out[0] = load64(data, at)
    out[1] = lowest_bit(out[0])


@kernel
def by_loops(data, at, out):
    """The same."""
    out[0] = load64_bytewise(data, at)
    out[1] = lowest_bit_stepwise(out[0])


@kernel
def moved(target, at, source, begin, size):
    """By the instruction."""
    move(target, at, source, begin, size)


@kernel
def moved_by_loop(target, at, source, begin, size):
    """By the loop."""
    move_bytewise(target, at, source, begin, size)


def test_instructions_are_the_loops_that_they_stand_for():
    rng = np.random.default_rng(3)
    data = rng.integers(0, 256, 64, dtype=np.uint8)
    data[40:47] = 0
    for at in range(len(data) - 7):
        found = []
        for mode in ("plain", "compiled"):
            inspector.kernels.kernel.use(mode)
            for way in (by_instructions, by_loops):
                out = np.zeros(2, np.uint64)
                way(data, at, out)
                found.append(out.tolist())
        word = int.from_bytes(data[at : at + 8].tobytes(), "little")
        assert found == [[word, (word & -word).bit_length() - 1]] * 4


def test_bytes_are_moved():
    source = np.arange(100, dtype=np.uint8)
    for size in (-1, 0, 1, 7, 8, 31, 64):
        for mode in ("plain", "compiled"):
            inspector.kernels.kernel.use(mode)
            for way in (moved, moved_by_loop):
                target = np.full(100, 255, np.uint8)
                way(target, 3, source, 5, size)
                n = max(size, 0)
                assert target.tolist() == [255] * 3 + list(range(5, 5 + n)) + [255] * (97 - n)


def test_items_are_copied_in_plain_python_as_well():
    for size, copy in (
        (1, instructions.copy1),
        (2, instructions.copy2),
        (4, instructions.copy4),
        (8, instructions.copy8),
    ):
        a, b = np.arange(1, 17, dtype=np.uint8), np.zeros(16, np.uint8)
        copy.plain(b.ctypes.data + 3, a.ctypes.data + 2)
        assert b.tolist() == [0] * 3 + list(range(3, 3 + size)) + [0] * (13 - size)
