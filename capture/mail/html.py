"""Reads an HTML page as text.

By hand, because the standard library's parser takes quadratic time on tags that are never closed, and
gives up with an exception on some declarations.
"""

from __future__ import annotations

import re
from html import unescape

_SILENT = frozenset({"script", "style", "title"})
_BREAKS = frozenset({
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_CELLS = frozenset({"td", "th"})
_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9]{0,20})")
_VALUE_OR_END = re.compile(r"""=\s*(["'])|>""")
_MARKUP = re.compile(r"[A-Za-z/!?]")
_SEVERAL = re.compile(r" {2,}")
_SPACES = re.compile(r"\s+")
_AROUND_BREAKS = re.compile(r" *(\n+) *")
_ABSURD_NUMBER = re.compile(r"&#\d{8,}")


def html_text(page: str) -> str:
    """Return the text of an HTML page, its markup dropped and its white space joined as a browser does."""
    pieces: list[str] = []
    lower = page.translate(_LOWER)  # letter for letter: `str.lower` may change the length
    at = 0
    while (start := page.find("<", at)) >= 0:
        pieces.append(_shown(page[at:start]))
        at, instead = _after(lower, start)
        pieces.append(instead)
    pieces.append(_shown(page[at:]))
    joined = _AROUND_BREAKS.sub(lambda found: found[1][:2], _SEVERAL.sub(" ", "".join(pieces)))
    return joined.strip()


def _shown(text: str) -> str:
    """Return a stretch between two tags as a browser shows it."""
    return unescape(_ABSURD_NUMBER.sub("\ufffd", _SPACES.sub(" ", text)))


def _after(lower: str, start: int) -> tuple[int, str]:
    """Return where the markup that begins at `start` ends, and what is shown instead of it.

    Args:
        lower: the page, its ASCII letters in lower case.
        start: where a `<` stands.
    """
    if lower.startswith("<!--", start):
        return _end(lower, "-->", start + 4), ""
    if not _MARKUP.match(lower, start + 1):
        return start + 1, "<"  # just a sign: a < b
    found = _TAG_NAME.match(lower, start + 1)
    if not found:
        return _end(lower, ">", start), ""
    name, end = found[1], _end_of_tag(lower, found.end())
    if name in _SILENT and lower[start + 1] != "/":
        end = _end(lower, ">", _end(lower, f"</{name}", end))
    return end, "\n" if name in _BREAKS else " " if name in _CELLS else ""


def _end_of_tag(lower: str, start: int) -> int:
    """Return the place behind the `>` that ends a tag: one in a quoted value does not.

    A quote that is never closed is none. Few are looked for in vain: there is none behind it.
    """
    while (found := _VALUE_OR_END.search(lower, start)) and (quote := found[1]):
        closing = lower.find(quote, found.end())
        if closing < 0:
            return _end(lower, ">", found.end())
        start = closing + 1
    return found.end() if found else len(lower)


def _end(lower: str, mark: str, start: int) -> int:
    """Return the place behind the next `mark`; the end of the page where there is none."""
    at = lower.find(mark, start)
    return len(lower) if at < 0 else at + len(mark)
