"""Whole captures: what a receiver ignored changes nothing, a clock step turns no verdict into another, late writing neither."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from capture_files import pcap, read
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from removal import CAPTURES, LINK, Frame, Scene
from removal import scene as whole_scene
from shared_captures import needs_shared

import inspector
from inspector.seq import MASK, distance

MS, SECOND = 1_000_000, 1_000_000_000
SHARED = CAPTURES.parent.parent / "shared"
LARGEST = 300_000  # bytes of a file
FRAMES = 250  # of these, so many packets: a longer capture is cut off there
NAMES = sorted(p.name for p in CAPTURES.glob("*.pcap*") if p.stat().st_size < LARGEST)
FIN, SYN, RST, ACK = 1, 2, 4, 16
KINDS = ("stray SYN", "old SYN", "second SYN,ACK", "RST outside", "challenged RST", "probe", "old ACK")
STEPS = [-86_400 * SECOND, -2 * SECOND, -100 * MS, -2 * MS, MS // 2, 100 * MS, 30 * SECOND, 700 * SECOND]
EXAMPLES = int(os.environ.get("INSPECTOR_EXAMPLES", "8"))


@cache
def scene(name: str) -> Scene:
    """The first packets of a capture."""
    s = whole_scene(name)
    return replace(s, frames=s.frames[:FRAMES])


def everything(s_link: int, frames: Sequence[Frame], at: int | None = None) -> Any:
    """Exchanges and mirrors as JSON has them; packet number `at` is left out of the count."""
    found = inspected(s_link, frames)

    def numbers(packets: list[int]) -> list[int]:
        return packets if at is None else [n if n < at else n - 1 if n > at else -1 for n in packets]

    exchanges = [
        (x.leg, x.client, x.server, x.method, x.path, x.status, numbers(x.request_packets), numbers(x.response_packets),
         x.request_time, x.response_time, x.response_end_time, x.request_body_bytes, x.response_body_hash, x.complete, x.gaps)
        for x in found.exchange_views()
    ]  # fmt: skip
    return exchanges, [
        (m.verdict, m.proof, m.reason, m.delivered, m.arrived, m.acknowledged) for m in found.mirror_views()
    ]


def inspected(s_link: int, frames: Sequence[Frame]) -> Any:
    times, lengths = [f.time for f in frames], [f.length for f in frames]
    return inspector.inspect(
        io.BytesIO(pcap([f.data for f in frames], s_link, nano=True, times=times, lengths=lengths))
    )


def whole(found: Any) -> tuple[Any, Any]:
    """Legs, statuses and bodies of the exchanges; verdicts of the mirrors."""
    exchanges = sorted(
        repr(
            (
                x.leg,
                x.client,
                x.server,
                x.method,
                x.path,
                x.status,
                x.request_body_bytes,
                x.response_body_hash,
                x.complete,
            )
        )
        for x in found.exchange_views()
    )
    return exchanges, {(m.mirror.client, m.mirror.server, m.path, m.request_id): m for m in found.mirror_views()}


def messages(exchanges: Sequence[str]) -> list[str]:
    """Exchanges without their legs, which are told by times as well."""
    return sorted(x.split(",", 1)[1] for x in exchanges)


@cache
def untouched(name: str) -> Any:
    s = scene(name)
    return everything(s.link, s.frames)


@cache
def plain(name: str) -> Any:
    s = scene(name)
    return whole(inspected(s.link, s.frames))


def made(f: Frame, back: bool, seq: int, ack: int, flags: int, payload: bytes = b"") -> Frame | None:
    """A packet beside f, of its sender or (back) of the other end; None where f is not TCP in IPv4 without options."""
    at = f.data.find(struct.pack(">HHII", f.sport, f.dport, f.seq, f.ack))
    if at < 20 or f.data[at - 20] != 0x45:
        return None
    head = bytearray(f.data[: at + 20])
    if back:
        head[at - 8 : at] = head[at - 4 : at] + head[at - 8 : at - 4]
        head[at : at + 4] = head[at + 2 : at + 4] + head[at : at + 2]
    head[at - 18 : at - 14] = struct.pack(">HH", 40 + len(payload), 0xBEEF)
    head[at + 4 : at + 14] = struct.pack(">IIBB", seq & MASK, ack & MASK, 0x50, flags)
    data = bytes(head) + payload
    return Frame(0, f.time, data, len(data), 0, 0, 0, 0, 0, 0, 0, 0)


def ends(frames: Sequence[Frame], f: Frame) -> tuple[int, int] | None:
    """The next numbers of f's sender and of the other end after f, None where they are not known or the connection is over."""
    after: dict[bool, int] = {}
    for g in frames:
        if {g.src, g.dst} != {f.src, f.dst} or {g.sport, g.dport} != {f.sport, f.dport}:
            continue
        mine = (g.src, g.sport) == (f.src, f.sport)
        stop = (g.seq + g.payload + bool(g.flags & SYN)) & MASK
        if g.number <= f.number:
            if g.flags & (FIN | RST):
                return None
            if mine not in after or distance(stop, after[mine]) > 0:
                after[mine] = stop
    return (after[True], after[False]) if len(after) == 2 else None


def goes_on(frames: Sequence[Frame], f: Frame, numbers: tuple[int, int]) -> bool:
    """Whether bytes that were sent after f are acknowledged."""
    sent: list[tuple[bool, int]] = []
    for g in frames[f.number :]:
        if {g.src, g.dst} != {f.src, f.dst} or {g.sport, g.dport} != {f.sport, f.dport} or g.flags & (RST | SYN):
            continue
        mine = (g.src, g.sport) == (f.src, f.sport)
        if any(other != mine and distance(g.ack, stop) >= 0 for other, stop in sent):
            return True
        if g.payload and distance(g.seq, numbers[0 if mine else 1]) >= 0:
            sent.append((mine, (g.seq + g.payload) & MASK))
    return False


def ignored(kind: str, frames: Sequence[Frame], f: Frame, back: bool, away: int) -> Frame | None:
    """A packet that its receiver ignores, to stand just behind f."""
    numbers = ends(frames, f)
    if numbers is None:
        return None
    sent, told = numbers if not back else numbers[::-1]
    far = sent + away
    if not goes_on(frames, f, numbers):
        return None
    if kind == "stray SYN":
        return made(f, back, far, 0, SYN)
    if kind == "second SYN,ACK":
        return made(f, back, far, told, SYN | ACK)
    if kind == "RST outside":
        return made(f, back, far, 0, RST)
    if kind == "challenged RST":
        return made(f, back, sent, told, RST | ACK)
    if kind == "probe":
        return made(f, back, sent - 1, told, ACK)
    if kind == "old ACK":
        return made(f, back, sent, told - 1, ACK)
    if kind == "old SYN":
        same = [
            g for g in frames[: f.number] if (g.src, g.sport, g.dport) == (f.src, f.sport, f.dport) and g.flags == SYN
        ]
        return made(f, False, same[0].seq, 0, SYN) if same else None
    raise AssertionError(kind)


def try_ignored(name: str, data: st.DataObject) -> None:
    s = scene(name)
    tcp = [f for f in s.frames if f.sport]
    assume(tcp)
    f = data.draw(st.sampled_from(tcp), label="behind")
    kind = data.draw(st.sampled_from(KINDS), label="kind")
    away = data.draw(st.sampled_from([-(1 << 26), 1 << 26, 1 << 30, (1 << 31) - 99]), label="away")
    packet = ignored(kind, s.frames, f, data.draw(st.booleans(), label="back"), away)
    assume(packet is not None)
    assert packet is not None
    frames = [*s.frames[: f.number], packet, *s.frames[f.number :]]
    assert everything(s.link, frames, f.number + 1) == untouched(name)


def try_step(name: str, data: st.DataObject) -> None:
    s = scene(name)
    assume(len(s.frames) > 1)
    k = data.draw(st.integers(1, len(s.frames) - 1), label="from")
    step = data.draw(st.sampled_from(STEPS), label="step")
    frames = [replace(f, time=f.time + step) if f.number > k else f for f in s.frames]
    before, after = plain(name), whole(inspected(s.link, frames))
    if not any("False)" in x for x in before[0]):  # behind a gap, what confirms a message is looked for by time as well
        assert messages(after[0]) == messages(before[0])
    for key, m in after[1].items():
        old = before[1].get(key)
        if old is not None and "unproven" not in (m.verdict, old.verdict):
            assert m.verdict == old.verdict


def try_disorder(name: str, data: st.DataObject) -> None:
    s = scene(name)
    late = data.draw(st.lists(st.integers(0, 3 * MS), min_size=8, max_size=8), label="late")

    def queue(f: Frame) -> int:
        return f.data[7] & 7 if s.link == 276 else (f.sport * 31 + f.dport) & 7

    steps = [after.time - before.time for before, after in pairwise(s.frames)]
    assume(min(steps, default=0) >= -5 * MS)  # after a clock was set, times do not tell when a packet was written
    frames = sorted(s.frames, key=lambda f: f.time + late[queue(f)])
    before, after = plain(name), whole(inspected(s.link, frames))
    assert after[0] == before[0]
    assert {k: m.verdict for k, m in after[1].items()} == {k: m.verdict for k, m in before[1].items()}


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_a_packet_that_its_receiver_ignored_changes_nothing(name: str, data: st.DataObject) -> None:
    try_ignored(name, data)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_a_clock_step_turns_no_verdict_into_another(name: str, data: st.DataObject) -> None:
    try_step(name, data)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_packets_written_late_change_nothing(name: str, data: st.DataObject) -> None:
    try_disorder(name, data)


def test_an_interface_that_is_written_after_the_others() -> None:
    """A connection is over on one interface before its first packet is written for the other: copies, no other connection."""
    s = scene("cascade-client.pcap")
    first = next(f for f in s.frames if f.flags == SYN)
    once = [f for f in s.frames if first.sport in (f.sport, f.dport)]
    assert s.link == 276
    other = bytes([0, 0, 0, 99])  # the interface, of a "cooked" header
    copies = [replace(f, time=f.time + 1000, data=f.data[:4] + other + f.data[8:]) for f in once]
    assert once[-1].time - once[0].time < 40 * MS
    for frames in ([*once, *copies], sorted([*once, *copies], key=lambda f: f.time)):
        assert messages(whole(inspected(s.link, frames))[0]) == messages(whole(inspected(s.link, once))[0])


def rewritable(name: str) -> bool:
    """Whether `scene` can take the capture apart and write it again: its link type is a usual one, and nothing is damaged."""
    try:
        info = read(name).info
    except inspector.InspectorError:
        return False
    return len(info.link_types) == 1 and info.link_types[0] in LINK


@needs_shared
@pytest.mark.parametrize("trial", [try_ignored, try_step, try_disorder])
def test_recordings(trial: Callable[[str, st.DataObject], None]) -> None:
    names = [str(p) for folder in ("captures", "cases") for p in sorted(SHARED.glob(f"{folder}/*/*.pcap*"))
             if p.stat().st_size < LARGEST and rewritable(str(p))]  # fmt: skip

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.sampled_from(names), st.data())
    def run(name: str, data: st.DataObject) -> None:
        trial(name, data)

    run()
