"""An iterator that runs ahead of its reader in a thread: the inner loops release the interpreter's lock, so both work at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
WAKE = 0.1  # seconds after which a producer that waits looks whether it is still wanted


class Ahead(Generic[T]):
    """The items of `items`, made in a thread of their own, at most `depth` of them before they are asked for.

    What the iterator raises is raised to the reader, in its place. `close` ends the thread.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inspect-reading", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        try:
            while True:
                item, error = self._queue.get()
                if error is not None:
                    raise error
                if item is None:
                    return
                yield item
                item = None  # the producer's next one need not wait for this one's memory
        finally:
            self.close()

    def close(self) -> None:
        """End the thread; items that were made are dropped."""
        self._stopped.set()
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(WAKE)

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put(item, None):
                    return
            self._put(None, None)
        except BaseException as error:  # raised again where the items are read
            self._put(None, error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()

    def _put(self, item: T | None, error: BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put((item, error), timeout=WAKE)
                return True
            except queue.Full:
                continue
        return False
