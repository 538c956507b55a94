"""Prints an outcome: as a story, or as JSON."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from mailtap.capture.report import json_line
from mailtap.demo.telling import ending, objects, story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from mailtap.capture.witness import Verdict
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.reader import Reader


class Telling(Protocol):
    """A way to tell what happened; called twice, because the witness takes a second."""

    def outcome(self, outcome: Outcome) -> None:
        """Tell what the listener heard."""

    def second_opinion(self, outcome: Outcome, verdict: Verdict) -> None:
        """Tell what the witness says of it."""


class StoryTelling:
    """Tells each scenario as a story, for people."""

    def __init__(self, console: Console, reader: Reader, *, step: bool) -> None:
        """Tell it to a reader; with `step`, part by part."""
        self._narrator, self._reader = Narrator(console, reader, step=step), reader

    def outcome(self, outcome: Outcome) -> None:
        """Print the story."""
        self._narrator.tell(story.story(outcome, self._reader))

    def second_opinion(self, outcome: Outcome, verdict: Verdict) -> None:
        """Print whether tshark heard the same."""
        self._narrator.tell([ending.witness(outcome, verdict, self._reader)])


class Narrator:
    """Prints something in parts; with `step`, the next when the reader presses Enter in a terminal."""

    def __init__(self, console: Console, reader: Reader, *, step: bool) -> None:
        self._console, self._reader = console, reader
        self._step = step and console.is_terminal and sys.stdin.isatty()

    def tell(self, parts: Iterable[Iterable[Text]]) -> None:
        """Print the parts, with a blank line or a pause between them."""
        for number, part in enumerate(parts):
            if number:
                self._pause()
            for line in part:
                self._console.print(line, soft_wrap=True)

    def _pause(self) -> None:
        if not self._step:
            self._console.print()
            return
        with suppress(EOFError):
            self._console.input(Text(self._reader.say("… Enter …"), "bright_black"))


class JsonTelling:
    """Tells everything as JSON objects, one a line, for programs; always in UTF-8."""

    def __init__(self, file: str | None, *, mask: bool) -> None:
        self._file, self._mask = file, mask

    def outcome(self, outcome: Outcome) -> None:
        """Print an object for each leak and note."""
        self._print(objects.leak_objects(outcome, self._file, mask=self._mask))

    def second_opinion(self, outcome: Outcome, verdict: Verdict) -> None:
        """Print the summary, which needs the witness."""
        self._print([objects.summary_object(outcome, verdict)])

    @staticmethod
    def _print(things: Iterable[objects.Object]) -> None:
        for each in things:
            sys.stdout.buffer.write(json_line(each).encode() + b"\n")
        sys.stdout.buffer.flush()
