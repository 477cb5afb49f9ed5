"""The whole pipeline on real captures: nothing depends on where blocks end or on how often mirrors are decided."""

from __future__ import annotations

from pathlib import Path

import pytest

import inspector
from inspector.inspection import reading, stream
from inspector.views.objects import MirrorView

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
NAMES = sorted(p.name for p in CAPTURES.glob("*.pcap*"))


def told(view: MirrorView) -> tuple[object, ...]:
    o, d = view.original, view.downstream
    return (
        view.verdict, view.proof, view.reason, view.delivered, view.path, view.lag, view.paired_by, view.arrived,
        view.acknowledged, view.mirror.request_packets, view.mirror.response_packets,
        o and o.request_packets, o and o.status, d and d.request_packets, d and d.status,
    )  # fmt: skip


def mirrors(name: str, **options: int) -> list[tuple[object, ...]]:
    return [told(v) for v in inspector.inspect(str(CAPTURES / name), **options).mirror_views()]


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_any_size_give_the_same(name):
    want = mirrors(name)
    for size in (1, 4097, 65536):
        assert mirrors(name, block_bytes=size) == want


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("epoch", [50, 333])
def test_deciding_early_decides_the_same(name, epoch, monkeypatch):
    want = mirrors(name)
    monkeypatch.setattr(reading, "EPOCH", epoch)
    assert mirrors(name) == want


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_hands_out_each_mirror_once(name, monkeypatch):
    want = sorted(map(repr, mirrors(name)))
    monkeypatch.setattr(reading, "EPOCH", 100)
    running = stream(str(CAPTURES / name))
    views = [view for decided in running for view in decided.views()]
    assert sorted(repr(told(v)) for v in views) == want
    assert [v.id for v in views] == list(range(1, len(views) + 1))
    whole = inspector.inspect(str(CAPTURES / name)).summary
    assert running.summary == whole
