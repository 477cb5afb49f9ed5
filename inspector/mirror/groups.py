"""Rows that belong together, without sorting: numbered by their keys, laid out group by group."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from inspector.kernels.kernel import kernel
from inspector.mirror.layout import Grouped
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


class Keyed(NamedTuple):
    """Rows in order of time, a key of each, and room for the number of that key: (k,) int64 each."""

    row: I64
    key: I64
    number: I64

    @staticmethod
    def of(row: I64, key: I64) -> Keyed:
        """The numbers are not known yet."""
        return Keyed(row, key, np.empty(len(row), np.int64))


class Shelves(NamedTuple):
    """What `meet` numbers keys and lays out rows with, for k rows with keys. All int64.

    slots, firsts: as in `number_keys`. begins: (k + 1,), where the rows of each number go; zeros at the start.
    """

    slots: I64
    firsts: I64
    begins: I64

    @staticmethod
    def of(k: int) -> Shelves:
        """Empty ones."""
        return Shelves(slots_for(k), np.empty(k, np.int64), np.zeros(k + 1, np.int64))


@kernel
def meet(x: Keyed, d: Keyed, time: I64, shelves: Shelves, out: Grouped, lows: I64) -> int:
    """Lay out the rows `x` whose key is one of the rows `d`, by key; returns how many.

    time: (n,) int64 by row. out: the rows, and the number of their key. lows: for each of d the first place in `out` among its
    key's that is not before it in time.
    """
    mask = len(shelves.slots) - 1
    count = number_keys(d.key, shelves.slots, d.number, shelves.firsts)
    for i in range(len(x.row)):
        at = x.key[i] & mask
        while shelves.slots[at] >= 0 and d.key[shelves.firsts[shelves.slots[at]]] != x.key[i]:
            at = (at + 1) & mask
        x.number[i] = shelves.slots[at]
        if shelves.slots[at] >= 0:
            shelves.begins[shelves.slots[at] + 1] += 1
    for k in range(count):
        shelves.begins[k + 1] += shelves.begins[k]
    total = shelves.begins[count]
    j = 0
    for i in range(len(x.row)):
        while j < len(d.row) and time[d.row[j]] <= time[x.row[i]]:
            lows[j] = shelves.begins[d.number[j]]
            j += 1
        k = x.number[i]
        if k >= 0:
            out.row[shelves.begins[k]] = x.row[i]
            out.group[shelves.begins[k]] = k
            shelves.begins[k] += 1
    while j < len(d.row):
        lows[j] = shelves.begins[d.number[j]]
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


def meeting(x: Keyed, d: Keyed, time: I64) -> tuple[Grouped, I64]:
    """(rows with their numbers, lows) as `meet` lays them out; d has its numbers then."""
    out = Grouped(np.empty(len(x.row), np.int64), np.empty(len(x.row), np.int64))
    lows = np.empty(len(d.row), np.int64)
    total = meet(x, d, time, Shelves.of(len(d.row)), out, lows)
    return Grouped(out.row[:total], out.group[:total]), lows
