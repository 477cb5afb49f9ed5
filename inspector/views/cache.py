"""A bounded memory of a function's results: captured values repeat, and turning them into text costs most."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ENTRIES = 1 << 15
LONGEST = 256  # longer keys are not kept: bounds the bytes, not only the entries


class Memo(dict[K, V], Generic[K, V]):
    """`memo[key]` is `function(key)`; at most ENTRIES results are kept (then all are forgotten), none of a long key."""

    def __init__(self, function: Callable[[K], V]) -> None:
        super().__init__()
        self.function = function

    def __missing__(self, key: K) -> V:
        value = self.function(key)
        if isinstance(key, str | bytes) and len(key) > LONGEST:
            return value
        if len(self) >= ENTRIES:
            self.clear()
        self[key] = value
        return value

    def all(self, keys: Iterable[K]) -> list[V]:
        """The result for each key."""
        return list(map(self.__getitem__, keys))
