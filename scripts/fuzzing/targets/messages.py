"""HTTP/1 heads and bodies, chunked framing, what is handed over after an upgrade, TLS hellos; heads rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

import numpy as np
import xxhash
from http_wire import Feeder, Packet, whole

from fuzzing import corpus, dull
from fuzzing.target import Choices, Target, sized
from inspector.evidence.masking import Mask
from inspector.evidence.scrub_heads import Scrubber
from inspector.http.content import Extent, part
from inspector.http.parser import Options, Parser
from inspector.http.tables import Fact, Messages, Protocol
from inspector.ragged import Ragged
from inspector.tcp.tables import End

SCRUBBER = Scrubber(Mask(b"the fuzzer's key"))
SMALL = Options(
    head_limit=300, header_lines=6, field_limit=40, target_limit=30, pending=2, wait_limit=200, chunk_line_limit=20
)
Step = Packet | None  # None: a block ends here


def play(choices: Choices) -> tuple[list[Step], bool, list[bytes]]:
    """Two streams cut into packets, some of them lost: steps, whether any was lost, and the streams."""
    texts = [choices.sized(), choices.sized()]
    at, peers = [0, 0], [0, 0]  # what has been sent, and what each side has acknowledged of the other
    steps: list[Step] = []
    lossy = False
    while at[0] < len(texts[0]) or at[1] < len(texts[1]):
        what, size = (choices.byte(), choices.byte()) if choices else (2, 0xCF)
        side = what & 1
        if at[side] >= len(texts[side]):
            side ^= 1
        data = texts[side][at[side] : at[side] + (size + 1 if size < 0xC0 else 1 << (size & 15))]
        peers[side] = at[side ^ 1] if what & 2 else peers[side]
        if what & 0xF0 == 0xF0:
            lossy = True
        else:
            steps.append(Packet(len(steps), side, at[side], data, peers[side]))
        at[side] += len(data)
        if what & 4:
            steps.append(None)
    return steps, lossy, texts


def fed(steps: Sequence[Step], sizes: list[int], how: End, options: Options | None, divided: bool) -> Feeder:
    """All steps; with `divided`, blocks end where the steps say so."""
    feeder = Feeder(Parser(options))
    for step in steps:
        if step is not None:
            feeder.add(step)
        elif divided:
            feeder.feed()
    feeder.feed()  # a first line that ends with its stream in the same block is judged at once
    for side in (0, 1):
        feeder.end(side, how, sizes[side])
    feeder.feed()
    return feeder


def http(data: bytes) -> None:
    """Two streams of anything: every request is answered or given up, once; limits hold; how packets are divided among blocks
    changes nothing; and what a body is does not hang on who reads it."""
    choices = Choices(data)
    flags = choices.byte()
    options = SMALL if flags & 1 else None
    how = list(End)[flags // 2 % len(End)]
    steps, lossy, texts = play(choices)
    sizes = [len(text) for text in texts]
    feeder = fed(steps, sizes, how, options, True)
    m = Messages.concat(feeder.messages)
    consistent(m, feeder, sizes, options or Options())
    if not lossy:
        other = fed(steps, sizes, how, options, False)
        n = Messages.concat(other.messages)
        if not (unasked(m) or unasked(n)):
            alike(m, n)
            assert given_up(feeder) == given_up(other)
            last = [
                {slot: (kind, name) for slot, kind, name in f.kinds()} for f in (feeder, other)
            ]  # it may be told twice
            assert last[0] == last[1]
        for i in range(len(m)):
            read_again(m, i, texts[int(m.slot[i])])


def unasked(m: Messages) -> bool:
    """Whether there is a response without a request: where it comes while its request's head is incomplete, what is made of both
    hangs on where the block ends (RELIABILITY.md)."""
    return bool(((m.kind == 2) & (m.request < 0)).any())


def given_up(feeder: Feeder) -> list[int]:
    """Where the requests begin that got no response."""
    m = Messages.concat(feeder.messages)
    return sorted(m.start[np.isin(m.id, feeder.unanswered)].tolist())


def consistent(m: Messages, feeder: Feeder, sizes: list[int], options: Options) -> None:
    """What must hold of any messages."""
    assert (m.start <= m.head_end).all()
    assert (m.head_end <= m.end).all()
    assert (m.start >= 0).all()
    assert (m.end <= np.array(sizes, np.int64)[m.slot]).all()
    assert (m.body_bytes >= 0).all()
    assert (m.gap_bytes >= 0).all()
    assert (m.request < m.id).all()
    assert len(set(m.id.tolist())) == len(m)
    requests = m.id[m.kind == 1].tolist()
    answered = m.request[m.request >= 0].tolist()
    told = [*answered, *feeder.unanswered]
    assert len(set(told)) == len(told)
    assert set(told) <= set(requests)
    whole_heads = m.id[(m.kind == 1) & ((m.facts & np.uint32(Fact.HEAD_COMPLETE)) != 0)].tolist()
    assert set(whole_heads) <= set(
        told
    )  # one whose head never ends may be left until the capture ends (RELIABILITY.md)
    for side in (0, 1):  # messages of a stream do not overlap
        rows = np.flatnonzero(m.slot == side)
        rows = rows[np.argsort(m.start[rows], kind="stable")]
        assert (m.end[rows[:-1]] <= m.start[rows[1:]]).all()
    assert (m.text.lengths <= options.target_limit + 64 + 8 * options.field_limit).all()
    assert feeder.kept_bytes <= 2 * max(options.wait_limit, options.head_limit, options.hello_limit, 1 << 16)


def alike(a: Messages, b: Messages) -> None:
    """Equal tables, in whatever order messages ended."""
    for table in (a, b):
        assert len(table) == len(a)
    rows = [np.lexsort((t.start, t.slot)) for t in (a, b)]
    starts = [dict(zip(t.id.tolist(), t.start.tolist(), strict=True)) for t in (a, b)]
    for column in fields(Messages):
        x, y = getattr(a, column.name).take(rows[0]), getattr(b, column.name).take(rows[1])
        if column.name in ("id", "request"):
            mine, other = ([s.get(v, -1) for v in c.tolist()] for s, c in zip(starts, (x, y), strict=True))
            assert mine == other, column.name
        elif isinstance(x, Ragged):
            assert [x.bytes(i) for i in range(len(x))] == [y.bytes(i) for i in range(len(y))], column.name
        else:
            assert np.array_equal(x, y), column.name


def read_again(m: Messages, i: int, text: bytes) -> None:
    """A body read by the dull reader of contents is that of the parser."""
    start, end = int(m.start[i]), int(m.end[i])
    extent = Extent(start, int(m.head_end[i]), end, int(m.facts[i]), int(m.body_bytes[i]), int(m.gap_bytes[i]))
    found = part(extent, [(start, text[start:end])])
    if extent.facts & Fact.COMPLETE and extent.facts & Fact.HEAD_COMPLETE and not extent.gap_bytes:
        assert len(found.body) == extent.body_bytes
        assert xxhash.xxh64_intdigest(found.body) == int(m.body_hash[i])
        assert not found.holes
    head = text[start : extent.head_end]
    assert len(SCRUBBER.head(head, m.kind[i] == 1)) == len(head)


def bodies(data: bytes) -> None:
    """Content in chunks of any size, with extensions and trailers: the content comes out, whole."""
    choices = Choices(data)
    flags = choices.byte()
    content, message = b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    end = (b"\r\n", b"\n")[flags & 1]
    extension = (b"", b";a=b", b' ; q="x"', b";")[flags >> 1 & 3]
    while choices:
        chunk = choices.take(1 + choices.byte())
        if chunk:
            size = b"%x" % len(chunk) if flags & 8 else b"%04X" % len(chunk)
            message += size + extension + end + chunk + end
            content += chunk
    message += b"0" + end + (b"x-sum: 1" + end if flags & 16 else b"") + end
    if flags & 32:  # the length says how long it is
        message = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content
    feeder = whole(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", message)
    (response,) = [r for r in feeder.result() if r["kind"] == 2]
    assert response["facts"] & Fact.COMPLETE
    assert (response["body_bytes"], response["body_hash"]) == (len(content), xxhash.xxh64_intdigest(content))
    assert response["end"] == len(message)
    table = Messages.concat(feeder.messages)
    read_again(table, int(np.flatnonzero(table.kind == 2)[0]), message)


def tls(data: bytes) -> None:
    """The server name of a hello: the same however its bytes are divided, and as a dull reader has it; nothing of it stays."""
    names = []
    for step in (len(data) or 1, 1 + len(data) % 97):
        feeder = Feeder()
        for at in range(0, len(data), step):
            feeder.add(Packet(at, 0, at, data[at : at + step]))
            feeder.feed()
        feeder.end(0, End.FIN)
        feeder.feed()
        names.append([(kind, name) for slot, kind, name in feeder.kinds() if slot == 0])
    assert names[0] == names[1]
    told = dull.server_name(data)
    if told is not None:
        assert names[0] == [(Protocol.TLS, told)], names[0]
    new = SCRUBBER.hello(data[5:])
    assert len(new) == len(data) - 5 if len(data) > 5 else not new


def http_seeds() -> Iterable[bytes]:
    """Connections of the captures, and what they do not have: pipelining, chunks, upgrades, tunnels, folded lines, nonsense."""
    requests, responses = b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n\r\n", (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n3;e\r\nabc\r\n0\r\nx: y\r\n\r\n"
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end"
    )  # fmt: skip
    socket = (
        b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x85\1\2\3\4hello",
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\5hello"),
    )
    tunnel = b"CONNECT a:443 HTTP/1.1\r\n\r\n\x16\3\1\0\5", b"HTTP/1.1 200 OK\r\n\r\n\x16\3\3\0\2"
    odd = (
        b"\r\nGET / HTTP/1.1\nA: b\n c\nContent-Length: 1, 1\n\nxHEAD / HTTP/1.1\r\n\r\n",
        (b"HTTP/1.1 200\r\nContent-Length: 99999999999999999999\r\n\r\nHTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n"),
    )
    two = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\0\0\0\0\0"
    real = [pair for pair in corpus.streams() if 0 < len(pair[0]) < 5000 and len(pair[1]) < 8000]
    for n, (asked, answered) in enumerate(
        [(requests, responses), socket, tunnel, odd, two, *real[:: max(len(real) // 60, 1)]]
    ):
        cuts = (b"\2\xcf\3\xcf" * 8, b"\6\x30\7\x40" * 30, b"\2\x10\xf3\x18\7\x20" * 20)[n % 3]
        yield bytes([2 * (n % 5) + (n % 7 == 3)]) + sized(asked) + sized(answered) + cuts


def body_seeds() -> Iterable[bytes]:
    """Every way of writing a chunk."""
    return [bytes([flags, 3, 97, 98, 99, 0, 120, 200]) + b"0\r\n\r\n" * 50 for flags in range(0, 64, 3)]


def tls_seeds() -> Iterable[bytes]:
    """The hellos of the captures, and hellos in two records."""
    for asked, _ in corpus.streams():
        if asked[:2] == b"\x16\3" and len(asked) > 9:
            size = 5 + int.from_bytes(asked[3:5], "big")
            yield asked[:size]
            hello = asked[5:size]
            yield b"".join(b"\x16\3\1" + len(p).to_bytes(2, "big") + p for p in (hello[:50], hello[50:]))


TARGETS = [
    Target("http", "HTTP/1 streams", http, http_seeds, longest=16000),
    Target("bodies", "bodies by length and in chunks", bodies, body_seeds, longest=1500),
    Target("tls", "TLS ClientHello", tls, tls_seeds, longest=2000),
]
