"""Several captures of one run: an exchange is told with the packet numbers of the capture that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.inspection import inspect

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@pytest.mark.parametrize("turned", [False, True])
def test_both_sides_of_an_exchange_are_numbered_in_its_capture(turned: bool) -> None:
    paths = [str(CAPTURES / "items-client.pcap"), str(CAPTURES / "items-node.pcap")]
    if turned:
        paths.reverse()
    alone = [
        {(x.client, x.request_time): (x.request_packets, x.response_packets) for x in inspect(path).exchange_views()}
        for path in paths
    ]
    together = list(inspect(*paths).exchange_views())
    assert len(together) == 9
    for x in together:
        requests, responses = alone[x.capture][x.client, x.request_time]
        assert x.request_packets == requests
        assert x.response_packets == responses
