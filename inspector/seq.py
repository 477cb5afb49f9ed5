"""32-bit sequence arithmetic (RFC 9293 section 3.4): the only copy in the project."""

from __future__ import annotations

from inspector.kernels.kernel import kernel

MASK = 0xFFFFFFFF
HALF = 0x80000000


@kernel
def distance(later: int, earlier: int) -> int:
    """Signed distance `later - earlier` of two sequence numbers, in [-2**31, 2**31)."""
    return ((later - earlier + HALF) & MASK) - HALF
