"""Each rule of docs/proof.md on hand-made exchanges: what it allows to be said, and the counter-example that it prevents."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges import exchange, table

from inspector.http.tables import Fact, Mark
from inspector.mirror.find import Assignment, find
from inspector.mirror.tables import NONE
from inspector.views.objects import MirrorView
from inspector.views.present import Presenter

GW, V1, V2, V3 = "10.0.0.5", "10.0.0.21:3000", "10.0.0.22:3000", "10.0.0.23:3000"
LISTENS = f"{GW}:8080"
WHOLE = int(Fact.COMPLETE | Fact.HEAD_COMPLETE)
HOLE = WHOLE | int(Fact.BODY_GAP)
Row = dict[str, Any]


def down(at: float, until: float | None, k: int = 0, **more: Any) -> Row:
    """A client's request."""
    return exchange(f"10.0.0.{100 + k}:{40000 + k}", LISTENS, at, until, **more)


def up(at: float, until: float | None, k: int = 0, server: str = V1, **more: Any) -> Row:
    """The original, to the first version."""
    return exchange(f"{GW}:{50000 + k}", server, at, until, **more)


def copy(at: float, until: float | None, k: int = 0, server: str = V2, **more: Any) -> Row:
    """The copy, to the second version, with a proxy's marks on it."""
    return exchange(
        f"{GW}:{56000 + k}", server, at, until, **{"host": "catalog-shadow", "xff": GW, "body": b"v2 body", **more}
    )


def bare(at: float, until: float | None, k: int = 0, server: str = V2, **more: Any) -> Row:
    """A copy without any mark."""
    return exchange(f"{GW}:{56000 + k}", server, at, until, **{"host": "v2", "body": b"v2 body", **more})


def assigned(*rows: Row) -> Assignment:
    return find(table(list(rows)))


def mirrors(*rows: Row) -> list[MirrorView]:
    found = assigned(*rows)
    return list(Presenter(found.exchanges, found.mirrors).mirrors())


def said(*rows: Row) -> list[str]:
    """Of each mirror its verdict, and the proofs or the reason of it."""
    return [" ".join([m.verdict, *m.proof, *([m.reason] if m.reason else [])]) for m in mirrors(*rows)]


class TestCarries:
    """A body of its own is the mirror's under whatever status; without a body the status decides."""

    @pytest.mark.parametrize("status", [200, 203, 502])
    def test_the_mirrors_bytes_under_any_status(self, status: int) -> None:
        assert said(down(0, 9, body=b"v2 body", status=status), up(1, 4), copy(1.2, 3)) == ["leaked"]

    def test_an_empty_body_under_another_status_is_nobodys(self) -> None:
        rows = up(1, None, rid="a"), copy(1.2, 3, rid="a", body=b"", status=204)
        assert said(down(0, 9, rid="a", body=b"", status=504), *rows) == ["discarded content"]

    def test_a_coded_body_that_cannot_be_undone_is_neither(self) -> None:
        packed = int(Mark.CONTENT_ENCODING)
        assert said(down(0, 9, body=b"?", marks=packed), up(1, 4), copy(1.2, 3)) == ["unproven ambiguous"]


class TestTime:
    """The downstream had its whole answer before the mirror's response can have come."""

    def test_what_came_later_was_not_handed_down(self) -> None:
        assert said(down(0, 5, body=b"neither"), up(1, 4), copy(1.2, 6)) == ["discarded time"]

    def test_one_byte_that_came_before_the_end_takes_the_proof_away(self) -> None:
        rows = down(0, 5, body=b"neither"), up(1, 4), copy(1.2, 6, begins=4.9)
        assert said(*rows) == ["unproven ambiguous"]

    def test_the_client_hung_up(self) -> None:
        assert said(down(0, None, over=2), up(1, 4), copy(1.2, 3)) == ["discarded time"]
        assert said(down(0, None, over=3.5), up(1, 4), copy(1.2, 3)) == ["unproven no-downstream-leg"]
        assert said(down(0, None), up(1, 4), copy(1.2, 3)) == ["unproven no-downstream-leg"]

    def test_times_of_two_captures_are_not_compared(self) -> None:
        other = copy(1.2, 6)
        other["capture"] = 1
        assert said(down(0, 5, body=b"neither"), up(1, 4), other) == ["unproven ambiguous"]

    def test_the_mirrors_very_bytes_before_they_came(self) -> None:
        assert said(down(0, 5, body=b"v2 body"), up(1, 4), copy(1.2, 30)) == ["unproven ambiguous"]


class TestCause:
    """What was handed down before the copy was sent is not the copy's response, whatever it is."""

    def test_equal_bytes_before_the_copy_was_sent(self) -> None:
        rows = down(0, 5, rid="a", body=b"v2 body"), up(1, 4, rid="a")
        assert said(*rows, copy(7, 8, rid="a")) == ["discarded time"]
        assert said(*rows, copy(4, 8, rid="a")) == ["unproven ambiguous"]


class TestFields:
    """Bodies are equal; header lines that a proxy has no reason to write tell whose response went down."""

    ORIGINAL, MIRROR = ("location:/login",), ("location:/setup",)

    def redirected(self, *lines: str) -> list[str]:
        same: Row = {"status": 302, "body": b""}
        return said(
            down(0, 9, lines=lines, **same),
            up(1, 4, lines=self.ORIGINAL, **same),
            copy(1.2, 3, lines=self.MIRROR, **same),
        )

    def test_a_leaked_redirect(self) -> None:
        assert self.redirected(*self.MIRROR) == ["leaked"]

    def test_the_originals_redirect(self) -> None:
        assert self.redirected(*self.ORIGINAL) == ["discarded content"]

    def test_a_line_that_is_neithers_decides_nothing(self) -> None:
        assert self.redirected("location:https://example.org/login") == ["unproven ambiguous"]

    def test_lines_of_both_decide_nothing(self) -> None:
        assert self.redirected(*self.MIRROR, *self.ORIGINAL) == ["unproven ambiguous"]


class TestOwn:
    """The proxy answered by itself: its original is seen to have had no answer, or it marks what it passes on."""

    def test_a_time_out(self) -> None:
        rows = up(1, None), copy(1.2, 3)
        assert said(down(0, 300, status=504, body=b"upstream request timeout"), *rows) == ["discarded content"]

    def test_a_failure_like_the_mirrors_is_not_its_own(self) -> None:
        rows = up(1, None), copy(1.2, 3, status=503)
        assert said(down(0, 300, status=503, body=b"v2 body"), *rows) != ["discarded content"]

    def test_a_lost_answer_may_have_been_passed_on(self) -> None:
        rows = up(1, None, lossy=True), copy(1.2, 3)
        assert said(down(0, 300, status=504, body=b"upstream request timeout"), *rows)[0].startswith("unproven")

    def test_a_proxy_that_marks_what_it_passes_on(self) -> None:
        marked = int(Mark.UPSTREAM_TIME)
        usual = down(0, 5, k=1, path="/b", rid="b", marks=marked), up(1, 4, k=1, path="/b", rid="b")
        rows = up(21, 24, rid="a"), copy(21.2, 23, rid="a")
        found = said(*usual, down(20, 29, rid="a", status=413, body=b"too large"), *rows)
        assert found == ["discarded content"]
        found = said(*usual, down(20, 29, rid="a", status=413, body=b"too large", marks=marked), *rows)
        assert found == ["unproven ambiguous"]


class TestContent:
    """A proof by content needs a positive fit: unlike the mirror's is not enough."""

    def test_the_originals_answer(self) -> None:
        assert said(down(0, 9), up(1, 4), copy(1.2, 3)) == ["discarded content"]

    def test_neithers_answer(self) -> None:
        assert said(down(0, 9, body=b"mixed"), up(1, 4), copy(1.2, 3)) == ["unproven ambiguous"]


class TestCount:
    """As many answers of the class went down as originals gave."""

    def test_equal_answers(self) -> None:
        assert said(down(0, 9), up(1, 4), copy(1.2, 3, body=b"v1")) == ["discarded count"]

    def test_more_went_down_than_originals_gave(self) -> None:
        """Two clients got what one original gave: nobody can say which of them was given the mirror's."""
        rows = [down(0, 9, body=b"x"), up(1, 4, body=b"x"), copy(1.2, 3, body=b"x")]
        rows += [down(0.1, 9.5, 1, body=b"x"), up(1.1, 4, 1, body=b"y"), copy(1.3, 3, 1, body=b"z")]
        assert said(*rows)[0] == "unproven ambiguous"

    def test_an_id_tells_them_apart(self) -> None:
        rows = [down(0, 9, rid="a", body=b"x"), up(1, 4, rid="a", body=b"x"), copy(1.2, 3, rid="a", body=b"x")]
        rows += [down(0.1, 9.5, 1, rid="b", body=b"x"), up(1.1, 4, 1, rid="b", body=b"y")]
        rows += [copy(1.3, 3, 1, rid="b", body=b"x")]
        assert said(*rows) == ["discarded count", "leaked"]


class TestPart:
    """The original was seen in part: what was seen of it fits, and nothing of the mirror's does."""

    def test_status_lines_and_length_fit(self) -> None:
        lines = ("etag:1",)
        torn = up(1, 4, body=b"v1 12", response_facts=HOLE, lines=lines)
        whole = down(0, 9, body=b"v1 1234567", lines=lines)
        assert said(whole, torn, copy(1.2, 3)) == ["discarded content"]

    def test_another_length_is_another_response(self) -> None:
        torn = up(1, 4, body=b"v1 12", response_facts=HOLE)
        assert said(down(0, 9, body=b"v1 12345"), torn, copy(1.2, 3))[0].startswith("unproven")

    def test_the_mirrors_bytes_are_no_part_of_the_original(self) -> None:
        torn = up(1, 4, body=b"v", response_facts=HOLE)
        assert said(down(0, 9, body=b"v2 123"), torn, copy(1.2, 3, body=b"v2 123"))[0].startswith("unproven")


class TestEveryAssignment:
    """What is said holds whichever of the downstream requests was the mirror's own."""

    def rows(self, **second: Any) -> list[Row]:
        out = []
        for k in range(3):
            out += [down(0.1 * k, 20 + k, k, **(second if k == 1 else {})), up(5 + k, 15 + k, k)]
            out.append(copy(5.2 + k, 16 + k, k))
        return out

    def test_equals_in_flight(self) -> None:
        found = mirrors(*self.rows())
        assert {m.verdict for m in found} == {"discarded"}
        assert all("order" in m.paired_by for m in found)

    def test_one_leak_among_them_may_be_any_ones(self) -> None:
        assert said(*self.rows(body=b"v2 body")) == ["unproven ambiguous"] * 3

    def test_one_odd_answer_among_them_takes_the_proof_from_all(self) -> None:
        assert said(*self.rows(body=b"neither")) == ["unproven ambiguous"] * 3

    def test_an_exchange_that_is_over_is_nobodys_rival(self) -> None:
        rows = [down(0, 9), up(1, 4), copy(1.2, 3)]
        rows += [down(5000, 5009, 1, body=b"neither"), up(5001, 5004, 1), copy(5001.2, 5003, 1)]
        assert said(*rows) == ["discarded content", "unproven ambiguous"]

    def test_a_lost_response_concerns_its_own_mirror_alone(self) -> None:
        rows = [down(0, 9, rid="a"), up(1, 4, rid="a"), copy(1.2, 3, rid="a")]
        rows += [down(2, 19, 1, rid="b", body=b"v2", response_facts=HOLE), up(3, 14, 1, rid="b")]
        rows += [copy(3.2, 13, 1, rid="b")]
        assert said(*rows) == ["discarded content", "unproven gap"]


class TestOnlyGiver:
    """A response that nothing but mirrors explains is a mirror's; it is this one's where no other can have given it."""

    def test_two_mirrors_answered_alike(self) -> None:
        rows = down(0, 9, rid="a", body=b"v2 body"), up(1, 4, rid="a")
        two = copy(1.2, 3, rid="a"), copy(1.3, 3.5, rid="a", server=V3)
        assert said(*rows, *two) == ["unproven ambiguous"] * 2

    def test_two_mirrors_answered_differently(self) -> None:
        rows = down(0, 9, rid="a", body=b"v2 body"), up(1, 4, rid="a")
        two = copy(1.2, 3, rid="a"), copy(1.3, 3.5, rid="a", server=V3, body=b"v3 body")
        assert said(*rows, *two)[0] == "leaked"


class TestElsewhere:
    """A body that only a mirror gave, on a downstream leg of another request."""

    def rows(self, given: bytes, **other: Any) -> list[Row]:
        rows = [down(0, 9, rid="a"), up(1, 4, rid="a"), copy(1.2, 3, rid="a")]
        other = {"path": "/other", "rid": "b", **other}
        return [*rows, down(2, 19, 1, body=given, **other), up(2.5, 14, 1, body=b"other", **other)]

    def test_a_leak_to_another_client(self) -> None:
        assert said(*self.rows(b"v2 body")) == ["leaked"]

    def test_under_another_status(self) -> None:
        assert said(*self.rows(b"v2 body", status=206)) == ["leaked"]

    def test_not_what_an_original_gave(self) -> None:
        assert said(*self.rows(b"other")) == ["discarded content"]

    def test_not_before_it_came(self) -> None:
        rows = self.rows(b"other")
        early = down(-20, -10, 2, path="/early", rid="c", body=b"v2 body")
        assert said(*rows, early, up(-18, -12, 2, path="/early", rid="c")) == ["discarded content"]


def test_refused() -> None:
    """What its receiver refused with a RST was passed on to nobody."""
    rows = down(0, 9, body=b"neither"), up(1, 4)
    assert said(*rows, copy(1.2, 3, response_facts=WHOLE | int(Fact.REFUSED))) == ["discarded time"]
    assert said(*rows, copy(1.2, 3)) == ["unproven ambiguous"]


class TestChecks:
    """What is answered before its original is sent is an authorization check, no copy."""

    def asked(self, k: int, sent: float) -> list[Row]:
        """A call that Envoy marks as internal."""
        t, rid = 20 * k, f"r{k}"
        call = exchange(f"{GW}:{56000 + k}", V2, t + 1, t + 2, rid=rid, internal=True, host="auth", body=b"")
        return [down(t, t + 9, k, rid=rid), up(t + sent, t + 8, k, rid=rid), call]

    def test_a_check(self) -> None:
        rows = [row for k in range(4) for row in self.asked(k, 3)]
        assert mirrors(*rows) == []
        assert assigned(*rows).helper.sum() == 4

    def test_a_copy_is_sent_beside_its_original(self) -> None:
        assert len(mirrors(*(row for k in range(4) for row in self.asked(k, 1.1)))) == 4


class TestRetries:
    """A request sent after the other had failed is an attempt, no copy."""

    def rows(self, sent: float, **marks: Any) -> list[Row]:
        second = exchange(f"{GW}:56000", V2, sent, 8, rid="a", internal=True, **marks)
        return [down(0, 9, rid="a"), up(1, 4, rid="a", status=503, body=b"no"), second]

    def test_after_a_failure(self) -> None:
        assert mirrors(*self.rows(5)) == []

    def test_beside_it(self) -> None:
        assert len(mirrors(*self.rows(2))) == 1

    def test_the_proxys_own_mark_says_that_it_is_a_copy(self) -> None:
        assert len(mirrors(*self.rows(5, xff=GW))) == 1

    def test_after_a_time_out(self) -> None:
        given_up = up(1, None, rid="a", over=4)
        second = exchange(f"{GW}:56000", V2, 5, 8, rid="a", internal=True)
        assert mirrors(down(0, 9, rid="a"), given_up, second) == []


class TestNothingButCopies:
    """An unmarked request is called a copy only if its server gets nothing but copies, over all of the capture."""

    def rows(self) -> list[Row]:
        out = []
        for k in range(6):
            t = 20 * k
            out += [down(t, t + 9, k), up(t + 1, t + 4, k), bare(t + 1.1, t + 5, k)]
        return out

    def test_copies(self) -> None:
        assert said(*self.rows()) == ["discarded content"] * 6

    def test_a_server_that_answers_clients_too(self) -> None:
        rows = self.rows()
        for k in range(6, 12):
            rows += [down(20 * k, 20 * k + 9, k, body=b"v2 body"), bare(20 * k + 1, 20 * k + 4, k)]
        found = assigned(*rows)
        assert (len(found.mirrors), int(found.candidate.sum())) == (0, 6)

    def test_two_versions_that_share_the_load(self) -> None:
        rows = []
        for k in range(12):
            v1, t = k % 3 > 0, 5 * k
            body = b"v1" if v1 else b"v2 body"
            rows += [down(t, t + 9, k, body=body), (up if v1 else bare)(t + 1, t + 4, k, body=body)]
        found = assigned(*rows)
        assert (len(found.mirrors), int(found.candidate.sum())) == (0, 0)


class TestRoles:
    """Without marks, the originals' server is the one whose answers clients get."""

    def rows(self, *given: bytes) -> list[Row]:
        out = []
        for k, body in enumerate(given):
            t = 20 * k
            out += [down(t, t + 9, k, body=body), up(t + 1.1, t + 4, k), bare(t + 1, t + 5, k)]
        return out

    def test_whoever_is_asked_first(self) -> None:
        found = mirrors(*self.rows(*[b"v1"] * 6))
        assert {m.mirror.server for m in found} == {V2}
        found = mirrors(*self.rows(*[b"v2 body"] * 6))
        assert {m.mirror.server for m in found} == {V1}

    def test_both_servers_answer_clients(self) -> None:
        found = assigned(*self.rows(*[b"v1", b"v2 body"] * 4))
        assert len(found.mirrors) == 0
        assert found.candidate.sum() == 8

    def test_one_odd_answer_does_not_exchange_the_roles(self) -> None:
        found = mirrors(*self.rows(*[b"v1"] * 9, b"v2 body"))
        assert {m.mirror.server for m in found} <= {V2}
        assert [m.verdict for m in found if m.verdict not in ("discarded", "leaked")] == []


class TestProxiesAsTheyAre:
    """Copies that do not look like their originals, and transactions without one."""

    def rows(self, sent: bytes = b"", **copies: Any) -> list[Row]:
        out = []
        for k in range(6):
            t = 20 * k
            asked = {"path": f"/v1/items/{k}", "sent": sent, "method": "POST" if sent else "GET"}
            body = b"v1 %d" % k
            out += [down(t, t + 9, k, body=body, **asked)]
            out += [up(t + 1, t + 4, k, body=body, **{**asked, **copies.get("original", {"path": f"/items/{k}"})})]
            out += [bare(t + 1.1, t + 5, k, **{**asked, **copies.get("copy", {})})]
        return out

    def test_the_originals_path_is_rewritten(self) -> None:
        """It cannot be shown to be the original, and is not needed: the copy is the downstream request's."""
        marks = {"host": "catalog-shadow", "xff": GW}
        found = mirrors(*self.rows(copy=marks))
        assert [(m.mirror.server, m.verdict, m.original) for m in found] == [(V2, "discarded", None)] * 6

    @pytest.mark.xfail(
        strict=True, reason="the copy, not the original, takes the downstream request: its path is equal"
    )
    def test_the_originals_path_is_rewritten_and_the_copy_bears_no_mark(self) -> None:
        assert {m.mirror.server for m in mirrors(*self.rows())} == {V2}

    def test_the_copys_body_is_left_out(self) -> None:
        found = mirrors(*self.rows(b"much", original={}, copy={"sent": b""}))
        assert [(m.mirror.server, m.verdict) for m in found] == [(V2, "discarded")] * 6

    def test_the_proxy_answers_by_itself(self) -> None:
        rows = [row for row in TestNothingButCopies().rows() if row["client_port"] != 50000]
        found = assigned(*rows)
        assert (found.mirrors.original == NONE).sum() == 1
        assert len(found.mirrors) == 6

    def test_two_mirrors(self) -> None:
        rows = TestNothingButCopies().rows()
        rows += [bare(20 * k + 1.2, 20 * k + 6, 100 + k, V3, body=b"v3") for k in range(6)]
        assert said(*rows) == ["discarded content"] * 12

    def test_two_copies_to_one_server(self) -> None:
        rows = TestNothingButCopies().rows()
        rows += [bare(20 * k + 1.2, 20 * k + 6, 100 + k) for k in range(6)]
        assert said(*rows) == ["discarded content"] * 12


class TestSites:
    """A proxy that sends from another address than the one that clients dial."""

    def rows(self, inside: int, outside: int) -> list[Row]:
        out = []
        for k in range(inside + outside):
            t, late = 20 * k, 10 if k >= inside else 0
            out.append(down(t, t + 9, k))
            for make, begins in ((up, t + late + 1), (copy, t + late + 1.2)):
                row = make(begins, begins + 3, k)
                sent_from = exchange(f"192.168.7.7:{row['client_port']}", V1, 0)
                out.append({**row, **{n: sent_from[n] for n in ("client_hi", "client_lo")}})
        return out

    def test_its_requests_lie_inside_those_of_clients(self) -> None:
        found = mirrors(*self.rows(6, 0))
        assert [m.downstream is not None for m in found] == [True] * 6

    def test_somebody_elses_requests_do_not(self) -> None:
        assert all(m.downstream is None for m in mirrors(*self.rows(3, 3)))
