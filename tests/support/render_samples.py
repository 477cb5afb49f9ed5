"""Views for the tests of renderers and of the command: built by hand, no pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from inspector.views.objects import CaptureView, Evidence, ExchangeView, GapView, MirrorView, Share, SummaryView

T0 = 1_795_230_566_429_573_000  # 2026-11-21T03:09:26.429573000Z


def exchange(number: int = 1, **changes: Any) -> ExchangeView:
    values: dict[str, Any] = {
        "id": number,
        "leg": "original",
        "capture": 0,
        "client": "10.244.0.10:51234",
        "server": "10.244.0.21:3000",
        "connection": 2,
        "protocol": "http/1.1",
        "method": "GET",
        "path": "/items",
        "host": "catalog",
        "status": 200,
        "request_id": "ed2894de-7154-99b4-bdba-4f85737ac583",
        "request_packets": [10],
        "response_packets": [14, 15],
        "request_time": T0,
        "response_time": T0 + 3_000_000,
        "response_end_time": T0 + 3_250_500,
        "duration": 3_250_500,
        "request_body_bytes": 0,
        "response_body_bytes": 396,
        "response_body_hash": "xxh64:0123456789abcdef",
        "complete": True,
        "gaps": [],
    }
    return ExchangeView(**{**values, **changes})


def mirror(number: int = 1, **changes: Any) -> MirrorView:
    copy = {"leg": "mirror", "server": "10.244.0.22:3000", "host": "catalog-shadow", "connection": 3}
    values: dict[str, Any] = {
        "id": number,
        "request_id": "ed2894de-7154-99b4-bdba-4f85737ac583",
        "method": "GET",
        "path": "/items",
        "host": "catalog",
        "proxy": "10.244.0.10",
        "original": exchange(2),
        "mirror": exchange(3, request_time=T0 + 213_000, request_packets=[12], response_packets=[30], **copy),
        "downstream": exchange(1, leg="downstream", server="10.96.200.1:80", connection=1),
        "paired_by": ["request-id", "suffix"],
        "confidence": 0.99,
        "lag": 213_000,
        "verdict": "discarded",
        "proof": ["content"],
        "reason": None,
        "delivered": "original",
        "arrived": "complete",
        "acknowledged": True,
        "evidence": [Evidence(0, 12, "the mirror's request"), Evidence(0, 30, "its response arrives at the proxy")],
    }
    return MirrorView(**{**values, **changes})


def capture(**changes: Any) -> CaptureView:
    values: dict[str, Any] = {
        "path": "client.pcap",
        "format": "pcap",
        "compression": "",
        "link_types": ["LINUX_SLL2"],
        "interfaces": ["if1", "if2"],
        "packets": 68,
        "bytes": 12_856,
        "first": T0,
        "last": T0 + 685_000_000,
        "copies": 0,
        "dropped_tail": False,
        "faults": {},
        "warnings": [],
    }
    return CaptureView(**{**values, **changes})


@dataclass
class Sample:
    """What renderers and the command see of an inspection."""

    mirror_list: list[MirrorView] = field(default_factory=list)
    exchange_list: list[ExchangeView] = field(default_factory=list)
    captures: list[CaptureView] = field(default_factory=lambda: [capture()])
    finding: str = "1 of 1 mirrored responses reached the proxy 10.244.0.10 and none was handed to the downstream."
    unseen: list[str] = field(default_factory=list)
    damaged: bool = False
    share: Share = field(default_factory=lambda: Share(1, 1, 100.0, 2.5, 100.0))

    @property
    def summary(self) -> SummaryView:
        verdicts: dict[str, int] = {}
        for m in self.mirror_list:
            verdicts[m.verdict] = verdicts.get(m.verdict, 0) + 1
        return SummaryView(
            connections=3,
            exchanges=len(self.exchange_list),
            mirrors=len(self.mirror_list),
            verdicts=verdicts,
            share=self.share,
            protocols={"http/1": 6, "h2": 0, "tls": 0, "other": 0},
            unseen=self.unseen,
            finding=self.finding,
        )

    def mirror_views(self) -> Iterator[MirrorView]:
        return iter(self.mirror_list)

    def exchange_views(self) -> Iterator[ExchangeView]:
        return iter(self.exchange_list)


def rich() -> Sample:
    """One mirror of each verdict, with what is missing missing, and captured text that tries to act."""
    gap = exchange(9, leg="mirror", server="10.244.0.22:3000", gaps=[GapView("response", 120, "lost")], complete=False)
    silent = exchange(
        8, leg="mirror", server="[fd00:10:244::22]:3000", status=None, response_packets=[], response_time=None,
        response_end_time=None, duration=None, response_body_bytes=None, response_body_hash=None, complete=False,
    )  # fmt: skip
    korean = "/상품/목록?쪽=1".encode().decode("latin-1")
    mirrors = [
        mirror(1),
        mirror(2, path=korean, verdict="leaked", delivered="mirror", lag=-250),
        mirror(3, path="/a|b\x1b[2J\u202e`x`<b>", verdict="unanswered", proof=[], mirror=silent, arrived="none"),
        mirror(4, path="/long" * 60, verdict="unproven", proof=[], reason="no-downstream-leg", downstream=None),
        mirror(5, method="=cmd()", path=None, verdict="unproven", proof=[], reason="gap", original=None, mirror=gap, lag=None),
    ]  # fmt: skip
    exchanges = [
        exchange(1, leg="downstream"),
        exchange(2),
        exchange(3, method=None, path=None, request_time=None),
        silent,
    ]
    unseen = ["The legs to 10.244.0.22:3000 are encrypted: capture on lo in the server's pod instead."]
    return Sample(mirrors, exchanges, unseen=unseen)
