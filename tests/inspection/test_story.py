"""What packets say below HTTP, against scapy as a second reader; and what belongs to a mirror's transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.errors import UsageError
from inspector.inspection import inspect
from inspector.inspection.packets import read_wires
from inspector.views.wire import FIN, RST, WirePacket

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
PARTS = ("request", "response", "syn", "syn_ack", "acknowledged", "ended")


@pytest.mark.parametrize("name", ["items-client.pcap", "items-node.pcap", "leaky-gw.pcap", "retry-client.pcap"])
def test_packets_are_as_scapy_reads_them(name: str) -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.utils import rdpcap

    path = str(CAPTURES / name)
    frames = rdpcap(path)
    found = inspect(path)
    seen = 0
    for number in range(1, found.summary.mirrors + 1):
        for wire in found.story(number, [path]).wires.values():
            for part in PARTS:
                packet: WirePacket | None = getattr(wire, part)
                if packet is None:
                    continue
                frame = frames[packet.packet - 1]
                ip, tcp = frame[IP], frame[TCP]
                assert packet.source == f"{ip.src}:{tcp.sport}"
                assert packet.target == f"{ip.dst}:{tcp.dport}"
                assert (packet.seq, packet.ack, packet.flags & 255) == (tcp.seq, tcp.ack, int(tcp.flags) & 255)
                assert packet.length == len(tcp.payload)
                assert packet.time == round(frame.time * 10**6) * 1000
                seen += 1
                for copy, _interface in packet.copies:
                    other = frames[copy - 1][TCP]
                    assert (other.seq, other.ack, bytes(other.payload)) == (tcp.seq, tcp.ack, bytes(tcp.payload))
    assert seen > 20


def test_a_redirected_connection_and_its_handshake() -> None:
    path = str(CAPTURES / "items-client.pcap")
    story = inspect(path).story(1, [path])
    downstream, original = story.mirror.downstream, story.mirror.original
    assert downstream is not None
    assert original is not None
    assert story.wires[downstream.id].translated
    assert story.wires[downstream.id].handshake
    assert not story.wires[original.id].translated


def test_packets_of_two_captures_are_looked_up_in_theirs() -> None:
    paths = [str(CAPTURES / "items-node.pcap"), str(CAPTURES / "items-client.pcap")]
    story = inspect(*paths).story(1, paths)
    for x in (story.mirror.downstream, story.mirror.original, story.mirror.mirror):
        assert x is not None
        wire = story.wires[x.id]
        assert wire.request is not None
        assert wire.response is not None
        assert (wire.request.capture, wire.request.packet) == (x.capture, x.request_packets[0])
        assert (wire.response.capture, wire.response.packet) == (x.capture, x.response_packets[0])


def test_an_end_without_an_answer() -> None:
    path = str(CAPTURES / "nginxmirror-gw.pcap.zst")
    story = inspect(path).story(14, [path])
    ended = story.wires[story.mirror.mirror.id].ended
    assert ended is not None
    assert ended.flags & RST
    assert (ended.packet, ended.source) == (328, "10.244.0.22:3000")
    path = str(CAPTURES / "retry-client.pcap")
    story = inspect(path).story(5, [path])
    assert story.mirror.original is not None
    ended = story.wires[story.mirror.original.id].ended
    assert ended is not None
    assert ended.flags & FIN
    assert ended.source.startswith("10.244.0.10:")


def test_attempts_belong_to_a_transaction_by_their_request_id() -> None:
    found = inspect(str(CAPTURES / "retry-client.pcap"))
    rows = [[(x.leg, x.request_packets) for x in found.story(n).others] for n in range(1, 7)]
    assert rows[0] == rows[1] == []
    assert rows[2] == [("attempt", [58]), ("attempt", [68])]
    assert rows[4] == [("attempt", [130]), ("attempt", [138])]


def test_what_cannot_be_read_again_tells_nothing(tmp_path: Path) -> None:
    view = inspect(str(CAPTURES / "items-client.pcap")).story(1).mirror
    gone = tmp_path / "gone.pcap"
    assert read_wires([str(gone)], [view.mirror]) == {}
    gone.write_bytes(b"no capture any more")
    assert read_wires([str(gone)], [view.mirror]) == {}
    assert read_wires(["-"], [view.mirror]) == {}


def test_another_file_under_the_name_gives_no_wrong_packets(tmp_path: Path) -> None:
    view = inspect(str(CAPTURES / "items-client.pcap")).story(1).mirror
    wire = read_wires([str(CAPTURES / "leaky-gw.pcap")], [view.mirror])[view.mirror.id]
    assert all(getattr(wire, part) is None for part in PARTS)


@pytest.mark.parametrize(
    ("name", "number", "said"), [("leaky-gw.pcap", 13, "12 mirrors"), ("nomirror-client.pcap", 1, "0 mirrors")]
)
def test_a_mirror_that_there_is_not(name: str, number: int, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        inspect(str(CAPTURES / name)).story(number)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["retry-client.pcap", "cascade-client.pcap", "items-node.pcap", "mix-client.pcap.zst"])
def test_stories_are_what_story_tells_of_each(name: str) -> None:
    path = str(CAPTURES / name)
    found = inspect(path)
    numbers = list(range(found.summary.mirrors, 0, -1))
    assert found.stories(numbers) == [found.story(n) for n in numbers]
    for together, alone in zip(found.stories(numbers, [path]), [found.story(n, [path]) for n in numbers], strict=True):
        assert together.wires.keys() == alone.wires.keys() != set()
        for number, wire in alone.wires.items():
            read = together.wires[number]  # of a longer time: ends that came later are seen, too
            assert (read.request, read.response, read.syn, read.syn_ack) == (
                wire.request, wire.response, wire.syn, wire.syn_ack,
            )  # fmt: skip
    assert found.stories([], [path]) == []
    assert all(not told.wires for told in found.stories(numbers))
    for wrong in (0, found.summary.mirrors + 1):
        with pytest.raises(UsageError):
            found.stories([1, wrong])
