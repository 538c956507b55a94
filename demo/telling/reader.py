"""Who is told: in which language, how wide, and whether secrets are to be masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.text import Text

from mailtap.capture.wrapping import broken

if TYPE_CHECKING:
    from mailtap.capture.language import Say


_TWO: Final = 60  # columns of a screen on which two texts can stand beside each other


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

    @property
    def has_room_for_two(self) -> bool:
        """Whether two columns beside each other can be read."""
        return self.width >= _TWO

    def wrapped(self, text: str, style: str = "", *, hang: str = "", margin: int = 2) -> list[Text]:
        """Return a text broken into lines, with everything in it that could deceive a terminal made visible.

        Args:
            text: what to tell.
            style: rich's style for it.
            hang: what stands before the first line; the others are indented as far.
            margin: columns that stay free on the right.
        """
        lines = broken(text, self.width - len(hang) - margin)
        indent = " " * len(hang)
        return [Text((indent if number else hang) + line, style) for number, line in enumerate(lines)]
