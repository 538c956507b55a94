"""Prints what was heard, and the passwords that are guessed meanwhile from the digests in it."""

from __future__ import annotations

from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from mailtap.capture.guessers import Guessers, processors
from mailtap.capture.interrupts import interruptible
from mailtap.capture.language import N_
from mailtap.capture.model import Leak, Note
from mailtap.capture.progress import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.capture.language import Say
    from mailtap.capture.printer import Printer

_BEAT: Final = 0.2  # seconds between looks at how many digests are left
_LEAST_SHOWN: Final = 4  # digests that are worth a bar
_GAUGE: Final = N_("Guessing passwords (Ctrl-C ends it)")
_LEFT: Final = N_("Digests for which the guessing was not finished: {count:,}.")


class Manner(NamedTuple):
    """How guessed passwords are to be printed.

    Attributes:
        wordlist: the file with the words to guess with; None for the bundled list.
        at_once: whether each is printed as soon as it is known; else all at the end, in the order of their
            digests, so that the same capture gives the same output.
        patient: whether the end waits until all guessing is finished.
        say: what the bar that is shown meanwhile speaks with; None for no bar.
        share: how many processes like this one share the processors.
    """

    wordlist: str | None
    at_once: bool = False
    patient: bool = True
    say: Say | None = None
    share: int = 1


class GuessingPrinter:
    """Hands everything to another printer, and what is guessed as well."""

    def __init__(self, printer: Printer, manner: Manner) -> None:
        self._printer = printer
        self._manner = manner
        self._printing = Lock()
        self._guessers = Guessers(
            manner.wordlist,
            max(1, processors() // manner.share),
            self._show_found if manner.at_once else _wait_for_the_end,
        )

    def show(self, item: Leak | Note) -> None:
        """Print the item, and begin to guess where it is a digest."""
        with self._printing:
            self._printer.show(item)
        if isinstance(item, Leak):
            self._guessers.hear(item)

    def flush(self) -> None:
        """Let everything that was printed be seen."""
        with self._printing:
            self._printer.flush()

    def end(self) -> None:
        """Print what is left to print. An interrupt ends the guessing, and nothing that was heard is lost.

        Raises:
            WordListError: the words could not be read to the end.
        """
        with interruptible() as interrupted:
            if self._manner.patient:
                self._wait(interrupted)
            self.close()
            self._show_found()
            if left := self._guessers.left:
                self._printer.show(Note(text=_LEFT, values=(("count", left),)))
            self._printer.end()
        if self._guessers.problem is not None:
            raise self._guessers.problem

    def close(self) -> None:
        """Guess no more."""
        self._guessers.close()

    def _wait(self, interrupted: Callable[[], bool]) -> None:
        """Wait until all is guessed or somebody has had enough, with a bar where it is long."""
        most = self._guessers.wait(0)
        say = self._manner.say
        with nullcontext() if say is None or most < _LEAST_SHOWN else Gauge(say(_GAUGE), most) as gauge:
            while (left := self._guessers.wait(_BEAT)) and not interrupted():
                if gauge is not None:
                    gauge.show(most - left)

    def _show_found(self) -> None:
        """Print the passwords that were found since."""
        with self._printing:
            for password in self._guessers.found():
                self._printer.show(password)
            self._printer.flush()


def _wait_for_the_end() -> None:
    """Print nothing yet."""
