"""Compiled kernels as machine code on disk: made once with numba, loaded later by llvmlite alone.

numba's own cache needs numba to be imported and every kernel's types to be unpickled again: most of a second and 60 MB before the
first packet is read. The object code is all that a later run needs. A kernel is called by numba's calling convention
(`numba/core/callconv.py`, CPUCallConv): `status = f(&result, &exception, *arguments)`, an array being seven or more of them
(`numba/core/datamodel/models.py`, ArrayModel): memory info, parent, items, item size, data, shape and strides.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import json
import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LAYOUT = "2"  # of the cached files
UNUSED = 90 * 86400  # seconds after which what nobody loads is taken away
TOUCHED = 7 * 86400  # seconds after which a file that is loaded gets a new time
PARTIAL = 86400  # seconds after which a file that nobody finished is left over
FOLDER = re.compile(r"kernels-[\w-]+-[0-9a-f]{16}")
FILE = re.compile(r".+\.o|warm-[0-9a-f]{16}")
SCALARS = {"int64": ctypes.c_int64, "uint64": ctypes.c_uint64, "bool": ctypes.c_int8}
_BYTE = ctypes.c_char
_lock = threading.RLock()
_engine: Any = None


class Entry:
    """A kernel compiled for one signature, ready to be called."""

    def __init__(self, address: int, dims: tuple[int, ...], result: list[str]) -> None:
        """`dims`: of each argument its dimensions, 0 for an integer; `result`: the scalar types it gives."""
        kinds: list[Any] = []
        for n in dims:
            kinds += [ctypes.c_int64] * (5 + 2 * n) if n else [ctypes.c_int64]
        self._call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(address)
        fields: list[tuple[str, Any]] = [(f"f{k}", SCALARS[word]) for k, word in enumerate(result)]
        self._shape = type("Result", (ctypes.Structure,), {"_fields_": fields or [("none", ctypes.c_void_p)]})
        self._result = [(name, word == "bool") for (name, _), word in zip(fields, result, strict=True)]

    def __call__(self, arguments: list[int]) -> Any:
        """Run it on arguments laid out by `lay_out`. Raises IndexError where it was compiled with bound checks and one failed."""
        out, exception = self._shape(), ctypes.c_void_p()
        status = self._call(ctypes.byref(out), ctypes.byref(exception), *arguments)
        if status:
            raise IndexError(f"an inner loop stopped with status {status}")
        values = [bool(getattr(out, name)) if truth else getattr(out, name) for name, truth in self._result]
        if len(values) < 2:
            return values[0] if values else None
        return tuple(values)


def lay_out(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[int]]:
    """The signature of arguments (a dtype's letter and the dimensions for an array, 0 for an integer), and the arguments as
    the calling convention has them. Raises TypeError for an array that is not C-contiguous."""
    key: list[Any] = []
    flat: list[int] = []
    for a in args:
        if type(a) is np.ndarray:
            if not a.flags.c_contiguous:
                raise TypeError("an inner loop takes arrays without holes only")
            shape, item = a.shape, a.itemsize
            key.append(_spelled(a.dtype, len(shape)))
            if len(shape) == 1:
                n = shape[0]
                flat += (0, 0, n, item, _where(a), n, item)
            else:
                rows, columns = shape
                flat += (0, 0, rows * columns, item, _where(a), rows, columns, columns * item, item)
        elif isinstance(a, tuple):
            inner, more = lay_out(a)
            key.append((type(a), inner))
            flat += more
        else:
            key.append(0)
            flat.append(int(a))
    return tuple(key), flat


@functools.cache
def _spelled(dtype: np.dtype[Any], dimensions: int) -> str:
    return f"{dtype.str}{dimensions}"


def _where(array: Any) -> int:
    """The address of an array's items: as a buffer it comes in a third of the time of the array's own interface."""
    try:
        return ctypes.addressof(_BYTE.from_buffer(array))
    except (TypeError, ValueError):  # it cannot be written, or has no items
        address: int = array.__array_interface__["data"][0]
        return address


def named(key: tuple[Any, ...]) -> list[Any]:
    """A signature as it is written down: bundles by the names of their class and of its fields."""
    return [
        part if not isinstance(part, tuple) else [part[0].__qualname__, list(part[0]._fields), named(part[1])]
        for part in key
    ]


def load(folder: Path, name: str, key: tuple[Any, ...]) -> Entry | None:
    """The kernel `name` for signature `key` from the cache in `folder`; None where it is not there, or not whole."""
    head = _file(folder, name, key)
    try:
        with open(os.open(head, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not _own(os.fstat(file.fileno())):
                return None
            about = json.loads(file.readline())
            code = file.read()
        if _sum(code) != about["sum"] or about["key"] != named(key):
            return None
        _touch(head)
        return _entry(code, about["symbol"], key, about["result"])
    except (OSError, ValueError, KeyError, RuntimeError, TypeError):
        return None


def make(folder: Path | None, name: str, key: tuple[Any, ...], dispatcher: Any) -> Entry:
    """Compile `dispatcher` (of numba) for signature `key`; kept in `folder` where one can be written."""
    from numba import types
    from numba.core import types as core

    with _lock:
        signature = tuple(_type(types, part) for part in key)
        dispatcher.compile(signature)
        compiled = dispatcher.overloads[signature]
        result = _words(core, compiled.fndesc.restype)
        symbol = compiled.fndesc.llvm_func_name
        code = compiled.library.serialize_using_object_code()[2][0]
        if folder is not None:
            about = {"symbol": symbol, "key": named(key), "result": result, "sum": _sum(code)}
            _write(_file(folder, name, key), json.dumps(about).encode() + b"\n" + code)
            _prune_once(folder)
        return _entry(code, symbol, key, result)


def _file(folder: Path, name: str, key: tuple[Any, ...]) -> Path:
    words = "".join(str(part).strip("<|=") for part in named(key))
    if len(words) > 150:
        words = hashlib.sha256(words.encode()).hexdigest()[:40]
    return folder / f"{name}-{words}.o"


def _own(status: os.stat_result) -> bool:
    """Whether a file is this user's or root's, and nobody else may write it: a folder may have been open to others before."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid in (os.geteuid(), 0)
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _sum(code: bytes) -> str:
    """Whether a file is as it was written; machine code that is not would bring the process down."""
    return hashlib.blake2b(code, digest_size=16).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: other processes may write the same file."""
    with contextlib.suppress(OSError):
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(partial, path)


def _touch(path: Path) -> None:
    """Say that a file is in use. Its time of access does not tell: many file systems keep none."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > TOUCHED:
            os.utime(path)


@functools.cache
def _prune_once(folder: Path) -> None:
    prune(folder)


def prune(folder: Path, now: float | None = None) -> int:
    """Take away what nobody has loaded for `UNUSED` seconds, in `folder` and in its siblings of other compilers and processors.

    Returns how many files are gone. Safe beside other processes: code that is loaded is in memory, and a kernel that is missed is
    compiled again. Nothing that has not a name of ours is touched, nor what cannot be removed.
    """
    now = time.time() if now is None else now
    gone = 0
    with contextlib.suppress(OSError):
        for place in sorted(folder.parent.iterdir()):
            if not FOLDER.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
                continue
            gone += _prune(place, now)
            if place != folder and now - place.stat().st_mtime > PARTIAL:  # a young one may be about to be filled
                with contextlib.suppress(OSError):
                    place.rmdir()  # only where it is empty
    return gone


def _prune(place: Path, now: float) -> int:
    gone = 0
    for file in place.iterdir():
        with contextlib.suppress(OSError):
            age = now - file.lstat().st_mtime
            if (FILE.fullmatch(file.name) and age > UNUSED) or (file.suffix == ".part" and age > PARTIAL):
                file.unlink()
                gone += 1
    return gone


def _type(types: Any, part: Any) -> Any:
    """One part of a signature as numba's type."""
    if part == 0:
        return types.int64
    if isinstance(part, tuple):
        kind, inner = part
        return types.NamedTuple([_type(types, field) for field in inner], kind)
    from numba.np.numpy_support import from_dtype

    return types.Array(from_dtype(np.dtype(part[:-1])), int(part[-1]), "C")


def _words(types: Any, result: Any) -> list[str]:
    """The scalar types of a kernel's result."""
    if result is types.none:
        return []
    parts = list(result) if isinstance(result, types.BaseTuple) else [result]
    return ["bool" if isinstance(types.unliteral(p), types.Boolean) else str(types.unliteral(p)) for p in parts]


def _entry(code: bytes, symbol: str, key: tuple[Any, ...], result: list[str]) -> Entry:
    return Entry(_address(code, symbol), tuple(_dims(key)), result)


def _dims(key: tuple[Any, ...]) -> list[int]:
    """Of each argument its dimensions, 0 for an integer; the parts of a bundle one after another."""
    out: list[int] = []
    for part in key:
        out += _dims(part[1]) if isinstance(part, tuple) else [0 if part == 0 else int(part[-1])]
    return out


def _address(code: bytes, symbol: str) -> int:
    """Link object code into the process: where `symbol` stands. Raises RuntimeError where it cannot."""
    import llvmlite.binding as llvm

    global _engine
    with _lock:
        if _engine is None:
            for start in ("initialize", "initialize_native_target", "initialize_native_asmprinter"):
                start_it: Callable[[], None] = getattr(llvm, start)
                with contextlib.suppress(RuntimeError):  # newer releases do the first by themselves, and say so
                    start_it()
            machine = llvm.Target.from_default_triple().create_target_machine()
            _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        _engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        _engine.finalize_object()
        address: int = _engine.get_function_address(symbol)
        if not address:
            raise RuntimeError(f"no {symbol} in the object code")
        return address
