"""What a pcapng of very many blocks that are no packets costs: calls are counted, not seconds."""

import struct

import pytest
from capture_files import T0, block, described, enhanced, one, option, read, same, section, speed

from inspector.capture import blocks, links, pcapng
from inspector.capture import reader as reading

MANY = 20_000
BIG_BLOCK = 4 << 20
FRAME = b"\0" * 60
PACKET = enhanced(FRAME, T0 // 1000)
SECRET = block(0x0A, struct.pack("<II", 0x544C534B, 4) + b"abcd")
NAMED = block(4, option(1, bytes([10, 0, 0, 1]) + b"catalog\0") + b"\0" * 4)
COOKED = struct.pack(">HHIHBB8s", 0x0800, 0, 7, 1, 0, 6, b"") + b"\x45" * 40

# A part of a capture, how often Python may be asked for each of many, and how many interfaces are kept of it.
PARTS = {
    "sections": (section(), 0, 0),
    "sections of the other byte order": (section() + section(">"), 0, 0),
    "sections named by who wrote them": (section(options=option(4, b"dumpcap")), 0, 0),
    "sections with comments": (section(options=option(1, b"hello")), pcapng.MAX_COMMENTS, 0),
    "sections with an interface and a packet": (section() + described() + PACKET, pcapng.MAX_INTERFACES, 4096),
    "interfaces": (described(options=option(2, b"eth0")), pcapng.MAX_INTERFACES, 4096),
    "packets of interfaces never described": (described() + enhanced(FRAME, 1, 1 << 30), 4096, 4096),
    "names": (block(4, b"\0" * 4), 0, 0),
    "names of an address": (NAMED, 4096, 0),
    "names of a kind that is not known": (block(4, option(9, b"\0" * 8) + b"\0" * 4), 4096, 0),
    "statistics": (block(5, struct.pack("<III", 0, 0, 0)), 0, 0),
    "custom blocks": (block(0xBAD, b"abcd"), 0, 0),
    "secrets": (SECRET, 1, 0),
    "secrets of other kinds": (block(0x0A, b""), 1, 0),
    "packets with comments": (enhanced(FRAME, 1, 0, options=option(1, b"hello")), 0, 0),
    "packets with options": (enhanced(FRAME, 1, 0, options=option(2, b"\0" * 4) + option(0, b"")), 0, 0),
    "simple packets": (block(3, struct.pack("<I", 60) + FRAME), 0, 0),
}


@pytest.mark.parametrize("what", PARTS)
def test_many_blocks_cost_what_their_bytes_cost(what, monkeypatch):
    part, asked, interfaces = PARTS[what]
    counted = {"scans": 0}
    scan = blocks.scan_blocks

    def counting(*args):
        counted["scans"] += 1
        return scan(*args)

    monkeypatch.setattr(blocks, "scan_blocks", counting)
    data = section() + described() + part * MANY + described() + PACKET
    source = one(data, BIG_BLOCK)
    blocks_of_packets = 0
    with speed("compiled"):
        for _ in source.blocks():
            blocks_of_packets += 1
    fills = 2 + len(data) // BIG_BLOCK
    assert counted["scans"] <= asked + 4 * fills
    assert blocks_of_packets <= 2 * fills
    assert max(interfaces, 1) <= len(source.info.interfaces) <= pcapng.MAX_INTERFACES + 1  # the one never described
    assert len(source.info.comments) <= pcapng.MAX_COMMENTS


@pytest.mark.parametrize("what", PARTS)
def test_many_blocks_are_the_same_in_blocks_of_any_size(what):
    data = section() + described() + PARTS[what][0] * 300 + described() + PACKET
    got = read(data, BIG_BLOCK)
    same(got, read(data, 1024))
    with speed("compiled"):
        same(got, read(data, 3000))


def test_secrets_are_kept_where_they_are():
    """They were copied for each block, so a million of them took a million times their size."""
    source = one(section() + described() + SECRET * MANY + PACKET, 1 << 14)
    kept = source.info.tls_secrets
    for _ in source.blocks():
        assert source.info.tls_secrets is kept
    assert kept == b"abcd" * MANY


def test_comments_keep_the_order_of_the_file_and_their_byte_order():
    data = b"".join(
        [
            section(options=option(1, b"one")),
            described(options=option(1, b"two")),
            enhanced(FRAME, 1, options=option(1, b"three")),
            enhanced(FRAME, 1, options=option(2, b"\0\0\0\0") + option(1, b"four") + option(1, b"five")),
            block(3, struct.pack("<I", 60) + FRAME),
            section(">", option(1, b"six", ">")),
            enhanced(FRAME, 1, 0, ">", option(1, b"seven", ">")),
            described(1, ">", option(1, b"eight", ">")),
            enhanced(FRAME, 1, 0, ">", option(1, b"nine", ">")),
        ]
    )
    for block_bytes in (1024, 1 << 20):
        got = read(data, block_bytes)
        assert got.info.comments == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        assert got.info.faults == {"unknown-interface": 1}


@pytest.mark.parametrize("o", "<>")
def test_names_descriptions_and_comments_are_kept(o):
    v6 = bytes.fromhex("fd" + "00" * 14 + "01")
    names = option(1, bytes([10, 0, 0, 1]) + b"catalog\0catalog.svc\0", o) + option(2, v6 + b"gateway\0", o)
    data = b"".join(
        [
            section(o),
            described(1, o, option(2, b"eth0", o) + option(3, "Netzwerk für Gäste".encode(), o)),
            enhanced(FRAME, 1, 0, o),
            block(4, names + option(0, b"", o), o),
            enhanced(FRAME, 2, 0, o, option(1, b"the leak", o)),
            enhanced(FRAME, 3, 0, o),
            enhanced(FRAME, 4, 0, o, option(1, b"one", o) + option(1, b"two", o)),
        ]
    )
    for block_bytes in (1024, 1 << 20):
        info = read(data, block_bytes).info
        assert info.names == [("10.0.0.1", "catalog"), ("10.0.0.1", "catalog.svc"), ("fd00::1", "gateway")]
        assert info.interfaces[0].description == "Netzwerk für Gäste"
        assert info.packet_comments == [(2, "the leak"), (4, "one"), (4, "two")]
        assert info.comments == ["the leak", "one", "two"]
        assert info.faults == {}
    with speed("compiled"):
        same(read(data), read(data, 1024))


def test_names_and_comments_are_bounded():
    comment = enhanced(FRAME, 1, 0, options=option(1, b"x" * 9000))
    data = section() + described() + comment * 1500 + block(4, option(1, bytes(4) + b"y" * 9000)) * 5000
    info = read(data).info
    assert len(info.packet_comments) == pcapng.MAX_PACKET_COMMENTS
    assert {len(words) for _, words in info.packet_comments} == {pcapng.MAX_TEXT}
    assert len(info.names) == pcapng.MAX_NAMES
    assert {len(name) for _, name in info.names} == {pcapng.MAX_TEXT}


def test_bytes_that_a_simple_packet_leaves_over_are_no_options():
    """A snap length may be shorter than what the block holds."""
    data = section() + described(snaplen=60) + block(3, struct.pack("<I", 80) + FRAME + option(1, b"no comment"))
    assert read(data).info.comments == []


def test_interfaces_are_numbered_in_the_order_of_the_file():
    """The decoder finds those of LINUX_SLL2 in the packets, however many packets are read at once."""
    data = section() + (described(links.LINUX_SLL2) + enhanced(COOKED, 1)) * 3 + described() + PACKET
    got = read(data, 1 << 20)
    assert [i.name for i in got.info.interfaces] == ["", "if7", "", "", "", "if0"]
    same(got, read(data, 1024))


def test_what_is_near_damage_is_searched_first(monkeypatch):
    """Each piece of damage cost a search of 64 KiB, though the next record is a few bytes away."""
    searched = []
    candidates = pcapng.Pcapng.candidates

    def counting(self, data, at, end):
        searched.append(end - at)
        return candidates(self, data, at, end)

    monkeypatch.setattr(pcapng.Pcapng, "candidates", counting)
    data = section() + described() + (PACKET * 2 + b"\xff" * 16) * 500 + PACKET
    got = read(data)
    assert got.info.faults == {"damaged-record": 500}
    assert sum(searched) <= 500 * reading.FIRST_WINDOW
    same(got, read(data, 1024))
