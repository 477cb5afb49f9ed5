"""What is written from hostile captures: every format, the comparison of all pairs, HAR, evidence and its anonymised form."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from capture_files import read

import inspector
from fuzzing import corpus
from fuzzing.target import Choices, Target
from inspector.capture import writer
from inspector.compare import all_pairs as pairs
from inspector.errors import CaptureError, InspectorError
from inspector.evidence.anonymise import Anonymiser
from inspector.evidence.legs import MirrorLegs
from inspector.evidence.write import EvidenceSet
from inspector.redact import Redactor
from inspector.render import diff_json, explain, formats, har, ladder_svg, mermaid, private, story
from inspector.render.ladder import layout
from inspector.render.private import Private

REDACTOR = Redactor(b"the fuzzer's key")
TERMINAL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")
VERDICTS = {"discarded", "leaked", "unanswered", "unproven"}
LINKS = (1, 101, 113, 276)


def inspected(data: bytes) -> inspector.Inspection | None:
    """The inspection; None where the input is refused."""
    try:
        return inspector.inspect(io.BytesIO(data))
    except InspectorError as error:
        assert str(error)
        return None


def pipeline(data: bytes) -> None:
    """A whole inspection: its figures agree, and every format is what it says it is and holds nothing that acts."""
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a"):
        data = b"\xd4\xc3\xb2\xa1" + data[4:]
    found = inspected(data)
    if found is None:
        return
    claims(found)
    source = Private(found, REDACTOR)
    for form, mirrors, exchanges in (
        ("table", True, True), ("markdown", True, True), ("mermaid", True, False), ("table", False, False), ("csv", True, False),
        ("json", True, True), ("ndjson", False, True), ("csv", False, True), ("markdown", False, False),
    ):  # fmt: skip
        text = "".join(formats.render(source, form, mirrors, exchanges, 100, False))
        if form == "json":
            json.loads(text)
        elif form == "ndjson":
            assert all(json.loads(line) for line in text.splitlines())
        elif form == "csv":
            rows = list(csv.reader(io.StringIO(text)))
            assert len({len(row) for row in rows}) <= 1
            assert not any(cell[:1] in ("=", "+", "@", "\t") for row in rows[1:] for cell in row)
        else:
            assert not TERMINAL.search(text), (form, TERMINAL.search(text))
    again(found, data)


def claims(found: inspector.Inspection) -> None:
    """What is said of mirrors hangs together."""
    mirrors = list(found.mirror_views())
    assert len(mirrors) == found.summary.mirrors
    assert sum(found.summary.verdicts.values()) == len(mirrors)
    assert found.summary.exchanges == sum(1 for _ in found.exchange_views())
    packets = found.captures[0].packets
    for m in mirrors:
        assert m.verdict in VERDICTS
        assert (m.reason is not None) == (m.verdict == "unproven")
        assert bool(m.proof) == (m.verdict == "discarded"), (m.verdict, m.proof)
        assert 0 <= m.confidence <= 1
        assert m.evidence or m.verdict not in ("discarded", "leaked")
        if m.verdict in ("discarded", "leaked"):
            assert m.downstream is not None
            assert m.arrived != "none"
        for e in m.evidence:
            assert 1 <= e.packet <= packets
        for x in (m.original, m.mirror, m.downstream):
            assert x is None or all(1 <= n <= packets for n in (*x.request_packets, *x.response_packets))


def again(found: inspector.Inspection, data: bytes) -> None:
    """What reads the capture a second time."""
    source = Private(found, REDACTOR)
    again = [lambda: io.BytesIO(data)]
    legs = MirrorLegs(found).each(again)
    json.loads("".join(har.document(source, legs, ("fuzz", "1"), REDACTOR)))
    total = pairs.differences(found.mirror_views(), again, REDACTOR, "-shadow")
    json.loads("".join(diff_json.document(source, "differences", diff_json.differences(total))))
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        for number in range(1, min(found.summary.mirrors, 3) + 1):
            explained(found, number, file.name)


def explained(found: inspector.Inspection, number: int, path: str) -> None:
    """One mirror step by step, with its ladder, in every form."""
    told = private.told(found.story(number, [path]), REDACTOR)
    ladder = layout(told.mirror, others=told.others, more=told.more, captures=[c.path for c in found.captures])
    e = story.Explained(told.mirror, ladder, explain.steps(told.mirror, told.others, told.wires), found.captures)
    json.loads("".join(story.json(e, found)))
    ElementTree.fromstring(ladder_svg.document(ladder))
    for text in (story.text(e, 100, True, False, "utf-8"), story.markdown(e), [mermaid.diagram(ladder)]):
        joined = "".join(text)
        assert not TERMINAL.search(joined), TERMINAL.search(joined)


def evidence(data: bytes) -> None:
    """Evidence of all mirrors, as it is and anonymised, is read back without a fault; and what was written proves the same."""
    found = inspected(data)
    if found is None or not found.summary.mirrors:
        return
    with tempfile.TemporaryDirectory() as folder:
        plain, masked = os.path.join(folder, "plain.pcapng"), os.path.join(folder, "masked.pcapng")
        taken = EvidenceSet(found)
        while True:
            fill(plain, taken.blocks([lambda: io.BytesIO(data)]))
            check = taken.judge(plain)
            if not taken.widen(check):
                break
        clean(plain, taken.packets)
        rewriter = Anonymiser(plain, key=b"a key for tests only")
        fill(masked, rewriter.blocks())
        clean(masked, rewriter.packets)
        assert rewriter.packets + sum(rewriter.left_out.values()) == taken.packets
        taken.judge(masked)


def fill(path: str, blocks: Iterator[bytes]) -> None:
    with open(path, "wb") as file:
        file.writelines(blocks)


def clean(path: str, count: int) -> None:
    """A file that was written here has no fault of its own."""
    with open(path, "rb") as file:
        got = read(file.read())
    assert got.info.packets == count
    assert not {"truncated-record", "damaged-record", "unknown-interface"} & set(got.info.faults), got.info.faults


def written(data: bytes) -> None:
    """Packets written as pcapng are read back as they were, by the writer's own reader and by ours; of anything else the first
    says ValueError."""
    try:
        for _ in writer.written(io.BytesIO(data)):
            pass
    except ValueError:
        pass
    choices = Choices(data)
    items: list[writer.WrittenInterface | writer.WrittenPacket] = []
    links = 0
    base = choices.number(8) % ((1 << 62) - (1 << 40))  # later times are not believed
    while choices and len(items) < 30:
        kind = choices.byte()
        text = choices.take(kind & 15).decode("utf-8", "replace").replace("\0", "")
        if not links or kind >= 0xF0:
            items.append(writer.WrittenInterface(LINKS[kind & 3], 0, text, text[::-1]))
            links += 1
            continue
        frame = choices.take(1 + choices.byte())
        time = base + choices.number(4)
        comments = (text, "b") if text else ()
        if frame:
            packet = writer.WrittenPacket(kind % links, time, frame, len(frame) + choices.byte(), comments)
            items.append(packet)
    raw = writer.section("fuzz", "comment") + b"".join(
        writer.interface(i) if isinstance(i, writer.WrittenInterface) else writer.packet(i) for i in items
    )
    assert list(writer.written(io.BytesIO(raw))) == items
    packets = [i for i in items if isinstance(i, writer.WrittenPacket)]
    try:
        got = read(raw)
    except CaptureError:
        assert not packets
        return
    assert got.frames == [p.data for p in packets]
    assert got.packets.time.tolist() == [p.time for p in packets]
    assert got.packets.length.tolist() == [p.length for p in packets]
    assert not {"truncated-record", "damaged-record", "unknown-interface", "record-time"} & set(got.info.faults)


def capture_seeds() -> Iterable[bytes]:
    """The beginnings of captures with mirrors in them."""
    return [data for data in corpus.beginnings(40) if len(data) < 16000][::4]  # each takes a while


def written_seeds() -> Iterable[bytes]:
    """Some packets."""
    frame = bytes(range(60))
    yield (
        bytes(8)
        + b"\xf3eth0"
        + b"".join(bytes([n]) + b"com"[: n & 15] + b"\x3b" + frame + b"\0\0\0\1\0" for n in range(4))
    )
    yield (
        writer.section("a")
        + writer.interface(writer.WrittenInterface(1))
        + writer.packet(writer.WrittenPacket(0, 5, frame, 60, ("x",)))
    )


TARGETS = [
    Target("pipeline", "whole inspections in every format", pipeline, capture_seeds, seconds=20, longest=16000),
    Target("evidence", "evidence, plain and anonymised", evidence, capture_seeds, seconds=30, longest=16000),
    Target("written", "the pcapng writer and its reader", written, written_seeds, longest=2000),
]
