"""Doubly linked lists, and the hash table from addresses and ports to stream slots.

The table uses linear probing with backward-shift deletion (Knuth, TAOCP 6.4, algorithm R); its hashes are seeded, so
that a capture cannot be made to collide.
"""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.tcp.layout import (
    C_ALIASES,
    C_KEYS,
    G_FREE_KEYS,
    G_KEY_ROOM,
    G_KEYS,
    K_A_HI,
    K_A_LO,
    K_B_HI,
    K_B_LO,
    K_HASH,
    K_NEXT,
    K_PORTS,
    K_VALUE,
    T_DPORT,
    T_DST_HI,
    T_DST_LO,
    T_KEY,
    T_SPORT,
    T_SRC_HI,
    T_SRC_LO,
)


@kernel
def unlink(rows: Any, prev: int, following: int, i: int) -> None:
    """Take row i out of its list."""
    before = rows[i, prev]
    after = rows[i, following]
    rows[before, following] = after
    rows[after, prev] = before


@kernel
def append(rows: Any, prev: int, following: int, head: int, i: int) -> None:
    """Put row i at the end of the list whose sentinel is `head`."""
    last = rows[head, prev]
    rows[last, following] = i
    rows[i, prev] = last
    rows[i, following] = head
    rows[head, prev] = i


@kernel
def find_pair(table: Any, keys: Any, seg: Any, i: int) -> int:
    """The stream slot of segment i by addresses and ports, 0 where there is none."""
    mask = len(table) - 1
    key = seg[T_KEY, i]
    there = (seg[T_SPORT, i] << 16) | seg[T_DPORT, i]
    back = (seg[T_DPORT, i] << 16) | seg[T_SPORT, i]
    at = key & mask
    while table[at, 1] != 0:
        if table[at, 0] == key:
            k = table[at, 1]
            if (
                keys[k, K_PORTS] == there
                and keys[k, K_A_LO] == seg[T_SRC_LO, i]
                and keys[k, K_B_LO] == seg[T_DST_LO, i]
                and keys[k, K_A_HI] == seg[T_SRC_HI, i]
                and keys[k, K_B_HI] == seg[T_DST_HI, i]
            ):
                return keys[k, K_VALUE]
            if (
                keys[k, K_PORTS] == back
                and keys[k, K_A_LO] == seg[T_DST_LO, i]
                and keys[k, K_B_LO] == seg[T_SRC_LO, i]
                and keys[k, K_A_HI] == seg[T_DST_HI, i]
                and keys[k, K_B_HI] == seg[T_SRC_HI, i]
            ):
                return keys[k, K_VALUE] ^ 1
        at = (at + 1) & mask
    return 0


@kernel
def join_hash(endpoint: int, number: int, kind: int) -> int:
    """The hash of an endpoint that waits to be joined: `number` is what the other half must acknowledge."""
    spread = number * 0x5BD1E995  # below 2**63; neighbouring numbers must not become neighbours in the table
    return (endpoint ^ spread ^ (spread >> 29) ^ (kind << 59)) & 0x7FFFFFFFFFFFFFFF


@kernel
def find_join(table: Any, keys: Any, hash_: int, hi: int, lo: int, port: int, number: int, kind: int) -> int:
    """The row of keys for a waiting endpoint, 0 where there is none."""
    mask = len(table) - 1
    ports = (kind << 32) | (port << 16)
    at = hash_ & mask
    while table[at, 1] != 0:
        if table[at, 0] == hash_:
            k = table[at, 1]
            if (
                keys[k, K_PORTS] == ports
                and keys[k, K_A_LO] == lo
                and keys[k, K_A_HI] == hi
                and keys[k, K_B_HI] == number
            ):
                return k
        at = (at + 1) & mask
    return 0


@kernel
def drop_entry(table: Any, hash_: int, k: int) -> int:
    """Take row k out of the table; 1 where it was in it."""
    mask = len(table) - 1
    at = hash_ & mask
    while table[at, 1] != k:
        if table[at, 1] == 0:
            return 0
        at = (at + 1) & mask
    hole = at
    at = (at + 1) & mask
    while table[at, 1] != 0:
        home = table[at, 0] & mask
        # an entry may fill the hole unless its home lies cyclically between the hole and itself
        if ((at - home) & mask) >= ((at - hole) & mask):
            table[hole, 0] = table[at, 0]
            table[hole, 1] = table[at, 1]
            hole = at
        at = (at + 1) & mask
    table[hole, 1] = 0
    return 1


@kernel
def put_entry(table: Any, hash_: int, k: int) -> None:
    """Enter row k. Precondition: the table has an empty entry."""
    mask = len(table) - 1
    at = hash_ & mask
    while table[at, 1] != 0:
        at = (at + 1) & mask
    table[at, 0] = hash_
    table[at, 1] = k


@kernel
def new_key(state: Any, table: Any, keys: Any, conns: Any, c: int, hash_: int, value: int) -> int:
    """A row of keys in the chain of connection c, entered in the table; the caller fills in the rest."""
    k = state[G_FREE_KEYS]
    state[G_FREE_KEYS] = keys[k, K_NEXT]
    state[G_KEY_ROOM] -= 1
    state[G_KEYS] += 1
    keys[k, K_HASH] = hash_
    keys[k, K_VALUE] = value
    keys[k, K_NEXT] = conns[c, C_KEYS]
    conns[c, C_KEYS] = k
    put_entry(table, hash_, k)
    return k


@cold
def add_pair(state: Any, table: Any, keys: Any, conns: Any, seg: Any, i: int, slot: int) -> None:
    """From now on packets with the addresses of segment i belong to stream `slot`, the way back to its mate."""
    c = slot >> 1
    k = new_key(state, table, keys, conns, c, seg[T_KEY, i], slot)
    keys[k, K_A_HI] = seg[T_SRC_HI, i]
    keys[k, K_A_LO] = seg[T_SRC_LO, i]
    keys[k, K_B_HI] = seg[T_DST_HI, i]
    keys[k, K_B_LO] = seg[T_DST_LO, i]
    keys[k, K_PORTS] = (seg[T_SPORT, i] << 16) | seg[T_DPORT, i]
    conns[c, C_ALIASES] += 1


@cold
def add_join(
    state: Any,
    table: Any,
    keys: Any,
    conns: Any,
    slot: int,
    endpoint: int,
    hi: int,
    lo: int,
    port: int,
    number: int,
    kind: int,
) -> None:
    """Stream `slot` waits for its other half at an endpoint; a newer one takes the place of an older one."""
    hash_ = join_hash(endpoint, number, kind)
    old = find_join(table, keys, hash_, hi, lo, port, number, kind)
    if old != 0:
        drop_entry(table, hash_, old)
    k = new_key(state, table, keys, conns, slot >> 1, hash_, slot)
    keys[k, K_A_HI] = hi
    keys[k, K_A_LO] = lo
    keys[k, K_B_HI] = number
    keys[k, K_B_LO] = 0
    keys[k, K_PORTS] = (kind << 32) | (port << 16)


@cold
def remove_keys(state: Any, table: Any, keys: Any, conns: Any, c: int, joins_only: int) -> None:
    """Take the keys of connection c out of the table: all of them, or those that wait for a join."""
    k = conns[c, C_KEYS]
    conns[c, C_KEYS] = 0
    while k != 0:
        after = keys[k, K_NEXT]
        if joins_only != 0 and keys[k, K_PORTS] >> 32 == 0:
            keys[k, K_NEXT] = conns[c, C_KEYS]
            conns[c, C_KEYS] = k
        else:
            drop_entry(table, keys[k, K_HASH], k)
            keys[k, K_NEXT] = state[G_FREE_KEYS]
            state[G_FREE_KEYS] = k
            state[G_KEY_ROOM] += 1
            state[G_KEYS] -= 1
        k = after


@kernel
def rehash(old: Any, table: Any) -> None:
    """Enter what `old` has into the larger, empty `table`."""
    for at in range(len(old)):
        if old[at, 1] != 0:
            put_entry(table, old[at, 0], old[at, 1])
