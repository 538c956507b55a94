"""Reads an HTML page as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

LIMIT = 1_000_000
"""Characters of a page that are read."""


def html_text(page: str) -> str:
    """Return the text of an HTML page, its markup dropped."""
    collector = _TextOfHtml()
    try:
        collector.feed(page[:LIMIT])
        collector.close()
    except AssertionError:  # the standard library's parser gives up so on some `<![` declarations
        collector.pieces = [_TAG.sub(" ", page[:LIMIT])]
    return _BLANK_LINES.sub("\n\n", "".join(collector.pieces)).strip()


_TAG = re.compile(r"<[^>]*>?")
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")


class _TextOfHtml(HTMLParser):
    """Collects the text between tags."""

    _SILENT = frozenset({"script", "style", "title"})
    _BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table", "blockquote", "pre"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the base class has it
        """Begin a line where the tag does, and fall silent where its content is not shown."""
        self._silent += tag in self._SILENT
        if tag in self._BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Speak again."""
        self._silent -= tag in self._SILENT and self._silent > 0

    def handle_data(self, data: str) -> None:
        """Keep the text, its white space joined as a browser does."""
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))
