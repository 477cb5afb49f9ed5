"""Rows that belong together, without sorting: numbered by their keys, laid out group by group."""

from __future__ import annotations

import os

import numpy as np

from inspector.kernels.kernel import kernel
from inspector.table import I64, Bool

_ODD = int.from_bytes(os.urandom(7), "little") | 1


@kernel
def number_keys(keys: I64, slots: I64, numbers: I64, firsts: I64) -> int:
    """numbers[i] of keys[i]: 0, 1, 2, ... in the order in which keys are met; returns how many.

    slots: a power of two, at least twice as many as keys, all -1 at the start. firsts: where each number was met first.
    Precondition: keys are well mixed (`signs.blend`).
    """
    mask = len(slots) - 1
    count = 0
    for i in range(len(keys)):
        at = keys[i] & mask
        while slots[at] >= 0 and keys[firsts[slots[at]]] != keys[i]:
            at = (at + 1) & mask
        if slots[at] < 0:
            slots[at] = count
            firsts[count] = i
            count += 1
        numbers[i] = slots[at]
    return count


@kernel
def shelve(rows: I64, numbers: I64, count: int, begins: I64, out: I64) -> None:
    """`rows` by their numbers, in their order within a number, into `out`. begins: (count + 1,), zeros at the start."""
    for i in range(len(rows)):
        begins[numbers[i] + 1] += 1
    for k in range(count):
        begins[k + 1] += begins[k]
    for i in range(len(rows)):
        k = numbers[i]
        out[begins[k]] = rows[i]
        begins[k] += 1


@kernel
def meet(
    x: I64, x_key: I64, d: I64, d_key: I64, time: I64, slots: I64, firsts: I64, x_number: I64, d_number: I64,
    begins: I64, out: I64, out_number: I64, lows: I64,
) -> int:  # fmt: skip
    """Lay out the rows `x` whose key is one of the rows `d`, by key; returns how many.

    x, d: in order of time (by row). out, out_number: the rows, and the number of their key. d_number: that of each of d. lows:
    for each of d the first place in `out` among its key's that is not before it in time. begins: zeros, len(d) + 1 of them.
    slots, firsts: as in `number_keys`.
    """
    mask = len(slots) - 1
    count = number_keys(d_key, slots, d_number, firsts)
    for i in range(len(x)):
        at = x_key[i] & mask
        while slots[at] >= 0 and d_key[firsts[slots[at]]] != x_key[i]:
            at = (at + 1) & mask
        x_number[i] = slots[at]
        if slots[at] >= 0:
            begins[slots[at] + 1] += 1
    for k in range(count):
        begins[k + 1] += begins[k]
    total = begins[count]
    j = 0
    for i in range(len(x)):
        while j < len(d) and time[d[j]] <= time[x[i]]:
            lows[j] = begins[d_number[j]]
            j += 1
        k = x_number[i]
        if k >= 0:
            out[begins[k]] = x[i]
            out_number[begins[k]] = k
            begins[k] += 1
    while j < len(d):
        lows[j] = begins[d_number[j]]
        j += 1
    return total


def in_time(time: I64, rank: I64) -> I64:
    """The order by time, equals by rank: as `lexsort` gives it, and several times as fast where runs are sorted already."""
    order = np.argsort(time, kind="stable")
    ordered = time[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(again):
        tied = np.zeros(len(order), bool)
        tied[again] = tied[again + 1] = True
        rows = order[tied]
        order[tied] = rows[np.lexsort((rank[rows], time[rows]))]
    return order


@kernel
def mark_members(values: I64, members: I64, odd: int, slots: I64, out: Bool) -> None:
    """out[i]: whether values[i] is one of `members`. slots: a power of two, at least twice as many as members, all -1.

    odd: what a value is multiplied by for its place, so that no capture can make them meet.
    """
    mask = len(slots) - 1
    for i in range(len(members)):
        at = (members[i] * odd >> 20) & mask
        while slots[at] >= 0 and members[slots[at]] != members[i]:
            at = (at + 1) & mask
        slots[at] = i
    for i in range(len(values)):
        at = (values[i] * odd >> 20) & mask
        while slots[at] >= 0 and members[slots[at]] != values[i]:
            at = (at + 1) & mask
        out[i] = slots[at] >= 0


def slots_for(n: int) -> I64:
    """An empty table for `n` keys."""
    return np.full(1 << max(2 * n - 1, 1).bit_length(), -1, np.int64)


def member(values: I64, members: I64) -> Bool:
    """`np.isin(values, members)` without sorting either: (n,) bool."""
    out = np.zeros(len(values), bool)
    if len(values) and len(members):
        mark_members(values, members, _ODD, slots_for(len(members)), out)
    return out


def numbered(keys: I64) -> tuple[I64, I64]:
    """(numbers, firsts): a number 0, 1, 2, ... for each key in the order in which keys are met, and where that was."""
    n = len(keys)
    numbers, firsts = np.empty(n, np.int64), np.empty(n, np.int64)
    count = number_keys(keys, slots_for(n), numbers, firsts)
    return numbers, firsts[:count]


def in_groups(rows: I64, numbers: I64, count: int) -> I64:
    """`rows` laid out by their numbers (below `count`), in their order within a number."""
    out = np.empty(len(rows), np.int64)
    shelve(rows, numbers, count, np.zeros(count + 1, np.int64), out)
    return out


def meeting(x: I64, x_key: I64, d: I64, d_key: I64, time: I64) -> tuple[I64, I64, I64, I64]:
    """(rows, their numbers, the numbers of d, lows) as `meet` lays them out."""
    out, out_number = np.empty(len(x), np.int64), np.empty(len(x), np.int64)
    d_number, lows = np.empty(len(d), np.int64), np.empty(len(d), np.int64)
    total = meet(
        x, x_key, d, d_key, time, slots_for(len(d)), np.empty(len(d), np.int64), np.empty(len(x), np.int64), d_number,
        np.zeros(len(d) + 1, np.int64), out, out_number, lows,
    )  # fmt: skip
    return out[:total], out_number[:total], d_number, lows
