"""Which response answers which request: a queue of pending requests for each connection (RFC 9112 section 9.3).

In order while no message boundary was lost. Afterwards only by what the client itself had received: a request whose packet
acknowledged exactly the offset where the response starts was sent when all earlier responses had arrived.
"""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.layout import Http
from inspector.kernels.kernel import cold, kernel
from inspector.tcp.tables import UNKNOWN


@cold
def give_up(http: Http, request: int) -> None:
    """The request will get no response any more."""
    http.unanswered[http.counters[col.C_UNANSWERED]] = request
    http.overtaken[http.counters[col.C_UNANSWERED]] = col.NONE
    http.counters[col.C_UNANSWERED] += 1


@kernel
def release(http: Http, s: int, request: int) -> None:
    """If stream `s` waits for the response to `request`, it goes on with the next message."""
    if http.state[s, col.MODE] == col.HOLD and http.state[s, col.HELD] == request:
        http.state[s, col.MODE] = col.START
        http.counters[col.C_AGAIN] = 1


@kernel
def pop(http: Http, c: int) -> int:
    """Take the first pending request off the queue: its node (still readable until the next push). Precondition: there is one."""
    node = http.conns[c, col.FRONT]
    http.conns[c, col.FRONT] = http.pool[node, col.N_NEXT]
    if http.conns[c, col.FRONT] == col.NONE:
        http.conns[c, col.BACK] = col.NONE
    http.conns[c, col.COUNT] -= 1
    http.counters[col.C_PENDING] -= 1
    http.pool[node, col.N_NEXT] = http.counters[col.C_FREE]
    http.counters[col.C_FREE] = node
    return node


@cold
def drop_front(http: Http, c: int) -> None:
    """The first pending request is given up."""
    request = http.pool[pop(http, c), col.N_ID]
    give_up(http, request)
    release(http, 2 * c, request)
    release(http, 2 * c + 1, request)


@cold
def drop_all(http: Http, c: int) -> None:
    """All pending requests of a connection are given up."""
    while http.conns[c, col.COUNT] > 0:
        drop_front(http, c)


@kernel
def push(http: Http, request: int, start: int, head_end: int, peer: int, method: int, c: int) -> None:
    """A request waits for its response. Precondition: `pool` has room for a node."""
    if peer != UNKNOWN:
        if http.conns[c, col.LAST_PEER] != UNKNOWN and peer <= http.conns[c, col.LAST_PEER]:
            http.conns[c, col.PIPELINED] = 1
        http.conns[c, col.LAST_PEER] = peer
    if start < http.conns[c, col.EARLY]:
        give_up(http, request)
        return
    most = http.limits[col.L_PENDING]
    if http.counters[col.C_PENDING] >= http.limits[col.L_PENDING_TOTAL]:
        most = 1
    if http.conns[c, col.COUNT] >= most:
        while http.conns[c, col.COUNT] >= most:
            drop_front(http, c)
            http.counters[col.C_OVERTAKEN] += 1
        http.conns[c, col.LOST] = 1
        http.conns[c, col.LOST_AT] = start
    node = http.counters[col.C_FREE]
    if node == col.NONE:
        node = http.counters[col.C_NODES]
        http.counters[col.C_NODES] += 1
    else:
        http.counters[col.C_FREE] = http.pool[node, col.N_NEXT]
    http.pool[node, col.N_ID] = request
    http.pool[node, col.N_START] = start
    http.pool[node, col.N_HEAD_END] = head_end
    http.pool[node, col.N_PEER] = peer
    http.pool[node, col.N_METHOD] = method
    http.pool[node, col.N_NEXT] = col.NONE
    if http.conns[c, col.COUNT] == 0:
        http.conns[c, col.FRONT] = node
    else:
        http.pool[http.conns[c, col.BACK], col.N_NEXT] = node
    http.conns[c, col.BACK] = node
    http.conns[c, col.COUNT] += 1
    http.counters[col.C_PENDING] += 1


@kernel
def next_in_order(http: Http, peer: int, c: int) -> int:
    """The node of the request that the next response answers while no boundary was lost, NONE if it answers none.

    A server that had not received the whole head of the first pending request did not answer it, unless it refused it early:
    then nothing answers it later.
    """
    if http.conns[c, col.COUNT] > 0:
        front = http.conns[c, col.FRONT]
        if peer == UNKNOWN or http.pool[front, col.N_HEAD_END] <= peer:
            return pop(http, c)
        if http.pool[front, col.N_START] < peer:
            drop_front(http, c)
    if peer != UNKNOWN:
        http.conns[c, col.EARLY] = max(http.conns[c, col.EARLY], peer)
    return col.NONE


@kernel
def exact_fit(http: Http, s: int, start: int, peer: int, c: int) -> int:
    """The node of the request that the response at `start` answers after a boundary was lost, NONE if none fits."""
    if http.conns[c, col.PIPELINED] != 0 or http.conns[c, col.COUNT] == 0:
        return col.NONE
    skipped = 0
    node = http.conns[c, col.FRONT]
    while node != col.NONE:
        asked_at = http.pool[node, col.N_PEER]
        if asked_at == start:
            break
        if (
            asked_at == UNKNOWN
            and start == http.state[s, col.FIRST_OFFSET]
            and http.pool[node, col.N_START] == http.state[s ^ 1, col.FIRST_OFFSET]
        ):
            break  # both are the first that was seen of their streams
        skipped += 1
        node = http.pool[node, col.N_NEXT]
    if node == col.NONE or (peer != UNKNOWN and http.pool[node, col.N_HEAD_END] > peer):
        return col.NONE
    for _ in range(skipped):
        drop_front(http, c)
    for k in range(skipped):
        http.overtaken[http.counters[col.C_UNANSWERED] - 1 - k] = http.pool[node, col.N_ID]
    pop(http, c)
    if http.pool[node, col.N_START] >= http.conns[c, col.LOST_AT]:
        http.conns[c, col.LOST] = 0
    return node


@kernel
def match(http: Http, s: int, start: int, peer: int) -> int:
    """The id of the request that the response at `start` of stream `s` answers, NONE for an orphan; METHOD becomes its method."""
    c = s >> 1
    if http.conns[c, col.LOST] != 0:
        node = exact_fit(http, s, start, peer, c)
    else:
        node = next_in_order(http, peer, c)
    if node == col.NONE:
        http.state[s, col.METHOD] = col.UNKNOWN_METHOD
        return col.NONE
    http.state[s, col.METHOD] = http.pool[node, col.N_METHOD]
    return http.pool[node, col.N_ID]


@cold
def lose_boundary(http: Http, s: int, at: int) -> None:
    """Where messages of stream `s` begin and end is unknown from before offset `at` on."""
    c = s >> 1
    http.conns[c, col.LOST] = 1
    if http.state[s, col.KIND] == col.REQUEST:
        http.conns[c, col.LOST_AT] = at
    elif http.state[s ^ 1, col.MODE] == col.HOLD:  # the response that it waits for may never be found
        http.state[s ^ 1, col.MODE] = col.START
        http.counters[col.C_AGAIN] = 1
