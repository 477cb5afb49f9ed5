"""What anonymising is to remove is in no byte that it writes: as text, percent-encoded, in base64, as labels of DNS."""

from __future__ import annotations

import base64
import io
import ipaddress
import re
import struct
from pathlib import Path

import pytest
from capture_files import T0, read
from made_layers import l2tp, pktap, ppi, raw_erspan
from scapy.contrib.erspan import ERSPAN_II
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.dot11 import Dot11, RadioTap
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_RR, fragment
from scapy.layers.inet6 import HAO, IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

import inspector
from inspector import lang
from inspector.capture import PacketKind, writer
from inspector.capture.links import ETHERNET, NAMES
from inspector.capture.trace import Tracer
from inspector.capture.writer import WrittenInterface, WrittenPacket, written
from inspector.evidence.anonymise import Anonymiser
from inspector.evidence.write import EvidenceSet

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = sorted(p.name for p in (ROOT / "captures").glob("*.pcap*"))


# -- what is looked for ------------------------------------------------------------------------------------------------


def forms(text: str) -> set[bytes]:
    """Every form of a text."""
    raw = text.encode()
    labels = b"".join(bytes([len(label)]) + label for label in raw.split(b".") if len(label) < 64)
    out = {raw, raw.upper(), raw.title(), "".join(f"%{c:02X}" for c in raw).encode(), raw.hex().encode(), labels}
    out |= {raw.replace(sign, f"%{sign[0]:02X}".encode()) for sign in (b".", b":", b"@", b"/")}
    for shift in range(3):  # within a longer text
        whole = base64.b64encode(bytes(shift) + raw)
        out.add(whole[4 if shift else 0 : len(whole) - 4])
    return {form for form in out if len(form) > 3}


def address_forms(text: str) -> set[bytes]:
    """Every form of an address, a link-layer one too."""
    if re.fullmatch("(..:){5}..", text):
        raw = bytes.fromhex(text.replace(":", ""))
        return {raw, raw.hex().encode()} | forms(text) | forms(text.replace(":", "-"))
    address = ipaddress.ip_address(text)
    names = {text, address.exploded, address.reverse_pointer}
    if address.version == 4:
        names |= {text.replace(".", "-"), f"::ffff:{text}"}
    return {address.packed, address.packed.hex().encode()}.union(*map(forms, names))


def found(data: bytes, hidden: set[bytes]) -> list[bytes]:
    return [form for form in sorted(hidden) if form in data]


def left(path: Path, out: Path, hidden: set[bytes]) -> list[bytes]:
    """What is found each time that `path` is anonymised. Bodies become random letters, in which a word of five may stand by
    chance; with another key it does not."""
    for _ in range(3):
        anonymised(path, out)
        hidden = set(found(out.read_bytes(), hidden))
        if not hidden:
            break
    return sorted(hidden)


# -- captures ----------------------------------------------------------------------------------------------------------


def as_evidence(frames: list[bytes], link: int, out: Path, comments: tuple[str, ...] = (), name: str = "") -> None:
    """All packets of a capture, as evidence has them."""
    with out.open("wb") as file:
        file.write(writer.section("mirror-inspector", "Evidence in customer-acme.pcap"))
        file.write(writer.interface(WrittenInterface(link, 0, name, "customer-acme.pcap" if comments else "")))
        for n, frame in enumerate(frames):
            origin = (f"packet {n + 1} of customer-acme.pcap",) if comments else ()
            file.write(writer.packet(WrittenPacket(0, T0 + n * 1_000_000, frame, len(frame), (*comments, *origin))))


def anonymised(path: Path, out: Path) -> Anonymiser:
    rewriter = Anonymiser(str(path))
    out.write_bytes(b"".join(rewriter.blocks()))
    return rewriter


CLIENT, SERVER, OTHER = "198.51.77.123", "203.0.67.45", "192.0.77.201"
CLIENT6, SERVER6 = "2a02:d47:b3::c7", "2a02:d47:b3::d9"
MACS = "00:1b:63:84:45:e6", "3c:5a:b4:11:9d:72"
HOST, SNI, NAME, ID = (
    "kestrel.acmecorp.example",
    "vault.acmecorp.example",
    "dbmaster.acmecorp.example",
    "7f3ab9c2-55d1-4e0b-9f6a-1c2d3e4f5a6b",
)
HIDDEN = (
    set()
    .union(*map(forms, (HOST, SNI, NAME, ID, "acmecorp", "kestrel", "customer-acme")))
    .union(*map(address_forms, (CLIENT, SERVER, OTHER, CLIENT6, SERVER6, *MACS)))
)


def message() -> bytes:
    """A request that tells everything, everywhere."""
    b64 = base64.b64encode(f"{HOST} {CLIENT} {ID}".encode()).decode()
    body = f'{{"from": "{CLIENT}", "host": "{HOST}", "mac": "{MACS[0]}", "v6": "{CLIENT6}", "id": "{ID}"}}'
    lines = [
        f"POST /hosts/{HOST}/{CLIENT.replace('.', '%2E')}?id={ID}&b={b64} HTTP/1.1",
        f"Host: {HOST}:8080", f"X-Forwarded-For: {CLIENT}, {OTHER}",
        f'Forwarded: for={CLIENT};host={HOST};by="[{SERVER6}]:80", for="[{CLIENT6}]"', f"X-Request-Id: {ID}", f"Via: 1.1 {HOST}",
        f"X-Real-Ip: {CLIENT6}", f"X-Mac: {MACS[0]}", f"Keep-Alive: {HOST.split('.')[1]}",
        "Content-Type: image/acmecorp; charset=acmecorp",
        "Connection: keep-alive, acmecorp", "X-Forwarded-Acmecorp: 1", "X-Envoy-Acmecorp-Team: 1",
        "Sec-Kestrel: 1", "Server: nginx/acmecorp",
        f"Content-Length: {len(body)}", f"X-B: {b64}", "Cache-Control: acmecorp=1", f"Referer: http://{HOST.upper()}/",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def hello() -> bytes:
    """A ClientHello that names a server."""
    name = SNI.encode()
    sni = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    extensions = struct.pack(">HH", 0, len(sni)) + sni + struct.pack(">HH", 0xFF01, len(name)) + name
    hello = (
        b"\x03\x03"
        + bytes(32)
        + b"\0"
        + b"\0\x02\x13\x01"
        + b"\x01\0"
        + struct.pack(">H", len(extensions))
        + extensions
    )
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x01" + struct.pack(">H", len(handshake)) + handshake


def dns() -> bytes:
    """A question, and its answer's addresses. Written by hand: scapy's DNS, once loaded, reads other packets otherwise."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split(".")) + b"\0"
    out = struct.pack(">HHHHHH", 1, 0x8180, 1, 2, 0, 0) + name + struct.pack(">HH", 1, 1)
    for kind, address in ((1, CLIENT), (28, CLIENT6)):
        raw = ipaddress.ip_address(address).packed
        out += name + struct.pack(">HHIH", kind, 1, 60, len(raw)) + raw
    return out


def certificate() -> bytes:
    """A TLS record with a Certificate that holds names."""
    text = (
        b"\x30\x82CN="
        + HOST.encode()
        + b"\x82"
        + bytes([len(SNI)])
        + SNI.encode()
        + ipaddress.ip_address(SERVER).packed
    )
    body = b"\x0b" + len(text).to_bytes(3, "big") + text
    return b"\x16\x03\x03" + struct.pack(">H", len(body)) + body


def conversation(port: int, sent: bytes, answered: bytes, v6: bool = False) -> list[Packet]:
    """The packets of a connection, from IP on."""
    ends = (CLIENT6, SERVER6) if v6 else (CLIENT, SERVER)
    layer = IPv6 if v6 else IP
    there, back = layer(src=ends[0], dst=ends[1]), layer(src=ends[1], dst=ends[0])
    out, back_ = {"sport": port, "dport": 80}, {"sport": 80, "dport": port}
    return [
        there / TCP(**out, flags="S", seq=999, options=[("MSS", 1460), (253, b"acmecorp")]),
        back / TCP(**back_, flags="SA", seq=4999, ack=1000),
        there / TCP(**out, flags="A", seq=1000, ack=5000, options=[("EOL", None)]),
        there / TCP(**out, flags="PA", seq=1000, ack=5000) / sent,
        back / TCP(**back_, flags="PA", seq=5000, ack=1000 + len(sent)) / answered,
        there / TCP(**out, flags="FA", seq=1000 + len(sent), ack=5000 + len(answered)),
    ]


def tunnelled() -> list[Packet]:
    """The same conversation in every tunnel."""
    inner = s_ether()
    outer = IP(src=OTHER, dst=SERVER)
    geneve = GENEVE(
        vni=1, proto=0x6558, optionlen=3, options=[GeneveOptions(classid=1, type=1, length=2, data=b"acmecorp")]
    )
    opened = IPv6ExtHdrDestOpt(options=[HAO(hoa=CLIENT6)])
    packets: list[Packet] = []
    for n, p in enumerate(conversation(41000, message(), answer())):
        packets += [
            inner / outer / UDP(sport=5000 + n, dport=4789) / VXLAN(vni=7) / s_ether() / p,
            inner / outer / UDP(sport=5000 + n, dport=6081) / geneve / s_ether() / p,
            inner / outer / GRE() / p,
            inner / outer / p,
            inner / IPv6(src=SERVER6, dst=CLIENT6) / p,
            inner / Dot1Q(vlan=5) / p,
        ]
    for p in conversation(42000, message(), answer(), True):
        rest = p.payload.copy()
        packets += [
            inner / p,
            inner / IP(src=OTHER, dst=SERVER, proto=41) / p,
            inner / IPv6(src=CLIENT6, dst=SERVER6) / opened / rest,
        ]
    return packets


def s_ether() -> Packet:
    return Ether(src=MACS[0], dst=MACS[1])


def answer() -> bytes:
    return f"HTTP/1.1 200 {HOST}\r\nContent-Length: {len(CLIENT)}\r\nSet-Cookie: id={ID}\r\n\r\n{CLIENT}".encode()


def everything() -> list[bytes]:
    ether = s_ether()
    packets = tunnelled()
    for port, sent, back in (
        (43000, hello(), certificate()),
        (44000, struct.pack(">H", len(dns())) + dns(), dns()),
        (45000, message()[20:], dns()),
    ):
        packets += [ether / p for p in conversation(port, sent, back)]
    packets += [
        ether / IP(src=CLIENT, dst=SERVER) / UDP(sport=53, dport=53) / dns(),
        ether / IP(src=CLIENT, dst=SERVER) / ICMP(type=3) / bytes(IP(src=CLIENT, dst=SERVER) / TCP() / message()),
        ether / ARP(hwsrc=MACS[0], psrc=CLIENT, pdst=SERVER),
        ether / IP(src=CLIENT, dst=SERVER, options=IPOption_RR(routers=[OTHER])) / TCP(sport=43000, dport=80),
        *(ether / f for f in fragment(IP(src=CLIENT, dst=SERVER) / TCP(sport=43000, dport=80) / message(), 256)),
        Raw(bytes(ether / conversation(46000, b"", b"")[2]) + b"acmecorp kestrel"),  # behind the datagram
    ]
    return [bytes(p) for p in packets]


# -- tests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ko"])
def test_nothing_of_a_capture_that_tells_everything_is_left(language: str, tmp_path: Path) -> None:
    path, out = tmp_path / "plain.pcapng", tmp_path / "masked.pcapng"
    comments = (
        f"mirror 1: request of the original leg, sent by the proxy {CLIENT}.",
        f"goes to {SERVER}:80, {CLIENT6}. Then [{SERVER6}]:80",
        "its body is the copy's (xxh64:0123456789abcdef)",
    )  # fmt: skip
    as_evidence(everything(), ETHERNET, path, comments, "eth_acmecorp")
    plain = path.read_bytes()
    assert len(found(plain, HIDDEN)) > 25  # so that the search can fail
    lang.use(language)
    try:
        rewriter = anonymised(path, out)
    finally:
        lang.use("en")
    assert found(out.read_bytes(), HIDDEN | {b"0123456789abcdef"}) == []
    assert rewriter.packets > 50
    assert set(rewriter.left_out) <= {"no-tcp", "not-ip", "fragment", "ip-options"}


def test_options_of_tcp_and_ipv6_are_blanked(tmp_path: Path) -> None:
    """Behind the end of the options, and in those that only some understand, anything may stand."""
    tcp = bytearray(bytes(TCP(sport=1, dport=2, dataofs=8)) + b"\0acmecorp\0\0\0")
    frame = bytes(s_ether() / IP(src=CLIENT, dst=SERVER, proto=6)) + bytes(tcp)
    frame = frame[:16] + struct.pack(">H", len(frame) - 14) + frame[18:]
    path, out = tmp_path / "plain.pcapng", tmp_path / "masked.pcapng"
    as_evidence([frame], ETHERNET, path)
    assert anonymised(path, out).packets == 1
    assert b"acmecorp" in path.read_bytes()
    assert b"acmecorp" not in out.read_bytes()


COMMON = (b"local", b"cluster", b"shadow", b"chunked", b"status", b"reset")  # HTTP and our sentences have them too


def words_of(path: str) -> set[bytes]:
    """Hosts, paths, ids of a capture and its addresses, as far as they are somebody's own."""
    hidden: set[bytes] = set()
    found = inspector.inspect(path)
    addresses: set[str] = set()
    for x in found.exchange_views():
        addresses |= {end.rpartition(":")[0].strip("[]") for end in (x.client, x.server)}
        words = [x.request_id or "", (x.host or "").split(":")[0], *re.split(r"[/?=&.]", x.path or "")]
        words += (x.host or "").split(":")[0].removesuffix("-shadow").split(".")
        hidden |= {
            form for word in words if len(word) > 4 and not word.isdigit() for form in forms(word) if len(form) > 4
        }
    for text in addresses:
        address = ipaddress.ip_address(text)
        if not (address.is_loopback or address.is_unspecified or text.startswith("::")):
            hidden |= {form for form in address_forms(text) if len(form) > 4}
    return {word for word in hidden if word.lower() not in COMMON}


@pytest.mark.parametrize("name", CAPTURES)
def test_nothing_of_a_real_capture_is_left(name: str, tmp_path: Path) -> None:
    """Every packet of it, and the evidence of its mirrors with comments."""
    source = str(ROOT / "captures" / name)
    was = read(source)
    path, out = tmp_path / "plain.pcapng", tmp_path / "masked.pcapng"
    as_evidence(was.frames, int(was.info.interfaces[0].link_type), path)
    hidden = words_of(source)
    if name.startswith("mtls"):
        names = set(
            re.findall(
                rb"[a-z0-9_.-]*outbound[a-z0-9_.-]*|spiffe://[\w./-]+|[\w-]+\.svc\.cluster\.local", path.read_bytes()
            )
        )
        hidden |= {form for text in names for form in forms(text.decode("latin-1"))}
        assert hidden
    assert left(path, out, hidden) == []
    evidence = EvidenceSet(inspector.inspect(source))
    if len(evidence.asked):
        path.write_bytes(b"".join(evidence.blocks([source])))
        assert left(path, out, hidden | forms(name.partition(".")[0])) == []
        digests = {x.response_body_hash or "" for x in inspector.inspect(source).exchange_views()} - {""}
        assert not [d for d in digests if d.partition(":")[2].encode() in out.read_bytes()]


def test_captures_keep_apart(tmp_path: Path) -> None:
    """Files are numbered in the order in which they come."""
    sources = [str(ROOT / "captures" / name) for name in ("items-client.pcap", "items-node.pcap")]
    path, out = tmp_path / "plain.pcapng", tmp_path / "masked.pcapng"
    path.write_bytes(b"".join(EvidenceSet(inspector.inspect(*sources)).blocks(sources)))
    anonymised(path, out)
    items = list(written(io.BytesIO(out.read_bytes())))
    assert {i.description for i in items if isinstance(i, WrittenInterface)} == {"capture 1", "capture 2"}
    origins = {p.comments[-1].partition(" of ")[2] for p in items if isinstance(p, WrittenPacket)}
    assert origins == {"capture 1", "capture 2"}


# -- around each packet ------------------------------------------------------------------------------------------------


def packets_of(path: Path) -> list[bytes]:
    """The innermost IP packets of a capture."""
    got, tracer = read(path.read_bytes()), Tracer()
    link = {name: number for number, name in NAMES.items()}[got.info.link_types[0]]
    out = []
    for frame in got.frames:
        traced = tracer.trace(memoryview(frame), len(frame), link)
        ip = [layer for layer in traced.layers if layer.kind == "ipv4"]
        if traced.kind == PacketKind.TCP:
            out.append(frame[ip[-1].at : traced.cap])
    return out


def sent(port: int, body: bytes) -> bytes:
    return bytes(Ether(src=MACS[0], dst=MACS[1]) / IP(src=CLIENT, dst=SERVER) / UDP(sport=5, dport=port) / Raw(body))


AIR = bytes(Dot11(type=2, subtype=0, FCfield=1, addr1=MACS[0], addr2=MACS[1], addr3=MACS[0]))
SNAPPED = b"\xaa\xaa\x03\0\0\0\x08\0"
ETHERNET_HEAD = bytes(Ether(src=MACS[0], dst=MACS[1], type=0x0800))
AROUND = {
    "radiotap": (127, lambda p: bytes(RadioTap()) + AIR + SNAPPED + p),
    "ppi": (192, lambda p: ppi(105, AIR + SNAPPED + p, struct.pack("<HH", 30002, 8) + b"acmecorp")),
    "pktap": (258, lambda p: pktap(1, ETHERNET_HEAD + p)),
    "hdlc": (104, lambda p: b"\x0f\0\x08\0" + p),
    "pppoe": (1, lambda p: bytes(Ether(src=MACS[0], type=0x8864)) + struct.pack(">BBHHH", 17, 0, 5, len(p) + 2, 0x21) + p),
    "erspan": (1, lambda p: bytes(raw_erspan(ERSPAN_II(session_id=3), ETHERNET_HEAD + p))),
    "vxlan": (1, lambda p: sent(7777, struct.pack(">II", 0x08000000, 7 << 8) + ETHERNET_HEAD + p)),
    "gre over udp": (1, lambda p: sent(4754, b"\x20\0\x08\0\0\0\0\5" + p)),
    "l2tp": (1, lambda p: sent(1701, l2tp(0, b"\0\1\0\2", p))),
    "gtp": (1, lambda p: sent(2152, b"\x30\xff" + struct.pack(">HI", len(p), 9) + p)),
    "source route": (1, lambda p: ETHERNET_HEAD + b"\x4a" + p[1:2] + (len(p) + 20).to_bytes(2, "big") + p[4:20]
                     + b"\x83\x13\4" + ipaddress.ip_address(OTHER).packed * 4 + b"\0" + p[20:]),
}  # fmt: skip


@pytest.mark.parametrize("name", AROUND)
def test_verdicts_are_the_same_whatever_is_around(name: str, tmp_path: Path) -> None:
    link, wrap = AROUND[name]
    frames = [wrap(packet) for packet in packets_of(ROOT / "captures/leaky-gw.pcap")]
    evidence, out = tmp_path / "evidence.pcapng", tmp_path / "out.pcapng"
    as_evidence(frames, link, evidence)
    rewriter = anonymised(evidence, out)
    assert rewriter.left_out == {}
    before, after = inspector.inspect(str(evidence)), inspector.inspect(str(out))
    assert [(m.verdict, m.proof, m.evidence[0].packet) for m in before.mirror_views()] == [
        (m.verdict, m.proof, m.evidence[0].packet) for m in after.mirror_views()
    ]
    assert before.summary.verdicts["leaked"]
    ends = {end.rsplit(":", 1)[0] for x in before.exchange_views() for end in (x.client, x.server)} - {"127.0.0.1"}
    packed = {ipaddress.ip_address(end).packed for end in ends}
    assert left(evidence, out, HIDDEN | {b"curl", b"acmecorp"}.union(packed, *map(forms, ends))) == []
