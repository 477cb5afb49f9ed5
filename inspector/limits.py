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
    Limit("open-connections", 1 << 16, "connections", f"{_TCP}busy_connections", marked(
          'Connections that are open and have carried data are followed up to this number. Beyond, the one that was silent '
          'longest is forgotten; "Not seen" counts them.'), True, 16, 1 << 24),
    Limit("empty-connections", 1 << 16, "connections", f"{_TCP}empty_connections", marked(
          "Connections that are open and have carried no data yet (a port scan, say) are followed up to this number. "
          "Beyond, the one that was silent longest is forgotten; nothing is lost unless it carries data later."),
          True, 16, 1 << 24),
    Limit("closed-connections", 1 << 13, "connections", f"{_TCP}closed_connections", marked(
          "Connections that have closed are remembered up to this number, so that a late packet of one is not taken for a "
          "new connection. Beyond, the one that closed first is forgotten.")),
    Limit("reset-connections", 1 << 13, "connections", f"{_TCP}reset_connections", marked(
          "Connections on which a reset was seen, and may yet turn out to have been refused, are watched up to this number."
          " Beyond, the oldest reset counts.")),
    Limit("compared-streams", 4096, "streams", "inspector.tcp.layout:RINGS", marked(
          "The last 4 KiB of this number of streams are kept, so that bytes that are sent again can be compared with the "
          "first ones. Beyond, a stream that has not used its place lately loses it: bytes sent again there are not "
          "compared.")),
    Limit("remembered-packets", 1 << 15, "groups", "inspector.tcp.state:PRINTS", marked(
          "This number of groups of four recent packets is remembered, so that a packet that was captured twice counts "
          "once. Beyond, an older packet is forgotten; a duplicate comes within milliseconds.")),
    Limit("shared-packets", 1 << 20, "packets", "inspector.inspection.copies_across_captures:KEEP", marked(
          "Where several captures are read together, this number of recent packets is remembered to find the same packet in"
          " another capture. Beyond, the oldest half is forgotten: an exchange then lists the packets of one capture only.")),
    Limit("held-bytes", 64 * MIB, "bytes", f"{_TCP}hold_bytes", marked(
          'Bytes that came out of order wait for the bytes before them, up to this amount in all streams together; each '
          'piece counts 512 bytes more. Beyond, the hole that was open longest is called lost; "Not seen" counts these '
          'holes.'), True, 64 * KIB),
    Limit("kept-bytes", 64 * MIB, "bytes", f"{_TCP}keep_total", marked(
          'Bytes of messages of which the rest has not been captured yet (half a header line, say) wait up to this amount '
          'in all streams together. Beyond, the bytes of the next such message are dropped, and it is read as if they were '
          'lost; "Not seen" counts these messages.'), True, 64 * KIB),
    Limit("kept-bytes-of-a-stream", 256 * KIB, "bytes", f"{_TCP}keep_bytes", marked(
          'Bytes of a message of which the rest has not been captured yet wait up to this amount on one stream. Beyond, '
          'they are dropped and the message is read as if they were lost; "Not seen" counts it.')),
    Limit("packets-of-a-message", 512, "packets", f"{_TCP}chunk_ends", marked(
          "Of the packets that brought a message, this number of first ones and as many last ones are listed. The packets "
          "between them are left out of the list; nothing else changes.")),
    Limit("packet-log", 1 << 20, "packets", f"{_TCP}log_chunks", marked(
          "For messages that have not ended, the packets that brought them are remembered, up to this number for all "
          "together. Beyond, fewer packets of each message are listed.")),
    Limit("read-at-once", 1 << 15, "messages", "inspector.http.parser:PORTION", marked(
          "Messages that end in one block of packets are passed on this number at a time, so that a block of very small "
          "requests takes no more memory than others. Nothing is dropped.")),
    Limit("waiting-requests", 1024, "requests", f"{_HTTP}pending", marked(
          'Requests that nobody has answered yet wait up to this number on one connection. Beyond, the oldest is reported '
          'as unanswered; "Not seen" counts them.'), True, 1, 1 << 20),
    Limit("waiting-requests-in-all", 1 << 15, "requests", f"{_HTTP}pending_total", marked(
          'Requests that nobody has answered yet wait up to this number on all connections together. Beyond, each '
          'connection keeps its latest one and the others are reported as unanswered; "Not seen" counts them.'),
          True, 1, 1 << 24),
    Limit("head-bytes", 64 * KIB, "bytes", f"{_HTTP}head_limit", marked(
          "A message's start line and header lines are read up to this size. Beyond, only the header lines before it count,"
          " and the message carries the fact HEAD_TOO_LONG."), True, KIB, 16 * MIB),
    Limit("header-lines", 1000, "lines", f"{_HTTP}header_lines", marked(
          "A message's header is read up to this number of lines. Beyond, only the lines before count, and the message "
          "carries the fact HEAD_TOO_LONG."), True, 1, 1 << 20),
    Limit("target-bytes", 32 * KIB, "bytes", f"{_HTTP}target_limit", marked(
          "A request's path and query are kept up to this length. The rest is left out: it is neither shown nor compared."),
          True, 16, 32 * KIB),
    Limit("field-bytes", 8 * KIB, "bytes", f"{_HTTP}field_limit", marked(
          "The value of a header field that is used for pairing (host, request id, x-forwarded-for) is kept up to this "
          "length. The rest is left out: it is neither shown nor compared."), True, 16, 8 * KIB),
    Limit("turn-bytes", 64 * KIB, "bytes", f"{_HTTP}wait_limit", marked(
          "Where the meaning of a client's bytes depends on a response that has not come (an upgrade), up to this amount "
          "waits for it. Beyond, the bytes are read as if no upgrade had been granted.")),
    Limit("chunk-line", 16 * KIB, "bytes", f"{_HTTP}chunk_line_limit", marked(
          "The line that gives a chunk's size is read up to this length. Beyond, the message carries the fact BAD_CHUNK, "
          "and the stream is read again from its next message on.")),
    Limit("client-hello", 16 * KIB, "bytes", f"{_HTTP}hello_limit", marked(
          "The server name of a TLS connection is looked for in this amount of its first bytes. Beyond, the connection is "
          "listed without a name.")),
    Limit("waiting-exchanges", 1 << 17, "exchanges", "inspector.mirror.pool:CROWD", marked(
          'Exchanges that have ended wait for a copy of theirs up to this number. Beyond, the oldest stop waiting before '
          '--window has passed, and mirrors are decided early; "Not seen" counts both.'), True, 64, 1 << 24),
    Limit("rivals", 4096, "requests", "inspector.mirror.verdict:CROWD", marked(
          "For one mirror, this number of downstream requests in flight at the same time is judged. Beyond, the mirror is "
          "unproven with the reason `ambiguous`.")),
    Limit("neighbours", 128, "requests", "inspector.mirror.pairing:NEARBY", marked(
          "The original of a copy is looked for among this number of equal requests before it and after it. Beyond, the "
          "copy is reported without an original.")),
    Limit("candidates", 1024, "requests", "inspector.mirror.downstream:SCAN", marked(
          "The upstream request of a downstream request is looked for among this number. Beyond, the downstream request is "
          "reported as one that the proxy did not pass on.")),
    Limit("routes", 100_000, "routes", "inspector.inspection.counts:ROUTES", marked(
          "For the mirrored share, requests are counted by sender and host name, up to this number of pairs. Beyond, "
          "requests of further pairs are left out of the share.")),
    Limit("named-proxies", 1000, "addresses", "inspector.inspection.counts:PROXIES", marked(
          "The proxies that sent mirrors are remembered by address up to this number or a little more. Beyond, further ones"
          " are left out of the number in the finding.")),
    Limit("encrypted-connections", 10_000, "connections", "inspector.inspection.reading:ENCRYPTED", marked(
          "Encrypted connections are listed by name up to this number. Beyond, further ones are counted, not listed.")),
    Limit("quic-connections", 10_000, "connections", "inspector.capture.quic:PAIRS", marked(
          "QUIC connections of one capture are listed and counted up to this number. Beyond, further ones are left out.")),
    Limit("unread-routes", 50_000, "kinds", "inspector.inspection.unread:ROUTES", marked(
          "Connections that were not read are counted by client, server and reason, up to this number of kinds. Beyond, "
          "each further connection counts as one that may hide a mirror.")),
    Limit("addresses", 50_000, "addresses", "inspector.inspection.unread:ADDRESSES", marked(
          "Addresses of proxies, clients and servers are remembered up to this number each or a little more. Beyond, every "
          "connection that was not read counts as one that may hide a mirror.")),
    Limit("unexplained-responses", 20_000, "responses", "inspector.inspection.unread_requests:KEPT", marked(
          "For responses without a request, why the request was not read is remembered, up to this number. Beyond, the "
          "response says only that its request was not captured.")),
    Limit("icmp-errors", 10_000, "packets", "inspector.capture.unreachable:LOOK", marked(
          "ICMP packets of one capture are looked into up to this number, for connections that could not be made. Beyond, "
          "a connection that ICMP reports as unreachable counts as one that was not answered.")),
    Limit("unread-streams", 10_000, "streams", "inspector.inspection.unread_requests:STREAMS", marked(
          "Streams with bytes that belong to no message are remembered up to this number, each with 32 of its packets, to "
          "say why a request was not read. Beyond, a response says only that its request was not captured.")),
    Limit("refused-connections", 10_000, "connections", "inspector.inspection.refused:KEPT", marked(
          'Connections that were tried and not made are remembered up to this number, the newest. Beyond, the oldest is no '
          'longer followed; "Not seen" counts them.')),
    Limit("decoded-body", 16 * MIB, "bytes", "inspector.http.codings:DECODED_LIMIT", marked(
          "A body that is compressed (gzip, br, zstd, deflate) is unpacked up to this size. Beyond, it is cut there, and "
          "shown as cut."), True, KIB, 4 * GIB),
    Limit("codings", 4, "codings", "inspector.http.codings:MAX_CODINGS", marked(
          "A body is unpacked from up to this number of codings around each other. Beyond, it is shown as it was sent.")),
    Limit("open-codings", 64 * MIB, "bytes", "inspector.http.decoding:OPEN_BYTES", marked(
          "Compressed response bodies are unpacked while they are read, with up to this amount of memory for all that are "
          "open. Beyond, the oldest are not unpacked: whether they are equal to others is unknown.")),
    Limit("unpacked-bytes", 256 * MIB, "bytes", "inspector.http.decoding:BUDGET", marked(
          "Compressed response bodies of one capture are unpacked to up to this amount, and to 64 bytes more for each "
          "compressed one. Beyond, whether they are equal to others is unknown.")),
    Limit("response-lines", 32, "lines", "inspector.http.layout:LINES_KEPT", marked(
          "By up to this number of its header lines a response is distinguished from others with the same status and body. "
          "Further lines are not compared.")),
    Limit("compared-json", 4 * MIB, "bytes", "inspector.compare.bodies:JSON_LIMIT", marked(
          "Two JSON bodies are compared value by value up to this size. Beyond, they are compared by size and hash, which "
          "the comparison says.")),
    Limit("compared-text", MIB, "bytes", "inspector.compare.bodies:TEXT_LIMIT", marked(
          "Two bodies of text are compared line by line up to this size. Beyond, they are compared by size and hash, which "
          "the comparison says.")),
    Limit("json-levels", 40, "levels", "inspector.compare.json_bodies:DEEPEST", marked(
          "A JSON value is shown down to this depth. What lies deeper is shown as an ellipsis.")),
    Limit("json-changes", 500, "changes", "inspector.compare.json_bodies:KEPT", marked(
          "Of two JSON bodies, this number of differences is listed. The rest is counted in the comparison.")),
    Limit("compressions", 2, "layers", "inspector.capture.opening:MAX_LAYERS", marked(
          "A capture may be compressed this number of times over. Beyond, it is refused with an error.")),
    Limit("xz-memory", 256 * MIB, "bytes", "inspector.capture.source:XZ_MEMORY", marked(
          "An xz capture may need this amount of memory to be unpacked. Beyond, it is refused with an error.")),
    Limit("zstd-window", 128 * MIB, "bytes", "inspector.capture.source:ZSTD_WINDOW", marked(
          "A zst capture may need this amount of memory to be unpacked. Beyond, it is refused with an error.")),
    Limit("tar-members", 10_000, "members", f"{_TAR}MAX_MEMBERS", marked(
          "An archive is read up to this number of members. Beyond, it is called damaged in a warning, and the rest is left"
          " out."), True),
    Limit("tar-name", 64 * KIB, "bytes", f"{_TAR}MAX_NAME", marked(
          "The name of a member of an archive is read up to this length. The rest of the name is left out.")),
    Limit("tar-spool", 64 * GIB, "bytes", f"{_TAR}MAX_SPOOL", marked(
          "A compressed archive, or one from a pipe, is unpacked to disk up to this size. Beyond, it is called damaged in a"
          " warning, and the rest is left out."), True, 64 * KIB),
    Limit("block-length", 16 * MIB, "bytes", "inspector.capture.blocks:LARGEST_BLOCK", marked(
          "A block of a pcapng, such as a packet, is read up to this length. A longer one is counted as damage and stepped "
          "over.")),
    Limit("snap-length", MIB, "bytes", "inspector.capture.pcap:LARGEST_LIMIT", marked(
          "A packet of a pcap is read up to this length, whatever its file's header claims. A longer one is counted as "
          "damage and stepped over.")),
    Limit("interfaces", 4096, "interfaces", "inspector.capture.pcapng:MAX_INTERFACES", marked(
          "The interfaces of a pcapng are remembered up to this number. Packets of further ones are counted as packets of "
          "an interface that was never described.")),
    Limit("packet-comments", 1000, "comments", "inspector.capture.pcapng:MAX_PACKET_COMMENTS", marked(
          "Comments on packets of a pcapng are kept up to this number. Further comments are left out.")),
    Limit("host-names", 4096, "names", "inspector.capture.pcapng:MAX_NAMES", marked(
          "Host names that a pcapng gives for addresses are kept up to this number. Further names are left out.")),
    Limit("pcapng-text", 4 * KIB, "bytes", "inspector.capture.pcapng:MAX_TEXT", marked(
          "A name, comment or description in a pcapng is kept up to this length. The rest of it is left out.")),
    Limit("text-in-front", 64 * KIB, "bytes", "inspector.capture.terminal:FRONT", marked(
          "Messages of programs in front of a capture are skipped up to this length, with a warning. Beyond, the file is "
          "refused as no capture.")),
    Limit("text-in-between", 4 * KIB, "bytes", "inspector.capture.terminal:MESSAGES", marked(
          "Messages of programs between the packets of a capture are skipped up to this length, with a warning. Beyond, "
          "they are counted as damage.")),
    Limit("fragmented-datagrams", 1024, "datagrams", "inspector.capture.fragments:MAX_DATAGRAMS", marked(
          "IP packets that came in fragments wait for the missing ones, up to this number. Beyond, the oldest is given up "
          "and counted among the capture's faults.")),
    Limit("fragment-bytes", 8 * MIB, "bytes", "inspector.capture.fragments:MAX_BYTES", marked(
          "Fragments that wait for missing ones take up to this amount together. Beyond, the oldest IP packet is given up "
          "and counted among the capture's faults.")),
    Limit("tunnels", 8, "headers", "inspector.capture.decode:MAX_TUNNELS", marked(
          "A packet is taken out of up to this number of headers of tunnels around each other. A deeper one is not read, "
          "and is counted among the capture's faults.")),
    Limit("warnings", 20, "sentences", "inspector.capture.faults:MAX_WARNINGS", marked(
          "Warnings about one capture are written up to this number. A last one says that there were more, and the fault "
          "counts have all of them.")),
    Limit("pipe-spool", 8 * GIB, "bytes", "inspector.reread.spool:SPOOL_LIMIT", marked(
          "A pipe that will be read again is kept on disk up to this size, and up to half of the free space. Beyond, a "
          "warning says that the rest cannot be read again."), True, KIB),
    Limit("reread-body", 8 * MIB, "bytes", "inspector.reread.second_pass:RereadLimits.body", marked(
          "Of one message that is read again (--diff, har, html), this amount of the body is held. The rest is left out, "
          "and its size is shown.")),
    Limit("reread-total", 256 * MIB, "bytes", "inspector.reread.second_pass:RereadLimits.total", marked(
          "Messages that are read again are held up to this amount together. Beyond, bodies are left out, and their size is"
          " shown.")),
    Limit("pair-exchanges", 1 << 16, "exchanges", "inspector.compare.all_pairs:OPEN", marked(
          "Where all pairs are compared, exchanges of this number are looked for in one reading. Beyond, the others wait "
          "for one more reading, and after that they are reported as not compared.")),
    Limit("pair-heads", 64 * MIB, "bytes", "inspector.compare.all_pairs:HEADS", marked(
          "Where all pairs are compared, headers that wait for the other one of their pair take up to this amount. Beyond, "
          "the pair waits for one more reading, and after that it is reported as not compared.")),
    Limit("report-mirrors", 1000, "mirrors", "inspector.render.report.gather:MIRRORS", marked(
          "An HTML report lists mirrors up to this number, those that alarm first. The rest is counted in the report.")),
    Limit("report-bytes", 1_250_000, "bytes", "inspector.render.report.table:MAX_BYTES", marked(
          "The rows of an HTML report take up to this amount. Further rows are left out and counted in the report.")),
    Limit("ladder-arrows", 40, "arrows", "inspector.render.ladder:MAX_ARROWS", marked(
          "A ladder diagram draws arrows up to this number. The rest is counted in the diagram.")),
    Limit("mermaid-characters", 49_000, "characters", "inspector.render.mermaid:MAX_CHARACTERS", marked(
          "A Mermaid diagram is written up to this length, since Mermaid draws no longer one. Mirrors that are left out are"
          " counted in it.")),
    Limit("lossy-streams", 1 << 17, "streams", "inspector.inspection.assemble:KEPT", marked(
          "Streams of which bytes were lost are remembered up to this number, the newest. Beyond, any older stream counts "
          "as one that lost bytes, so that a proof may be missing but none is false.")),
    Limit("batch-captures", 1_000_000, "captures", "inspector.batch.sources:MOST", marked(
          "One run of inspect batch takes up to this number of captures. Beyond, the run is refused with an error.")),
    Limit("batch-retries", 3, "readings", "inspector.batch.engine:RETRIES", marked(
          "A capture whose reading ended a worker is read again up to this number of times. Then it is set aside, and its "
          "row in the report says so.")),
    Limit("batch-changes", 3, "readings", "inspector.batch.reading:TRIES", marked(
          "A capture that changes while it is read is read again up to this number of times. Then its row in the report "
          "says that it keeps changing.")),
    Limit("batch-sent", 256 * MIB, "bytes", "inspector.batch.reading:SENT", marked(
          "A worker that does not see the store sends up to this amount for one capture. Beyond, the capture counts as "
          "failed, and its row says so.")),
    Limit("batch-differences", 50, "rows", "inspector.batch.schema:DIFFERENCES", marked(
          'Differences of one pair are stored up to this number of rows. A last row "..." says that there were more.')),
    Limit("site-routes", 300, "pages", "inspector.batch.report.model:ROUTE_PAGES", marked(
          "The site has a page for up to this number of routes, those that alarm first. The rest are in its tables.")),
    Limit("site-captures", 2000, "pages", "inspector.batch.report.model:UNIT_PAGES", marked(
          "The site has a page for up to this number of captures, those that could not be read first. The rest is counted "
          "there.")),
    Limit("site-pairs", 1000, "pages", "inspector.batch.report.chosen:FAILING", marked(
          "The site has a page for up to this number of failing pairs. The rest is counted there.")),
    Limit("verify-packets", 500_000, "packets", "inspector.referee.model:PACKET_LIMIT", marked(
          "inspect verify compares up to this number of packets of a capture; its --limit changes it. Beyond, the result "
          "says how far it went.")),
    Limit("verify-unpacked", 2 * GIB, "bytes", "inspector.referee.model:UNPACK_LIMIT", marked(
          "A packed capture or a pipe is unpacked for the other programs of inspect verify up to this size. Beyond, it is "
          "refused with an error.")),
    Limit("verify-memory", 6 * GIB, "bytes", "inspector.referee.running:MEMORY", marked(
          "The other programs of inspect verify may take up to this amount of address space. Beyond, the program ends, and "
          "the result says so.")),
    Limit("verify-differences", 200, "differences", "inspector.referee.model:KEPT", marked(
          "inspect verify lists differences of one reason up to this number. All of them are counted.")),
    Limit("packet-bytes", 64 * KIB, "bytes", "inspector.referee.dissect:BYTES", marked(
          "inspect packet dissects a frame up to this length. The rest is counted below it.")),
    Limit("packet-lines", 400, "lines", "inspector.referee.dissect:LINES", marked(
          "inspect packet prints a dissection up to this number of lines. The rest is counted below it.")),
)  # fmt: skip
UNITS = (  # `Limit.unit` as the catalogues have it
    marked("addresses"), marked("arrows"), marked("captures"), marked("changes"), marked("characters"), marked("codings"),
    marked("comments"), marked("connections"), marked("datagrams"), marked("differences"), marked("exchanges"),
    marked("groups"), marked("headers"), marked("interfaces"), marked("kinds"), marked("layers"), marked("levels"),
    marked("lines"), marked("members"), marked("messages"), marked("mirrors"), marked("names"), marked("packets"),
    marked("pages"), marked("readings"), marked("requests"), marked("responses"), marked("routes"), marked("rows"),
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
