"""What the capture does not hold is told as such, not as silence of the wire."""

from __future__ import annotations

import io
import struct
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from made_traffic import ACK, CLIENT, PROXY, SYN, V1, V2, Made, asked, frame, told

import inspector
from inspector.capture import open_captures
from inspector.capture.unreachable import Unreachables
from inspector.inspection.refused import Tries
from inspector.render import cells, table
from inspector.render.explain import steps
from inspector.tcp import Tracker
from inspector.views.objects import SummaryView

ROOT = Path(__file__).parents[2]
RST = 4
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def summary(made: Made, cut: int = 0) -> SummaryView:
    data = made.pcap()
    return inspector.inspect(io.BytesIO(data[: len(data) - cut])).summary


def silent(after: float, reset: bool = False) -> Made:
    """A mirror without a response; the capture ends `after` ms after its request."""
    made = Made()
    line = b"x-request-id: 1\r\n"
    made.exchange(0, CLIENT, PROXY, asked("/a", "catalog", line), told(b"v1"), 3)
    made.exchange(0.2, PROXY, V1, asked("/a", "catalog", line), told(b"v1"), 1)
    shadow = asked("/a", "catalog-shadow", line)
    made.exchange(10, PROXY, V2, shadow, None, port=7777)
    if reset:
        made.put(10.5, frame(V2, 80, PROXY, 7777, 5000, 1000 + len(shadow), RST | ACK))
    made.put(10.01 + after, frame("10.9.9.9", 1, "10.9.9.8", 2, 5, 5, ACK))
    return made


def test_the_capture_ends() -> None:
    found = summary(silent(0.2))
    assert found.verdicts == {"unanswered": 1}
    assert "1 mirror had no response yet: the capture ends 0.2 ms later" in found.finding
    assert "answered" not in found.finding
    assert "the capture ends 12 s later" in summary(silent(12_000)).finding


def test_the_file_is_cut() -> None:
    cut_off = silent(0.2)
    cut_off.put(20, frame("10.9.9.9", 1, "10.9.9.8", 2, 6, 6, ACK))
    assert "the capture file is cut off 0.2 ms later" in summary(cut_off, 3).finding
    assert "the capture file is cut off 0.2 ms later" in shown(cut_off.pcap()[:-3])


def test_a_reset_is_no_answer() -> None:
    assert summary(silent(5, reset=True)).finding == "None of 1 mirrored request was answered."


def test_the_finding_of_real_and_open_mirrors() -> None:
    made = silent(0.2)
    made.mirrored(-50, "/b")
    said = summary(made).finding
    assert said.startswith("1 of 2 mirrored responses reached the proxy")
    assert "(1 mirror had no response yet: the capture ends 0.2 ms later)" in said


def shown(data: bytes) -> str:
    """The row, the steps of --explain and the evidence of the one mirror, as text."""
    found = inspector.inspect(io.BytesIO(data))
    (mirror,) = found.mirror_views()
    told = [sentence for step in steps(mirror) for sentence in step.says]
    rows = "".join(table.mirrors(found, 300)) + "".join(table.mirrors(found, 80))
    return "\n".join([rows, *told, *(step.says for step in mirror.evidence)])


def test_row_steps_and_evidence_say_that_the_capture_ends() -> None:
    data = silent(0.2).pcap()
    said = shown(data)
    assert "unanswered (the capture ends 0.2 ms later)" in said
    assert "It may have come later: the capture ends 0.2 ms later." in said
    assert "no response to the copy was captured: the capture ends 0.2 ms later" in said
    assert all(len(line) <= 80 for line in "".join(table.mirrors(inspector.inspect(io.BytesIO(data)), 80)).split("\n"))
    assert "capture ends" not in shown(silent(5, reset=True).pcap())
    (streamed,) = next(iter(inspector.stream(io.BytesIO(data)))).views()
    (kept,) = inspector.inspect(io.BytesIO(data)).mirror_views()
    assert streamed.evidence == kept.evidence
    assert streamed.end == kept.end


def refused(times: list[float], server: str = V2, answer: bool = True, late: float = 0) -> Made:
    made = Made()
    for k, ms in enumerate(times):
        made.exchange(ms, CLIENT, PROXY, asked(f"/{k}", "catalog"), told(b"v1"), 3)
        made.exchange(ms + 0.2, PROXY, V1, asked(f"/{k}", "catalog"), told(b"v1"), 1)
        made.put(ms + 0.5 + late, frame(PROXY, 6000 + k, server, 3000, 99, 0, SYN))
        if answer:
            made.put(ms + 0.6 + late, frame(server, 3000, PROXY, 6000 + k, 0, 100, RST | ACK))
    return made


SAID = "connections of the proxy to 10.0.0.22:3000"


def test_a_refused_mirror() -> None:
    found = summary(refused([0, 20, 40]))
    said = f"3 {SAID} were refused within 1 ms of an original: a mirror whose server is down?"
    assert said in found.unseen
    assert said in inspector.inspect(str(ROOT / "captures/refused-client.pcap")).summary.unseen[0].replace(
        "10.244.0.22", "10.0.0.22"
    )


def test_an_unreachable_mirror() -> None:
    said = [s for s in summary(refused([0, 20, 2000], answer=False)).unseen if SAID in s]
    assert said == [f"2 {SAID}, tried within 1 ms of an original, were not answered: a mirror that cannot be reached?"]


@pytest.mark.parametrize("made", [refused([0, 400], late=200), refused([0, 20], server="10.0.0.22", answer=False)])
def test_no_mirror_was_refused(made: Made) -> None:
    """Far from any original; or open only when the capture ended."""
    assert not [s for s in summary(made).unseen if "of the proxy" in s]


def icmp(router: str, to: str, kind: int, code: int, quoted: bytes) -> bytes:
    """An ICMP error that quotes a packet; of IPv6 where the quote is."""
    ends = ip_address(router).packed + ip_address(to).packed
    body = bytes([kind, code]) + bytes(6) + quoted
    if quoted[0] >> 4 == 6:
        return struct.pack(">IHBB", 6 << 28, len(body), 58, 64) + ends + body
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, 1, 0) + ends + body


def six(src: str, sport: int, dst: str, dport: int, seq: int) -> bytes:
    """The SYN of `frame` in IPv6."""
    v4 = frame(PROXY, sport, V2, dport, seq, 0, SYN)
    return struct.pack(">IHBB", 6 << 28, 20, 6, 64) + ip_address(src).packed + ip_address(dst).packed + v4[20:]


def unreachable(kind: int, code: int, by: str = "10.0.0.1", **quote: Any) -> list[str]:
    """What is said of a mirror's SYN that an ICMP error is about, sent again later. quote: what is wrong in it."""
    made = refused([0], answer=False)
    fields = {"src": PROXY, "sport": 6000, "dst": V2, "dport": 3000, "seq": 99} | quote
    made.put(0.9, icmp(by, PROXY, kind, code, frame(**fields, ack=0, flags=SYN)[:28]))
    made.put(3000, frame("10.9.9.9", 1, "10.9.9.8", 2, 5, 5, ACK))
    return [s for s in summary(made).unseen if "of the proxy" in s]


@pytest.mark.parametrize(
    ("code", "what"), [(1, "host unreachable"), (3, "port unreachable"), (13, "administratively prohibited")]
)
def test_an_icmp_error_says_why(code: int, what: str) -> None:
    said = "1 connection of the proxy to 10.0.0.22:3000, tried within 1 ms of an original, could not be made: ICMP "
    assert unreachable(3, code) == [f"{said}{what} by 10.0.0.1, packet 8. Is it a mirror that cannot be reached?"]


@pytest.mark.parametrize(
    ("kind", "code", "quote"),
    [
        (3, 4, {}),
        (11, 0, {}),
        (3, 1, {"seq": 98}),
        (3, 1, {"sport": 6001}),
        (3, 1, {"dst": V1}),
        (3, 1, {"src": CLIENT}),
    ],
)
def test_another_icmp_error_has_no_effect(kind: int, code: int, quote: dict[str, Any]) -> None:
    (said,) = unreachable(kind, code, **quote)
    assert "was not answered" in said


def test_an_icmp_error_of_ipv6() -> None:
    made = Made()
    proxy, v2 = "fd00::5", "fd00::22"
    tries = Tries()
    made.put(0, six(proxy, 6000, v2, 3000, 99))
    made.put(0.1, icmp("fd00::1", proxy, 1, 3, six(proxy, 6000, v2, 3000, 99)))
    (reader,) = open_captures(io.BytesIO(made.pcap()))
    for block in reader.blocks():
        (error,) = Unreachables().of(block, [reader.info])
        tries.add(Tracker().prepare(block.segments))
        tries.unreachable([error])
    tries.finish(0)
    assert [(t.unreachable, t.server) for t in tries.failed] == [(error, (0xFD00 << 48, 0x22, 3000))]
    assert (error.what, error.by, error.packet) == ("host", (0xFD00 << 48, 1), 2)


def test_a_connection_that_is_made_after_all_is_no_failure() -> None:
    made = refused([0], answer=False)
    made.put(0.9, icmp("10.0.0.1", PROXY, 3, 1, frame(PROXY, 6000, V2, 3000, 99, 0, SYN)))
    made.put(1000, frame(PROXY, 6000, V2, 3000, 99, 0, SYN))
    made.put(1001, frame(V2, 3000, PROXY, 6000, 500, 100, SYN | ACK))
    for block_bytes in (512, 1 << 20):
        found = inspector.inspect(io.BytesIO(made.pcap()), block_bytes=block_bytes)
        assert not [s for s in found.summary.unseen if "of the proxy" in s]


def test_others_are_no_proxy() -> None:
    made = Made()
    made.mirrored(0, "/a")
    made.put(0.4, frame("10.7.7.7", 6000, V2, 3000, 99, 0, SYN))
    made.put(0.5, frame(V2, 3000, "10.7.7.7", 6000, 0, 100, RST | ACK))
    assert summary(made).unseen == []


def alone() -> Made:
    made = Made()
    made.exchange(0, PROXY, V2, asked("/a", "catalog-shadow", b"x-request-id: 1\r\n"), told(b"v2"))
    return made


def test_the_original_is_not_there() -> None:
    assert any("is not in the capture" in s for s in summary(alone()).unseen)


def test_the_original_may_be_among_what_was_not_read() -> None:
    made = alone()
    made.put(1, frame(PROXY, 5000, V1, 443, 999, 0, SYN))
    made.put(1, frame(V1, 443, PROXY, 5000, 4999, 1000, SYN | ACK))
    made.put(1.1, frame(PROXY, 5000, V1, 443, 1000, 5000, ACK, H2))
    said = summary(made).unseen
    assert "The original of 1 mirror was not read: it may be among 1 HTTP/2 connection that is not read yet." in said
    assert not any("is not in the capture" in s for s in said)


def test_a_larger_buffer_only_where_packets_were_lost() -> None:
    cut = inspector.inspect(str(ROOT / "captures/snap96-client.pcap")).summary
    assert not any("buffer" in s for s in cut.unseen)


def lone(size: int, lost: str) -> Made:
    """A response whose request was lost: `all` of it, its `end`, or its `start`."""
    made, ask, say = Made(), asked("/" + "a" * 200, "h"), told(b"ok")
    made.put(0, frame(CLIENT, 4000, V1, 80, 999, 0, SYN))
    made.put(0.1, frame(V1, 80, CLIENT, 4000, 4999, 1000, SYN | ACK))
    for at in range(0, len(ask), size):
        gone = lost == "all" or (at == 0 and lost == "start") or (at + size >= len(ask) and lost == "end")
        if not gone:
            made.put(0.2, frame(CLIENT, 4000, V1, 80, 1000 + at, 5000, ACK, ask[at : at + size]))
    made.put(1, frame(V1, 80, CLIENT, 4000, 5000, 1000 + len(ask), ACK, say))
    made.put(1.1, frame(CLIENT, 4000, V1, 80, 1000 + len(ask), 5000 + len(say), ACK))
    return made


@pytest.mark.parametrize(("lost", "said"), [("all", None), ("start", ("lost", 3))])
def test_a_request_that_was_not_read(lost: str, said: tuple[str, int] | None) -> None:
    (x,) = inspector.inspect(io.BytesIO(lone(100, lost).pcap())).exchange_views()
    assert (x.method, x.status, x.unread) == (None, 200, said)
    words = cells.request(x.method, x.path, x.unread)
    assert words == ("(request not captured)" if said is None else "(request lost in part, packet 3)")


def test_requests_cut_by_the_snap_length() -> None:
    found = inspector.inspect(str(ROOT / "captures/snap96-client.pcap"))
    alone = [x for x in found.exchange_views() if x.method is None]
    assert alone
    told_of = [x for x in alone if x.unread is not None]
    assert len(told_of) >= len(alone) - 3
    assert {x.unread[0] for x in told_of if x.unread} == {"snaplen"}
    for x in told_of:
        assert x.unread is not None
        assert x.unread[1] is not None
        assert x.unread[1] < x.response_packets[0]
