"""How much was understood, and why a request was not read, against dull references: sets of bytes, and a look at every row."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from capture_files import speed
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.http.tables import Fact
from inspector.inspection import understood as at
from inspector.inspection.unread_requests import UnreadRequests
from inspector.tcp.tables import UNKNOWN, Chunks, Gap, Runs

SLOTS = 4
PIECES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.sampled_from([Gap.LOST, Gap.CUT])), max_size=4)
BLOCKS = st.lists(st.dictionaries(st.integers(0, SLOTS - 1), st.tuples(st.integers(0, 9), PIECES)), max_size=5)
FACTS = (Fact.HEAD_COMPLETE, Fact.COMPLETE, Fact.CHUNKED, Fact.INTERIM)


def runs_of(block, known):
    """Rows of a block: first what is passed on once more, then gaps and bytes. known: by slot, the last gap, where it ends, and
    where the bytes behind it end."""
    rows = []
    for slot, (again, pieces) in sorted(block.items()):
        gap, begin, stop = known[slot]
        first = max(stop - again, begin)
        if again and begin < stop:
            rows.append((slot, first, stop - first, *((gap, Gap.LOST) if first == begin and gap else (0, Gap.NONE))))
        for gap_, length, reason in pieces:
            if gap_:
                gap, begin = gap_, stop + gap_
                stop = begin
            rows.append((slot, stop, length, gap_, reason if gap_ else Gap.NONE))
            stop += length
        known[slot] = gap, begin, stop
    return rows


def columns(rows, kinds):
    return (np.array([row[k] for row in rows], kind) for k, kind in enumerate(kinds))


def nothing(kind, width):
    return kind(*columns([], (np.int32, np.uint32, *[np.int64] * (width - 2))))


@pytest.mark.parametrize("mode", ["plain", "compiled"])
@settings(max_examples=60, deadline=None)
@given(blocks=BLOCKS)
def test_each_byte_and_each_gap_counts_once(mode, blocks):
    state = np.zeros((SLOTS, at.WIDTH), np.int64)
    state[:, at.UPTO] = at.FAR
    known, brought, lost, cut = [(0, 0, 0)] * SLOTS, set(), set(), set()
    for block in blocks:
        rows = runs_of(block, known)
        runs = at.RunColumns(*columns(rows, (np.int32, np.int64, np.int64, np.int64, np.uint8)))
        with speed(mode):
            at.count_bytes(state, runs, nothing(at.MessageColumns, 7))
        for slot, offset, length, gap, reason in rows:
            brought |= {(slot, k) for k in range(offset, offset + length)}
            missing = {(slot, k) for k in range(offset - gap, offset)} - brought - lost
            lost |= missing
            cut |= missing if reason == Gap.CUT else set()
    for column, found in ((at.PAYLOAD, brought), (at.MISSING, lost), (at.CUT, cut)):
        assert state[:, column].tolist() == [sum(slot == s for slot, _ in found) for s in range(SLOTS)]


@pytest.mark.parametrize("mode", ["plain", "compiled"])
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, SLOTS - 1),
            st.lists(st.sampled_from(FACTS), unique=True),
            *[st.integers(0, 50)] * 4,
        ),
        max_size=9,
    )
)
def test_the_bytes_of_messages(mode, rows):
    """What a gap in a head took is not known, nor what it took behind chunked framing."""
    state = np.zeros((SLOTS, at.WIDTH), np.int64)
    wanted = np.zeros((SLOTS, 3), np.int64)
    made = []
    for slot, facts, head, body, gap, start in rows:
        end = start + head + body + gap
        made.append((slot, sum(int(f) for f in facts), start, start + head, end, body, gap))
        if Fact.HEAD_COMPLETE not in facts:
            wanted[slot] += (head + body + gap, 0, Fact.INTERIM in facts)
        elif gap and Fact.CHUNKED in facts and Fact.COMPLETE not in facts:
            wanted[slot] += (head + body, 0, Fact.INTERIM in facts)
        else:
            wanted[slot] += (head + body, gap, Fact.INTERIM in facts)
    kinds = (np.int32, np.uint32, *[np.int64] * 5)
    none = at.RunColumns(*columns([], (np.int32, np.int64, np.int64, np.int64, np.uint8)))
    with speed(mode):
        at.count_bytes(state, none, at.MessageColumns(*columns(made, kinds)))
    assert state[:, [at.IN_MESSAGES, at.GAPS_IN_MESSAGES, at.INTERIM]].tolist() == wanted.tolist()


class World:
    """Runs, the packets under them and messages on a few connections; some bytes are lost, some responses lack their request."""

    def __init__(self, seed):
        r = np.random.default_rng(seed)
        runs, chunks, messages = [], [], []
        for slot in range(2 * SLOTS):
            offset, gap = int(r.integers(0, 5)), 0
            for _ in range(int(r.integers(0, 6))):
                if r.random() < 0.3:
                    gap = int(r.integers(1, 9))
                    offset += gap
                if gap or not runs or runs[-1][0] != slot:
                    runs.append([slot, offset, 0, gap, int(r.integers(1, 3)) if gap else 0])
                length, gap = int(r.integers(1, 9)), 0
                peer = int(r.integers(0, 40)) if r.random() < 0.8 else UNKNOWN
                chunks.append((slot, offset, length, len(chunks), peer))
                runs[-1][2] += length
                offset += length
            inside = sorted({at for c in chunks if c[0] == slot for at in range(c[1], c[1] + c[2] + 1)})
            cuts = sorted(r.choice(inside, min(len(inside), int(r.integers(0, 9))), replace=False).tolist())
            for start, end in pairwise(cuts):
                if r.random() < 0.6:
                    messages.append((slot, 1 + slot % 2, -1 if r.random() < 0.7 else 5, start, end))
        self.runs, self.chunks = runs, chunks
        places = [0] * (2 * SLOTS)
        queues = [[m for m in messages if m[0] == s] for s in range(2 * SLOTS)]
        self.messages = []  # of one stream in their order, the streams mixed
        for s in r.permutation([m[0] for m in messages]).tolist():
            self.messages.append(queues[s][places[s]])
            places[s] += 1

    def told(self):
        """What `UnreadRequests` finds, by the number of the response."""
        slot, offset, length, gap, reason = columns(self.runs, [np.int64] * 5)
        runs = Runs.build(slot=slot, stream=slot, offset=offset, at=offset, length=length, gap=gap, reason=reason)
        slot, offset, length, packet, peer = columns(self.chunks, [np.int64] * 5)
        chunks = Chunks.build(
            slot=slot,
            stream=slot,
            offset=offset,
            length=length,
            time=packet,
            capture=0 * slot,
            packet=packet,
            peer=peer,
            turn=peer,
        )
        every, none = np.arange(2 * SLOTS), np.zeros(0, np.int64)
        block = SimpleNamespace(runs=runs, chunks=chunks, ends=SimpleNamespace(slot=every, stream=every))
        protocols = SimpleNamespace(slot=none, protocol=none)
        found = UnreadRequests()
        half = len(self.messages) // 2
        for part in (slice(0, half), slice(half, None)):
            slot, kind, request, start, end = columns(self.messages[part], (np.int32, np.uint8, *[np.int64] * 3))
            messages = SimpleNamespace(
                slot=slot, stream=slot.astype(np.int64), kind=kind, request=request, start=start, end=end
            )
            numbers = range(len(self.messages))[part]
            placed = SimpleNamespace(capture=0 * slot, packets=[[n] for n in numbers])
            last = part.stop is None
            read = SimpleNamespace(messages=messages, protocols=protocols, open_slots=none, open_starts=none, last=last)
            found.add(block, read, placed, lambda *where: np.array([self.asked(*w) for w in zip(*where, strict=True)]))
        found.finish()
        return {number: told for (_, number), told in found.found.items()}

    def asked(self, slot, start):
        """What the packet with a byte acknowledged."""
        return next((c[4] for c in self.chunks if c[0] == slot and c[1] <= start < c[1] + c[2]), UNKNOWN)

    def holes(self, slot):
        """What is between the messages of a slot."""
        begin = min((r[1] - r[3] for r in self.runs if r[0] == slot), default=0)
        stop = max((c[1] + c[2] for c in self.chunks if c[0] == slot), default=0)
        for start, end in [*(m[3:] for m in self.messages if m[0] == slot), (stop, stop)]:
            if begin < start:
                yield begin, start
            begin = end

    def dull(self):
        out, looked_up = {}, [UNKNOWN] * (2 * SLOTS)
        for number, (slot, kind, request, start, _) in enumerate(self.messages):
            if kind != 2 or request >= 0:
                continue
            mate, asked = slot ^ 1, self.asked(slot, start)
            left = [
                (max(c[1], begin), c[3])
                for begin, end in self.holes(mate)
                for c in self.chunks
                if c[0] == mate and c[1] < end and c[1] + c[2] > begin and max(c[1], begin) >= looked_up[mate]
            ]
            if asked == UNKNOWN:
                out.update({number: ("unread", None)} if left else {})
                continue
            begin = max([looked_up[mate], *[m[4] for m in self.messages if m[0] == mate and m[4] <= asked]])
            looked_up[mate] = max(asked, looked_up[mate])
            inside = [packet for at, packet in left if begin <= at < asked]
            why = {
                r[4]
                for b, e in self.holes(mate)
                for r in self.runs
                if r[0] == mate and r[3] > 0 and b < r[1] <= e and begin <= r[1] - r[3] < asked
            }
            if inside:
                word = "snaplen" if Gap.CUT in why else "lost" if why else "unread"
                out[number] = word, inside[0]
        return out


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_why_a_request_was_not_read(seed):
    world = World(seed)
    if world.messages and world.chunks:
        assert world.told() == world.dull()
