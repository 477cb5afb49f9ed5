"""Inner loops: one source, two speeds.

`@kernel` marks a function that loops over array elements. Small inputs run it as plain Python, large ones run the same
function compiled by numba, cached on disk, releasing the GIL.

Rules for a kernel, so that both speeds agree:

- arguments are 1-D or 2-D arrays of integers or booleans, scalars, or NamedTuples of these (what belongs together is one
  argument); results are integers, booleans or tuples of them;
- arrays are only indexed and assigned (`a[i]`, `a[i, j]`, `len(a)`), never sliced or used whole: the plain speed hands
  over memoryviews, which give Python integers (fast, and they do not overflow);
- every bound is checked by the kernel itself: numba does not;
- 64-bit wrap-around goes through `np.uint64` explicitly; nothing else relies on overflow;
- it calls other kernels only by their global names, and reads only global integers.
"""

from __future__ import annotations

import functools
import hashlib
import os
import types
import warnings
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from inspector.kernels import cache, native

P = ParamSpec("P")
R = TypeVar("R")

_tell: Callable[[str], None] | None = None
_compiled = os.environ.get("INSPECTOR_KERNELS", "") == "compiled"


def use(mode: str) -> None:
    """Choose the speed of every kernel from now on: "plain" or "compiled"."""
    global _compiled
    if mode not in ("plain", "compiled"):
        raise ValueError(f"kernel mode {mode!r}: plain or compiled")
    _compiled = mode == "compiled"


def compiled() -> bool:
    """Whether kernels run compiled."""
    return _compiled


def on_compile(tell: Callable[[str], None] | None) -> None:
    """`tell` is called with a kernel's name each time one has been compiled."""
    global _tell
    _tell = tell


def _progress(name: str) -> None:
    if _tell is not None:
        _tell(name)


def general(dispatcher: Any) -> Any:
    """Compile one version for all values of an integer argument: numba makes one for each literal a caller passes."""
    from numba.core import types

    unliteral: Any = types.unliteral
    template = dispatcher.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        plain = {name: unliteral(value) for name, value in kws.items()}
        return template(tuple(unliteral(value) for value in args), plain)

    dispatcher.get_call_template = get_call_template
    return dispatcher


class Kernel(Generic[P, R]):
    """A function with two speeds. Calling it converts the arguments for the speed in force."""

    def __init__(self, function: Callable[P, R], inline: bool = True) -> None:
        self.function = function
        self._inline = inline
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self.__wrapped__ = function
        self._label = f"{function.__module__.removeprefix('inspector.')}.{function.__name__}"
        self._plain: Callable[..., Any] | None = None
        self._dispatcher: Any = None
        self._entries: dict[tuple[Any, ...], native.Entry] = {}

    def twin(self, pick: Callable[[Kernel[..., Any]], Any]) -> types.FunctionType:
        """The same code with every global kernel it names replaced by `pick(kernel)`."""
        function = cast(types.FunctionType, self.function)
        names = function.__code__.co_names
        space = dict(function.__globals__)
        for name in names:
            if isinstance(space.get(name), Kernel):
                space[name] = pick(space[name])
        twin = types.FunctionType(
            function.__code__, space, function.__name__, function.__defaults__, function.__closure__
        )
        twin.__module__ = function.__module__
        twin.__qualname__ = function.__qualname__
        twin.__kwdefaults__ = function.__kwdefaults__
        return twin

    @property
    def plain(self) -> Callable[..., Any]:
        """The interpreted function; its arguments may be arrays, memoryviews or lists."""
        if self._plain is None:
            self._plain = self.twin(lambda k: k.plain)
        return self._plain

    @property
    def dispatcher(self) -> Any:
        """The numba dispatcher: what other kernels' compilation calls."""
        if self._dispatcher is None:
            import numba

            twin = self.twin(lambda k: k.dispatcher)
            # Kernels allocate nothing: without numba's runtime no reference is counted at each call. They are called from
            # other kernels and through `native` only.
            jit: Any = numba.njit
            options = {"nogil": True, "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
            # With every index checked nobody looks at the speed, and calls are compiled faster.
            self._dispatcher = general(jit(**options, forceinline=self._inline and not cache.checked())(twin))
        return self._dispatcher

    @functools.cached_property
    def _name(self) -> str:
        return f"{self._label}-{self.digest}"

    @functools.cached_property
    def digest(self) -> str:
        """What this kernel's machine code is made of: its own code, the kernels it calls, the integers it reads."""
        function = cast(types.FunctionType, self.function)
        code, space = function.__code__, function.__globals__
        key = hashlib.sha256(code.co_code + bytes([self._inline]))
        key.update(repr(code.co_consts).encode())
        modules = [space[name] for name in code.co_names if isinstance(space.get(name), types.ModuleType)]
        for name in code.co_names:
            key.update(f"{name}={_made_of(space.get(name))};".encode())
            for module in modules:  # a column is read through its module
                key.update(f"{module.__name__}.{name}={_made_of(getattr(module, name, None))};".encode())
        return key.hexdigest()[:24]

    def _native(self, key: tuple[Any, ...]) -> native.Entry:
        """The compiled kernel for a signature, from the cache where it is there."""
        folder = cache.usable()
        entry = native.load(folder, self._name, key) if folder else None
        if entry is None:
            entry = native.make(folder, self._name, key, self.dispatcher)
            _progress(self._label)
        self._entries[key] = entry
        return entry

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if _compiled:
            key, flat = native.lay_out(args)
            return cast(R, (self._entries.get(key) or self._native(key))(flat))
        views = [viewed(a) for a in args]
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            return cast(R, self.plain(*views, **kwargs))


def _made_of(value: Any) -> str:
    """What a global that a kernel reads adds to the kernel's machine code."""
    if isinstance(value, Kernel):
        return value.digest
    if isinstance(value, type) and issubclass(value, tuple):
        return str(getattr(value, "_fields", ""))
    return str(value) if isinstance(value, int) else ""


def viewed(argument: Any) -> Any:
    """What the plain speed is given: a memoryview of an array, and of each array of a bundle (a NamedTuple of arrays)."""
    if isinstance(argument, np.ndarray):
        return memoryview(cast(Any, argument))
    if isinstance(argument, tuple):
        return type(argument)(*map(viewed, argument))
    return argument


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Mark an inner loop. See the module's rules. Compiled, it becomes part of each kernel that calls it: as a call, every
    array would be passed as seven numbers or more, which took half of the time of short kernels."""
    return Kernel(function)


def cold(function: Callable[P, R]) -> Kernel[P, R]:
    """Mark a kernel that runs rarely: it stays a call, which keeps its callers small and quick to compile."""
    return Kernel(function, inline=False)


class Marker(Protocol):
    """Makes a kernel of a function."""

    def __call__(self, function: Callable[P, R], /) -> Kernel[P, R]: ...


class Instruction(Kernel[P, R]):
    """A kernel that is not compiled from its Python source: see `instruction`."""

    def __init__(
        self,
        function: Callable[P, R],
        build: Callable[[], Any] | None,
        portable: Kernel[..., Any] | None,
        version: int,
    ) -> None:
        super().__init__(function)
        self._build, self._portable, self._version = build, portable, version

    @property
    def dispatcher(self) -> Any:
        """What other kernels' compilation calls."""
        if self._dispatcher is None:
            if self._portable is not None and (self._build is None or cache.checked()):
                self._dispatcher = self._portable.dispatcher
            else:
                self._dispatcher = cast(Any, self._build)()
        return self._dispatcher

    @functools.cached_property
    def digest(self) -> str:
        """What the machine code is made of."""
        portable = "" if self._portable is None else self._portable.digest
        return f"{self.__name__}-{self._version}-{portable}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


def instruction(build: Callable[[], Any] | None, portable: Kernel[..., Any] | None = None, version: int = 1) -> Marker:
    """Mark a function as the plain form of a machine instruction; unlike other kernels it may use all of Python.

    build: makes numba's intrinsic; None where this machine has none. portable: the kernel that it replaces, compiled where every
    index is checked; None where there is no index. version: of what `build` makes; to be raised when that changes.
    """

    def mark(function: Callable[P, R], /) -> Kernel[P, R]:
        return Instruction(function, build, portable, version)

    return mark
