"""The ladder as SVG 1.1: one element that stands alone, or beside others in one HTML page.

Colours never speak alone: requests are solid, answers dashed, a leak is a double line, a dropped answer ends in a drawn cross,
and each has its words. Contrast is WCAG 2 AA in light and dark (4.5:1, section 1.4.3). Styles are plain rules, no
variables: viewers other than browsers know no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from inspector.lang import language
from inspector.render.ladder_parts import Arrow, ArrowKind, Ladder, Lifeline, below, fit, label, offset, tell, where
from inspector.render.text import cut_middle, width, wrap

CHARACTER = 7.3  # px that a column takes at 12 px in a monospaced face
LINE = 16  # px from text line to text line
LEAST_GAP, MOST_GAP = 200, 280  # px between lifelines
EDGE = 12
ADDRESS_LINES = 3
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK KR',monospace"
MAX_DESC = 20_000  # characters

PAPER = {"light": "#ffffff", "dark": "#0d1117"}
INKS = {
    "light": {
        "ink": "#1f2328",
        "faint": "#59636e",
        "discarded": "#116329",
        "leaked": "#a40e26",
        "unproven": "#6639ba",
    },
    "dark": {
        "ink": "#e6edf3",
        "faint": "#9da7b3",
        "discarded": "#56d364",
        "leaked": "#ff8f88",
        "unproven": "#d2a8ff",
    },
}
_DASH = {ArrowKind.REQUEST: "", ArrowKind.LEAKED: "", ArrowKind.UNSEEN: ' stroke-dasharray="1 5"'}
_NAME = re.compile(r"[A-Za-z][\w-]*\Z", re.ASCII)


def svg(ladder: Ladder, prefix: str = "", styled: bool = True) -> str:
    """The ladder as an `<svg>` element of class `ladder`, without an XML declaration.

    prefix: put before its ids, so that several may stand in one page. styled: with its own style; a page of many has
    `style(".ladder")` once instead. Raises ValueError for a prefix that is no part of a name.
    """
    if prefix and not _NAME.match(prefix):
        raise ValueError(f"prefix {prefix!r}: a letter, then letters, digits, _ and -")
    return "".join(_Drawing(ladder, f"{prefix}ladder-{ladder.number}", styled).parts())


def style(root: str) -> str:
    """The style sheet of ladders, for what the selector `root` finds."""
    rules = [
        f"{root} text{{font:12px {FONTS}}}",
        f"{root} .role,{root} .leaked{{font-weight:bold}}",
        f"{root} .halo{{paint-order:stroke;stroke-width:5px;stroke-linejoin:round}}",
        f"{root} path,{root} circle{{fill:none;stroke-width:1.5}}",
        f"{root} path.thick{{stroke-width:2.5}}",
        _colours(root, "light"),
        f"@media (prefers-color-scheme:dark){{{_colours(root, 'dark')}}}",
    ]
    return "".join(rules)


def document(ladder: Ladder) -> str:
    """The ladder as an SVG file."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + svg(ladder) + "\n"


class _Drawing:
    def __init__(self, ladder: Ladder, root: str, styled: bool) -> None:
        self.ladder = ladder
        self.root = root
        self.styled = styled
        times = [offset(a.time) for a in ladder.arrows if a.time is not None]
        self.gutter = EDGE + CHARACTER * (max(map(len, times), default=0) + 1)
        need = [LEAST_GAP / CHARACTER]
        for a in ladder.arrows:
            need.append((width(label(a)) + 4) / max(abs(a.source - a.target), 1))
        for line in ladder.lifelines:
            need.append(max(width(line.address), width(line.name), width(line.asked)) + 4)
        self.gap = round(min(max(need) * CHARACTER, MOST_GAP))
        self.box = self.gap - 16
        first = max(self.gutter + 10, EDGE + self.box / 2)
        self.x = [round(first + self.gap * i) for i in range(len(ladder.lifelines))]
        self.width = round(self.x[-1] + self.box / 2 + EDGE)
        self.blocks = [self._block(line) for line in ladder.lifelines]
        self.headers = EDGE + LINE + 10  # below the title
        self.top = self.headers + 10 + LINE * max(map(len, self.blocks))

    def parts(self) -> Iterator[str]:
        """The element, piece by piece."""
        body, bottom = [], self.top + 8
        for arrow in self.ladder.arrows:
            drawn, bottom = self._arrow(arrow, bottom)
            body.append(drawn)
        notes, height = self._notes(bottom + 18)
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{self.root}" class="ladder" viewBox="0 0 {self.width} {height}" '
            f'width="{self.width}" height="{height}" role="img" lang="{language()}" '
            f'aria-labelledby="{self.root}-title {self.root}-desc">'
        )
        yield f'<title id="{self.root}-title">{_x(self.ladder.title)}</title>'
        yield f'<desc id="{self.root}-desc">{_x(". ".join(tell(self.ladder))[:MAX_DESC])}</desc>'
        if self.styled:
            yield f"<style>{style('#' + self.root)}</style>"
        yield f'<rect class="paper" width="{self.width}" height="{height}"/>'
        head = cut_middle(self.ladder.title, int((self.width - 2 * EDGE) / CHARACTER) - 1)
        yield f'<text class="role" x="{EDGE}" y="{EDGE + 12}">{_x(head)}</text>'
        for x, line in zip(self.x, self.ladder.lifelines, strict=True):
            dash = "" if line.seen else ' stroke-dasharray="2 6"'
            yield f'<path class="life" d="M{x} {self.top}V{bottom + 8}"{dash}/>'
        for x, block, line in zip(self.x, self.blocks, self.ladder.lifelines, strict=True):
            yield self._header(x, block, line)
        yield from body
        yield notes
        yield "</svg>"

    def _block(self, line: Lifeline) -> list[str]:
        room = int(self.box / CHARACTER) - 2
        out = [cut_middle(line.role, room)]
        for text in below(line, room):
            out += wrap(text, room)[:ADDRESS_LINES]
        return out

    def _header(self, x: int, block: list[str], line: Lifeline) -> str:
        dash = "" if line.seen else ' stroke-dasharray="2 4"'
        left, height = round(x - self.box / 2), self.top - self.headers
        out = [f'<rect class="box" x="{left}" y="{self.headers}" width="{self.box}" height="{height}" rx="4"{dash}/>']
        for i, text in enumerate(block):
            name = "role" if i == 0 else "ink"
            y = self.headers + LINE * (i + 1)
            out.append(f'<text class="{name}" x="{x}" y="{y}" text-anchor="middle">{_x(text)}</text>')
        return "".join(out)

    def _arrow(self, a: Arrow, top: int) -> tuple[str, int]:
        """One message from `top` on, and where it ends."""
        low, high = sorted((self.x[a.source], self.x[a.target]))
        middle, room = (low + high) // 2, int((high - low - 2 * CHARACTER) / CHARACTER)
        name = a.kind.value if a.kind.value in INKS["light"] else "faint" if a.kind is ArrowKind.UNSEEN else "ink"
        out = [f'<g class="message {a.kind.value}"><title>{_x(label(a))}</title>']
        texts = fit(a, room)
        for i, text in enumerate(texts):
            y = top + LINE * (i + 1)
            out.append(f'<text class="{name} halo" x="{middle}" y="{y}" text-anchor="middle">{_x(text)}</text>')
        y = top + LINE * len(texts) + 8
        out += self._shaft(a, name, y)
        below = where(self.ladder, a)
        if below:
            out.append(f'<text class="faint halo" x="{middle}" y="{y + 16}" text-anchor="middle">{_x(below)}</text>')
        if a.time is not None:
            x = round(self.gutter - CHARACTER)
            out.append(f'<text class="faint" x="{x}" y="{y + 4}" text-anchor="end">{offset(a.time)}</text>')
        out.append("</g>")
        return "".join(out), y + (20 if below else 8)

    def _shaft(self, a: Arrow, name: str, y: int) -> Iterator[str]:
        """The line of an arrow with its head, and the mark at its end."""
        start, end = self.x[a.source], self.x[a.target]
        way = 1 if end > start else -1
        if a.kind is ArrowKind.UNSEEN:
            yield f'<path class="{name}-line" d="M{start + 6 * way} {y}H{end - 6 * way}" stroke-dasharray="1 5"/>'
            return
        marked = a.kind in (ArrowKind.DISCARDED, ArrowKind.UNPROVEN)
        tip = end - (13 if marked else 1) * way
        dash = _DASH.get(a.kind, ' stroke-dasharray="7 4"')
        if a.kind is ArrowKind.LEAKED:
            yield f'<path class="{name}-line" d="M{start} {y - 2}H{tip - 8 * way}M{start} {y + 2}H{tip - 8 * way}"/>'
        else:
            yield f'<path class="{name}-line" d="M{start} {y}H{tip - 6 * way}"{dash}/>'
        yield f'<path class="{name}-head" d="M{tip} {y}l{-9 * way} -5v10z"/>'
        if a.kind is ArrowKind.DISCARDED:
            yield f'<path class="{name}-line thick" d="M{end - 8} {y - 8}l16 16m0 -16l-16 16"/>'
        if a.kind is ArrowKind.UNPROVEN:
            yield f'<circle class="{name}-line cover" cx="{end}" cy="{y}" r="9"/>'
            yield f'<text class="{name}" x="{end}" y="{y + 4}" text-anchor="middle">?</text>'

    def _notes(self, top: int) -> tuple[str, int]:
        room = int((self.width - 2 * EDGE) / CHARACTER) - 1
        lines = [line for i, c in enumerate(self.ladder.captures, 1) for line in wrap(c, room, f"[{i}] ", "    ")]
        lines += [line for note in self.ladder.notes for line in wrap(note, room, "- ", "  ")]
        out = []
        for i, line in enumerate(lines):
            x = EDGE + (2 * CHARACTER if line.startswith("  ") else 0)
            out.append(f'<text class="faint" x="{x:g}" y="{top + LINE * (i + 1)}">{_x(line.strip())}</text>')
        return "".join(out), top + LINE * len(lines) + EDGE


def _colours(root: str, scheme: str) -> str:
    """The rules of a colour scheme."""
    inks, paper = INKS[scheme], PAPER[scheme]
    rules = [
        f"{root} .paper,{root} .box,{root} .cover{{fill:{paper}}}",
        f"{root} .halo{{stroke:{paper}}}",
        f"{root} .role{{fill:{inks['ink']}}}",
        f"{root} .box,{root} .life{{stroke:{inks['faint']}}}",
    ]
    for name, ink in inks.items():
        rules.append(f"{root} text.{name}{{fill:{ink}}}{root} .{name}-line{{stroke:{ink}}}")
        rules.append(f"{root} .{name}-head{{fill:{ink};stroke:{ink}}}")
    return "".join(rules)


def _x(text: str) -> str:
    """Visible text as XML text."""
    return escape(text, {'"': "&quot;", "'": "&#39;"})
