"""Loaded by the worker processes of this machine: Ctrl-C is for the command, which ends them in good order."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask when a worker starts, in its main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
