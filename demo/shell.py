"""What the commands share of the shell around them: language, terminal, exit codes, interruption."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

import mailtap.capture
import mailtap.servers
from mailtap.capture.language import explained, fill
from mailtap.capture.model import Note
from mailtap.capture.options import reader_language
from mailtap.capture.wrapping import joined
from mailtap.demo.telling.reader import Reader
from mailtap.servers import ServersError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.language import Say
    from mailtap.capture.options import Parser

WIDEST: Final = 100  # columns: longer lines are hard to read, on a projector above all
WIDEST_TABLE: Final = 120  # a table may be wider than a line of text
NARROWEST: Final = 40  # what does not fit there, the terminal breaks itself


class Exit(IntEnum):
    """Exit codes of `mailtap`."""

    DONE = 0
    FAILED = 1  # the expectation did not hold, or the input was damaged
    USAGE = 2
    CANNOT_LISTEN = 3


def speak(arguments: Sequence[str]) -> Say:
    """Return the `say` of the language that the command line or the environment asks for."""
    parts = (__file__, mailtap.capture.__file__, mailtap.servers.__file__)
    return reader_language(arguments, *(Path(part).parent / "locale" for part in parts))


def add_reading_options(parser: Parser, say: Say) -> None:
    """Add the options that say how a command speaks to its reader."""
    parser.add_argument("--json", action="store_true", help=say("JSON for programs: one object a line"))
    parser.add_argument(
        "--mask", action="store_true", help=say("passwords and digests as stars, for a projector")
    )


class Aside:
    """Says on standard error what is not part of the answer."""

    def __init__(self, say: Say) -> None:
        self._say, self._console = say, console(stderr=True)

    def say(self, *texts: object, before: str = "", after: str = "") -> None:
        """Say texts in the reader's language, one after the other in a line of their own."""
        said = [_told(text, self._say) for text in texts]
        line = joined((*said, after))
        for row in Reader(self._say, self._console.width).wrapped(before + line):
            self._console.print(row, soft_wrap=True)


def _told(text: object, say: Say) -> str:
    if isinstance(text, Note):
        return fill(text.text, text.values, say)
    if isinstance(text, ServersError):
        return fill(text.text, text.values.items(), say)
    return explained(text, say) if isinstance(text, Exception) else say(str(text))


class _Console(Console):
    """A console that leaves a reader who has gone away to the command itself."""

    def on_broken_pipe(self) -> None:
        """Pass the news on; rich would end the program with an error."""
        raise BrokenPipeError


def console(*, stderr: bool = False, widest: int = WIDEST) -> Console:
    """Return a console that colours only a terminal (and never with NO_COLOR), as wide as is good to read."""
    made = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    made.width = max(NARROWEST, min(made.width, widest))
    return made
