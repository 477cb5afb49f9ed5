"""Every bound on what an input can make the program hold or do: docs/limits.md, `inspect doctor --limits`, `--limit`.

A capture comes from anywhere, so whatever an input can make grow stops somewhere, and what a bound dropped is reported. The
values stand where they are used (`home`), kernels and all; a test keeps the two equal. Those that a sensible user may change
are `free`: they are looked up with `value` or `chosen` when a reading begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from inspector.errors import UsageError
from inspector.lang import _, marked

# How seldom Python looks for circles of objects (gc.set_threshold): columns make few objects, and none that refer to each other.
SELDOM = (100_000, 50, 100)
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
_VALUE = re.compile(r"([0-9]{1,15})(KiB|MiB|GiB)?")
_UNITS = {None: 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


@dataclass(frozen=True)
class Limit:
    """A bound. home: "module:NAME" or "module:Class.field". beyond: what happens, and where it is reported.

    free: --limit changes it, to anything from `least` to `most`.
    """

    name: str
    default: int
    unit: str
    home: str
    beyond: str
    free: bool = False
    least: int = 1
    most: int = 1 << 40

    @property
    def shown(self) -> str:
        """The default as people write it: `64 MiB`, `1,024`."""
        if self.unit == "bytes":
            for size, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
                if self.default % size == 0:
                    return f"{self.default // size} {name}"
        return f"{self.default:,}"


_TCP = "inspector.tcp.state:TcpOptions."
_HTTP = "inspector.http.parser:Options."
_TAR = "inspector.capture.tar:"

LIMITS = (
    Limit("open-connections", 1 << 16, "connections", f"{_TCP}busy_connections",
          marked('connections with payload that are open: beyond, the idlest are forgotten; counted under "Not seen"'),
          True, 16, 1 << 24),
    Limit("empty-connections", 1 << 16, "connections", f"{_TCP}empty_connections",
          marked("open connections without payload (a scan): beyond, the idlest are forgotten"), True, 16, 1 << 24),
    Limit("closed-connections", 1 << 14, "connections", f"{_TCP}closed_connections",
          marked("closed connections remembered for stray packets: beyond, the oldest are forgotten")),
    Limit("held-bytes", 64 * MIB, "bytes", f"{_TCP}hold_bytes",
          marked('bytes of all streams that wait behind holes: beyond, the oldest holes become gaps; counted under "Not seen"'),
          True, 64 * KIB),
    Limit("kept-bytes", 64 * MIB, "bytes", f"{_TCP}keep_total",
          marked("bytes of messages that wait for their rest: beyond, they become a gap"), True, 64 * KIB),
    Limit("kept-bytes-of-a-stream", 256 * KIB, "bytes", f"{_TCP}keep_bytes",
          marked("the same of one stream: beyond, they become a gap")),
    Limit("packets-of-a-message", 512, "packets", f"{_TCP}chunk_ends",
          marked("packet numbers listed of a message: so many first and so many last ones")),
    Limit("packet-log", 1 << 20, "packets", f"{_TCP}log_chunks",
          marked("packets remembered for messages that are open: beyond, fewer of each")),
    Limit("waiting-requests", 1024, "requests", f"{_HTTP}pending",
          marked("requests of a connection that wait for a response: beyond, the oldest have none"), True, 1, 1 << 20),
    Limit("head-bytes", 64 * KIB, "bytes", f"{_HTTP}head_limit",
          marked("of a message's start line and header: beyond, the fields before it count (fact HEAD_TOO_LONG)"),
          True, KIB, 16 * MIB),
    Limit("header-lines", 1000, "lines", f"{_HTTP}header_lines", marked("of a message: the same beyond"), True, 1, 1 << 20),
    Limit("target-bytes", 32 * KIB, "bytes", f"{_HTTP}target_limit",
          marked("kept of a request target: the rest is left out"), True, 16, 32 * KIB),
    Limit("field-bytes", 8 * KIB, "bytes", f"{_HTTP}field_limit",
          marked("kept of a header's value: the rest is left out"), True, 16, 8 * KIB),
    Limit("turn-bytes", 64 * KIB, "bytes", f"{_HTTP}wait_limit",
          marked("of a stream that wait for what the other side said: beyond, they are read without it")),
    Limit("chunk-line", 16 * KIB, "bytes", f"{_HTTP}chunk_line_limit",
          marked("of a chunk's size line: beyond, the framing is lost until the next message")),
    Limit("client-hello", 16 * KIB, "bytes", f"{_HTTP}hello_limit",
          marked("in which a TLS ClientHello must name its server: beyond, it has no name")),
    Limit("waiting-exchanges", 1 << 17, "exchanges", "inspector.mirror.pool:CROWD",
          marked('that wait for a copy of theirs: beyond, the oldest wait no longer; counted under "Not seen"'),
          True, 64, 1 << 24),
    Limit("rivals", 4096, "requests", "inspector.mirror.verdict:CROWD",
          marked("downstream requests in flight together that are judged for one mirror: beyond, it is ambiguous")),
    Limit("neighbours", 128, "requests", "inspector.mirror.pairing:NEARBY",
          marked("equals looked at on either side of a mirror: one that is further from its original has none")),
    Limit("candidates", 1024, "requests", "inspector.mirror.downstream:SCAN",
          marked("upstream requests looked at for one downstream request: beyond, none is found")),
    Limit("quic-connections", 10_000, "connections", "inspector.capture.quic:PAIRS",
          marked("QUIC connections of a capture that are counted: beyond, they are not")),
    Limit("routes", 100_000, "routes", "inspector.inspection.counts:ROUTES",
          marked("routes counted apart for the mirrored share: beyond, requests are counted on none")),
    Limit("decoded-body", 16 * MIB, "bytes", "inspector.http.codings:DECODED_LIMIT",
          marked("that gzip, br, zstd or deflate may unpack of a body: beyond, it is cut and said to be"), True, KIB, 4 * GIB),
    Limit("codings", 4, "codings", "inspector.http.codings:MAX_CODINGS",
          marked("around each other of one body: beyond, it is shown as it is")),
    Limit("compared-json", 4 * MIB, "bytes", "inspector.compare.bodies:JSON_LIMIT",
          marked("of a document compared by path: beyond, by size and hash")),
    Limit("compared-text", MIB, "bytes", "inspector.compare.bodies:TEXT_LIMIT",
          marked("of a text compared by line: beyond, by size and hash")),
    Limit("json-levels", 40, "levels", "inspector.compare.json_bodies:DEEPEST",
          marked("of a JSON value that are shown: beyond, an ellipsis")),
    Limit("json-changes", 500, "changes", "inspector.compare.json_bodies:KEPT", marked("listed of a pair: the rest is counted")),
    Limit("compressions", 2, "layers", "inspector.capture.opening:MAX_LAYERS",
          marked("around each other of a capture: beyond, it is refused")),
    Limit("xz-memory", 256 * MIB, "bytes", "inspector.capture.source:XZ_MEMORY",
          marked("that an xz capture may need to be unpacked: beyond, it is refused")),
    Limit("zstd-window", 128 * MIB, "bytes", "inspector.capture.source:ZSTD_WINDOW", marked("the same of a zst capture")),
    Limit("tar-members", 10_000, "members", f"{_TAR}MAX_MEMBERS",
          marked("of an archive: beyond, it is called damaged and the rest is left out"), True),
    Limit("tar-name", 64 * KIB, "bytes", f"{_TAR}MAX_NAME", marked("of a member's name: the rest is left out")),
    Limit("tar-spool", 64 * GIB, "bytes", f"{_TAR}MAX_SPOOL",
          marked("kept on disk of a compressed archive or a pipe: beyond, it is called damaged"), True, 64 * KIB),
    Limit("block-length", 16 * MIB, "bytes", "inspector.capture.blocks:LARGEST_BLOCK",
          marked("of a pcapng block, a packet's as well: a longer one is called damage, and stepped over")),
    Limit("snap-length", MIB, "bytes", "inspector.capture.pcap:LARGEST_LIMIT",
          marked("that a pcap's header may claim: a larger one is not believed")),
    Limit("interfaces", 4096, "interfaces", "inspector.capture.pcapng:MAX_INTERFACES",
          marked("of a pcapng: packets of others are counted as never described")),
    Limit("packet-comments", 1000, "comments", "inspector.capture.pcapng:MAX_PACKET_COMMENTS",
          marked("of packets that are kept of a pcapng: the rest is left out")),
    Limit("host-names", 4096, "names", "inspector.capture.pcapng:MAX_NAMES",
          marked("of addresses that are kept of a pcapng: the rest is left out")),
    Limit("pcapng-text", 4 * KIB, "bytes", "inspector.capture.pcapng:MAX_TEXT",
          marked("of such a name or comment, or of an interface's description: the rest is left out")),
    Limit("text-in-front", 64 * KIB, "bytes", "inspector.capture.terminal:FRONT",
          marked("in front of a capture that may be messages of programs: beyond, it is refused as no capture")),
    Limit("text-in-between", 4 * KIB, "bytes", "inspector.capture.terminal:MESSAGES",
          marked("of messages behind a pcap's header or between records: beyond, they are called damage")),
    Limit("fragmented-datagrams", 1024, "datagrams", "inspector.capture.fragments:MAX_DATAGRAMS",
          marked("open at once: beyond, the oldest are given up and counted")),
    Limit("fragment-bytes", 8 * MIB, "bytes", "inspector.capture.fragments:MAX_BYTES", marked("held for them: the same beyond")),
    Limit("tunnels", 8, "headers", "inspector.capture.decode:MAX_TUNNELS",
          marked("outer headers taken off a packet: a deeper one is counted as a fault")),
    Limit("warnings", 20, "sentences", "inspector.capture.faults:MAX_WARNINGS",
          marked("about one capture: the rest is counted in its faults")),
    Limit("pipe-spool", 8 * GIB, "bytes", "inspector.reread.spool:SPOOL_LIMIT",
          marked("kept of a pipe that is read again, and half of the room on its disk at most: what did not fit is told"),
          True, KIB),
    Limit("reread-body", 8 * MIB, "bytes", "inspector.reread.second_pass:RereadLimits.body",
          marked("of one message that is read again (--diff, har, html): the rest is left out and counted")),
    Limit("reread-total", 256 * MIB, "bytes", "inspector.reread.second_pass:RereadLimits.total",
          marked("held at once of messages that are read again: the same beyond")),
    Limit("pair-exchanges", 1 << 16, "exchanges", "inspector.compare.all_pairs:OPEN",
          marked("of pairs looked for at once in it: beyond, pairs are put off to one more reading, and told after that")),
    Limit("pair-heads", 64 * MIB, "bytes", "inspector.compare.all_pairs:HEADS",
          marked("of heads that wait for the other one of their pair: the same beyond")),
    Limit("report-mirrors", 1000, "mirrors", "inspector.render.report.gather:MIRRORS",
          marked("listed in an HTML report, those that alarm first: the rest is counted")),
    Limit("report-bytes", 1_250_000, "bytes", "inspector.render.report.table:MAX_BYTES",
          marked("of its rows: beyond, rows are left out and counted")),
    Limit("ladder-arrows", 40, "arrows", "inspector.render.ladder:MAX_ARROWS",
          marked("of a diagram: the rest is counted in it")),
    Limit("mermaid-characters", 49_000, "characters", "inspector.render.mermaid:MAX_CHARACTERS",
          marked("of a Mermaid diagram, which draws no more: mirrors left out are counted")),
    Limit("lossy-streams", 1 << 17, "streams", "inspector.inspection.assemble:KEPT",
          marked("with bytes that the capture lacks, remembered apart: of all before, loss is taken for granted")),
    Limit("batch-captures", 1_000_000, "captures", "inspector.batch.sources:MOST",
          marked("of one run of inspect batch: beyond, it is refused")),
    Limit("batch-retries", 3, "readings", "inspector.batch.engine:RETRIES",
          marked("of a capture that workers died of: then it is set aside, with a row that says so")),
    Limit("batch-changes", 3, "readings", "inspector.batch.reading:TRIES",
          marked("of a capture that changes under them: then it is told as changing")),
    Limit("batch-sent", 256 * MIB, "bytes", "inspector.batch.reading:SENT",
          marked("that a worker sends for a capture where it does not see the store: beyond, the capture failed")),
    Limit("batch-differences", 50, "rows", "inspector.batch.schema:DIFFERENCES",
          marked('of a mirror in the store: a last row "..." says that there were more')),
    Limit("site-routes", 300, "pages", "inspector.batch.report.model:ROUTE_PAGES",
          marked("of routes, those that alarm first: the rest are in the tables")),
    Limit("site-captures", 2000, "pages", "inspector.batch.report.model:UNIT_PAGES",
          marked("of captures, those that could not be read first: the rest are counted")),
    Limit("site-pairs", 1000, "pages", "inspector.batch.report.chosen:FAILING",
          marked("of failing pairs: the rest are counted")),
    Limit("verify-packets", 500_000, "packets", "inspector.referee.model:PACKET_LIMIT",
          marked("of a capture that are compared: beyond, it is told; inspect verify --limit")),
    Limit("verify-unpacked", 2 * GIB, "bytes", "inspector.referee.model:UNPACK_LIMIT",
          marked("of a packed capture or a pipe that are unpacked for the referee: beyond, it is refused")),
    Limit("verify-memory", 6 * GIB, "bytes", "inspector.referee.running:MEMORY",
          marked("of address space that the referee may take: beyond, it ends, which is told")),
    Limit("verify-differences", 200, "differences", "inspector.referee.model:KEPT",
          marked("of one reason that are kept: all are counted")),
    Limit("packet-bytes", 64 * KIB, "bytes", "inspector.referee.dissect:BYTES",
          marked("of a frame that inspect packet dissects: the rest is counted")),
    Limit("packet-lines", 400, "lines", "inspector.referee.dissect:LINES",
          marked("of a dissection: the rest is counted")),
)  # fmt: skip
UNITS = (  # `Limit.unit` as the catalogues have it
    marked("arrows"), marked("captures"), marked("changes"), marked("characters"), marked("codings"), marked("comments"),
    marked("connections"), marked("datagrams"), marked("differences"), marked("exchanges"), marked("headers"),
    marked("interfaces"), marked("layers"), marked("levels"), marked("lines"), marked("members"), marked("mirrors"),
    marked("names"), marked("packets"), marked("pages"), marked("readings"), marked("requests"), marked("routes"), marked("rows"),
    marked("sentences"), marked("streams"),
)  # fmt: skip
BY_NAME = {limit.name: limit for limit in LIMITS}
_chosen: dict[str, int] = {}


def parse(text: str) -> tuple[str, int]:
    """`NAME=VALUE` of --limit, the value a number or one with KiB, MiB, GiB. Raises UsageError for what is none."""
    name, _equals, value = text.partition("=")
    free = ", ".join(limit.name for limit in LIMITS if limit.free)
    if name not in BY_NAME or not BY_NAME[name].free:
        why = _("--limit: there is no limit {name} to change").format(name=repr(name[:80]))
        raise UsageError(why, _("limits: {names}").format(names=free))
    limit = BY_NAME[name]
    found = _VALUE.fullmatch(value.strip())
    number = int(found[1]) * _UNITS[found[2]] if found else -1
    if not limit.least <= number <= limit.most:
        why = _("--limit {name}: {value} is not a number from {least} to {most}").format(
            name=name, value=repr(value[:80]), least=f"{limit.least:,}", most=f"{limit.most:,}"
        )
        raise UsageError(why, _("write it as 65536 or 64MiB"))
    return name, number


@contextmanager
def use(values: Mapping[str, int]) -> Iterator[None]:
    """Other values for free limits, for readings that begin inside. Raises UsageError for a limit that is not free."""
    before = dict(_chosen)
    for name, value in values.items():
        parse(f"{name}={value}")
    _chosen.update(values)
    try:
        yield
    finally:
        _chosen.clear()
        _chosen.update(before)


def value(name: str) -> int:
    """A limit in force."""
    return _chosen.get(name, BY_NAME[name].default)


def chosen(home: str) -> dict[str, int]:
    """Field and value of each limit of a class (`module:Class`) that is not at its default."""
    homes = {BY_NAME[name].home: number for name, number in _chosen.items()}
    return {at.removeprefix(f"{home}."): number for at, number in homes.items() if at.startswith(f"{home}.")}
