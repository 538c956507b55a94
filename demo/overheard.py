"""Prints what leaks while somebody talks to the toy servers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

from mailtap.capture.guess import bundled_words
from mailtap.capture.language import fill
from mailtap.capture.model import Field, Leak, Note
from mailtap.capture.report import field, json_line, shown, to_json
from mailtap.demo import shell
from mailtap.demo.guessing import attempt
from mailtap.demo.telling.reader import Reader

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from mailtap.capture.language import Say
    from mailtap.capture.model import Flow, Protocol


class Overheard:
    """Prints what leaks when a mail program talks; each connection has a letter."""

    def __init__(self, options: Namespace, say: Say) -> None:
        self._console = shell.console()
        self._reader = Reader(say, self._console.width, options.mask)
        self._json = options.json
        self._letters: dict[Flow | None, str] = {}

    def heard(self, items: Iterable[Leak | Note]) -> None:
        """Print leaks and notes, one a line, at once; and the password that a digest gives away."""
        for item in items:
            self._print(item)
            if isinstance(item, Leak) and item.field is Field.DIGEST:
                found = attempt(item, bundled_words()).found
                if found:
                    self._print(found)

    def _print(self, item: Leak | Note) -> None:
        if self._json:
            self._console.file.write(json_line(to_json(item, mask=self._reader.mask)) + "\n")
            self._console.file.flush()
            return
        for line in [self._leak(item)] if isinstance(item, Leak) else self._note(item):
            self._console.print(line, soft_wrap=True)

    def _leak(self, leak: Leak) -> Text:
        evidence = leak.evidence
        name = field(leak, self._reader.say)
        line = self._place(evidence.time_ns, leak.protocol, evidence.flow).append(name, "bold")
        line.append(": ").append(shown(leak, mask=self._reader.mask), "bold red")
        if leak.accepted is False:
            line.append(" " + self._reader.say("(refused)"))
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _note(self, note: Note) -> list[Text]:
        text = fill(note.text, note.values, self._reader.say)
        place = self._place(note.time_ns, note.protocol, note.flow).plain
        return self._reader.wrapped(text, "bright_black", hang=place)

    def _place(self, time_ns: int | None, protocol: Protocol | None, flow: Flow | None) -> Text:
        """Return the columns before what is told: time, protocol and connection, as far as it has them."""
        time = (
            "" if time_ns is None else f"{datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone():%H:%M:%S}"
        )
        letter = self._letters.setdefault(flow, _letter(len(self._letters))) if flow else ""
        return Text(f"{time:<8} {(protocol or '').upper():<4} {letter:<2} ")


def _letter(number: int) -> str:
    """Return A to Z, AA, AB and so on, counting from 0."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)
