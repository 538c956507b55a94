"""Who is told: in which language, how wide, and whether secrets are to be masked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import wcwidth
from rich.text import Text

from mailtap.capture.report import printable

if TYPE_CHECKING:
    from mailtap.capture.language import Say

# Characters that never begin a line, characters that never end one (JIS X 4051), and all that a line may
# be broken beside: kana, kanji and full-width signs. What else stands together stays together.
_NEVER_FIRST: Final = "、。,.」』】)〉》!?:;・…ー々っゃゅょッャュョァィゥェォ"
_NEVER_LAST: Final = "「『【(〈《"
_WIDE: Final = r"\u3000-\u30ff\u3400-\u9fff\uff01-\uff60"
_PIECE: Final = re.compile(rf"\s+|[{_NEVER_LAST}]*(?:[^\s{_WIDE}]+|[{_WIDE}])[{_NEVER_FIRST}]*")


@dataclass(frozen=True, slots=True)
class Reader:
    """The person before the screen.

    Attributes:
        say: the reader's language.
        width: columns of the terminal.
        mask: whether passwords, tokens and digests are shown as stars.
    """

    say: Say
    width: int = 80
    mask: bool = False

    def wrapped(self, text: str, style: str = "", *, hang: str = "") -> list[Text]:
        """Return a text broken into lines, with everything in it that could deceive a terminal made visible.

        Japanese, which has no spaces, breaks between any two characters, except before those that
        never begin a line and after those that never end one.

        Args:
            text: what to tell.
            style: rich's style for it.
            hang: what stands before the first line; the others are indented as far.
        """
        lines = _broken(text, self.width - len(hang) - 2)
        indent = " " * len(hang)
        return [Text((indent if number else hang) + line, style) for number, line in enumerate(lines)]


def _broken(text: str, room: int) -> list[str]:
    """Return a text as lines of at most so many columns; only what is longer by itself is cut."""
    lines = [""]
    for piece in _PIECE.findall(printable(text.replace("\n", " "))):
        if wcwidth.wcswidth(lines[-1] + piece) <= room:
            lines[-1] += piece
        elif not piece.isspace():
            # Blanks at the end of a line are not shown, and none begin the next.
            lines[-1:] = [*([lines[-1].rstrip()] if lines[-1].strip() else []), *wcwidth.wrap(piece, room)]
    return [line for line in lines if line]
