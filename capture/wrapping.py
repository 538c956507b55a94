"""Breaks text into lines where it may be broken, Japanese too."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final

from mailtap.capture.report import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class Stream(Protocol):
        """What is printed to."""

        def fileno(self) -> int:
            """Return the descriptor."""


_NARROWEST: Final = 20  # columns
# Characters that never begin a line, characters that never end one (JIS X 4051), and all that a line may
# be broken beside: kana, kanji and full-width signs. What else stands together stays together.
_NEVER_FIRST: Final = "、。,.」』】)〉》!?:;・…ー々っゃゅょッャュョァィゥェォ"
_NEVER_LAST: Final = "「『【(〈《"
_WIDE: Final = r"\u3000-\u30ff\u3400-\u9fff\uff01-\uff60"
_PIECE: Final = re.compile(rf"\s+|[{_NEVER_LAST}]*(?:[^\s{_WIDE}]+|[{_WIDE}])[{_NEVER_FIRST}]*")


def fitted(text: str, stream: Stream) -> str:
    """Return a sentence as it is to stand on a stream: on a terminal, in lines that fit."""
    try:
        terminal = os.isatty(stream.fileno())
    except (OSError, ValueError):  # a stream that is no file's
        terminal = False
    if not terminal:
        return text
    return "\n".join(broken(text, max(_NARROWEST, shutil.get_terminal_size().columns - 1)))


def joined(sentences: Iterable[str]) -> str:
    """Return sentences as one text; between Japanese ones there is no space."""
    text = ""
    for sentence in filter(None, sentences):
        text += sentence if not text or text.endswith("。") else f" {sentence}"
    return text


def broken(text: str, room: int) -> list[str]:
    """Return a text as lines of at most so many columns; only what is longer by itself is cut.

    Japanese, which has no spaces, breaks between any two characters, except before those that never
    begin a line and after those that never end one. What could deceive a terminal is made visible.
    """
    import wcwidth  # noqa: PLC0415  # who reads JSON needs none of this

    lines = [""]
    for piece in _PIECE.findall(printable(text.replace("\n", " "))):
        if wcwidth.wcswidth(lines[-1] + piece) <= room:
            lines[-1] += piece
        elif not piece.isspace():
            # Blanks at the end of a line are not shown, and none begin the next.
            lines[-1:] = [*([lines[-1].rstrip()] if lines[-1].strip() else []), *wcwidth.wrap(piece, room)]
    return [line for line in lines if line]
