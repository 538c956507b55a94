"""Print leaks and notes: JSON lines, single lines as they come, or a table for each file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mailtap.capture.language import N_
from mailtap.capture.model import Field, Leak, Note
from mailtap.capture.report import HEADINGS, VALUE, json_line, line, row, sentence, to_json
from mailtap.capture.table import table
from mailtap.capture.wrapping import fitted

if TYPE_CHECKING:
    from mailtap.capture.language import Say
    from mailtap.capture.model import Evidence, Flow

_MOST_ROWS: Final = 4_000

NOTHING = N_("Nothing leaked that this listener can hear.")
NO_LOGIN = N_("No login leaked that this listener can hear; messages were not looked at.")
UNREAD = N_("What could be read of it shows no leak; the rest was not read.")


class Out(Protocol):
    """What is printed to: a text stream, or what stands before one."""

    def write(self, text: str, /) -> int:
        """Write a text."""

    def flush(self) -> None:
        """Write what is still held back."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Printer(Protocol):
    """Takes what was heard, in the order in which it became known."""

    def show(self, item: Leak | Note) -> None:
        """Print a leak or a note, or keep it for `end`."""

    def flush(self) -> None:
        """Let everything that was printed be seen: nothing more is to be shown for now."""

    def end(self) -> None:
        """Print what is left to print when a capture has ended."""


class JsonPrinter:
    """Prints one JSON object a line."""

    def __init__(self, out: Out, file: str | None, *, mask: bool) -> None:
        """Name `file` in each object, where there is one."""
        self._out = out
        self._file = file
        self._mask = mask

    def show(self, item: Leak | Note) -> None:
        """Print the object."""
        self._out.write(json_line(to_json(item, self._file, mask=self._mask)) + "\n")

    def flush(self) -> None:
        """Let the lines be seen."""
        self._out.flush()

    def end(self) -> None:
        """Let the last lines be seen."""
        self._out.flush()


class LinePrinter:
    """Prints leaks as they become known, one a line; notes to another stream."""

    def __init__(self, out: Out, aside: Out, say: Say, *, mask: bool, nothing: str = NOTHING) -> None:
        """Say `nothing` where nothing leaked."""
        self._nothing = nothing
        self._out = out
        self._aside = aside
        self._say = say
        self._mask = mask
        self._leaks = 0
        self._damaged = False

    def show(self, item: Leak | Note) -> None:
        """Print the line."""
        if isinstance(item, Note):
            self._damaged = self._damaged or item.damage
            self.flush()  # the two streams may lead to the same terminal
            print(fitted(sentence(item, self._say), self._aside), file=self._aside, flush=True)
        else:
            self._leaks += 1
            print(line(item, self._say, mask=self._mask), file=self._out)

    def flush(self) -> None:
        """Let the lines be seen."""
        self._out.flush()

    def end(self) -> None:
        """Say so where nothing leaked."""
        self.flush()
        if not self._leaks:
            text = self._say(UNREAD if self._damaged else self._nothing)
            print(fitted(text, self._aside), file=self._aside, flush=True)


class _Row(NamedTuple):
    """What a table needs of a leak, which itself may be an attachment of any size.

    Attributes:
        flow: where it was heard.
        cells: what is printed.
        digest: for a digest, and a password guessed from it, the evidence for that.
    """

    flow: Flow
    cells: list[str]
    digest: Evidence | None


class TablePrinter:
    """Prints one table for a capture file when it has ended, and the notes below it and aside."""

    def __init__(  # noqa: PLR0913  # all of it is where and how to print
        self,
        out: Out,
        aside: Out,
        say: Say,
        heading: str,
        *,
        mask: bool,
        width: int,
        nothing: str = NOTHING,
    ) -> None:
        """Print `heading` above the table, where there is one; the table is so many columns wide.

        `nothing` is said where nothing leaked.
        """
        self._nothing = nothing
        self._out = out
        self._aside = aside
        self._say = say
        self._heading = heading
        self._mask = mask
        self._width = width
        self._rows: list[_Row] = []
        self._printed = self._damaged = False
        self._notes: list[str] = []

    def show(self, item: Leak | Note) -> None:
        """Keep the row or the sentence; a table that grows very long is printed in parts."""
        if isinstance(item, Note):
            self._damaged = self._damaged or item.damage
            self._notes.append(sentence(item, self._say))
            return
        cells = row(item, self._say, mask=self._mask, width=self._width)
        digest = item.evidence if item.guessed or item.field is Field.DIGEST else None
        place = self._place(item) if item.guessed else len(self._rows)
        self._rows.insert(place, _Row(item.evidence.flow, cells, digest))
        if len(self._rows) >= _MOST_ROWS:
            self._table()

    def flush(self) -> None:
        """Print nothing: the table comes at the end."""

    def end(self) -> None:
        """Print table and notes."""
        self._table()
        if not self._printed:
            print(fitted(self._say(UNREAD if self._damaged else self._nothing), self._out), file=self._out)
        for stream in _apart(self._out, self._aside) if self._notes else ():
            print("\n".join(fitted(note, stream) for note in self._notes), file=stream, flush=True)
        self._out.flush()

    def _place(self, password: Leak) -> int:
        """Return where a guessed password belongs: behind its digest, if that was not printed yet."""
        same = (at for at, before in enumerate(self._rows, 1) if before.digest == password.evidence)
        return max(same, default=len(self._rows))

    def _table(self) -> None:
        """Print the connections and what leaked on each, as far as it is known."""
        if self._heading:
            print(self._heading, file=self._out)
            self._heading = ""
        if not self._rows:
            return
        self._printed = True
        for flow in dict.fromkeys(each.flow for each in self._rows):
            print(f"{flow.number}: {flow.client} -> {flow.server}", file=self._out)
        heads = [self._say(head) for head in HEADINGS]
        rows = [each.cells for each in self._rows]
        print(table(heads, rows, width=self._width, flexible=VALUE), file=self._out)
        self._rows = []


def _apart(out: Out, aside: Out) -> tuple[Out, ...]:
    """Return both streams, or one where both lead to the same place: nobody needs to be told twice."""
    try:
        same = os.path.sameopenfile(out.fileno(), aside.fileno())
    except (OSError, ValueError):  # a stream that is no file's
        same = False
    return (out,) if same else (out, aside)
