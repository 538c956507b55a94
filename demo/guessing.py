"""Guessing a password from a challenge and a digest, with a clock beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtap.capture.guess import candidates, guess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailtap.capture.model import Leak


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to find the password behind one digest.

    Attributes:
        digest: the leak that carries challenge and digest.
        found: the password, as a leak that was guessed; None where no word fits.
        tries: how many candidates were tried.
        seconds: how long that took.
    """

    digest: Leak
    found: Leak | None
    tries: int
    seconds: float

    @property
    def rate(self) -> float:
        """Guesses a second."""
        return self.tries / self.seconds


def attempt(digest: Leak, words: Iterable[str]) -> Attempt:
    """Try to find the password behind a digest, by candidates made of the user name and the words."""
    tries = 0

    def counted() -> Iterator[str]:
        nonlocal tries
        for tries, word in enumerate(candidates(words, digest.username), 1):  # noqa: B007  # read below
            yield word

    begin = time.perf_counter()
    found = guess(digest, counted())
    return Attempt(digest=digest, found=found, tries=tries, seconds=time.perf_counter() - begin)
