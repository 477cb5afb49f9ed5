"""A recording that `inspect --follow` watches while it is made: how long after its packets a mirror's row is there."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from lab.network import NETNS, WORK
from lab.record import SCRIPTS, Recorder
from lab.scenario import MAX_REQUESTS, Scenario
from lab.world import World

PAUSE = 0.03  # seconds between requests; each takes some more
SETTLE = 2  # seconds for a follower to start, and for the last rows
SECOND = 1_000_000_000


def repeated(scenario: Scenario, seconds: float) -> Scenario:
    """The scenario's requests again and again, for about so long."""
    count = min(max(int(seconds / PAUSE / 2), len(scenario.requests)), MAX_REQUESTS)
    requests = [scenario.requests[i % len(scenario.requests)] for i in range(count)]
    return dataclasses.replace(scenario, requests=tuple(requests), pause=PAUSE)


def nanoseconds(text: str) -> int:
    """A time of `inspect`, with nine digits."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * SECOND + int(rest)


class Follower:
    """One `inspect - --follow` or `inspect FILE --follow`, and when each of its rows came."""

    def __init__(self, name: str, place: str, capture: Path | None) -> None:
        """capture: the file that another tcpdump is writing; None: a pipe from a tcpdump of its own."""
        self.name = name
        self.rows: list[tuple[int, str]] = []
        self.tcpdump: subprocess.Popen[bytes] | None = None
        source: IO[bytes] | None = None
        if capture is None:
            argv = ["nsenter", f"--net={NETNS / place}", "--", "tcpdump", "-i", "any", "-n", "-U", "-w", "-"]
            log = (WORK / f"{name}.tcpdump").open("wb")
            self.tcpdump = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            source = self.tcpdump.stdout
        argv = [
            sys.executable,
            "-m",
            "inspector",
            str(capture or "-"),
            "--show-mirrors",
            "--follow",
            "--format",
            "ndjson",
        ]
        env = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
        error = (WORK / f"{name}.follow").open("wb")
        self.process: Any = subprocess.Popen(
            argv, stdin=source or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=error, env=env
        )
        if source is not None:
            source.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.rows.append((time.time_ns(), line.decode()))

    def end(self) -> float:
        """SIGINT, to tcpdump where there is one of its own; returns the seconds until all is told."""
        began = time.monotonic()
        (self.tcpdump or self.process).send_signal(signal.SIGINT)
        self.process.wait(30)
        self._reader.join(30)
        return time.monotonic() - began

    def told(self) -> str:
        """The figures in a line."""
        delays, verdicts = [], dict[str, int]()
        for came, line in self.rows:
            m = json.loads(line)
            legs = [m[leg] for leg in ("original", "mirror", "downstream") if m[leg]]
            times = [x[k] for x in legs for k in ("request_time", "response_time", "response_end_time") if x[k]]
            delays.append((came - max(map(nanoseconds, times))) / SECOND)
            verdicts[m["verdict"]] = verdicts.get(m["verdict"], 0) + 1
        if not delays:
            return f"{self.name}: no rows"
        delays.sort()
        said = ", ".join(f"{n} {word}" for word, n in sorted(verdicts.items()))
        median, most = delays[len(delays) // 2], delays[-1]
        within = delays[len(delays) * 9 // 10]
        return f"{self.name}: {said}; a row after its last packet: median {median:.2f} s, 90 % {within:.2f} s, most {most:.2f} s"


class Live(Recorder):
    """Records as ever, while a pipe and the growing file are followed."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        super().__init__(scenario, world)
        self._followers: list[Follower] = []

    def _tcpdump(self) -> None:
        super()._tcpdump()
        place = "client" if self.scenario.topology == "sidecar" else "gw"
        self._followers = [Follower("pipe", place, None), Follower("file", place, WORK / f"{place}.pcap")]
        time.sleep(SETTLE)

    def _send(self) -> None:
        began = time.monotonic()
        super()._send()
        sent = time.monotonic() - began
        time.sleep(SETTLE + self._longest_delay())
        print(f"{len(self.scenario.requests)} requests in {sent:.1f} s")
        for follower in self._followers:
            took = follower.end()
            print(f"{follower.told()}; ended {took:.2f} s after SIGINT")
