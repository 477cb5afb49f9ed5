"""Every claim of a lesson is checked against its capture by readers that share no code with ours: scapy, and tshark."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
from functools import cache
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import zstandard
from binomial import fits

from inspector.cli.lesson import runner
from inspector.lessons import library, page
from inspector.lessons.model import Command, Lesson, LessonStep, LessonTable, Picture
from inspector.lessons.script import Script, ScriptStyle
from inspector.lessons.seen import Library

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "captures"
LIBRARY = Library()
NUMBERS = range(1, len(library.MAKERS) + 1)
BEGINS = re.compile(rb"(GET|POST|PUT|HEAD) \S+ HTTP/1\.")


@cache
def lesson(number: int) -> Lesson:
    return library.lesson(number, LIBRARY)


@cache
def frames(name: str) -> list[Any]:
    """(source, target, TCP layer, IP layer) of each packet by scapy, None where there is no TCP; packet n is at n - 1."""
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.vxlan import VXLAN  # noqa: F401 - imported, it is known to scapy
    from scapy.utils import rdpcap

    raw = (CAPTURES / name).read_bytes()
    if name.endswith(".zst"):
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    out: list[Any] = []
    for packet in rdpcap(io.BytesIO(raw)):
        layer = packet
        while layer and TCP in layer and layer.getlayer(IP, 2) is not None:  # the innermost: behind VXLAN
            layer = layer.getlayer(IP, 2)
        if TCP not in layer or ICMP in layer:
            out.append(None)
            continue
        ip, tcp = layer[IP], layer[TCP]
        out.append((f"{ip.src}:{tcp.sport}", f"{ip.dst}:{tcp.dport}", tcp, ip))
    return out


def bodies(name: str, flow: tuple[str, str], first: int) -> bytes:
    """What flows from `flow[0]` to `flow[1]` from packet `first` to the next request of the other direction."""
    out = b""
    for n, frame in enumerate(frames(name)[first - 1 :], first):
        if frame is None or {frame[0], frame[1]} != set(flow):
            continue
        payload = bytes(frame[2].payload)
        if (frame[0], frame[1]) != flow and BEGINS.match(payload) and n > first:
            break
        if (frame[0], frame[1]) == flow:
            out += payload
    return out.partition(b"\r\n\r\n")[2]


def right(step: LessonStep) -> str:
    assert step.question is not None
    return step.question.choices[step.question.right].text


def rows(step: LessonStep) -> LessonTable:
    return next(show for show in (*step.shows, *step.proof) if isinstance(show, LessonTable))


def text(step: LessonStep) -> str:
    return " ".join((*step.says, *step.reveal))


def requests(name: str) -> list[tuple[int, Any]]:
    """(number, frame) of every packet that begins a request."""
    return [(n, f) for n, f in enumerate(frames(name), 1) if f is not None and BEGINS.match(bytes(f[2].payload))]


@pytest.mark.parametrize("number", NUMBERS)
def test_shape(number: int) -> None:
    told = lesson(number)
    assert told.number == number
    assert len(told.steps) >= 3
    assert any(step.question for step in told.steps)
    assert set(told.about.captures) <= {p.name for p in CAPTURES.iterdir()}
    for step in told.steps:
        if step.question is not None:
            assert [choice.right for choice in step.question.choices].count(True) == 1, step.question.ask
            assert len({choice.text for choice in step.question.choices}) == len(step.question.choices)
            assert step.reveal
        assert step.says or step.shows
        choices = step.question.choices if step.question is not None else ()
        for words in (step.title, *step.says, *step.reveal, *(choice.text for choice in choices)):
            assert words
            assert not re.search(r"\{\w*\}| None\b", words), words
        for show in (*step.shows, *step.proof):
            if isinstance(show, Command):
                assert show.args[0].removeprefix("captures/") in told.about.captures
            if isinstance(show, Picture):
                assert show.capture in told.about.captures
            if isinstance(show, LessonTable):
                assert {len(row) for row in show.rows} == {len(show.names)}


def test_there_are_at_least_eight_and_their_words_differ() -> None:
    assert len(library.MAKERS) >= 8
    assert len({about.key for about in library.contents()}) == len(library.MAKERS)


# What a source may say in figures: names of the wire and facts that the tests below check by name.
FIGURES = {"15001", "1.28", "1.6", "1", "2", "3", "4", "0.9", "0", "95"}


@pytest.mark.parametrize("path", sorted((ROOT / "inspector/lessons").glob("*.py")), ids=lambda p: p.stem)
def test_no_figure_is_written_down(path: Path) -> None:
    """Numbers in a lesson come from its capture."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            said = ast.literal_eval(node.args[0])
            loose = re.sub(r"`[^`]*`|--\w+|x-\w+|v?ersion [12]|[A-Z]+/\d", "", said)
            assert set(re.findall(r"\d[\d.,]*\d|\d", loose)) <= FIGURES, said


def test_mirroring() -> None:
    told, name = lesson(1), "items-client.pcap"
    own = [f for _n, f in requests(name)]
    asked = sum(f[1] == "127.0.0.1:15001" for f in own)
    assert asked == 3
    assert f"{asked} times" in text(told.steps[0])
    assert right(told.steps[0]) == str(len(own)) == "9"
    picture = told.steps[1].proof[0]
    assert isinstance(picture, Picture)
    m = LIBRARY(name).mirrors[picture.number - 1]
    assert m.original
    assert m.downstream
    first = {x.leg: x.response_packets[0] for x in (m.original, m.mirror, m.downstream)}
    assert first["mirror"] < first["original"] < first["downstream"]
    body = {leg: bodies(name, frames(name)[n - 1][:2], n) for leg, n in first.items()}
    assert body["downstream"] == body["original"] != body["mirror"]
    assert f"{len(body['original'])} bytes" in right(told.steps[1])
    assert f"with {len(body['mirror'])}" in text(told.steps[1])


def test_suffix() -> None:
    told = lesson(2)
    table = rows(told.steps[0])
    one, two = (int(re.search(r"\d+", name)[0]) for name in table.names[1:])  # type: ignore[index]
    payloads = [bytes(frames("items-client.pcap")[n - 1][2].payload).decode() for n in (one, two)]
    for name, *values in table.rows:
        for value, payload in zip(values, payloads, strict=True):
            found = re.search(rf"(?im)^{name}: (.*?)\r$", payload)
            assert (found[1] if found else "-") == value
    assert right(told.steps[0]) == "the Host header"
    assert {row[0]: row[1:] for row in table.rows}["host"] == ("catalog", "catalog-shadow")
    assert abs(frames("items-client.pcap")[one - 1][2].time - frames("items-client.pcap")[two - 1][2].time) < 0.001

    stripped = [bytes(f[2].payload).lower() for _n, f in requests("stripped-client.pcap.zst")]
    assert not any(b"-shadow" in p or b"x-request-id" in p for p in stripped)
    asked = sum(f[1] == "127.0.0.1:15001" for _n, f in requests("stripped-client.pcap.zst"))
    copies = sum(f[1] == "10.244.0.22:3000" for _n, f in requests("stripped-client.pcap.zst"))
    assert asked == copies == 21
    assert right(told.steps[1]) == f"all {asked}"

    ways = [f[1] for _n, f in requests("nginxsplit-gw.pcap.zst")]
    inward = sum(way == "10.244.0.5:8080" for way in ways)
    assert inward == len(ways) - inward == 300
    assert set(ways) == {"10.244.0.5:8080", "10.244.0.21:3000", "10.244.0.22:3000"}
    assert f"{inward} requests came in, {inward} went out." in text(told.steps[2])
    ways = [f[1] for _n, f in requests("nginxmirror-gw.pcap.zst")]
    assert ways.count("10.244.0.22:3000") == ways.count("10.244.0.5:8080")
    assert right(told.steps[2]).startswith("no")


def test_redirect() -> None:
    told, name = lesson(3), "items-client.pcap"
    table = rows(told.steps[1])
    for number, source, target, flags, seq, ack, size in table.rows:
        frame = frames(name)[int(number) - 1]
        assert (source, target) == frame[:2]
        assert (int(seq), int(ack)) == (frame[2].seq, frame[2].ack)
        assert set(flags.split(",")) == {{"S": "SYN", "A": "ACK"}[c] for c in str(frame[2].flags) if c in "SA"}
        assert int(size) == len(bytes(frame[2].payload))
    syn, answer = (frames(name)[int(row[0]) - 1] for row in table.rows[:2])
    assert right(told.steps[0]) == f"`{syn[1]}`" == "`127.0.0.1:15001`"
    assert answer[0] == "10.96.200.1:80"
    assert right(told.steps[1]).startswith("no")
    assert answer[2].ack == syn[2].seq + 1
    assert str(syn[2].seq) in text(told.steps[2])
    assert "plus one" in right(told.steps[2])


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_redirect_in_wireshark() -> None:
    """Wireshark puts the two directions into two streams, and pairs the request with no response."""
    table = rows(lesson(3).steps[1])
    fields = ["-T", "fields", "-e", "frame.number", "-e", "tcp.stream", "-e", "http.response_in"]
    out = subprocess.run(
        ["tshark", "-r", CAPTURES / "items-client.pcap", *fields], capture_output=True, text=True, check=True
    ).stdout
    told = {int(line.split("\t")[0]): line.split("\t")[1:] for line in out.splitlines()}
    numbers = [int(row[0]) for row in table.rows]
    assert told[numbers[0]][0] != told[numbers[1]][0]
    assert told[numbers[2]][1] == ""


def test_copies() -> None:
    told, name = lesson(4), "vxlan-node.pcap.zst"
    table = rows(told.steps[0])
    mine = [frames(name)[int(row[0]) - 1] for row in table.rows]
    assert len(mine) == 4
    assert told.steps[0].title == "The same request, 4 times"
    assert {(f[0], f[1], f[2].seq, f[3].id) for f in mine} == {
        (row[3], row[4], int(row[5]), int(row[6])) for row in table.rows
    }
    assert len({(f[2].seq, f[3].id) for f in mine}) == 1
    assert len({row[1] for row in table.rows}) == 4
    assert right(told.steps[0]) == "once"
    raw = requests(name)
    once = {(f[0], f[1], f[2].seq) for _n, f in raw}
    assert f"finds {len(raw)} requests" in text(told.steps[1])
    assert right(told.steps[1]) == str(len(once)) == "42"
    places: dict[tuple[str, str, int], list[int]] = {}
    for _n, f in raw:
        places.setdefault((f[0], f[1], f[2].seq), []).append(f[3].id)
    for (
        _source,
        target,
        _seq,
    ), ids in places.items():  # twice an original, four times a copy, unless TCP sent it again
        if len(set(ids)) == 1:
            assert len(ids) == (2 if target == "10.244.0.21:3000" else 4)
    assert any(len(set(ids)) > 1 for ids in places.values())
    assert "3 mirrors, all proven" == right(told.steps[2])
    assert not any(f and f[1] == "127.0.0.1:15001" for f in frames("items-node.pcap"))


def test_discarded() -> None:
    told, name = lesson(5), "items-client.pcap"
    table = rows(told.steps[0])
    response, ack = (frames(name)[int(row[0]) - 1] for row in table.rows)
    assert ack[2].ack == response[2].seq + len(bytes(response[2].payload))
    assert (ack[0], ack[1]) == (response[1], response[0])
    assert "whole, and it is acknowledged" in right(told.steps[0])
    assert f"all {len(bodies(name, response[:2], int(table.rows[0][0])))} bytes of body" in text(told.steps[0])
    slow = LIBRARY("mix-client.pcap.zst").mirrors[told.steps[1].proof[0].number - 1]  # type: ignore[union-attr]
    assert slow.downstream
    stamps = {
        n: frames("mix-client.pcap.zst")[n - 1]
        for n in (*slow.downstream.response_packets, *slow.mirror.response_packets)
    }
    assert all(stamps.values())
    assert max(slow.downstream.response_packets) < min(slow.mirror.response_packets)
    assert right(told.steps[1]) == "2.29 ms"
    same = LIBRARY("mix-client.pcap.zst").mirrors[2]
    assert same.path == "/echo/order"
    assert f"Mirror {same.id} asks for `/echo/order`" in text(told.steps[2])
    assert same.original
    assert same.downstream
    three = [
        bodies(
            "mix-client.pcap.zst", frames("mix-client.pcap.zst")[x.response_packets[0] - 1][:2], x.response_packets[0]
        )
        for x in (same.original, same.mirror, same.downstream)
    ]
    assert three[0] == three[1] == three[2]
    assert three[0] == b'{"item": 3, "count": 2}'
    assert f"the same {len(three[0])} bytes" in text(told.steps[2])
    assert right(told.steps[2]).startswith("yes: two answers")


def test_retries() -> None:
    told, name = lesson(6), "retry-client.pcap"
    table = rows(told.steps[1])
    payloads = [bytes(frames(name)[int(row[0]) - 1][2].payload).decode() for row in table.rows]
    ids = {re.search(r"x-request-id: (\S+)", p)[1] for p in payloads}  # type: ignore[index]
    assert len(ids) == 1
    (one,) = ids
    every = [f for _n, f in requests(name) if one.encode() in bytes(f[2].payload)]
    assert len([f for f in every if f[1] != "127.0.0.1:15001"]) == len(payloads) == 4
    assert [re.search(r"attempt-count: (\d)", p)[1] for p in payloads] == [row[5] for row in table.rows]  # type: ignore[index]
    assert [row[5] for row in table.rows if row[1] != "mirror"] == ["1", "2", "3"]
    assert [row[5] for row in table.rows if row[1] == "mirror"] == ["1"]
    assert right(told.steps[0]) == str(sum("catalog-shadow" in p for p in payloads)) == "1"
    upstream = [bytes(f[2].payload) for _n, f in requests(name) if f[1] != "127.0.0.1:15001"]
    tries = sum(b"catalog-shadow" not in p and b"x-envoy-attempt-count: 1\r" not in p for p in upstream)
    assert f"report {tries} mirrors too many" in text(told.steps[0])

    name = "hedge-client.pcap"
    second = [(n, f) for n, f in requests(name) if b"attempt-count: 2\r" in bytes(f[2].payload)]
    number, frame = second[0]
    assert b"host: catalog\r" in bytes(frame[2].payload)
    picture = told.steps[2].proof[0]
    assert isinstance(picture, Picture)
    m = LIBRARY(name).mirrors[picture.number - 1]
    assert m.original
    assert m.original.request_packets[0] < number < m.original.response_packets[0]
    assert right(told.steps[2]).startswith("no")
    assert m.delivered == "original"


def test_mtls() -> None:
    told, name = lesson(7), "mtls-client.pcap"
    payloads = [(f, bytes(f[2].payload)) for f in frames(name) if f is not None]
    clear = [f for f, p in payloads if BEGINS.match(p)]
    assert {f[1] for f in clear} == {"127.0.0.1:15001"}
    assert told.steps[0].title == f"The same {len(clear)} requests, encrypted"
    assert f"{sum(p[:2] == bytes((23, 3)) for _f, p in payloads)} packets" in text(told.steps[0])
    assert "client's" in right(told.steps[0])
    for number, source, target, name_indicated in rows(told.steps[1]).rows:
        frame = frames(name)[int(number) - 1]
        assert frame[:2] == (source, target)
        assert name_indicated.encode() in bytes(frame[2].payload)
    assert len(rows(told.steps[1]).rows) == 2
    assert "version 2's pod" in right(told.steps[2])


def test_leak() -> None:
    told, name = lesson(8), "leaky-gw.pcap"
    leaked = []
    answers = []
    for m in LIBRARY(name).mirrors:
        assert m.downstream
        given, copied = (
            bodies(name, frames(name)[x.response_packets[0] - 1][:2], x.response_packets[0])
            for x in (m.downstream, m.mirror)
        )
        status = bytes(frames(name)[m.downstream.response_packets[0] - 1][2].payload)[9:12]
        answers.append(status)
        if given == copied:
            leaked.append(m.id)
    assert answers == [b"200"] * 12
    assert right(told.steps[0]) == str(len(leaked)) == "4"
    assert f"Mirror {leaked[0]} is the first" in text(told.steps[1])
    assert leaked == [3, 6, 9, 12]
    assert right(told.steps[2]) == "every third client"
    assert runner("never")(["captures/leaky-gw.pcap", "--fail-on", "leaked"], 100).status == 1
    assert runner("never")(["captures/items-client.pcap", "--fail-on", "leaked"], 100).status == 0


def test_chance() -> None:
    told, name = lesson(9), "percent50-client.pcap.zst"
    own = requests(name)
    asked = sum(f[1] == "127.0.0.1:15001" for _n, f in own)
    copies = sum(b"host: catalog-shadow\r" in bytes(f[2].payload) for _n, f in own)
    assert (copies, asked) == (17, 40)
    said = re.search(r"from ([\d.]+) to ([\d.]+) %", text(told.steps[0]))
    assert said
    low, high = (float(x) for x in said.groups())
    assert fits(copies, asked, low, high, within=0.051)
    assert low < 50 < high
    assert right(told.steps[0]).startswith("nothing")
    for n, k, interval, _points in rows(told.steps[1]).rows:
        low, high = (float(x) for x in interval.removesuffix(" %").split(" – "))
        assert fits(int(k.replace(",", "")), int(n.replace(",", "")), low, high, within=0.06)
    assert right(told.steps[1]) == "400"
    none = sum(f[1] == "127.0.0.1:15001" for _n, f in requests("nomirror-client.pcap"))
    assert none == 3
    assert right(told.steps[2]) == f"{100 * 0.9**none:.0f} %: quite likely"
    said = re.search(r"up to ([\d.]+) %", text(told.steps[2]))
    assert said
    assert fits(0, none, 0, float(said[1]), within=0.06)


@pytest.mark.parametrize("number", NUMBERS)
def test_commands_are_run_and_nothing_is_pasted(number: int) -> None:
    """What a lesson shows of a command is what the command prints."""
    run = runner("never")
    told = "".join(Script(lesson(number), LIBRARY, run, ScriptStyle(120)).whole())
    for step in lesson(number).steps:
        for show in (*step.shows, *step.proof):
            if isinstance(show, Command):
                ran = run(show.args, 120)
                assert ran.status in (0, 1)
                shown = ran.text.rstrip("\n").split("\n")
                assert "\n".join(shown[: show.lines or None]) in told
    for width in (80, 100):
        for line in "".join(Script(lesson(number), LIBRARY, run, ScriptStyle(width, unicode=False)).whole()).split(
            "\n"
        ):
            assert len(line) <= width or line.startswith("$ ")
            assert not set("│┊►◄╌✗") & set(line)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "path", "rect", "circle") or tag in self.open:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("write", [page.page, page.handout], ids=["page", "handout"])
def test_pages(write: Any) -> None:
    lessons = [lesson(number) for number in NUMBERS]
    html = "".join(write(lessons, LIBRARY, runner("never")))
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    names = [tag for tag, _attrs in reader.tags]
    assert not {"script", "link", "img", "iframe", "object", "form", "input"} & set(names)
    ids = [attrs["id"] for _tag, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in reader.tags:
        assert not any(key.startswith("on") or key == "style" for key in attrs), (tag, attrs)
        for key in ("href", "src"):
            assert (attrs.get(key) or "#").startswith("#")
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    questions = sum(step.question is not None for told in lessons for step in told.steps)
    assert html.count('class="question"') == questions
    assert names.count("details") == (questions if write is page.page else 0)
    assert len(html) < 1_500_000
    shown = re.sub(r"\s+", " ", re.sub(r"</?code>", "", html))
    for told in lessons:
        for step in told.steps:
            for paragraph in (*step.says, *step.reveal):
                assert escape(paragraph.replace("`", "")) in shown


def test_captures_are_found_in_the_package() -> None:
    """The package's `captures` is what is installed, and what stands in the checkout."""
    inside = ROOT / "inspector/captures"
    assert inside.resolve() == CAPTURES.resolve()
    assert '"captures/*.pcap*"' in (ROOT / "pyproject.toml").read_text()
