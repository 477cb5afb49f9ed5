"""Lessons as a self-contained page, or as a handout to print: no script, no network (its policy forbids both).

An answer is behind `<details>`: it opens with a click, with the keyboard, and where scripts are off.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape

from inspector.lang import _, language
from inspector.lessons.model import LETTERS, Command, Lesson, LessonStep, LessonTable, Picture, Question, Show
from inspector.lessons.script import CODE, Run, ladder, line, printed
from inspector.lessons.seen import Library
from inspector.render import ladder_svg

COLUMNS = 110  # of the commands' output
NOTES = 4  # empty lines to write on in a handout
STYLE = """
:root{color-scheme:light dark}
body{font:1.05rem/1.55 system-ui,"Noto Sans","Noto Sans CJK KR","Apple SD Gothic Neo","Malgun Gothic",sans-serif;
max-width:66rem;margin:0 auto;padding:1rem;background:#fff;color:#1f2328;word-break:keep-all;overflow-wrap:break-word}
h1,h2,h3{line-height:1.25}h2{margin-top:3rem;border-bottom:2px solid #d1d9e0}h3{margin-top:2.2rem}
a{color:#0550ae}
.goal,.keep{border-left:.3rem solid #0550ae;padding:.3rem 1rem;background:#f2f5f8}
.keep{border-color:#116329}
pre,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK KR",monospace}
pre{overflow-x:auto;background:#f2f5f8;padding:.8rem;font-size:.82rem;line-height:1.4}
.command{font-weight:bold;display:block}
table{border-collapse:collapse;font-size:.9rem;display:block;overflow-x:auto}
caption{text-align:left;color:#59636e;padding:.3rem 0}
th,td{text-align:left;padding:.25rem .7rem;border-bottom:1px solid #d1d9e0}
td{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK KR",monospace}
.find,.captures{color:#59636e;font-size:.9rem}
.question{border:1px solid #d1d9e0;border-radius:.4rem;padding:.2rem 1rem;margin:1rem 0}
.ask{font-weight:bold}
details{margin:.8rem 0}summary{cursor:pointer;font-weight:bold;color:#0550ae;padding:.3rem 0}
summary:focus-visible,a:focus-visible,pre:focus-visible{outline:3px solid #0550ae;outline-offset:2px}
figure{margin:1rem 0;overflow-x:auto}
.note{border-bottom:1px solid #59636e;height:2rem}
.tick{display:inline-block;width:.8rem;height:.8rem;border:1px solid #1f2328;margin-right:.5rem}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}a,summary{color:#79c0ff}
.goal,.keep,pre{background:#161b22}.goal{border-color:#79c0ff}.keep{border-color:#56d364}
h2,th,td,.question{border-color:#3d444d}caption,.find,.captures{color:#9da7b3}.tick{border-color:#e6edf3}
summary:focus-visible,a:focus-visible,pre:focus-visible{outline-color:#79c0ff}}
@media print{body{max-width:none;font-size:11pt}h2.next,.solutions{break-before:page}
.question,pre,figure,table,.keep{break-inside:avoid}details::details-content{content-visibility:visible;height:auto}
figure{overflow:visible}figure svg{max-width:100%;height:auto}summary{list-style:none}pre{white-space:pre-wrap;font-size:7.5pt}}
"""


def page(lessons: Sequence[Lesson], library: Library, run: Run) -> Iterator[str]:
    """The lessons as one page."""
    title = _title(lessons)
    yield from _head(title, "")
    if len(lessons) > 1:
        yield f"<h1>{escape(title)}</h1>\n<nav><ol>"
        yield from (f'<li><a href="#{x.about.key}">{escape(x.about.title)}</a></li>' for x in lessons)
        yield "</ol></nav>\n"
    for place, lesson in enumerate(lessons):
        yield from _opening(lesson, 1 if len(lessons) == 1 else 2, place > 0)
        for number, step in enumerate(lesson.steps):
            yield f"<section>\n<h3>{number + 1}. {_inline(step.title)}</h3>\n"
            yield from _told(step.says, step.shows, library, run, f"l{lesson.number}s{number}a")
            if step.question is not None:
                yield from _question(step.question)
                yield f"<details><summary>{escape(_('Show the answer'))}</summary>\n"
                yield f"<p><b>{_inline(_answer(step.question))}</b></p>\n"
            yield from _told(step.reveal, step.proof, library, run, f"l{lesson.number}s{number}b")
            yield "</details>\n</section>\n" if step.question is not None else "</section>\n"
        yield from _keep(lesson)
    yield "</main></body></html>\n"


def handout(lessons: Sequence[Lesson], library: Library, run: Run) -> Iterator[str]:
    """The lessons to print: questions with boxes to tick and lines to write on, the solutions on pages of their own."""
    yield from _head(_("{title}: handout").format(title=_title(lessons)), "handout")
    for place, lesson in enumerate(lessons):
        yield from _opening(lesson, 1 if len(lessons) == 1 else 2, place > 0)
        for number, step in enumerate(lesson.steps):
            yield f"<section>\n<h3>{number + 1}. {_inline(step.title)}</h3>\n"
            yield from _paragraphs(step.says)
            yield from _typed(step)
            if step.question is not None:
                yield from _question(step.question, boxes=True)
            yield '<div class="note"></div>' * NOTES + "\n</section>\n"
    yield f'<section class="solutions"><h2>{escape(_("Solutions"))}</h2>\n'
    for lesson in lessons:
        yield f"<h3>{escape(_heading(lesson))}</h3>\n<ol>\n"
        for number, step in enumerate(lesson.steps):
            said = [_answer(step.question)] if step.question is not None else []
            yield f"<li><b>{_inline(step.title)}</b>"
            yield from _paragraphs([*said, *step.reveal])
            pictures = [show for show in step.proof if isinstance(show, Picture)]
            yield from _told((), pictures, library, run, f"l{lesson.number}s{number}h")
            yield "</li>\n"
        yield "</ol>\n"
        yield from _keep(lesson)
    yield "</section></main></body></html>\n"


def _title(lessons: Sequence[Lesson]) -> str:
    return _("Traffic mirroring, read from packets") if len(lessons) > 1 else _heading(lessons[0])


def _heading(lesson: Lesson) -> str:
    return _("Lesson {number}: {title}").format(number=lesson.number, title=lesson.about.title)


def _head(title: str, kind: str) -> Iterator[str]:
    style = STYLE + ladder_svg.style(".ladder")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    yield f'<!DOCTYPE html>\n<html lang="{language()}"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
    yield f'<title>{escape(title)}</title><style>{style}</style></head>\n<body class="{kind}"><main>\n'


def _opening(lesson: Lesson, level: int, next_page: bool) -> Iterator[str]:
    about = lesson.about
    kind = ' class="next"' if next_page else ""
    yield f'<h{level} id="{about.key}"{kind}>{escape(_heading(lesson))}</h{level}>\n'
    yield f'<p class="goal">{_inline(_("Goal: {goal}").format(goal=about.goal))}</p>\n'
    yield f'<p class="captures">{_inline(_("Captures: {names}").format(names=", ".join(about.captures)))}</p>\n'


def _keep(lesson: Lesson) -> Iterator[str]:
    yield f'<p class="keep">{_inline(_("Remember: {keep}").format(keep=lesson.keep))}</p>\n'


def _answer(question: Question) -> str:
    right = question.right
    return _("The answer is {letter}) {text}.").format(letter=LETTERS[right], text=question.choices[right].text)


def _question(question: Question, boxes: bool = False) -> Iterator[str]:
    box = '<span class="tick"></span>' if boxes else ""
    yield f'<div class="question"><p class="ask">{_inline(question.ask)}</p><ol type="a">'
    yield from (f"<li>{box}{_inline(choice.text)}</li>" for choice in question.choices)
    yield "</ol></div>\n"


def _typed(step: LessonStep) -> Iterator[str]:
    """The commands of a step, to be typed."""
    for show in (*step.shows, *step.proof):
        if isinstance(show, Command):
            yield f"<pre>$ {escape(line(show))}</pre>\n"
        elif isinstance(show, LessonTable) and show.find:
            yield f'<p class="find">{_inline(_("In Wireshark: {filter}").format(filter=show.find))}</p>\n'


def _told(says: Sequence[str], shows: Sequence[Show], library: Library, run: Run, prefix: str) -> Iterator[str]:
    yield from _paragraphs(says)
    for place, show in enumerate(shows):
        if isinstance(show, Command):
            yield f'<pre tabindex="0"><span class="command">$ {escape(line(show))}</span>'
            yield f"{escape(printed(show, run, COLUMNS))}</pre>\n"
        elif isinstance(show, Picture):
            drawn = ladder_svg.svg(ladder(show, library), f"{prefix}{place}-", styled=False)
            yield f"<figure>{drawn}</figure>\n"
        else:
            yield from _table(show)


def _table(show: LessonTable) -> Iterator[str]:
    yield f"<table><caption>{_inline(show.about)}</caption><thead><tr>"
    yield from (f'<th scope="col">{_inline(name)}</th>' for name in show.names)
    yield "</tr></thead><tbody>"
    for row in show.rows:
        yield "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>\n"
    if show.find:
        yield f'<p class="find">{_inline(_("In Wireshark: {filter}").format(filter=show.find))}</p>\n'


def _paragraphs(texts: Sequence[str]) -> Iterator[str]:
    return (f"<p>{_inline(text)}</p>\n" for text in texts)


def _inline(text: str) -> str:
    """Escaped text, code between backticks."""
    return CODE.sub(r"<code>\1</code>", escape(text))
