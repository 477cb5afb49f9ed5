"""What a target is, and how bytes become choices."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    """check(data) raises where a property does not hold; seeds() gives inputs to start from.

    seconds, megabytes: what one input may take before it is a finding. longest: bytes of an input.
    """

    name: str
    says: str
    check: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    seconds: int = 10
    megabytes: int = 2048
    longest: int = 1 << 14


class Choices:
    """Takes choices off the front of an input; zeros when it is used up, so that every input means something."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")

    def below(self, count: int) -> int:
        return self.byte() % count if count <= 256 else self.number() % count

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        self.at += size
        return part

    def rest(self) -> bytes:
        return self.take(max(len(self.data) - self.at, 0))

    def sized(self) -> bytes:
        """Bytes with their length (two bytes) before them."""
        return self.take(self.number(2))


def sized(data: bytes) -> bytes:
    """What `Choices.sized` reads."""
    return len(data[:0xFFFF]).to_bytes(2, "big") + data[:0xFFFF]


def signature(error: BaseException) -> str:
    """A finding's kind and place: two inputs with the same one are taken for the same fault."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(ROOT)]
    ours = [f for f in frames if "/inspector/" in f.filename] or frames
    last = ours[-1] if ours else None
    where = f"{Path(last.filename).relative_to(ROOT)}:{last.name}" if last else "?"
    return f"{type(error).__name__} in {where}"
