"""The chunk log: which packet brought which bytes, held while the message may still be open."""

from __future__ import annotations

from inspector.kernels.kernel import kernel
from inspector.table import I64
from inspector.tcp import layout as col

# rows of a chunk log: (L_WIDTH, n), sorted by slot, then offset
L_SLOT, L_STREAM, L_OFFSET, L_LENGTH, L_TIME, L_CAPTURE, L_PACKET, L_PEER, L_TURN, L_WIDTH = range(10)
FAR_SLOT = 1 << 62


@kernel
def merge_logs(streams: I64, old: I64, old_count: int, new: I64, new_count: int, log: I64, ends: int) -> int:
    """Chunks of `old` that are still needed and those of `new` into `log`; returns how many.

    Of a stream's old chunks the first and last `ends` stay.
    """
    for j in range(old_count):
        streams[old[L_SLOT, j], col.S_LOG_COUNT] = 0
    for j in range(old_count):
        if needed(streams, old, j):
            streams[old[L_SLOT, j], col.S_LOG_COUNT] += 1
    total = 0
    i = 0
    j = 0
    while i < old_count or j < new_count:
        s = old[L_SLOT, i] if i < old_count else FAR_SLOT
        if j < new_count:
            s = min(s, new[L_SLOT, j])
        begin = total
        survivors = streams[s, col.S_LOG_COUNT]
        nth = 0
        while i < old_count and old[L_SLOT, i] == s:
            if needed(streams, old, i):
                if nth < ends or nth >= survivors - ends:
                    for row in range(L_WIDTH):
                        log[row, total] = old[row, i]
                    total += 1
                nth += 1
            i += 1
        while j < new_count and new[L_SLOT, j] == s:
            for row in range(L_WIDTH):
                log[row, total] = new[row, j]
            total += 1
            j += 1
        streams[s, col.S_LOG] = begin
        streams[s, col.S_LOG_COUNT] = total - begin
    return total


@kernel
def needed(streams: I64, log: I64, j: int) -> bool:
    """Whether chunk j is of a stream that lives, and not forgotten."""
    s = log[L_SLOT, j]
    return (
        streams[s, col.S_ID] == log[L_STREAM, j] + 1 and log[L_OFFSET, j] + log[L_LENGTH, j] > streams[s, col.S_FORGET]
    )


@kernel
def find_chunks(streams: I64, log: I64, slots: I64, starts: I64, stops: I64, found: I64, ends: int) -> int:
    """The chunks of stream ranges: found[q] = first, last + 1, how many to list; returns the sum of the last."""
    total = 0
    for q in range(len(slots)):
        s = slots[q]
        low = streams[s, col.S_LOG]
        end = low + streams[s, col.S_LOG_COUNT]
        high = end
        while low < high:  # the first that ends after the start
            middle = (low + high) >> 1
            if log[L_OFFSET, middle] + log[L_LENGTH, middle] > starts[q]:
                high = middle
            else:
                low = middle + 1
        first = low
        high = end
        while low < high:  # the first that begins at the stop or after it
            middle = (low + high) >> 1
            if log[L_OFFSET, middle] >= stops[q]:
                high = middle
            else:
                low = middle + 1
        found[q, 0] = first
        found[q, 1] = low
        found[q, 2] = min(low - first, 2 * ends)
        total += found[q, 2]
    return total


@kernel
def list_chunks(log: I64, found: I64, captures: I64, packets: I64, offsets: I64, first: I64, last: I64) -> int:
    """Captures and packets of the ranges found, neighbours of the same packet once; returns how many."""
    total = 0
    for q in range(len(found)):
        offsets[q] = total
        count = found[q, 2]
        first[q] = col.NONE
        last[q] = col.NONE
        for nth in range(count):
            j = found[q, 0] + nth
            if 2 * nth >= count:
                j = found[q, 1] - count + nth
            time = log[L_TIME, j]
            if nth == 0 or time < first[q]:
                first[q] = time
            if nth == 0 or time > last[q]:
                last[q] = time
            if (
                total > offsets[q]
                and packets[total - 1] == log[L_PACKET, j]
                and captures[total - 1] == log[L_CAPTURE, j]
            ):
                continue
            captures[total] = log[L_CAPTURE, j]
            packets[total] = log[L_PACKET, j]
            total += 1
    offsets[len(found)] = total
    return total
