"""The lab's scenarios, worlds and proxies' configurations: everything that is decided before a run starts."""

import dataclasses
import importlib.machinery
import importlib.util
import ipaddress
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("yaml", reason="the lab's tests need PyYAML: the extra [lab] is not installed")

import lab_path
from lab import envoy, nginx, record, scenario, traffic, world
from lab.app import parameters

assert lab_path.SCRIPTS.is_dir()
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_reads_well(name: str) -> None:
    found = scenario.load(name)
    assert found.about
    assert 0 < len(found.requests) <= scenario.MAX_REQUESTS
    assert set(found.kinds) <= {*traffic.KINDS, "equal"}
    assert found.count[0] <= found.count[1] <= scenario.MAX_REQUESTS


def test_the_issue_s_scenarios_are_there() -> None:
    wanted = (
        "plain suffix-off stripped percentage post http2 grpc mtls retry hedge slow-mirror refused-mirror fault weights "
        "no-mirror parallel ingress-gateway nginx-mirror nginx-split leaking-proxy cascade vxlan snaplen"
    )
    assert set(wanted.split()) <= set(scenario.names())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("colour: red", "colour"),
        ("[1, 2]", "no mapping"),
        ("vary: {colour: [1]}", "colour"),
        ("topology: ring", "ring"),
        ("interface: eth0", "lo"),
        ("requests: [{method: GET}]", "path"),
        ("requests: [{method: GET, path: /, times: 5000}]", "more than"),
    ],
)
def test_what_the_lab_does_not_know_is_told(text: str, word: str) -> None:
    with pytest.raises(scenario.ScenarioError, match=word):
        scenario.parse("x", text)


def test_requests_in_short() -> None:
    found = scenario.parse("x", "requests: ['GET /a?b=c', {method: PUT, path: /d, bytes: 5000, times: 2}]").requests
    assert found[0] == {"method": "GET", "path": "/a?b=c"}
    assert found[1] == found[2]
    assert len(found[1]["body"]) == 5000


@pytest.mark.parametrize("name", scenario.names())
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_seed_says_it_all(name: str, seed: int) -> None:
    first, second = (record.plan(name, seed, {}) for _ in range(2))
    assert first == second
    found, place = first
    assert found.count[0] <= len(found.requests) <= found.count[1]
    for request in found.requests:
        assert request["path"].startswith("/")
        for version in ("v1", "v2"):
            assert float(parameters(request["path"], version).get("delay", "0")) <= 1
    addresses = [
        place.node,
        place.gateway,
        place.client,
        place.v1,
        place.v2,
        place.third,
        place.service,
        place.second_node,
    ]
    assert len(set(addresses)) == len(addresses)
    for pod in (place.gateway, place.client, place.v1, place.third):
        assert ipaddress.ip_address(pod) in ipaddress.ip_network(f"{place.node}/{place.prefix}", strict=False)
    own = place.second_node if found.overlay else place.node
    assert ipaddress.ip_address(place.v2) in ipaddress.ip_network(f"{own}/{place.prefix}", strict=False)
    assert ipaddress.ip_address(place.service) not in ipaddress.ip_network(f"{place.node}/{place.prefix}", strict=False)


def test_seeds_differ() -> None:
    plans = {repr(record.plan("post", seed, {})) for seed in range(20)}
    assert len(plans) == 20
    assert len({record.plan("random", seed, {})[0].name for seed in range(60)}) > 10


def test_without_a_seed_the_run_is_the_file_s() -> None:
    found, place = record.plan("plain", None, {"suffix": "-canary"})
    assert found == dataclasses.replace(scenario.load("plain"), suffix="-canary")
    assert (place.client, place.v1, place.service) == ("10.244.0.10", "10.244.0.21", "10.96.200.1")


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_envoy_mirrors_what_the_scenario_says(seed: int) -> None:
    rng = random.Random(seed)
    found = scenario.randomised(scenario.load("percentage"), rng)
    place = world.randomised(rng)
    made = envoy.client_sidecar(found, place, "/log", "/keys")
    manager = made["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (policy,) = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["request_mirror_policies"]
    assert policy["runtime_fraction"]["default_value"] == {"numerator": found.percent, "denominator": "HUNDRED"}
    assert bool(policy.get("disable_shadow_host_suffix_append")) == (found.suffix != "-shadow")
    clusters = {cluster["name"] for cluster in made["static_resources"]["clusters"]}
    assert policy["cluster"] in clusters


def test_another_suffix_stands_before_the_port() -> None:
    found = dataclasses.replace(scenario.load("plain"), suffix="-canary")
    policy = envoy.mirror_policy(found, dataclasses.replace(world.usual(), host="catalog:9080"), "v2")
    assert policy["host_rewrite_literal"] == "catalog-canary:9080"


def proxies_of(name: str, seed: int | None) -> dict[str, dict[str, object]]:
    found, place = record.plan(name, seed, {})
    make = envoy.gateway if found.topology == "gateway" else envoy.client_sidecar
    return {
        "proxy": make(found, place, "/dev/null", "/dev/null"),
        "server": envoy.server_sidecar(found, place, "/dev/null"),
    }


@pytest.mark.parametrize("name", ["hedge", "fault", "http2", "ingress-gateway", "stripped", "two-mirrors", "weights"])
def test_envoy_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    try:
        binary = record.envoy_binary()
    except record.LabError as error:
        pytest.skip(str(error))
    for part, made in proxies_of(name, None).items():
        path = tmp_path / f"{part}.json"
        path.write_text(json.dumps(made))
        done = subprocess.run(
            [binary, "--mode", "validate", "-c", path, "-l", "error", "--disable-hot-restart"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["nginx-mirror", "nginx-split", "nginx-parallel"])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_nginx_configuration(name: str, seed: int | None, tmp_path: Path) -> None:
    found, place = record.plan(name, seed, {})
    place = dataclasses.replace(place, gateway="::1" if place.ipv6 else "127.0.0.1", gateway_port=0)
    text = nginx.config(found, place, str(tmp_path / "log"), str(tmp_path))
    assert ("mirror /_mirror;" in text) == (name != "nginx-split")
    assert text.count("{") == text.count("}")
    binary = shutil.which("nginx")
    if binary is None:
        pytest.skip("nginx is not installed: its configuration was not given to it")
    (tmp_path / "nginx.conf").write_text(
        text.replace(f"listen {world.at(place.gateway, 0)};", f"listen unix:{tmp_path}/s;")
    )
    done = subprocess.run(
        [binary, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "word"),
    [("snaplen", "KEY=VALUE"), ("colour=1", "colour"), ("snaplen=many", "int"), ("name=x", "name"), ("tls=1", "bool"),
     ("percent=[", "cannot be read"), ("percent=true", "int"), ("mirrors=v2", "tuple")],
)  # fmt: skip
def test_a_change_that_makes_no_sense_is_told(given: str, word: str) -> None:
    with pytest.raises(scenario.ScenarioError, match=word):
        scenario.changed(scenario.load("plain"), scenario.changes([given], None))


def test_changes() -> None:
    to = scenario.changes(["snaplen=96", "mirrors=[v2, third]", "pause=0", "tls=true"], "")
    found = scenario.changed(scenario.load("plain"), to)
    assert (found.snaplen, found.mirrors, found.pause, found.tls, found.suffix) == (96, ("v2", "third"), 0, True, "")


def recorder() -> Any:
    """The program scripts/lab/record-captures, as a module."""
    loader = importlib.machinery.SourceFileLoader("record_captures", str(lab_path.SCRIPTS / "lab/record-captures"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    path, written = list(sys.path), sys.dont_write_bytecode
    loader.exec_module(module)
    sys.path[:], sys.dont_write_bytecode = path, written
    return module


def test_every_file_in_captures_can_be_recorded_again() -> None:
    table = recorder().table()
    folder = lab_path.SCRIPTS.parent / "captures"
    assert set(table) == {p.name for p in folder.iterdir()} - {"README.md"}
    for name, line in table.items():
        assert set(line) <= {"scenario", "place", "set"}
        found = scenario.changed(scenario.load(line["scenario"]), line.get("set", {}))
        places = record.Recorder._places(SimpleNamespace(scenario=found))  # type: ignore[arg-type]
        assert line["place"] in places
        assert f"-{line['place']}.pcap" in name


def test_equal_scenarios_are_one_run() -> None:
    runs = recorder().runs(["items-client.pcap", "mix-client.pcap.zst", "items-node.pcap", "snap96-client.pcap"])
    assert [(name, files) for name, _, files in runs] == [
        ("plain", ["items-client.pcap", "items-node.pcap"]),
        ("post", ["mix-client.pcap.zst"]),
        ("snaplen", ["snap96-client.pcap"]),
    ]
