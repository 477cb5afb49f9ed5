"""Mirrors of any verdict whose captured text tries everything, for properties of renderers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from render_samples import exchange, mirror

from inspector.views.objects import MirrorView

TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from(";#<>&%{}()[]:-+*`$\\\"'|@~^=!\n\x1b\u202e\x00end")), max_size=60
)
ENDPOINT = st.sampled_from(["10.0.0.1:80", "[fd00:10:244:1234:5678:9abc:def0:1234]:65535", "127.0.0.1:15001"])


@st.composite
def hostile(draw: st.DrawFn) -> MirrorView:
    """A mirror of any verdict whose captured text tries everything."""

    def leg(number: int, name: str) -> Any:
        return exchange(
            number,
            leg=name,
            method=draw(TEXT),
            path=draw(TEXT),
            host=draw(TEXT),
            client=draw(ENDPOINT),
            server=draw(ENDPOINT),
            status=draw(st.sampled_from([None, 200, 999])),
            request_time=draw(st.sampled_from([None, 0, 10**18])),
            response_time=draw(st.sampled_from([0, 10**18 + 1])),
            request_packets=draw(st.lists(st.integers(1, 10**9), max_size=3)),
        )

    verdict = draw(st.sampled_from(["discarded", "leaked", "unanswered", "unproven"]))
    return mirror(
        path=draw(TEXT),
        method=draw(TEXT),
        proxy=draw(st.sampled_from([None, "10.0.0.1", "fd00::1"])),
        original=(draw(st.one_of(st.none(), st.just(0))) and None) or leg(2, "original"),
        mirror=leg(3, "mirror"),
        downstream=None if draw(st.booleans()) else leg(1, "downstream"),
        verdict=verdict,
        delivered=draw(st.sampled_from(["original", "proxy", "unknown", "mirror"])),
    )
