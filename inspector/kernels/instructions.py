"""What a processor does in one step and a loop over bytes in many: words at any place, the lowest bit, moving bytes.

Called from kernels like other kernels. Plain, each is a line of Python; compiled, the instruction itself; with every index
checked (`cache.checked`), the loop that it stands for.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.kernel import Kernel, instruction, kernel

U8 = NDArray[np.uint8]
M = 0xFFFFFFFFFFFFFFFF


@kernel
def load64_bytewise(data: U8, i: int) -> int:
    """As `load64`."""
    low = (data[i] & M) | (data[i + 1] & M) << 8 | (data[i + 2] & M) << 16 | (data[i + 3] & M) << 24
    high = (data[i + 4] & M) | (data[i + 5] & M) << 8 | (data[i + 6] & M) << 16 | (data[i + 7] & M) << 24
    return low | high << 32


@kernel
def move_bytewise(target: U8, at: int, source: U8, begin: int, size: int) -> None:
    """As `move`."""
    for k in range(size):
        target[at + k] = source[begin + k]


@kernel
def lowest_bit_stepwise(word: int) -> int:
    """As `lowest_bit`."""
    bit = 0
    while bit < 63 and (word >> bit) & 1 == 0:
        bit += 1
    return bit


@kernel
def prefetch_nothing(rows: Sized, row: int) -> None:
    """As `prefetch`, which changes nothing but the time."""


def _load64() -> Any:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    def typed(typing: Any, data: Any, i: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _pointer(context, builder, signature.args[0], args[0], args[1])
            word = builder.bitcast(place, ir.IntType(64).as_pointer())
            return builder.load(word, align=1)

        return types.uint64(data, types.int64), generate

    return intrinsic(typed)


def _move() -> Any:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    def typed(typing: Any, target: Any, at: Any, source: Any, begin: Any, size: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            to = _pointer(context, builder, signature.args[0], args[0], args[1])
            of = _pointer(context, builder, signature.args[2], args[2], args[3])
            kinds = [to.type, of.type, ir.IntType(64)]
            copy = builder.module.declare_intrinsic("llvm.memmove", kinds)
            some = builder.icmp_signed(">", args[4], ir.Constant(ir.IntType(64), 0))
            with builder.if_then(some):  # a negative number would be a very large one
                builder.call(copy, [to, of, args[4], ir.Constant(ir.IntType(1), 0)])
            return context.get_dummy_value()

        word = types.int64
        return types.none(target, word, source, word, word), generate

    return intrinsic(typed)


def _lowest_bit() -> Any:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    def typed(typing: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.uint64), generate

    return intrinsic(typed)


def _copy_item(size: int) -> Callable[[], Any]:
    def build() -> Any:
        from llvmlite import ir
        from numba.core import types
        from numba.extending import intrinsic

        item = ir.IntType(8 * size)

        def typed(typing: Any, target: Any, source: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                to, of = (builder.inttoptr(address, item.as_pointer()) for address in args)
                builder.store(builder.load(of, align=1), to, align=1)
                return context.get_dummy_value()

            return types.none(types.int64, types.int64), generate

        return intrinsic(typed)

    return build


def _prefetch() -> Any:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    def typed(typing: Any, rows: Any, row: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            stride = builder.extract_value(array.strides, 0)
            byte = ir.IntType(8).as_pointer()
            place = builder.gep(builder.bitcast(array.data, byte), [builder.mul(stride, args[1])])
            kind = ir.FunctionType(ir.VoidType(), [byte] + 3 * [ir.IntType(32)])
            hint = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
            builder.call(hint, [place, *(ir.Constant(ir.IntType(32), n) for n in (0, 3, 1))])  # read, keep, data
            return context.get_dummy_value()

        return types.none(rows, types.int64), generate

    return intrinsic(typed)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where `array[index]` stands: the arrays of kernels have no holes."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _little(build: Callable[[], Any]) -> Callable[[], Any] | None:
    return build if sys.byteorder == "little" else None


@instruction(_little(_load64), load64_bytewise)
def load64(data: U8, i: int) -> int:
    """The little-endian 64-bit word at byte `i`. Precondition: it lies in `data`."""
    return int.from_bytes(bytes(data[i : i + 8]), "little")


@instruction(_move, move_bytewise, version=2)
def move(target: U8, at: int, source: U8, begin: int, size: int) -> None:
    """target[at : at + size] = source[begin : begin + size]. Nothing where size < 1. Precondition: both lie in their arrays."""
    if size > 0:
        target[at : at + size] = source[begin : begin + size]


@instruction(_lowest_bit, lowest_bit_stepwise)
def lowest_bit(word: int) -> int:
    """The number of the lowest bit that is set. Precondition: one is."""
    return (word & -word).bit_length() - 1


@instruction(_prefetch, prefetch_nothing)
def prefetch(rows: Sized, row: int) -> None:
    """The first bytes of rows[row] will be read soon: the processor may fetch them meanwhile. Precondition: the row is there."""


def _copier(size: int) -> Kernel[[int, int], None]:
    """An instruction for items of `size` bytes: that at address `source` goes to address `target`."""

    def copy(target: int, source: int) -> None:
        ctypes.memmove(target, source, size)

    copy.__name__ = f"copy{size}"
    return instruction(_copy_item(size))(copy)


copy1, copy2, copy4, copy8 = map(_copier, (1, 2, 4, 8))  # precondition: the caller owns both items
