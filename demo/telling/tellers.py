"""Prints outcomes as they come: as a story, as a matrix, or as JSON."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from mailtap.capture.report import json_line
from mailtap.capture.witness import Agreement
from mailtap.demo.telling import ending, matrix, objects, story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from mailtap.capture.witness import Verdict
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.reader import Reader


class Telling(Protocol):
    """A way to tell what happened; called for each scenario twice, because the witness takes a second."""

    def outcome(self, outcome: Outcome) -> None:
        """Tell what the listener heard."""

    def second_opinion(self, outcome: Outcome, verdict: Verdict) -> None:
        """Tell what the witness says of it."""

    def end(self) -> None:
        """Tell what remains to be told after the last scenario."""


class StoryTelling:
    """Tells each scenario as a story, for people."""

    def __init__(self, console: Console, reader: Reader, *, step: bool) -> None:
        """Tell it to a reader; with `step`, part by part, as the reader presses Enter in a terminal."""
        self._console, self._reader = console, reader
        self._step = step and console.is_terminal and sys.stdin.isatty()

    def outcome(self, outcome: Outcome) -> None:
        """Print the story."""
        for number, part in enumerate(story.story(outcome, self._reader)):
            if number:
                self._pause()
            self._print(part)

    def second_opinion(self, outcome: Outcome, verdict: Verdict) -> None:
        """Print whether tshark heard the same."""
        self._print(ending.witness(outcome, verdict, self._reader))

    def end(self) -> None:
        """Say nothing: the story is over."""

    def _pause(self) -> None:
        if not self._step:
            self._console.print()
            return
        with suppress(EOFError):
            self._console.input(Text(self._reader.say("… Enter …"), "bright_black"))

    def _print(self, lines: Iterable[Text]) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True)


class MatrixTelling:
    """Tells all scenarios in one table, for people; of those that went wrong, all that is known."""

    def __init__(self, console: Console, reader: Reader) -> None:
        self._console, self._reader = console, reader
        self._outcomes: list[Outcome] = []
        self._wrong: list[Text] = []

    def outcome(self, outcome: Outcome) -> None:
        """Keep it for the table."""
        self._outcomes.append(outcome)
        if not outcome.ok:
            self._wrong += story.heading(outcome, self._reader)
            self._wrong += ending.verdict(outcome, self._reader)

    def second_opinion(self, outcome: Outcome, verdict: Verdict) -> None:
        """Keep what the witness says, where it speaks against the listener."""
        if verdict.agreement is Agreement.DISAGREES:
            self._wrong += story.heading(outcome, self._reader)
            self._wrong += ending.witness(outcome, verdict, self._reader)

    def end(self) -> None:
        """Print the table, and what went wrong."""
        self._console.print(self._reader.say("What leaked where, heard on the wire just now:"), style="bold")
        self._console.print(matrix.matrix(self._outcomes, self._reader.say), soft_wrap=True)
        for line in (*self._reader.wrapped(matrix.legend(self._reader.say)), *self._wrong):
            self._console.print(line, soft_wrap=True)


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

    def end(self) -> None:
        """Print nothing more."""

    @staticmethod
    def _print(things: Iterable[objects.Object]) -> None:
        for each in things:
            sys.stdout.buffer.write(json_line(each).encode() + b"\n")
        sys.stdout.buffer.flush()
