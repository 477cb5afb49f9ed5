"""What the lab says is true: from logs alone, in the scorer's format."""

import dataclasses
import json
from typing import Any

import pytest
from shared_captures import SHARED, needs_shared

pytest.importorskip("yaml", reason="the lab's tests need PyYAML: the extra [lab] is not installed")

from lab import scenario, truth

PLAIN = scenario.load("plain")
Line = dict[str, Any]


def client(n: int, path: str = "/items", port: int = 4000, code: int | None = 200) -> Line:
    return {"n": n, "start": f"{n}.0", "method": "GET", "path": path, "port": port, "code": code}


def proxy(n: int, path: str = "/items", port: int = 4000, **more: Any) -> Line:
    line = {
        "start": f"{n}.1",
        "method": "GET",
        "path": path,
        "downstream": f"10.0.0.9:{port}",
        "xrid": f"id-{n}",
        "attempts": "1",
    }
    return line | more


def server(n: int, at: float, code: Any = "200", host: str = "catalog", path: str = "/items", sent: int = 396) -> Line:
    return {
        "start": f"{at}",
        "method": "GET",
        "path": path,
        "xrid": f"id-{n}",
        "code": code,
        "authority": host,
        "sent": str(sent),
    }


def test_requests_of_one_connection_are_told_by_order() -> None:
    logs = truth.Logs(
        [client(1), client(0), client(2, port=5000)],
        [proxy(0), proxy(2, port=5000), proxy(1)],
        {
            "v1": [server(2, 9), server(0, 8), server(1, 7)],
            "v2": [server(1, 5, 500, "catalog-shadow"), server(0, 6, 0, "catalog-shadow")],
        },
    )
    found = truth.truth(PLAIN, logs, 7)
    assert [t["request_id"] for t in found["transactions"]] == ["id-0", "id-1", "id-2"]
    assert [[m["status"] for m in t["mirrors"]] for t in found["transactions"]] == [[None], [500], []]
    assert found["mirrored"] == 2
    assert truth.complaints(dataclasses.replace(PLAIN, requests=({},) * 3), found) == [
        "request 2: no mirror in the servers' logs"
    ]


def test_attempts_are_originals_and_their_status_is_any() -> None:
    logs = truth.Logs(
        [client(0, code=503)],
        [proxy(0, attempts="3")],
        {"v1": [server(0, a, 503) for a in (1, 2, 3)], "v2": [server(0, 4)]},
    )
    found = truth.truth(scenario.load("retry"), logs, None)
    assert [leg["status"] for leg in found["transactions"][0]["original"]] == [503, 503, 503]
    (pair,) = truth.pairs(found["transactions"], downstream_seen=True)
    assert (pair["original_status"], pair["mirror_status"], pair["verdict"]) == ("any", 200, ["discarded"])


def test_without_an_id_equal_requests_take_their_legs_in_order() -> None:
    stripped = scenario.load("stripped")
    paths = ["/a", "/b", "/a"]
    logs = truth.Logs(
        [client(n, path) for n, path in enumerate(paths)],
        [proxy(n, path, xrid="-") for n, path in enumerate(paths)],
        {"v1": [server(9, n, path=path, sent=n) for n, path in enumerate(paths)], "v2": [server(8, 1.5, path="/a")]},
    )
    found = truth.truth(stripped, logs, None)["transactions"]
    assert [t["request_id"] for t in found] == [None] * 3
    assert [t["original"][0]["bytes"] for t in found] == [0, 1, 2]
    assert [len(t["mirrors"]) for t in found] == [1, 0, 0]


@pytest.mark.parametrize(
    ("entry", "status", "seen", "right"),
    [
        ({}, 200, True, ["discarded"]),
        ({}, 200, False, ["unproven"]),
        ({}, None, True, ["unanswered", "discarded"]),
        ({}, None, False, ["unproven", "unanswered"]),
        ({"leaked": True}, 200, True, ["leaked"]),
        ({"leaked": False}, 200, True, ["discarded"]),
    ],
)
def test_right_verdicts(entry: Line, status: int | None, seen: bool, right: list[str]) -> None:
    assert truth.verdicts(entry, {"status": status}, seen) == right


def test_a_snapshot_too_short_expects_nothing() -> None:
    found = {"requests": 3, "transactions": []}
    assert truth.expectation(dataclasses.replace(PLAIN, snaplen=96), found)["captures"] == {}
    assert all(
        c["loose"] for c in truth.expectation(dataclasses.replace(PLAIN, snaplen=200), found)["captures"].values()
    )
    assert all(
        c["needs"] == "sslkeys.log"
        for c in truth.expectation(dataclasses.replace(PLAIN, tls=True), found)["captures"].values()
    )


def test_cut_lines_are_left_out() -> None:
    assert truth.read_lines('{"a": 1}\n{"b": \n\n{"c": 3}') == [{"a": 1}, {"c": 3}]


SAME_TOPOLOGY = {
    "sidecar": ("items", "retry", "percent50", "fault", "weights", "parallel", "cascade"),
    "gateway": ("gateway", "leaky"),
}


@needs_shared
@pytest.mark.parametrize(("topology", "name"), [(t, n) for t, names in SAME_TOPOLOGY.items() for n in names])
def test_the_expectation_is_what_the_scorer_reads(topology: str, name: str) -> None:
    """From the truth of a capture recorded before the lab was: the same expectation, field by field."""
    folder = SHARED / name
    told = json.loads((folder / "truth.json").read_text())
    told["transactions"] = [t | {"n": n} for n, t in enumerate(told["transactions"])]
    made = truth.expectation(dataclasses.replace(PLAIN, name=name, topology=topology), told)
    assert made == json.loads((folder / "expect.json").read_text())
