"""The service graph: clients, proxies, servers, and what went between them, as one SVG.

Mirrored edges are dashed, double-headed with a badge that says so; nothing is reported by colour alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from inspector.lang import _, several
from inspector.render.ladder_parts import host
from inspector.render.report.gather import ReportCounts
from inspector.render.report.html import Html, tag
from inspector.render.text import cut_middle, shown, width

MAX_NODES = 10  # in a column; further ones are one node together
WIDE, GAP, ROW, LINE = 180, 280, 112, 16  # px: a node, between columns, from node to node, from line to line
CHARACTER = 7.3  # px a column of text takes
COLUMNS = ("client", "proxy", "server", "further")
MORE = "…"


@dataclass
class Node:
    """Who takes part: a column and an address, with what it is called."""

    column: str
    address: str
    hosts: Counter[str] = field(default_factory=Counter)
    mirrored: int = 0
    asked: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Its place."""
        return self.column, self.address


@dataclass
class Edge:
    """Requests from one to another. kind: mirror, or "" for all others."""

    source: tuple[str, str]
    target: tuple[str, str]
    kind: str
    count: int = 0
    attempts: int = 0
    leaked: int = 0


@dataclass
class Graph:
    """Nodes by key and edges, made from the routes."""

    nodes: dict[tuple[str, str], Node] = field(default_factory=dict)
    edges: dict[tuple[tuple[str, str], tuple[str, str], str], Edge] = field(default_factory=dict)
    span: int = 0

    def originals(self, proxy: tuple[str, str]) -> int:
        """Requests that a proxy sent on, attempts and copies aside."""
        return sum(e.count - e.attempts for e in self.edges.values() if e.source == proxy and not e.kind)


def build(g: ReportCounts) -> Graph:
    """The graph of all routes; of each column the busiest nodes, the others together."""
    upstream = {server for leg, _client, server, _host in g.routes if leg in ("original", "attempt", "mirror")}
    at_host: dict[str, str] = {}
    for server in sorted(upstream):
        at_host.setdefault(host(server), server)
    found = [(*_ends(route, g.proxies, upstream, at_host), route, n) for route, n in g.routes.items()]
    weights: Counter[tuple[str, str]] = Counter()
    for source, target, _route, n in found:
        weights[source] += n
        weights[target] += n
    kept = _kept(weights)
    out = Graph(span=g.span)
    for source, target, (leg, _client, _server, asked), n in found:
        source, target = kept.get(source, source), kept.get(target, target)
        kind = "mirror" if leg == "mirror" else ""
        edge = out.edges.setdefault((source, target, kind), Edge(source, target, kind))
        edge.count += n
        edge.attempts += n if leg == "attempt" else 0
        for key in (source, target):
            out.nodes.setdefault(key, Node(*key))
        node = out.nodes[target]
        node.asked += n
        node.mirrored += n if kind else 0
        if asked and node.column in ("server", "further"):
            node.hosts[asked] += n
    for (proxy, server), n in g.leaks.items():
        ends = (("proxy", proxy), ("server", server))
        source, target = (kept.get(end, end) for end in ends)
        if (source, target, "mirror") in out.edges:
            out.edges[source, target, "mirror"].leaked += n
    return out


def _ends(
    route: tuple[str, str, str, str], proxies: set[str], upstream: set[str], at_host: Mapping[str, str]
) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two nodes of a route."""
    leg, client, server, _asked = route
    if leg in ("original", "attempt", "mirror"):
        return ("proxy", client), ("server", server)
    if leg == "downstream":
        if host(server) in proxies:
            return ("client", client), ("proxy", host(server))
        if client in proxies:  # a sidecar: both have the pod's address
            return ("client", client), ("proxy", client)
    source = ("proxy", client) if client in proxies and leg != "inbound" else ("client", client)
    if leg == "cascade" and client in at_host:
        source = ("server", at_host[client])
    if server in upstream:
        return source, ("server", server)
    return source, ("further" if source[0] == "server" else "server", server)


def _kept(weights: Counter[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    """Which nodes stand for others: all but the busiest of a column become one."""
    out = {}
    for column in COLUMNS:
        mine = [key for key, _n in weights.most_common() if key[0] == column]
        out.update(dict.fromkeys(mine[MAX_NODES:], (column, MORE)))
    return out


def svg(graph: Graph, names: Mapping[str, str] | None = None) -> Html:
    """The drawing, or nothing where there is no edge. names: address -> a name for it."""
    return Html("".join(_Drawing(graph, names or {}).parts())) if graph.edges else Html("")


def tell(graph: Graph) -> list[str]:
    """The graph in words, a sentence an edge: beside the drawing, for screen readers."""
    out = []
    for e in _ordered(graph):
        said = _("{source} to {target}: {label}")
        out.append(
            said.format(source=_spoken(e.source), target=_spoken(e.target), label=", ".join(labels(graph, e, True)))
        )
    return out


def _spoken(key: tuple[str, str]) -> str:
    return f"{_role(key[0])} {_others() if key[1] == MORE else shown(key[1])}"


def _role(column: str) -> str:
    return {"client": _("client"), "proxy": _("proxy")}.get(column, _("server"))


def _ordered(graph: Graph) -> list[Edge]:
    places = {name: i for i, name in enumerate(COLUMNS)}
    return sorted(
        graph.edges.values(), key=lambda e: (places[e.source[0]], e.source[1], bool(e.kind), -e.count, e.target[1])
    )


def labels(graph: Graph, e: Edge, long: bool = False) -> list[str]:
    """What an edge says, line by line: how many, how fast, which share."""
    if e.kind:
        first = several("{n} copy", "{n} copies", e.count).format(n=f"{e.count:,}")
    else:
        first = several("{n} request", "{n} requests", e.count).format(n=f"{e.count:,}")
    out = [first]
    figures = []
    if graph.span > 0 and e.count > 1:
        figures.append(_("{rate}/s").format(rate=_three(e.count * 1e9 / graph.span)))
    whole = graph.originals(e.source) if e.source[0] == "proxy" else 0
    if whole and e.kind:
        out += figures
        figures = [_("{percent} % mirrored").format(percent=_three(100 * e.count / whole))]
    elif whole:
        figures.append(_("{percent} %").format(percent=_three(100 * (e.count - e.attempts) / whole)))
    out += [", ".join(figures)] if figures else []
    if e.attempts:
        out.append(several("{n} a further attempt", "{n} further attempts", e.attempts).format(n=f"{e.attempts:,}"))
    if e.leaked:
        out.append(_("{n} leaked").format(n=f"{e.leaked:,}"))
    return [_("mirror"), *out] if long and e.kind else out


def _three(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


class _Drawing:
    def __init__(self, graph: Graph, names: Mapping[str, str]) -> None:
        self.graph = graph
        self.names = names
        used = [c for c in COLUMNS if any(n.column == c for n in graph.nodes.values())]
        columns: dict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes.values():
            columns[node.column].append(node)
        tallest = max(len(nodes) for nodes in columns.values())
        self.height = tallest * ROW + 24
        self.place: dict[tuple[str, str], tuple[int, int]] = {}
        for i, column in enumerate(used):
            nodes = sorted(columns[column], key=lambda n: (n.address == MORE, _copies_only(n), -n.asked, n.address))
            for j, node in enumerate(nodes):
                y = round(self.height / 2 + (j - (len(nodes) - 1) / 2) * ROW)
                self.place[node.key] = 8 + i * (WIDE + GAP), y
        self.width = 16 + len(used) * WIDE + (len(used) - 1) * GAP

    def parts(self) -> Iterator[str]:
        """The element, piece by piece: edges below nodes."""
        title = _("Who sent requests to whom")
        yield (
            f'<svg class="graph" viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" '
            f'role="img" aria-labelledby="graph-title" aria-describedby="graph-words">'
        )
        yield tag("title", title, id="graph-title")
        yield tag("rect", class_="paper", width=self.width, height=self.height)
        edges = _ordered(self.graph)
        yield from (self._line(e) for e in edges)
        yield from (self._label(e) for e in edges)
        yield from (self._node(n) for n in self.graph.nodes.values())
        yield "</svg>"

    def _curve(self, e: Edge) -> tuple[int, int, int, int]:
        """Where an edge begins and ends. Edges between the same two stand apart."""
        (x, y), (u, v) = self.place[e.source], self.place[e.target]
        twin = (e.source, e.target, "" if e.kind else "mirror") in self.graph.edges
        off = (22 if e.kind else -22) if twin else 0
        if u > x:
            return x + WIDE, y + off, u - 3, v + off
        return x, y + off, u + WIDE + 3, v + off

    def _line(self, e: Edge) -> Html:
        x, y, u, v = self._curve(e)
        way = 1 if u > x else -1
        bend = way * GAP // 2
        name = "leaked" if e.leaked else "mirror" if e.kind else "plain"
        head = f"M{u} {v}l{-10 * way} -5v10z"
        line = f"M{x} {y}C{x + bend} {y} {u - bend} {v} {u - 9 * way} {v}"
        said = ", ".join(labels(self.graph, e, True))
        paths = (tag("path", class_="line", d=line), tag("path", class_="head", d=head))
        return tag("g", tag("title", said), paths, class_=f"edge {name}")

    def _label(self, e: Edge) -> Html:
        x, y, u, v = self._curve(e)
        lines = labels(self.graph, e)
        t = 0.5 if y == v else 0.58
        mx, my = _at(t, x, u, GAP // 2 if u > x else -GAP // 2), y + (v - y) * (3 * t * t - 2 * t**3)
        top = my - LINE * len(lines) / 2 - (8 if not e.kind else 0)
        wide = max(width(line) for line in lines) * CHARACTER + 8
        tall = LINE * len(lines) + (20 if e.kind else 6)
        corner = {"x": f"{mx - wide / 2:.1f}", "y": f"{top - (16 if e.kind else 0):.1f}"}
        out = [tag("rect", class_="paper", width=f"{wide:.1f}", height=tall, rx=4, **corner)]
        if e.kind:
            word = _("mirror")
            size = width(word) * CHARACTER + 14
            out.append(tag("rect", class_="badge", x=f"{mx - size / 2:.1f}", y=f"{top - 13:.1f}", width=f"{size:.1f}",
                           height=17, rx=8))  # fmt: skip
            out.append(tag("text", word, class_="badge-word", x=f"{mx:.1f}", y=f"{top:.1f}", text_anchor="middle"))
        for i, line in enumerate(lines):
            y_ = top + LINE * (i + 1)
            alarm = "alarm" if e.leaked and i == len(lines) - 1 else None
            out.append(tag("text", line, class_=alarm, x=f"{mx:.1f}", y=f"{y_:.1f}", text_anchor="middle"))
        return tag("g", out, class_="label")

    def _node(self, n: Node) -> Html:
        x, y = self.place[n.key]
        lines = self._words(n)
        tall = LINE * len(lines) + 14
        top = y - tall / 2
        texts = [
            tag("text", line, class_="role" if i == 0 else "ink", x=x + WIDE // 2, y=f"{top + LINE * (i + 1) + 1:.1f}",
                text_anchor="middle")
            for i, line in enumerate(lines)
        ]  # fmt: skip
        box = tag("rect", class_="box", x=x, y=f"{top:.1f}", width=WIDE, height=tall, rx=6)
        return tag("g", box, texts, class_=f"node {n.column}{' copies' if _copies_only(n) else ''}")

    def _words(self, n: Node) -> list[str]:
        room = int(WIDE / CHARACTER) - 2
        role = _("gets copies only") if _copies_only(n) else _role(n.column)
        name = self.names.get(n.address) or self.names.get(host(n.address)) or ""
        lines = [role, name, _others() if n.address == MORE else n.address]
        if n.hosts:
            lines.append(_("host {name}").format(name=shown(n.hosts.most_common(1)[0][0])))
        return [cut_middle(shown(line), room) for line in lines if line]


def _copies_only(n: Node) -> bool:
    return 0 < n.mirrored == n.asked


def _at(t: float, x: int, u: int, bend: int) -> float:
    """The abscissa of the curve at `t`."""
    s = 1 - t
    return s**3 * x + 3 * s * s * t * (x + bend) + 3 * s * t * t * (u - bend) + t**3 * u


def _others() -> str:
    return _("others")
