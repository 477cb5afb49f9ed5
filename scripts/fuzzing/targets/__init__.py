"""All targets, by name."""

from __future__ import annotations

from fuzzing.target import Target
from fuzzing.targets import captures, contents, messages, outputs, packets, streams

TARGETS: dict[str, Target] = {
    t.name: t for room in (captures, packets, streams, messages, contents, outputs) for t in room.TARGETS
}
