"""Text that is not ours as it can be shown: nothing in it acts, and the encoding it is for has all of it."""

from __future__ import annotations

import codecs
import unicodedata
from operator import index
from typing import SupportsIndex

# What the harness itself prints beyond ASCII, in plain letters.
PLAIN = {
    "ε": "eps", "α": "alpha", "γ": "gamma", "τ": "tau", "µ": "u", "μ": "u", "σ": "sigma", "–": "-", "—": "-",
    "−": "-", "…": "...", "×": "x", "·": "*", "∞": "inf", "≥": ">=", "≤": "<=", "≠": "!=", "±": "+/-", "→": "->",
    "°": " deg", "“": '"', "”": '"', "‘": "'", "’": "'", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ",
    "•": "*", "√": "sqrt", "●": "o", "✅": "ok", "❌": "no", "❔": "?",
}  # fmt: skip
# Box drawing and blocks, of which rich draws lines and bars: corners and crossings, then the rest.
_LINES = {**dict.fromkeys(range(0x2500, 0x2580), "+"), **dict.fromkeys(range(0x2580, 0x25A0), "#")}
_LINES |= dict.fromkeys(map(ord, "─━═╌╍┄┅┈┉╴╶╸╺╼╾"), "-") | dict.fromkeys(map(ord, "│┃║╎╏┆┇┊┋╵╷╹╻╽╿"), "|")
_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories: controls, formats, surrogates, separators
LONGEST_QUOTE, SHOWN = 200, 60  # letters
HANDLER, HELP_HANDLER = "harness.plain", "harness.help"


def visible(text: str) -> str:
    """The text with every character that acts on a terminal or a line, but for newline and tab, as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in _ACTING
        else character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 0x7F
        else f"\\x{ord(character):02x}"
        for character in text
    )


def quoted(value: object) -> str:
    """What somebody gave, in quotation marks, as a sentence can hold it: of much text the beginning, and how much."""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= LONGEST_QUOTE:
        return repr(value)
    return f"{text[:SHOWN]!r}… ({several(len(text), 'letter')})"


def noun(count: float | SupportsIndex, what: str, many: str = "") -> str:
    """What so many are called: one is a ``what``, and several are ``many``, or with an s behind it."""
    return what if count == 1 else many or f"{what}s"


def several(count: SupportsIndex, what: str, many: str = "") -> str:
    """A number of things by their `noun`: "1 job" or "1,200 jobs"; by "job is" and "jobs are" with the verb."""
    return f"{index(count):,} {noun(count, what, many)}"


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8, which a file's name of other bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(text: str, encoding: str) -> str:
    """The text with what the encoding lacks in letters that it has."""
    return text if text.isascii() else text.encode(encoding, HANDLER).decode(encoding)


def spelled(text: str, encoding: str) -> str:
    """Text that is not ours as it can be shown: nothing in it acts, and the encoding has all of it."""
    return plain(visible(text), encoding)


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """A handler of `codecs.register_error`: what an encoding lacks, in letters that every encoding has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_letters, lacking)), error.end


def _in_letters_of_help(error: UnicodeError) -> tuple[str, int]:
    """The same for help, which is laid out by then: where it cut something off, a letter shows that."""
    told, end = _in_plain_letters(error)
    return told.replace(PLAIN["…"], "~"), end


codecs.register_error(HANDLER, _in_plain_letters)
codecs.register_error(HELP_HANDLER, _in_letters_of_help)


def _letters(character: str) -> str:
    found = PLAIN.get(character) or _LINES.get(ord(character))
    if found is None:
        if 0x2800 <= ord(character) < 0x2900:  # the dots of rich's spinner
            return "*"
        found = character.encode("ascii", "backslashreplace").decode()
    return found
