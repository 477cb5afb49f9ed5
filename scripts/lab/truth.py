"""What happened, by the logs of applications and proxies alone, and what a right inspector says about it. Pure.

Nothing here reads a capture. `Logs` holds the lines of one run; `transactions` puts them together; `expectation` says
which verdicts are right for each capture, in the format that the scorer reads.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.scenario import Scenario

Line = dict[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Logs:
    """Lines by writer: the client, the proxy that mirrors, and for each server its sidecar's or (without one) its own."""

    client: list[Line]
    proxy: list[Line]
    servers: dict[str, list[Line]] = field(default_factory=dict)


def read_lines(text: str) -> list[Line]:
    """JSON lines; a line that was cut off when its writer ended is left out."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def number(value: Any) -> int | None:
    """A status or a size as a log has it; ``-``, ``0`` for a status that never was, and null are None."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def leg(line: Line) -> Line:
    """An upstream exchange as the truth file shows it. Envoy writes status 0 where the client went away first."""
    status = number(line.get("code")) or None
    size = number(line.get("sent", line.get("bytes"))) if status is not None else None
    return {"status": status, "host": line.get("authority"), "bytes": size}


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def _request_key(line: Line) -> Key:
    return (str(line["method"]), str(line["path"]))


def _in_order(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: float(line["start"]))


def _proxied(logs: Logs) -> dict[int, Line]:
    """The proxy's line for each of the client's requests: the same connection (client port), in order."""
    waiting: dict[tuple[int, str, str], deque[Line]] = defaultdict(deque)
    for line in _in_order(logs.proxy):
        waiting[(port_of(line["downstream"]), *_request_key(line))].append(line)  # type: ignore[index]
    found = {}
    for line in _in_order(logs.client):
        queue = waiting.get((line["port"], line["method"], line["path"]))
        if queue:
            found[line["n"]] = queue.popleft()
    return found


def _keyed(lines: list[Line], by_id: bool) -> dict[Key, deque[Line]]:
    found: dict[Key, deque[Line]] = defaultdict(deque)
    for line in _in_order(lines):
        found[(str(line["xrid"]),) if by_id else _request_key(line)].append(line)
    return found


def transactions(scenario: Scenario, logs: Logs) -> list[Line]:
    """One entry for each request of the client, in the order of the plan.

    With x-request-id on the wire the legs are found by it; without, equal requests take their legs in order, which is
    right as equal requests get equal statuses.
    """
    by_id = scenario.proxy_has_ids
    proxied = _proxied(logs)
    servers = {name: _keyed(lines, by_id) for name, lines in logs.servers.items()}
    mirrored = () if scenario.split else scenario.mirrors
    targets = ("v1", "v2") if scenario.split else tuple(scenario.weights) or ("v1",)
    found = []
    for line in sorted(logs.client, key=lambda line: int(line["n"])):
        proxy = proxied.get(line["n"], {})
        xrid = proxy.get("xrid") if by_id else None
        key = (str(xrid),) if by_id else _request_key(line)
        tries = max(1, number(proxy.get("attempts")) or 1)
        entry: Line = {
            "n": line["n"], "request_id": xrid, "method": line["method"], "path": line["path"],
            "downstream_status": line["code"], "original": [], "mirrors": [],
        }  # fmt: skip
        for name in targets:
            queue = servers.get(name, {}).get(key, deque())
            while queue and (by_id or len(entry["original"]) < tries):
                entry["original"].append(leg(queue.popleft()))
        for name in mirrored:
            queue = servers.get(name, {}).get(key, deque())
            if queue:
                entry["mirrors"].append(leg(queue.popleft()) | {"to": name})
        if "leak" in proxy:
            entry["leaked"] = bool(proxy["leak"])
        found.append(entry)
    return found


def truth(scenario: Scenario, logs: Logs, seed: int | None) -> Line:
    """The content of truth.json."""
    found = transactions(scenario, logs)
    return {
        "scenario": scenario.name, "seed": seed, "requests": len(found),
        "mirrored": sum(bool(entry["mirrors"]) for entry in found),
        "leaked": sum(bool(entry.get("leaked")) for entry in found),
        "transactions": found,
    }  # fmt: skip


def verdicts(entry: Line, mirror: Line, downstream_seen: bool) -> list[str]:
    """The verdicts that are right for one mirror."""
    if entry.get("leaked"):
        return ["leaked"]
    if mirror["status"] is None:
        return ["unanswered", "discarded"] if downstream_seen else ["unproven", "unanswered"]
    return ["discarded"] if downstream_seen else ["unproven"]


def pairs(found: list[Line], downstream_seen: bool) -> list[Line]:
    """What the scorer wants to see, a line for each mirror."""
    wanted = []
    for entry in found:
        for mirror in entry["mirrors"]:
            statuses = [leg["status"] for leg in entry["original"]]
            one = len(statuses) == 1
            wanted.append(
                {
                    "n": entry["n"], "request_id": entry["request_id"], "method": entry["method"], "path": entry["path"],
                    "original_status": statuses[0] if one else "any", "mirror_status": mirror["status"],
                    "verdict": verdicts(entry, mirror, downstream_seen),
                }
            )  # fmt: skip
    return wanted


def captures(scenario: Scenario) -> dict[str, bool]:
    """The captures that are scored, and whether the downstream leg can be seen in them."""
    if scenario.topology == "sidecar":
        return {"client.pcap": True, "node.pcap": False, "node.pcap+client.pcap": True}
    return {"gw.pcap": True, "node.pcap": True}


def expectation(scenario: Scenario, found: Line) -> Line:
    """The content of expect.json."""
    expect: Line = {"scenario": scenario.name, "requests": found["requests"], "options": [], "captures": {}}
    if 0 < scenario.snaplen < 200:
        return expect | {"note": "cut too short for a header: no expectation but an honest sentence"}
    for name, downstream_seen in captures(scenario).items():
        wanted = pairs(found["transactions"], downstream_seen)
        expect["captures"][name] = {"mirrors": len(wanted), "pairs": wanted}
        if scenario.snaplen:
            expect["captures"][name]["loose"] = True
        if scenario.tls:
            expect["captures"][name]["needs"] = "sslkeys.log"
    return expect


def complaints(scenario: Scenario, found: Line) -> list[str]:
    """What makes a run unfit as a recording: logs that do not fit each other. Empty when all is well."""
    said = []
    if found["requests"] != len(scenario.requests):
        said.append(f"the client logged {found['requests']} requests of {len(scenario.requests)}")
    for entry in found["transactions"]:
        if scenario.proxy_has_ids and not entry["request_id"]:
            said.append(f"request {entry['n']}: the proxy's log does not know it")
        if not entry["original"] and not scenario.fault:
            said.append(
                f"request {entry['n']}: nothing in the original's log (the client got {entry['downstream_status']})"
            )
        if scenario.percent >= 100 and entry["original"] and len(entry["mirrors"]) < _reachable_mirrors(scenario):
            said.append(f"request {entry['n']}: no mirror in the servers' logs")
    return said


def _reachable_mirrors(scenario: Scenario) -> int:
    if scenario.split:
        return 0
    return sum(not (name == "v2" and scenario.v2 == "closed") for name in scenario.mirrors)
