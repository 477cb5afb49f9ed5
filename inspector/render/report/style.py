"""matplotlib without the settings of others.

It reads `matplotlibrc` from the working folder, which may be a folder of captures that somebody else wrote; a setting there can
start LaTeX. The user's own settings would change the page as well.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def drawn(draw: Callable[P, R]) -> Callable[P, R]:
    """`draw` with matplotlib's own defaults."""

    @functools.wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with defaults():
            return draw(*args, **kwargs)

    return inner


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """matplotlib's defaults are in force within; what was set before comes back."""
    if "matplotlib" not in sys.modules:
        with _elsewhere():
            import matplotlib
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """In the root folder, where only root writes."""
    try:
        change = contextlib.chdir("/")
        change.__enter__()
    except OSError:  # the working folder is gone: nothing can be read from it
        yield
        return
    try:
        yield
    finally:
        change.__exit__(None, None, None)
