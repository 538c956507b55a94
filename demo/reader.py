"""Who is told: in which language, how wide, and whether secrets are to be masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import wcwidth
from rich.text import Text

if TYPE_CHECKING:
    from mailtap.capture.language import Say

_NEVER_FIRST: Final = "、。」』"  # of a line


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
        """Return a text broken into lines.

        Japanese, which has no spaces, breaks between any two characters; a full stop or comma that
        would begin a line hangs at the end of the one before (JIS X 4051).

        Args:
            text: what to tell.
            style: rich's style for it.
            hang: what stands before the first line; the others are indented as far.
        """
        lines: list[str] = []
        for line in wcwidth.wrap(text, self.width - len(hang) - 2):
            hanging = line[:1] if lines and line[0] in _NEVER_FIRST else ""
            if hanging:
                lines[-1] += hanging
            if line[len(hanging) :]:
                lines.append(line[len(hanging) :])
        indent = " " * len(hang)
        return [Text((indent if number else hang) + line, style) for number, line in enumerate(lines)]
