"""One example a rule: fed whole, byte by byte and with other bytes after it, interpreted and compiled."""

from __future__ import annotations

import pytest
import xxhash
from http_wire import Exchange, Feeder, Packet, play, run, whole

import inspector.kernels.kernel
from inspector.http.parser import Options, Parser
from inspector.http.tables import Fact, Mark, Protocol
from inspector.tcp.tables import UNKNOWN, End, Gap


@pytest.fixture(params=["plain", "compiled"])
def mode(request):
    inspector.kernels.kernel.use(request.param)
    yield request.param
    inspector.kernels.kernel.use("plain")


def bytewise(requests: bytes, responses: bytes, how: End, options: Options | None = None) -> Feeder:
    """Every byte a packet and a block of its own."""
    feeder = Feeder(Parser(options))
    for side, data in ((0, requests), (1, responses)):
        for i in range(len(data)):
            feeder.add(Packet(i, side, i, data[i : i + 1]))
            feeder.feed()
    feeder.end(0, how)
    feeder.feed()
    feeder.end(1, how)
    feeder.feed()
    return feeder


def both(requests: bytes, responses: bytes = b"", how: End = End.FIN, options: Options | None = None) -> list[dict]:
    """The messages, the same whole and byte by byte."""
    at_once = whole(requests, responses, how, options)
    slowly = bytewise(requests, responses, how, options)
    assert [{**m, "id": 0} for m in at_once.result()] == [{**m, "id": 0} for m in slowly.result()]
    assert sorted(at_once.unanswered) == sorted(slowly.unanswered)
    assert at_once.kinds() == slowly.kinds()
    return at_once.result()


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BASE = Fact.COMPLETE | Fact.HEAD_COMPLETE


def h(data: bytes) -> int:
    return xxhash.xxh64_intdigest(data)


REQUESTS = {
    "get": (GET, BASE | Fact.NO_BODY, b""),
    "length": (b"PUT /x HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", BASE, b"abc"),
    "length-twice-equal": (b"PUT /x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3, 3\r\n\r\nabc", BASE, b"abc"),
    "length-zero": (b"PUT /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n", BASE, b""),
    "chunked": (
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\n\r\n",
        BASE | Fact.CHUNKED,
        b"abc0123456789",
    ),
    "trailers": (
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
        BASE | Fact.CHUNKED | Fact.TRAILERS,
        b"a",
    ),
    "chunked-and-length": (
        b"PUT /x HTTP/1.1\r\nContent-Length: 99\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        BASE | Fact.CHUNKED | Fact.LENGTH_CONFLICT,
        b"a",
    ),
    "bare-lf": (b"PUT /x HTTP/1.1\nContent-Length: 3\n\nabc", BASE | Fact.BARE_LF, b"abc"),
    "bare-lf-chunks": (
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3 \nabc\n0\n\n", BASE | Fact.CHUNKED, b"abc"
    ),
    "folded": (b"PUT /x HTTP/1.1\r\nX: a\r\n \t b\r\nContent-Length:\r\n 3\r\n\r\nabc", BASE | Fact.FOLDED, b"abc"),
    "empty-lines-first": (b"\r\n\n" + GET, BASE | Fact.NO_BODY, b""),
    "any-method": (b"M!x-1 * HTTP/1.1\r\nHost: a\r\n\r\n", BASE | Fact.NO_BODY, b""),
    "close": (b"GET / HTTP/1.1\r\nConnection: Foo, Close\r\n\r\n", BASE | Fact.NO_BODY | Fact.CLOSE, b""),
    "http10": (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", BASE | Fact.NO_BODY | Fact.CLOSE, b""),
    "http10-kept": (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", BASE | Fact.NO_BODY, b""),
    "no-headers": (b"GET / HTTP/1.1\r\n\r\n", BASE | Fact.NO_BODY, b""),
    "junk-line": (b"GET / HTTP/1.1\r\nno colon here\r\n: no name\r\n\r\n", BASE | Fact.NO_BODY, b""),
    "space-before-body": (b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n ab", BASE, b" ab"),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_request(mode, name):
    data, facts, body = REQUESTS[name]
    (m,) = both(data)
    assert (m["facts"], m["body_bytes"], m["body_hash"]) == (facts, len(body), h(body))
    assert m["end"] == len(data)
    first, second = both(data + GET)
    assert {**first, "id": 0} == {**m, "id": 0}
    assert (second["start"], second["host"]) == (len(data), b"a")


RESPONSES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", BASE, b"ab"),
    "no-reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab", BASE, b"ab"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        BASE | Fact.CHUNKED,
        b"ab",
    ),
    "204": (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", BASE | Fact.NO_BODY, b""),
    "304": (b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", BASE | Fact.NO_BODY, b""),
    "interim": (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 H\r\nLink: x\r\n\r\n" + OK, BASE | Fact.INTERIM, b""),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_response(mode, name):
    data, facts, body = RESPONSES[name]
    q, r = both(GET, data)
    assert (r["facts"], r["body_bytes"], r["body_hash"], r["end"]) == (facts, len(body), h(body), len(data))
    assert (q["request"], r["request"]) == (-1, 0)
    assert q["id"] < r["id"]
    _, _, first, second = both(GET + GET, data + OK)
    assert {**first, "id": 0} == {**r, "id": 0}
    assert (second["start"], second["request"]) == (len(data), len(GET))


def test_head_has_no_body_and_the_next_response_follows(mode):
    head = b"HEAD / HTTP/1.1\r\n\r\n"
    _, _, r, s = both(head + GET, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + OK)
    assert r["facts"] == BASE | Fact.NO_BODY
    assert (s["status"], s["request"]) == (200, len(head))


@pytest.mark.parametrize("how", [End.FIN, End.RST, End.CAPTURE])
def test_until_close(mode, how):
    q, r = both(GET, b"HTTP/1.0 200 OK\r\n\r\nabc", how)
    expect = {End.FIN: BASE, End.RST: Fact.HEAD_COMPLETE | Fact.ABORTED, End.CAPTURE: Fact.HEAD_COMPLETE}[how]
    assert r["facts"] == expect | Fact.UNTIL_CLOSE | Fact.CLOSE
    assert (r["body_bytes"], r["body_hash"], r["request"]) == (3, h(b"abc"), q["start"])


@pytest.mark.parametrize("how", [End.FIN, End.RST, End.REUSED, End.EXPIRED, End.CAPTURE])
def test_end_inside_a_message(mode, how):
    aborted = Fact.ABORTED if how in (End.FIN, End.RST, End.REUSED) else Fact(0)
    (m,) = both(b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", b"", how)
    assert (m["facts"], m["body_bytes"]) == (Fact.HEAD_COMPLETE | aborted, 2)
    (m,) = both(b"GET /a HTTP/1.1\r\nHost: b\r\nX-Reque", b"", how)
    assert (m["facts"], m["target"], m["host"], m["end"]) == (aborted, b"/a", b"b", 33)
    assert both(b"GET /a HTTP/1", b"", how) == []


def test_conflicting_lengths_lose_the_boundary(mode):
    bad = b"PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
    (m,) = both(bad + b"abcdef" + GET)
    assert m["facts"] == Fact.HEAD_COMPLETE | Fact.LENGTH_CONFLICT
    for value in (b"-1", b"5 5", b"", b"5,", b"0x5", b"9" * 40):
        (m,) = both(b"PUT / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % value)
        assert m["facts"] & Fact.LENGTH_CONFLICT, value


@pytest.mark.parametrize("line", [b"x\r\n", b"-1\r\n", b"\r\n", b"1" * 17 + b"\r\n", b"5\rx"])
def test_bad_chunk(mode, line):
    data = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + line
    (m,) = both(data + b"zzzz\r\n")
    assert not m["facts"] & Fact.COMPLETE
    assert (m["facts"] & Fact.BAD_CHUNK, m["body_bytes"]) == (Fact.BAD_CHUNK, 1) or line == b"5\rx"


def test_fields(mode):
    ids = b"463ac35c9f6413ad48485a3953bb6124", b"48485a3953bb6124", b"0020000000000001"
    q = (
        b"GET http://u@h:80/p?q HTTP/1.1\r\nX-Request-Id:  r-1 \r\nX-Forwarded-For: 1.1.1.1\r\n"
        b"content-type: application/grpc+proto\r\nx-forwarded-for:2.2.2.2,3.3.3.3\r\nX-Envoy-Internal: true\r\n"
        b"X-B3-TraceId: %s\r\nX-B3-SpanId: %s\r\nX-B3-ParentSpanId: %s\r\nX-B3-Sampled: 0\r\n"
        b"x-envoy-attempt-count: 3\r\nContent-Encoding: gzip\r\n\r\n" % (ids[0].upper(), ids[1], ids[2])
    )
    (m,) = both(q)
    assert (m["method"], m["target"], m["host"]) == (b"GET", b"http://u@h:80/p?q", b"h:80")
    assert (m["request_id"], m["xff"]) == (b"r-1", b"1.1.1.1,2.2.2.2,3.3.3.3")
    assert (m["content_type"], m["attempt"], m["version"]) == (b"application/grpc+proto", 3, 11)
    assert (m["trace_hash"], m["span_hash"], m["parent_hash"]) == tuple(h(i) for i in ids)
    assert Mark(m["marks"]) == (
        Mark.REQUEST_ID
        | Mark.XFF
        | Mark.ENVOY_INTERNAL
        | Mark.SAMPLED_0
        | Mark.CONTENT_ENCODING
        | Mark.TRACE
        | Mark.GRPC
    )
    assert m["request_id_hash"] == h(b"r-1")
    (r,) = both(b"", b"HTTP/1.1 200 OK\r\nServer: istio-envoy\r\nx-envoy-upstream-service-time: 3\r\n\r\n")
    assert Mark(r["marks"]) == Mark.SERVER_ENVOY | Mark.UPSTREAM_TIME


@pytest.mark.parametrize(
    "header, parts, marks",
    [
        (b"traceparent: 00-AB-cd-01", (b"ab", b"cd", None), Mark.TRACE | Mark.SAMPLED_1),
        (b"traceparent: 00-ab-cd-00", (b"ab", b"cd", None), Mark.TRACE | Mark.SAMPLED_0),
        (b"b3: ab-cd-1-ef", (b"ab", b"cd", b"ef"), Mark.TRACE | Mark.SAMPLED_1),
        (b"b3: ab-cd", (b"ab", b"cd", None), Mark.TRACE),
        (b"b3: 0", (None, None, None), Mark.SAMPLED_0),
        (b"b3: ab-cd\r\ntraceparent: 00-12-34-01", (b"ab", b"cd", None), Mark.TRACE),
        (b"traceparent: 00-12-34-01\r\nx-b3-spanid: cd", (None, b"cd", None), Mark.TRACE),
    ],
)
def test_trace_context(mode, header, parts, marks):
    (m,) = both(b"GET / HTTP/1.1\r\n%s\r\n\r\n" % header)
    assert (m["trace_hash"], m["span_hash"], m["parent_hash"]) == tuple(h(p) if p else 0 for p in parts)
    assert Mark(m["marks"]) == marks


def test_headers_hash_covers_end_to_end_lines_in_any_order(mode):
    lines = [b"Accept: */*", b"cookie:a=b", b"Accept: x"]
    touched = (
        b"Host: a\r\nProxy-Foo: 1\r\nX-Envoy-Any: 2\r\nX-Istio-X: 1\r\nX-Forwarded-Host: b\r\nDate: now\r\nTE: x\r\n"
    )
    expect = (h(b"accept:*/*") + h(b"cookie:a=b") + h(b"accept:x")) % 2**64
    for order in (lines, lines[::-1]):
        (m,) = both(b"GET / HTTP/1.1\r\n" + touched + b"\r\n".join(order) + b"\r\n\r\n")
        assert m["headers_hash"] == expect
    (m,) = both(b"GET / HTTP/1.1\r\nproxy: 1\r\nxb3: 2\r\n\r\n")
    assert m["headers_hash"] == (h(b"proxy:1") + h(b"xb3:2")) % 2**64


def test_a_line_that_is_not_remembered_leaves_the_remembered_one_alone(mode):
    """Trace lines are read anew each time, but they have places among the known lines: all 1,024 are met here."""
    agent = b"User-Agent: someone\r\n"
    for block in range(8):
        spans = (b"x-b3-spanid: %016x\r\n" % (1024 * block + k) for k in range(1024))
        requests = b"".join(b"GET / HTTP/1.1\r\n" + agent + span + b"\r\n" for span in spans)
        found = whole(requests, b"", End.FIN).result()
        assert {m["headers_hash"] for m in found} == {h(b"user-agent:someone")}


def test_limits(mode):
    options = Options(head_limit=300, header_lines=20, field_limit=10, target_limit=5)
    (m,) = both(b"GET /12345678 HTTP/1.1\r\nX-Request-Id: 12345678901234\r\n\r\n", options=options)
    assert (m["target"], m["request_id"]) == (b"/1234", b"1234567890")
    (m,) = both(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 400 + b"\r\n\r\n" + GET, options=options)
    assert (m["facts"], m["host"]) == (Fact.HEAD_TOO_LONG, b"a")
    (m,) = both(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 30 + b"\r\n", options=options)
    assert m["facts"] == Fact.HEAD_TOO_LONG
    xff = b"".join(b"X-Forwarded-For: 1.1.1.%d\r\n" % i for i in range(9))
    (m,) = both(b"GET / HTTP/1.1\r\n" + xff + b"\r\n", options=options)
    assert m["xff"] == b"1.1.1.0,1.1.1.1"[:10]
    trailer = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: " + b"x" * 400 + b"\r\n\r\n"
    (m,) = both(trailer, options=options)
    assert m["facts"] == Fact.HEAD_COMPLETE | Fact.CHUNKED | Fact.HEAD_TOO_LONG


@pytest.mark.parametrize(
    "first, protocol",
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol.H2),
        (b"\x17\x03\x03\x00\x20" + bytes(32), Protocol.TLS),
        (b"SSH-2.0-OpenSSH_9\r\n", Protocol.OTHER),
        (b"\x00\x01\x02", Protocol.OTHER),
        (b"GET / HTTP/2.0\r\n", Protocol.OTHER),
        (b"PRINT / HTTP/1.1\r\n\r\n", Protocol.HTTP1),
        (b"HTTP/1.1 20x\r\n\r\n", Protocol.OTHER),
    ],
)
def test_first_bytes_decide(mode, first, protocol):
    assert [k[1] for k in whole(first).kinds() if k[0] == 0] == [protocol]
    assert [k[1] for k in bytewise(first, b"", End.FIN).kinds() if k[0] == 0] == [protocol]
    assert whole(first).result() == [] or protocol == Protocol.HTTP1


def client_hello(name: bytes) -> bytes:
    sni = len(name).to_bytes(2, "big") + name
    sni = (len(sni) + 1).to_bytes(2, "big") + b"\0" + sni
    extensions = b"\x00\x2b\x00\x01\x00" + b"\0\0" + len(sni).to_bytes(2, "big") + sni
    body = b"\3\3" + bytes(32) + b"\x02ab" + b"\0\2\x13\1" + b"\1\0" + len(extensions).to_bytes(2, "big") + extensions
    return b"\1" + len(body).to_bytes(3, "big") + body


@pytest.mark.parametrize("record", [5, 30, 10000])
def test_server_name(mode, record):
    name = b"outbound_.80_.version-v2_.catalog.istioinaction.svc.cluster.local"
    hello = client_hello(name)
    data = b"".join(
        b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p
        for i in range(0, len(hello), record)
        if (p := hello[i : i + record])
    )
    server = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00" + b"\x17\x03\x03\x00\x01\x00"
    expect = [(0, Protocol.TLS, name), (1, Protocol.TLS, b"")]
    assert sorted(whole(data + b"\x17\x03\x03\x00\x01\x00", server).kinds()) == expect
    assert sorted(bytewise(data, server, End.FIN).kinds()) == expect
    cut = whole(data[:-3], server)
    assert sorted(cut.kinds()) == [(0, Protocol.TLS, b""), (1, Protocol.TLS, b"")]


def test_upgrade_hands_over_both_directions(mode):
    ask = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    frames = b"\x81\x85GET / HTTP/1.1\r\n\r\n"
    answer = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"
    feeder = whole(ask + frames, answer + b"\x81\x02hi")
    q, r = feeder.result()
    assert (q["facts"], r["facts"]) == (BASE | Fact.NO_BODY, BASE | Fact.NO_BODY | Fact.UPGRADED)
    assert (r["request"], r["end"]) == (0, len(answer))
    assert sorted(feeder.kinds())[1::2] == [(0, Protocol.WEBSOCKET, b""), (1, Protocol.WEBSOCKET, b"")]
    assert len(both(ask + frames, answer + b"\x81\x02hi")) == 2


def test_refused_upgrade_goes_on(mode):
    ask = b"GET /ws HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
    found = both(ask + ask + GET, OK + OK + OK)
    assert [m["request"] for m in found if m["kind"] == 2] == [0, len(ask), 2 * len(ask)]


def test_connect(mode):
    ask = b"CONNECT h:443 HTTP/1.1\r\n\r\n"
    q, r = both(ask + b"\x16\x03\x01rest", b"HTTP/1.1 200 Yes\r\nContent-Length: 9\r\n\r\n\x16\x03")
    assert (q["host"], r["facts"] & Fact.UPGRADED) == (b"h:443", Fact.UPGRADED)
    _, _, r, s = both(ask + GET, b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nab" + OK)
    assert (r["body_bytes"], s["request"]) == (2, len(ask))


def test_what_goes_through_a_connect_tunnel_is_read(mode):
    ask, yes = b"CONNECT shop:80 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 Connection established\r\n\r\n"
    found = both(ask + GET + GET, yes + OK + OK)
    assert [m["request"] for m in found if m["kind"] == 2] == [0, len(ask), len(ask + GET)]
    nested = whole(ask + ask + GET, yes + yes + OK).result()
    assert [m["request"] for m in nested if m["kind"] == 2] == [0, len(ask), len(ask + ask)]
    late = play([Exchange(ask, yes), Exchange(GET, OK), Exchange(GET, OK)], lambda data: [data])
    for block in ((), (70,)):
        answers = [m for m in run(late, block).result() if m["kind"] == 2]
        assert [m["request"] for m in answers] == [0, len(ask), len(ask + GET)]
    tls = whole(ask + b"\x17\x03\x03\x00\x01\x00", yes + b"\x17\x03\x03\x00\x01\x00")
    assert {k[1] for k in tls.kinds()} == {Protocol.HTTP1, Protocol.TUNNEL, Protocol.TLS}
    other = whole(ask + b"\x00GET / HTTP/1.1\r\n\r\n", yes + b"\x01" + OK)
    assert len(other.result()) == 2
    assert {k[1] for k in other.kinds()} == {Protocol.HTTP1, Protocol.TUNNEL}


def test_response_without_request_is_an_orphan(mode):
    (r,) = both(b"", b"HTTP/1.1 408 Timeout\r\nContent-Length: 2\r\n\r\nab")
    assert (r["request"], r["body_bytes"], r["facts"]) == (-1, 2, BASE)


def test_response_waits_for_a_request_that_comes_late(mode):
    """The response is handed over first; that its server had the request is known by what it acknowledged."""
    feeder = Feeder()
    feeder.add(Packet(0, 0, 0, GET[:5], 0))
    feeder.feed()
    feeder.add(Packet(2, 1, 0, OK, len(GET)))
    assert len(feeder.feed().messages) == 0
    feeder.add(Packet(1, 0, 5, GET[5:], 0))
    feeder.feed()
    feeder.end(0, End.FIN)
    feeder.end(1, End.FIN)
    feeder.feed()
    assert [m["request"] for m in feeder.result()] == [-1, 0]
    assert feeder.unanswered == []


def test_server_had_not_seen_the_request(mode):
    """A response whose packet acknowledges nothing of the request is no answer to it."""
    feeder = Feeder()
    feeder.add(Packet(0, 1, 0, b"HTTP/1.1 408 T\r\nContent-Length: 0\r\n\r\n", 0))
    feeder.add(Packet(1, 0, 0, GET, 0))
    feeder.end(0, End.FIN)
    feeder.end(1, End.FIN)
    feeder.feed()
    q, r = feeder.result()
    assert r["request"] == -1
    assert feeder.unanswered == [q["id"]]


def test_gap_in_a_body_and_up_to_its_end(mode):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    for lost, reason in ((4, Gap.LOST), (10, Gap.CUT)):
        feeder = Feeder()
        feeder.add(Packet(0, 0, 0, GET + GET, 0))
        feeder.add(Packet(1, 1, 0, head, 2 * len(GET)))
        feeder.miss(1, len(head) + lost, reason)
        feeder.add(Packet(2, 1, len(head) + lost, b"x" * (10 - lost) + OK, 2 * len(GET)))
        feeder.feed()
        _, _, r, s = feeder.result()
        cut = Fact.CUT if reason == Gap.CUT else Fact(0)
        assert r["facts"] == BASE | Fact.BODY_GAP | cut
        assert (r["body_bytes"], r["gap_bytes"], r["body_hash"]) == (10 - lost, lost, 0)
        assert (s["start"], s["request"]) == (len(head) + 10, len(GET))


def test_gap_inside_one_chunk_keeps_the_framing(mode):
    before, after = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab", b"gh\r\n0\r\n\r\n"
    feeder = Feeder()
    feeder.add(Packet(0, 0, 0, GET, 0))
    feeder.add(Packet(1, 1, 0, before, len(GET)))
    feeder.add(Packet(2, 1, len(before) + 4, after, len(GET)))
    feeder.feed()
    (_, r) = feeder.result()
    assert r["facts"] == BASE | Fact.CHUNKED | Fact.BODY_GAP
    assert (r["body_bytes"], r["gap_bytes"]) == (4, 4)


def test_head_cut_by_the_snap_length_counts(mode):
    long = b"HTTP/1.1 503 No\r\nContent-Type: a/b\r\nX-Long: " + b"x" * 99
    ask = b"POST /2 HTTP/1.1\r\nHost: long" + b"x" * 80
    feeder = Feeder()
    feeder.add(Packet(0, 0, 0, GET, 0))
    feeder.add(Packet(1, 1, 0, long, len(GET), 60))
    feeder.add(Packet(2, 0, len(GET), ask, len(long), 24))
    feeder.add(Packet(3, 1, len(long), OK, len(GET) + len(ask)))
    feeder.feed()
    q, p, r, s = feeder.result()
    assert (r["status"], r["facts"], r["content_type"], r["request"]) == (503, Fact.CUT, b"a/b", q["start"])
    assert (r["end"], r["gap_bytes"]) == (60, len(long) - 60)
    assert (p["target"], p["host"], p["facts"], p["gap_bytes"]) == (b"/2", b"", Fact.CUT, len(ask) - 24)
    assert (s["status"], s["request"], s["facts"]) == (200, p["start"], BASE | Fact.RESYNCED)


def test_pending_requests_are_bounded(mode):
    feeder = whole(GET * 40, OK, options=Options(pending=16))
    assert len(feeder.result()) == 41
    assert len(set(feeder.unanswered)) == 40 - sum(m["request"] >= 0 for m in feeder.result())


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("block", [(), (70,)])
def test_a_block_may_hold_more_requests_than_may_wait(mode, burst, block):
    """Only those that the client sent before it was answered wait at the same time."""
    n = 48
    packets = play([Exchange(GET, OK)] * n, lambda data: [data[:30], data[30:]], burst)
    feeder = run(packets, block, options=Options(pending=6))
    found = [m for m in feeder.result() if m["kind"] == 2]
    assert sorted(m["request"] for m in found) == [i * len(GET) for i in range(n)]
    assert list(feeder.unanswered) == []


def test_slots_are_used_again(mode):
    parser = Parser()
    for number in range(0, 6, 2):
        feeder = Feeder(parser, slot=4, number=number)
        feeder.add(Packet(0, 0, 0, GET + b"PUT / HTTP/1.1\r\nContent-Le"))
        feeder.add(Packet(0, 1, 0, OK))
        feeder.feed()
        for side in (0, 1) if number else (1, 0):
            feeder.end(side, End.RST)
            feeder.feed()
        found = feeder.result()
        assert [m["kind"] for m in found] == [1, 1, 2]
        assert found[2]["request"] == 0
        assert feeder.unanswered == [found[1]["id"]]
        assert {k[0] for k in feeder.kinds()} == {4, 5}


def test_open_messages_keep_their_packets(mode):
    head = b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
    feeder = Feeder()
    feeder.add(Packet(0, 0, 0, GET + head + b"abc", 0))
    feeder.feed()
    assert feeder.opens == {0: len(GET)}
    feeder.add(Packet(1, 0, len(GET + head) + 3, b"defghi" + GET[:7], 0))
    feeder.feed()
    assert feeder.opens == {0: len(GET + head) + 9}
    assert feeder.kept_bytes == 7


def test_many_messages_in_one_block(mode):
    n = 300
    found = whole(GET * n, OK * n).result()
    assert [m["request"] for m in found] == [-1] * n + [i * len(GET) for i in range(n)]


def test_peers_that_cannot_be_told(mode):
    feeder = Feeder(synced=False)
    feeder.add(Packet(0, 0, 500, GET, UNKNOWN))
    feeder.add(Packet(1, 1, 900, OK, 500 + len(GET)))
    feeder.add(Packet(2, 0, 500 + len(GET), GET, 900 + len(OK)))
    feeder.add(Packet(3, 1, 900 + len(OK), OK, 500 + 2 * len(GET)))
    feeder.feed()
    assert [m["request"] for m in feeder.result()] == [-1, -1, 500, 500 + len(GET)]
    assert [bool(m["facts"] & Fact.MIDSTREAM) for m in feeder.result()] == [True, False, True, False]


def test_mid_stream_body_is_skipped_to_a_confirmed_message(mode):
    feeder = Feeder(synced=False)
    feeder.add(Packet(0, 1, 0, b"rest of a body", 700))
    feeder.add(Packet(1, 1, 14, b"HTTP/1.1 599 Fake\r\n\r\n", 700))
    feeder.add(Packet(2, 0, 700, GET, 35))
    feeder.add(Packet(3, 1, 35, OK, 700 + len(GET)))
    feeder.feed()
    assert [(m["kind"], m["start"], m["request"]) for m in feeder.result()] == [(1, 700, -1), (2, 35, 700)]


LOOSE = {
    "space": (b"GET /a file.txt HTTP/1.1\r\n", b"/a file.txt"),
    "spaces": (b"GET /a  b c HTTP/1.0 HTTP/1.1\r\n", b"/a  b c HTTP/1.0"),
    "tab": (b"GET\t/a\tHTTP/1.1\r\n", b"/a"),
    "two before": (b"GET  /a HTTP/1.1\r\n", b"/a"),
    "two behind": (b"GET /a  HTTP/1.1\n", b"/a"),
    "at the end": (b"GET /a HTTP/1.1 \r\n", b"/a"),
}


@pytest.mark.parametrize("name", LOOSE)
def test_request_lines_that_are_invalid_but_answered(mode, name):
    line, target = LOOSE[name]
    ask = line + b"Host: shop\r\n\r\n"
    found = both(GET + ask + GET, OK + OK + OK)
    asked = [m for m in found if m["kind"] == 1]
    assert [m["target"] for m in asked] == [b"/", target, b"/"]
    assert [bool(m["facts"] & Fact.BAD_LINE) for m in asked] == [False, True, False]
    assert [m["request"] for m in found if m["kind"] == 2] == [0, len(GET), len(GET + ask)]
    (first, _) = both(ask, OK)
    assert first["target"] == target


@pytest.mark.parametrize(
    "line", [b"a b c\r\n", b"GET / HTTP/2.0\r\n", b"GET HTTP/1.1\r\n", b"GET  HTTP/1.1\r\n", b"G\x00 / HTTP/1.1\r\n"]
)
def test_what_is_no_request_line(mode, line):
    assert [m["kind"] for m in both(line + b"Host: a\r\n\r\n", b"")] == []
