"""Doubly linked lists, and the hash table from addresses and ports to stream slots.

The table uses linear probing with backward-shift deletion (Knuth, TAOCP 6.4, algorithm R); its hashes are seeded, so
that a capture cannot be made to collide.
"""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.table import I64
from inspector.tcp import layout as col
from inspector.tcp.layout import Tcp


@kernel
def unlink(rows: I64, prev: int, following: int, i: int) -> None:
    """Take row i out of its list."""
    before = rows[i, prev]
    after = rows[i, following]
    rows[before, following] = after
    rows[after, prev] = before


@kernel
def append(rows: I64, prev: int, following: int, head: int, i: int) -> None:
    """Put row i at the end of the list whose sentinel is `head`."""
    last = rows[head, prev]
    rows[last, following] = i
    rows[i, prev] = last
    rows[i, following] = head
    rows[head, prev] = i


@kernel
def find_pair(tcp: Tcp, i: int) -> int:
    """The stream slot of segment i by addresses and ports, 0 where there is none."""
    mask = len(tcp.table) - 1
    key = tcp.seg[col.T_KEY, i]
    there = (tcp.seg[col.T_SPORT, i] << 16) | tcp.seg[col.T_DPORT, i]
    back = (tcp.seg[col.T_DPORT, i] << 16) | tcp.seg[col.T_SPORT, i]
    at = key & mask
    while tcp.table[at, 1] != 0:
        if tcp.table[at, 0] == key:
            k = tcp.table[at, 1]
            if (
                tcp.keys[k, col.K_PORTS] == there
                and tcp.keys[k, col.K_A_LO] == tcp.seg[col.T_SRC_LO, i]
                and tcp.keys[k, col.K_B_LO] == tcp.seg[col.T_DST_LO, i]
                and tcp.keys[k, col.K_A_HI] == tcp.seg[col.T_SRC_HI, i]
                and tcp.keys[k, col.K_B_HI] == tcp.seg[col.T_DST_HI, i]
            ):
                return tcp.keys[k, col.K_VALUE]
            if (
                tcp.keys[k, col.K_PORTS] == back
                and tcp.keys[k, col.K_A_LO] == tcp.seg[col.T_DST_LO, i]
                and tcp.keys[k, col.K_B_LO] == tcp.seg[col.T_SRC_LO, i]
                and tcp.keys[k, col.K_A_HI] == tcp.seg[col.T_DST_HI, i]
                and tcp.keys[k, col.K_B_HI] == tcp.seg[col.T_SRC_HI, i]
            ):
                return tcp.keys[k, col.K_VALUE] ^ 1
        at = (at + 1) & mask
    return 0


@kernel
def join_hash(endpoint: int, number: int, kind: int) -> int:
    """The hash of an endpoint that waits to be joined: `number` is what the other half must acknowledge."""
    spread = number * 0x5BD1E995  # below 2**63; neighbouring numbers must not become neighbours in the table
    return (endpoint ^ spread ^ (spread >> 29) ^ (kind << 59)) & 0x7FFFFFFFFFFFFFFF


@kernel
def find_join(tcp: Tcp, hash_: int, hi: int, lo: int, port: int, number: int, kind: int) -> int:
    """The row of keys for a waiting endpoint, 0 where there is none."""
    mask = len(tcp.table) - 1
    ports = (kind << 32) | (port << 16)
    at = hash_ & mask
    while tcp.table[at, 1] != 0:
        if tcp.table[at, 0] == hash_:
            k = tcp.table[at, 1]
            if (
                tcp.keys[k, col.K_PORTS] == ports
                and tcp.keys[k, col.K_A_LO] == lo
                and tcp.keys[k, col.K_A_HI] == hi
                and tcp.keys[k, col.K_B_HI] == number
            ):
                return k
        at = (at + 1) & mask
    return 0


@kernel
def drop_entry(table: I64, hash_: int, k: int) -> int:
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
def put_entry(table: I64, hash_: int, k: int) -> None:
    """Enter row k. Precondition: the table has an empty entry."""
    mask = len(table) - 1
    at = hash_ & mask
    while table[at, 1] != 0:
        at = (at + 1) & mask
    table[at, 0] = hash_
    table[at, 1] = k


@kernel
def new_key(tcp: Tcp, c: int, hash_: int, value: int) -> int:
    """A row of keys in the chain of connection c, entered in the table; the caller fills in the rest."""
    k = tcp.state[col.G_FREE_KEYS]
    tcp.state[col.G_FREE_KEYS] = tcp.keys[k, col.K_NEXT]
    tcp.state[col.G_KEY_ROOM] -= 1
    tcp.state[col.G_KEYS] += 1
    tcp.keys[k, col.K_HASH] = hash_
    tcp.keys[k, col.K_VALUE] = value
    tcp.keys[k, col.K_NEXT] = tcp.conns[c, col.C_KEYS]
    tcp.conns[c, col.C_KEYS] = k
    put_entry(tcp.table, hash_, k)
    return k


@cold
def add_pair(tcp: Tcp, i: int, slot: int) -> None:
    """From now on packets with the addresses of segment i belong to stream `slot`, the way back to its mate."""
    c = slot >> 1
    k = new_key(tcp, c, tcp.seg[col.T_KEY, i], slot)
    tcp.keys[k, col.K_A_HI] = tcp.seg[col.T_SRC_HI, i]
    tcp.keys[k, col.K_A_LO] = tcp.seg[col.T_SRC_LO, i]
    tcp.keys[k, col.K_B_HI] = tcp.seg[col.T_DST_HI, i]
    tcp.keys[k, col.K_B_LO] = tcp.seg[col.T_DST_LO, i]
    tcp.keys[k, col.K_PORTS] = (tcp.seg[col.T_SPORT, i] << 16) | tcp.seg[col.T_DPORT, i]
    tcp.conns[c, col.C_ALIASES] += 1


@cold
def add_join(tcp: Tcp, slot: int, endpoint: int, hi: int, lo: int, port: int, number: int, kind: int) -> None:
    """Stream `slot` waits for its other half at an endpoint; a newer one takes the place of an older one."""
    hash_ = join_hash(endpoint, number, kind)
    old = find_join(tcp, hash_, hi, lo, port, number, kind)
    if old != 0:
        drop_entry(tcp.table, hash_, old)
    k = new_key(tcp, slot >> 1, hash_, slot)
    tcp.keys[k, col.K_A_HI] = hi
    tcp.keys[k, col.K_A_LO] = lo
    tcp.keys[k, col.K_B_HI] = number
    tcp.keys[k, col.K_B_LO] = 0
    tcp.keys[k, col.K_PORTS] = (kind << 32) | (port << 16)


@cold
def remove_keys(tcp: Tcp, c: int, joins_only: int) -> None:
    """Take the keys of connection c out of the table: all of them, or those that wait for a join."""
    k = tcp.conns[c, col.C_KEYS]
    tcp.conns[c, col.C_KEYS] = 0
    while k != 0:
        after = tcp.keys[k, col.K_NEXT]
        if joins_only != 0 and tcp.keys[k, col.K_PORTS] >> 32 == 0:
            tcp.keys[k, col.K_NEXT] = tcp.conns[c, col.C_KEYS]
            tcp.conns[c, col.C_KEYS] = k
        else:
            drop_entry(tcp.table, tcp.keys[k, col.K_HASH], k)
            tcp.keys[k, col.K_NEXT] = tcp.state[col.G_FREE_KEYS]
            tcp.state[col.G_FREE_KEYS] = k
            tcp.state[col.G_KEY_ROOM] += 1
            tcp.state[col.G_KEYS] -= 1
        k = after


@kernel
def rehash(old: I64, table: I64) -> None:
    """Enter what `old` has into the larger, empty `table`."""
    for at in range(len(old)):
        if old[at, 1] != 0:
            put_entry(table, old[at, 0], old[at, 1])
