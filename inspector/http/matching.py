"""Which response answers which request: a queue of pending requests for each connection (RFC 9112 section 9.3).

In order while no message boundary was lost. Afterwards only by what the client itself had received: a request whose packet
acknowledged exactly the offset where the response starts was sent when all earlier responses had arrived.
"""

from __future__ import annotations

from inspector.http.layout import (
    BACK,
    C_AGAIN,
    C_FREE,
    C_NODES,
    C_UNANSWERED,
    COUNT,
    EARLY,
    FIRST_OFFSET,
    FRONT,
    HELD,
    HOLD,
    KIND,
    L_PENDING,
    LAST_PEER,
    LOST,
    LOST_AT,
    METHOD,
    MODE,
    N_HEAD_END,
    N_ID,
    N_METHOD,
    N_NEXT,
    N_PEER,
    N_START,
    NONE,
    PIPELINED,
    REQUEST,
    START,
    UNKNOWN_METHOD,
)
from inspector.kernel import cold, kernel
from inspector.table import I64
from inspector.tcp.tables import UNKNOWN


@cold
def give_up(request: int, unanswered: I64, counters: I64) -> None:
    """The request will get no response any more."""
    unanswered[counters[C_UNANSWERED]] = request
    counters[C_UNANSWERED] += 1


@kernel
def release(state: I64, s: int, request: int, counters: I64) -> None:
    """If stream `s` waits for the response to `request`, it goes on with the next message."""
    if state[s, MODE] == HOLD and state[s, HELD] == request:
        state[s, MODE] = START
        counters[C_AGAIN] = 1


@kernel
def pop(conns: I64, c: int, pool: I64, counters: I64) -> int:
    """Take the first pending request off the queue: its node (still readable until the next push). Precondition: there is one."""
    node = conns[c, FRONT]
    conns[c, FRONT] = pool[node, N_NEXT]
    if conns[c, FRONT] == NONE:
        conns[c, BACK] = NONE
    conns[c, COUNT] -= 1
    pool[node, N_NEXT] = counters[C_FREE]
    counters[C_FREE] = node
    return node


@cold
def drop_front(state: I64, conns: I64, c: int, pool: I64, unanswered: I64, counters: I64) -> None:
    """The first pending request is given up."""
    request = pool[pop(conns, c, pool, counters), N_ID]
    give_up(request, unanswered, counters)
    release(state, 2 * c, request, counters)
    release(state, 2 * c + 1, request, counters)


@cold
def drop_all(state: I64, conns: I64, c: int, pool: I64, unanswered: I64, counters: I64) -> None:
    """All pending requests of a connection are given up."""
    while conns[c, COUNT] > 0:
        drop_front(state, conns, c, pool, unanswered, counters)


@kernel
def push(
    request: int, start: int, head_end: int, peer: int, method: int,
    state: I64, conns: I64, c: int, pool: I64, unanswered: I64, counters: I64, limits: I64,
) -> None:  # fmt: skip
    """A request waits for its response. Precondition: `pool` has room for a node."""
    if peer != UNKNOWN:
        if conns[c, LAST_PEER] != UNKNOWN and peer <= conns[c, LAST_PEER]:
            conns[c, PIPELINED] = 1
        conns[c, LAST_PEER] = peer
    if start < conns[c, EARLY]:
        give_up(request, unanswered, counters)
        return
    if conns[c, COUNT] >= limits[L_PENDING]:
        drop_front(state, conns, c, pool, unanswered, counters)
        conns[c, LOST] = 1
        conns[c, LOST_AT] = start
    node = counters[C_FREE]
    if node == NONE:
        node = counters[C_NODES]
        counters[C_NODES] += 1
    else:
        counters[C_FREE] = pool[node, N_NEXT]
    pool[node, N_ID] = request
    pool[node, N_START] = start
    pool[node, N_HEAD_END] = head_end
    pool[node, N_PEER] = peer
    pool[node, N_METHOD] = method
    pool[node, N_NEXT] = NONE
    if conns[c, COUNT] == 0:
        conns[c, FRONT] = node
    else:
        pool[conns[c, BACK], N_NEXT] = node
    conns[c, BACK] = node
    conns[c, COUNT] += 1


@kernel
def next_in_order(peer: int, state: I64, conns: I64, c: int, pool: I64, unanswered: I64, counters: I64) -> int:
    """The node of the request that the next response answers while no boundary was lost, NONE if it answers none.

    A server that had not received the whole head of the first pending request did not answer it, unless it refused it early:
    then nothing answers it later.
    """
    if conns[c, COUNT] > 0:
        front = conns[c, FRONT]
        if peer == UNKNOWN or pool[front, N_HEAD_END] <= peer:
            return pop(conns, c, pool, counters)
        if pool[front, N_START] < peer:
            drop_front(state, conns, c, pool, unanswered, counters)
    if peer != UNKNOWN:
        conns[c, EARLY] = max(conns[c, EARLY], peer)
    return NONE


@kernel
def exact_fit(
    s: int, start: int, peer: int, state: I64, conns: I64, c: int, pool: I64, unanswered: I64, counters: I64
) -> int:
    """The node of the request that the response at `start` answers after a boundary was lost, NONE if none fits."""
    if conns[c, PIPELINED] != 0 or conns[c, COUNT] == 0:
        return NONE
    skipped = 0
    node = conns[c, FRONT]
    while node != NONE:
        asked_at = pool[node, N_PEER]
        if asked_at == start:
            break
        if (
            asked_at == UNKNOWN
            and start == state[s, FIRST_OFFSET]
            and pool[node, N_START] == state[s ^ 1, FIRST_OFFSET]
        ):
            break  # both are the first that was seen of their streams
        skipped += 1
        node = pool[node, N_NEXT]
    if node == NONE or (peer != UNKNOWN and pool[node, N_HEAD_END] > peer):
        return NONE
    for _ in range(skipped):
        drop_front(state, conns, c, pool, unanswered, counters)
    pop(conns, c, pool, counters)
    if pool[node, N_START] >= conns[c, LOST_AT]:
        conns[c, LOST] = 0
    return node


@kernel
def match(s: int, start: int, peer: int, state: I64, conns: I64, pool: I64, unanswered: I64, counters: I64) -> int:
    """The id of the request that the response at `start` of stream `s` answers, NONE for an orphan; METHOD becomes its method."""
    c = s >> 1
    if conns[c, LOST] != 0:
        node = exact_fit(s, start, peer, state, conns, c, pool, unanswered, counters)
    else:
        node = next_in_order(peer, state, conns, c, pool, unanswered, counters)
    if node == NONE:
        state[s, METHOD] = UNKNOWN_METHOD
        return NONE
    state[s, METHOD] = pool[node, N_METHOD]
    return pool[node, N_ID]


@cold
def lose_boundary(s: int, at: int, state: I64, conns: I64, counters: I64) -> None:
    """Where messages of stream `s` begin and end is unknown from before offset `at` on."""
    c = s >> 1
    conns[c, LOST] = 1
    if state[s, KIND] == REQUEST:
        conns[c, LOST_AT] = at
    elif state[s ^ 1, MODE] == HOLD:  # the response that it waits for may never be found
        state[s ^ 1, MODE] = START
        counters[C_AGAIN] = 1
