"""Words for people, in their language: gettext catalogues in `inspector/locale`, English in the source.

`_("{count} packets").format(count=n)`: the text is looked up first and filled in afterwards, so it holds named fields and is
never an f-string. JSON keys, verdict words, option names and what was captured are not translated.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

LANGUAGES = ("en", "ko")
DOMAIN = "inspector"
FOLDER = Path(__file__).parent / "locale"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"


def use(language: str) -> None:
    """Speak `language` ("en" or "ko") from now on. Raises ValueError for another one."""
    global _catalogue, _language
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}: {' or '.join(LANGUAGES)}")
    _language = language
    _catalogue = gettext.translation(DOMAIN, FOLDER, [language], fallback=True)


def language() -> str:
    """The language spoken now."""
    return _language


def from_locale() -> str:
    """The language of the environment (LC_ALL, LC_MESSAGES, LANG, first of LANGUAGE), "en" where we do not speak it."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            word = value.split(":")[0][:2].lower()
            return word if word in LANGUAGES else "en"
    return "en"


def _(text: str) -> str:
    """`text` in the language spoken."""
    return _catalogue.gettext(text)


def marked(text: str) -> str:
    """`text` itself: it stands where catalogues are not asked yet (a constant), and goes through `_` where it is shown."""
    return text


def several(one: str, many: str, count: int) -> str:
    """The form of a text that fits `count` things."""
    return _catalogue.ngettext(one, many, count)
