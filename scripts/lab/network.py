"""Namespaces as pods, a bridge on a node, Istio's iptables rules. Runs only inside the run's own namespaces."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from lab.world import World

ENVOY_ID = 1337  # Istio's uid and gid of the sidecar: its own traffic is left alone
OUTBOUND, INBOUND = 15001, 15006
NETNS = Path("/run/netns")
WORK = Path("/run/lab")


class LabError(RuntimeError):
    """The lab cannot be built or run here; the message says what is missing."""


def sockets(pid: int) -> list[list[str]]:
    """The TCP sockets of the process's network namespace, as columns of /proc; none when the process has ended."""
    rows: list[list[str]] = []
    for table in ("tcp", "tcp6"):
        try:
            rows += [line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
        except OSError:
            continue
    return rows


def sh(*argv: str) -> None:
    """Run a command; its own words are the error."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")


class Network:
    """The node, its pods, and the processes that were started in them."""

    def __init__(self, world: World, *, offload: bool = True, loss: float = 0) -> None:
        self.world = world
        self._offload, self._loss = offload, loss
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._ip = ["ip", "-6"] if world.ipv6 else ["ip"]

    # -- building ---------------------------------------------------------------------------------------------------

    def namespace(self, name: str) -> None:
        sh("ip", "netns", "add", name)
        sh("ip", "-n", name, "link", "set", "lo", "up")
        self.sysctl(name, "net.ipv4.ip_unprivileged_port_start=0")  # Envoy is not root, and gateways listen on 80
        if self.world.ipv6:
            self.sysctl(
                name,
                "net.ipv6.conf.all.forwarding=1",
                "net.ipv6.conf.all.accept_dad=0",
                "net.ipv6.conf.default.accept_dad=0",
            )
        else:
            self.sysctl(name, "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
            self.sysctl(name, "net.ipv4.ip_forward=1")

    def sysctl(self, name: str, *settings: str) -> None:
        for setting in settings:
            key, _, value = setting.partition("=")
            path = "/proc/sys/" + key.replace(".", "/")
            sh("nsenter", f"--net={NETNS / name}", "sh", "-c", f"echo {value} > {path}")

    def node(self, name: str, address: str) -> None:
        """A node: a namespace with a bridge that holds the pods' gateway address."""
        self.namespace(name)
        sh("ip", "-n", name, "link", "add", "cni0", "type", "bridge")
        self.address(name, "cni0", f"{address}/{self.world.prefix}")
        sh("ip", "-n", name, "link", "set", "cni0", "up")

    def address(self, name: str, device: str, address: str) -> None:
        sh(*self._ip, "-n", name, "address", "add", address, "dev", device, *(["nodad"] if self.world.ipv6 else []))

    def pod(self, name: str, address: str, node: str = "node", gateway: str = "") -> None:
        """A pod: a namespace joined to the node's bridge by a veth pair, its default route through the node."""
        self.namespace(name)
        outer = f"veth-{name}"
        sh("ip", "-n", node, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "-n", node, "link", "set", outer, "master", "cni0", "up")
        self.address(name, "eth0", f"{address}/{self.world.prefix}")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        sh(*self._ip, "-n", name, "route", "add", "default", "via", gateway or self.world.node)
        if not self._offload:
            for where, device in ((name, "eth0"), (node, outer)):
                sh("ip", "-n", where, "link", "set", "dev", device, "gso_max_segs", "1")
        if self._loss:
            self._lose(name)

    def _lose(self, name: str) -> None:
        """Drop packets on their way in and out of a pod, so that TCP sends them again and others overtake them."""
        table = "ip6tables" if self.world.ipv6 else "iptables"
        chance = ["-m", "statistic", "--mode", "random", "--probability", str(self._loss / 100)]
        for chain, direction in (("INPUT", "-i"), ("OUTPUT", "-o")):
            self.run(name, table, "-w", "-A", chain, direction, "eth0", "-p", "tcp", *chance, "-j", "DROP")

    def overlay(self) -> None:
        """A second node, joined to the first by VXLAN over an underlay, as flannel does it."""
        world = self.world
        self.node("node2", world.second_node)
        sh("ip", "-n", "node", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "node2")
        ends = (("node", world.underlay[0], world.node), ("node2", world.underlay[1], world.second_node))
        for (name, own, near), (_, other, far) in zip(ends, ends[::-1], strict=True):
            sh("ip", "-n", name, "address", "add", f"{own}/16", "dev", "eth0")
            sh("ip", "-n", name, "link", "set", "eth0", "up")
            sh("ip", "-n", name, "link", "add", "flannel.1", "type", "vxlan", "id", "1", "remote", other, "local", own,
               "dev", "eth0", "dstport", str(world.vxlan_port))  # fmt: skip
            sh("ip", "-n", name, "link", "set", "flannel.1", "up")
            # as flannel: each end has its pod network's zeroth address, and the other network is reached through the other's
            here, there = (address.rpartition(".")[0] + ".0" for address in (near, far))
            self.address(name, "flannel.1", f"{here}/32")
            sh("ip", "-n", name, "route", "add", f"{there}/{world.prefix}", "via", there, "dev", "flannel.1", "onlink")

    def istio_rules(self, name: str, *, inbound: bool) -> None:
        """What istio-iptables sets up in a pod: OUTPUT to 15001, PREROUTING to 15006, Envoy's own traffic left alone."""
        table = "ip6tables" if self.world.ipv6 else "iptables"
        local, inner = ("::1/128", "::6/128") if self.world.ipv6 else ("127.0.0.1/32", "127.0.0.6/32")
        if self.world.ipv6:
            self.address(name, "lo", "::6/128")
        own = ["-m", "owner", "--uid-owner", str(ENVOY_ID)]
        group = ["-m", "owner", "--gid-owner", str(ENVOY_ID)]
        chains = ["ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT"]
        rules = [["-N", chain] for chain in chains]
        rules += [
            ["-A", "ISTIO_REDIRECT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", str(OUTBOUND)],
            ["-A", "ISTIO_IN_REDIRECT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", str(INBOUND)],
            ["-A", "OUTPUT", "-p", "tcp", "-j", "ISTIO_OUTPUT"],
            ["-A", "ISTIO_OUTPUT", "-s", inner, "-o", "lo", "-j", "RETURN"],
            ["-A", "ISTIO_OUTPUT", "!", "-d", local, "-o", "lo", *own, "-j", "ISTIO_IN_REDIRECT"],
            ["-A", "ISTIO_OUTPUT", "-o", "lo", "-m", "owner", "!", "--uid-owner", str(ENVOY_ID), "-j", "RETURN"],
            ["-A", "ISTIO_OUTPUT", *own, "-j", "RETURN"],
            ["-A", "ISTIO_OUTPUT", "!", "-d", local, "-o", "lo", *group, "-j", "ISTIO_IN_REDIRECT"],
            ["-A", "ISTIO_OUTPUT", "-o", "lo", "-m", "owner", "!", "--gid-owner", str(ENVOY_ID), "-j", "RETURN"],
            ["-A", "ISTIO_OUTPUT", *group, "-j", "RETURN"],
            ["-A", "ISTIO_OUTPUT", "-d", local, "-j", "RETURN"],
            ["-A", "ISTIO_OUTPUT", "-j", "ISTIO_REDIRECT"],
        ]
        if inbound:
            rules += [
                ["-A", "PREROUTING", "-p", "tcp", "-j", "ISTIO_INBOUND"],
                ["-A", "ISTIO_INBOUND", "-p", "tcp", "-j", "ISTIO_IN_REDIRECT"],
            ]
        for rule in rules:
            self.run(name, table, "-w", "-t", "nat", *rule)

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self, name: str, *argv: str, timeout: float = 20, env: dict[str, str] | None = None) -> None:
        """A command in a namespace, waited for."""
        done = subprocess.run(
            ["nsenter", f"--net={NETNS / name}", "--", *argv], capture_output=True, text=True, timeout=timeout, env=env
        )
        if done.returncode:
            raise LabError(f"{name}: {' '.join(argv)}: {done.stderr.strip() or done.returncode}")

    def start(self, name: str, argv: Sequence[str], log: Path, *, uid: int = 0, out: IO[bytes] | None = None) -> Any:
        """A command in a namespace that stays; its stderr goes to `log`."""
        ids = ["--setuid", str(uid), "--setgid", str(uid)] if uid else []
        with log.open("ab") as error:
            process = subprocess.Popen(
                ["nsenter", f"--net={NETNS / name}", *ids, "--", *argv],
                stdin=subprocess.DEVNULL, stdout=out or error, stderr=error,
            )  # fmt: skip
        self._running.append((f"{name}: {Path(argv[0]).name}", process))
        return process

    def listening(self, process: Any, port: int, seconds: float = 20) -> None:
        """Wait until somebody in the process's namespace listens on the port; by looking, so that no packet is sent."""
        until = time.monotonic() + seconds
        wanted = f":{port:04X}"
        while time.monotonic() < until and process.poll() is None:
            if any(column[1].endswith(wanted) and column[3] == "0A" for column in sockets(process.pid)):
                return
            time.sleep(0.02)
        name = next(name for name, running in self._running if running is process)
        raise LabError(f"{name} does not listen on port {port} (exit status {process.poll()})")

    def stop(self, process: Any, sign: int = signal.SIGTERM, seconds: float = 5) -> None:
        """End one process, politely first."""
        if process.poll() is None:
            process.send_signal(sign)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running = [(name, other) for name, other in self._running if other is not process]

    def close(self) -> None:
        """End what still runs. The namespaces themselves vanish with the run's own mount and PID namespaces."""
        for _, process in reversed(self._running.copy()):
            self.stop(process)


def private_mounts() -> None:
    """Cover /run with a file system of our own: namespaces, logs and captures in it vanish with us, whatever happens."""
    if os.getpid() != 1:
        raise LabError("not in a PID namespace of its own: start it through scripts/lab/run")
    sh("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", "/run")
    NETNS.mkdir()
    WORK.mkdir()
    WORK.chmod(0o1777)


def shown(program: Path, name: str) -> Path:
    """The program at a path that every user may reach, Envoy's own too: homes are often closed to others."""
    path = WORK / name
    path.touch()
    sh("mount", "--bind", str(program), str(path))
    return path
