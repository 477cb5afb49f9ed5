"""Legs, pairing and verdicts on hand-made exchanges: one fact of the wire each (design, sections 5 and 6)."""

from __future__ import annotations

import random

import pytest
from exchanges import exchange, table

from inspector.http.tables import Fact, Mark
from inspector.mirror.find import find
from inspector.mirror.signs import without_suffix
from inspector.mirror.tables import Leg, Sign
from inspector.views.objects import MirrorView
from inspector.views.present import Presenter

P, V1, V2 = "10.0.0.10", "10.0.0.21:3000", "10.0.0.22:3000"
APP = {"client": f"{P}:40000", "server": "10.96.0.1:80", "wire": "127.0.0.1"}


def down(at, until, **k):
    return exchange(at=at, until=until, **{**APP, **k})


def up(at, until, n=1, **k):
    return exchange(f"{P}:5{n:04}", V1, at, until, **k)


def copy(at, until, n=1, **k):
    return exchange(f"{P}:6{n:04}", V2, at, until, **{"host": "catalog-shadow", "body": b"v2 body", **k})


def mirrors(*rows, **options) -> list[MirrorView]:
    found = find(table(list(rows)), **options)
    return list(Presenter(found.exchanges, found.mirrors).mirrors())


def legs(*rows) -> list[str]:
    return [Leg(x).name.lower() for x in find(table(list(rows))).legs().tolist()]


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (b"httpbin-shadow:8000", b"httpbin:8000"),
        (b"httpbin-shadow", b"httpbin"),
        (b"[::1]-shadow:80", b"[::1]:80"),
        (b"httpbin:8000-shadow", b"httpbin:8000"),
        (b"HTTPBIN-Shadow", b"HTTPBIN"),
        (b"httpbin", None),
        (b"-shadow", None),
        (b"shadow-httpbin:8000", None),
    ],
)
def test_the_suffix_stands_before_the_port(host, base):
    assert without_suffix(host, b"-shadow") == base


def test_the_classic_copy():
    (m,) = mirrors(down(0, 5), up(1, 4, rid="a"), copy(1.5, 3, rid="a", internal=True, xff=P))
    assert m.verdict == "discarded"
    assert m.proof == ["content"]
    assert m.delivered == "original"
    assert set(m.paired_by) >= {"request-id", "suffix", "xff", "internal", "content"}
    assert m.confidence == 0.99
    assert m.lag == 500_000
    assert m.downstream is not None
    assert m.downstream.server == "10.96.0.1:80"


def test_the_copy_may_leave_first():
    (m,) = mirrors(down(0, 5), up(2, 4, rid="a"), copy(1.5, 3, rid="a"))
    assert m.lag == -500_000
    assert m.original is not None
    assert m.original.server == V1


def test_a_copy_without_suffix_and_request_id():
    (m,) = mirrors(down(0, 5), up(1, 4), copy(1.2, 6, host="catalog", internal=True, xff=P))
    assert m.verdict == "discarded"
    assert m.proof == ["content", "time"]
    assert "suffix" not in m.paired_by


def test_a_copy_of_a_request_with_forwarded_for():
    (m,) = mirrors(up(1, 4, xff="1.2.3.4"), copy(1.2, 6, host="catalog", xff=f"1.2.3.4,{P}"))
    assert "xff" in m.paired_by
    assert (m.verdict, m.reason) == ("unproven", "no-downstream-leg")


def test_several_mirrors_of_one_request():
    other = exchange(f"{P}:61111", "10.0.0.23:3000", 1.3, 2, host="catalog-shadow", rid="a", body=b"v3")
    found = mirrors(down(0, 5), up(1, 4, rid="a"), copy(1.2, 3, rid="a"), other)
    assert [m.original.server for m in found if m.original] == [V1, V1]
    assert [m.verdict for m in found] == ["discarded", "discarded"]


def test_a_retry_is_no_mirror():
    rows = [down(0, 9), up(1, 2, rid="a", attempt=1, status=503), up(3, 4, 2, rid="a", attempt=2)]
    assert mirrors(*rows) == []
    assert legs(*rows) == ["downstream", "original", "attempt"]


def test_a_hedge_is_no_mirror():
    assert mirrors(down(0, 9), up(1, 8, rid="a", attempt=1), up(3, 4, 2, rid="a", attempt=2)) == []


def test_a_retry_without_attempt_count_is_no_mirror():
    first = up(1, 2, rid="a", status=503)
    second = exchange(f"{P}:50009", "10.0.0.29:3000", 3, 4, rid="a")
    assert mirrors(down(0, 9), first, second) == []


def test_a_retried_request_has_one_mirror_and_the_last_attempt_is_delivered():
    (m,) = mirrors(
        down(0, 9),
        up(1, 2, rid="a", attempt=1, status=503, body=b"no"),
        copy(1.2, 3, rid="a", attempt=1),
        up(4, 5, 2, rid="a", attempt=2),
    )
    assert m.verdict == "discarded"
    assert m.delivered == "original"


def test_the_next_hop_is_no_mirror():
    onward = exchange("10.0.0.21:41000", "10.0.0.30:3000", 2, 3, rid="a")
    assert mirrors(up(1, 4, rid="a"), onward) == []
    call = exchange("10.0.0.21:41000", "10.0.0.30:3000", 2, 3, rid="a", path="/b", body=b"x")
    assert legs(up(1, 4, rid="a"), call)[1] == "cascade"


def test_the_side_effects_of_a_mirror_are_no_mirrors():
    calls = [
        exchange(f"10.0.0.2{k}:41000", "10.0.0.30:3000", 2, 3, rid="a", path="/preference", host="preference")
        for k in (1, 2)
    ]
    (m,) = mirrors(up(1, 4, rid="a"), copy(1.2, 5, rid="a"), *calls)
    assert m.mirror.server == V2


def test_a_sidecar_handing_the_copy_to_its_app_is_no_second_mirror():
    inbound = [
        exchange("127.0.0.6:1111", V1, 1.3, 3, rid="a"),
        exchange("127.0.0.6:2222", V2, 1.5, 3, rid="a", host="catalog-shadow"),
    ]
    rows = [up(1, 4, rid="a"), copy(1.2, 5, rid="a"), *inbound]
    assert len(mirrors(*rows)) == 1
    assert legs(*rows).count("inbound") == 2


def test_a_weighted_route_sends_each_request_once():
    rows = []
    for k in range(20):
        rows.append(down(k * 10, k * 10 + 5, client=f"{P}:{41000 + k}"))
        rows.append(exchange(f"{P}:{50000 + k}", V1 if k % 3 else V2, k * 10 + 1, k * 10 + 4))
    assert mirrors(*rows) == []


GW = "10.0.0.5"


def gateway(k, at, until, **kw):
    return exchange(f"10.0.0.1:{40000 + k}", f"{GW}:8080", at, until, **kw)


def sent(k, server, at, until, **kw):
    return exchange(f"{GW}:{(50000 if server == V1 else 56000) + k}", server, at, until, **kw)


def test_unmarked_copies_are_found_by_counting():
    rows = []
    for k in range(6):
        t = k * 10
        rows += [gateway(k, t, t + 5), sent(k, V1, t + 1, t + 4)]
        rows.append(sent(k, V2, t + 1.1, t + 6, host="v2", body=b"other"))
    found = mirrors(*rows)
    assert len(found) == 6
    assert {m.mirror.server for m in found} == {V2}
    assert all("count" in m.paired_by and m.verdict == "discarded" for m in found)


def test_unmarked_copies_with_equal_answers_share_no_role():
    rows = []
    for k in range(8):
        t = k * 10
        body = b"same" if k % 2 else b"v1"
        rows += [gateway(k, t, t + 5, body=body), sent(k, V1, t + (1.2 if k % 2 else 1), t + 4, body=body)]
        rows.append(sent(k, V2, t + 1.1, t + 4.5, host="v2", body=b"same" if k % 2 else b"v2"))
    found = mirrors(*rows)
    assert {m.mirror.server for m in found} == {V2}
    assert len(found) == 8
    assert [m.proof for m in found if m.mirror.response_body_bytes == 4] == [["count"]] * 4


def test_a_balanced_route_under_load_has_no_mirror():
    chance = random.Random(7)
    rows = []
    for k in range(200):
        t = chance.random() * 100
        server = V1 if chance.random() < 0.5 else V2
        body = b"v1" if server == V1 else b"v2"
        rows += [gateway(k, t, t + 3, body=body), sent(k, server, t + 0.5, t + 2, body=body)]
    assert mirrors(*rows) == []


def test_a_lost_downstream_request_does_not_make_a_balanced_route_a_mirror():
    rows = []
    for k in range(40):
        t = k * 2
        server = V1 if k % 2 else V2
        body = b"v1" if server == V1 else b"v2"
        if k != 17:
            rows.append(gateway(k, t, t + 3, body=body))
        rows.append(sent(k, server, t + 0.5, t + 2, body=body))
    assert mirrors(*rows) == []


def test_a_leak():
    (m,) = mirrors(down(0, 9, body=b"v2 body"), up(1, 4, rid="a"), copy(1.2, 3, rid="a"))
    assert (m.verdict, m.delivered) == ("leaked", "mirror")


def test_no_leak_when_the_downstream_was_answered_before():
    (m,) = mirrors(down(0, 5, body=b"neither"), up(1, 4, rid="a"), copy(1.2, 30, rid="a"))
    assert (m.verdict, m.proof) == ("discarded", ["time"])


def test_the_mirrors_very_bytes_are_no_proof_whenever_they_were_captured():
    (m,) = mirrors(down(0, 5, body=b"v2 body"), up(1, 4, rid="a"), copy(1.2, 30, rid="a"))
    assert (m.verdict, m.reason) == ("unproven", "ambiguous")


def test_equal_answers_are_counted():
    (m,) = mirrors(down(0, 9), up(1, 4, rid="a"), copy(1.2, 3, rid="a", body=b"v1"))
    assert (m.verdict, m.proof) == ("discarded", ["count"])


def test_the_proxy_answers_by_itself():
    (m,) = mirrors(
        down(0, 300, status=504, body=b"upstream request timeout"), up(1, None, rid="a"), copy(1.2, 3, rid="a")
    )
    assert (m.verdict, m.proof, m.delivered) == ("discarded", ["content"], "proxy")


def test_an_unanswered_mirror():
    (m,) = mirrors(down(0, 9), up(1, 4, rid="a"), copy(1.2, None, rid="a"))
    assert (m.verdict, m.arrived) == ("unanswered", "none")


def test_loss_takes_the_proof_away():
    lost = int(Fact.COMPLETE | Fact.BODY_GAP)
    (m,) = mirrors(down(0, 9, response_facts=lost), up(1, 4, rid="a"), copy(1.2, 3, rid="a"))
    assert (m.verdict, m.reason) == ("unproven", "gap")
    (m,) = mirrors(down(0, 9, response_facts=lost | int(Fact.CUT)), up(1, 4, rid="a"), copy(1.2, 3, rid="a"))
    assert (m.verdict, m.reason) == ("unproven", "snaplen")


def test_a_lost_response_is_not_called_unanswered():
    (m,) = mirrors(down(0, 9), up(1, 4, rid="a"), copy(1.2, None, rid="a", lossy=True))
    assert (m.verdict, m.reason) == ("unproven", "gap")


def test_a_mirror_without_its_original():
    (m,) = mirrors(copy(1, 3, rid="a"))
    assert (m.verdict, m.reason, m.original) == ("unproven", "original-not-captured", None)


def test_a_service_whose_name_ends_like_the_suffix_is_no_mirror():
    assert mirrors(down(0, 9, host="catalog-shadow"), up(1, 4, host="catalog-shadow")) == []


def test_a_recoded_body_is_not_taken_for_a_proof():
    packed = int(Mark.CONTENT_ENCODING)
    (m,) = mirrors(down(0, 9, body=b"gz", marks=packed), up(1, 4, rid="a"), copy(1.2, 3, rid="a"))
    assert (m.verdict, m.reason) == ("unproven", "ambiguous")


def test_equals_in_flight_are_paired_in_order_and_judged_for_every_pairing():
    rows = []
    for k in range(4):
        rows += [down(k, 20 + k, client=f"{P}:{41000 + k}"), up(k + 5, 15 + k, k, rid=f"r{k}")]
        rows.append(copy(k + 5.2, 16 + k, k, rid=f"r{k}"))
    found = mirrors(*rows)
    assert [m.verdict for m in found] == ["discarded"] * 4
    assert all("order" in m.paired_by for m in found)
    rows[0] = down(0, 20, client=f"{P}:41000", body=b"v2 body")
    assert {m.verdict for m in mirrors(*rows)} == {"unproven"}
    assert {m.reason for m in mirrors(*rows)} == {"ambiguous"}


def test_match_limits_the_signs():
    rows = [down(0, 5), up(1, 4, rid="a"), copy(1.5, 3, rid="a", host="catalog", internal=True)]
    assert len(mirrors(*rows, signs=Sign.REQUEST_ID | Sign.INTERNAL)) == 1
    assert mirrors(*rows, signs=Sign.SUFFIX) == []


def test_a_fan_out_with_one_request_id_is_no_mirror():
    calls = [up(1, 2, rid="a", host="b"), exchange(f"{P}:50009", V2, 1.1, 3, rid="a", host="c", headers="same")]
    assert mirrors(*calls) == []


@pytest.mark.parametrize(("body", "verdict"), [(b"v2 body", "unproven"), (b"v1", "leaked")])
def test_the_response_to_a_lost_attempt_may_be_what_the_client_got(body, verdict):
    """The original failed, a second attempt's request was not captured, and its response is the mirror's."""
    attempt = up(4, 6, n=2, body=body)
    lost = {"request_time": -1, "request_end_time": -1, "request_packets": [], "request_facts": 0}
    lost |= dict.fromkeys(("method", "target", "host", "request_id", "headers"), 0)
    first = up(1, 3, rid="a", status=503, body=b"no")
    (m,) = mirrors(down(0, 8, body=b"v2 body"), first, copy(1.5, 3, rid="a"), attempt | lost)
    assert m.verdict == verdict


@pytest.mark.parametrize("late", [False, True])
def test_an_interface_written_late_changes_no_verdict(late):
    """The packets of the original's response stand behind the downstream's; their times, 1 ms before, show that they are late."""
    answer = {"response_packets": [12_000]} if late else {}
    (m,) = mirrors(down(0, 5), up(1, 4, rid="a") | answer, copy(1.5, 3, rid="a", body=b"v1"))
    assert (m.verdict, m.proof) == ("discarded", ["count"])
