"""Guess a password offline from the digest that crossed the wire in its place.

APOP sends MD5(challenge + password) (RFC 1939, section 7); CRAM-MD5 sends HMAC-MD5 of the challenge
with the password as key (RFC 2195, section 2). Whoever heard challenge and digest can try passwords
at home until one fits, without the server noticing.
"""

from __future__ import annotations

import codecs
import hashlib
import math
import re
from dataclasses import replace
from importlib.resources import files
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.capture.language import N_, Explained, system_reason
from mailtap.capture.model import Field, Leak, Secret
from mailtap.capture.sinks import is_device

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

_ENDINGS = tuple(
    dict.fromkeys(
        (
            *("", "1", "12", "123", "1234", "12345", "123456", "!", "!!", "1!", "123!"),
            *(str(year) for year in range(2030, 1949, -1)),
            *(f"{number:02}" for number in range(100)),
            *(f"{year}!" for year in range(2030, 2009, -1)),
        )
    )
)
_BLOCK = 64  # bytes in a block of MD5, which HMAC pads its key to (RFC 2104, section 2)
_LONGEST = 1 << 16  # characters of a line, so that a file without line ends does not fill the memory
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class WordListError(Explained):
    """A word list could not be read; the message says why and what to do."""


def guessable(leak: Leak) -> bool:
    """Return whether a leak is a digest of which the password can be guessed here: APOP or CRAM-MD5."""
    return leak.field is Field.DIGEST and leak.challenge is not None and leak.mechanism in _MECHANISMS


def guess(leak: Leak, words: Iterable[str]) -> Leak | None:
    """Return the password behind a leaked digest as a leak of its own, or None.

    Args:
        leak: a digest with its mechanism and challenge; anything else cannot be guessed.
        words: the passwords to try, in this order, as they are.
    """
    if not guessable(leak):
        return None
    password, _ = find(leak.mechanism or "", octets(leak.challenge or ""), leak.value.reveal(), words)
    return None if password is None else guessed(leak, password)


def guessed(digest: Leak, password: str) -> Leak:
    """Return the password behind a leaked digest as a leak of its own."""
    text = password.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return replace(digest, field=Field.PASSWORD, value=Secret(text), guessed=True)


def find(mechanism: str, challenge: bytes, digest: str, words: Iterable[str]) -> tuple[str | None, int]:
    """Try each word, and return the one that gives the digest (or None) and the number of tries.

    Args:
        mechanism: `APOP` or `CRAM-MD5`; for any other nothing is tried.
        challenge: the server's challenge, angle brackets included, base64 undone.
        digest: 32 hex digits; their case does not matter.
        words: the passwords to try, in this order, as they are.
    """
    prepare = _MECHANISMS.get(mechanism)
    try:
        wanted = bytes.fromhex(digest)
    except ValueError:
        return None, 0
    if prepare is None or len(wanted) != hashlib.md5(usedforsecurity=False).digest_size:
        return None, 0
    digest_of = prepare(challenge)
    tries = 0
    for tries, word in enumerate(words, 1):
        if digest_of(word.encode("utf-8", "surrogateescape")) == wanted:
            return word, tries
    return None, tries


def candidates(words: Iterable[str], username: str | None = None) -> Iterator[str]:
    """Yield likely passwords made of the user name and of each word.

    The user name comes first, whole and up to its `@`. Each is tried as it is, capitalised and in
    capitals, and each of these with the endings that people add: nothing, a few digits, `!`, a year
    from 1950 to 2030, two digits, a year from 2010 to 2030 and `!`.
    """
    for word in chain(_names(username), words):
        for spelling in dict.fromkeys((word, word.capitalize(), word.upper())):
            for ending in _ENDINGS:
                yield spelling + ending


def octets(challenge: str) -> bytes:
    r"""Return a challenge's bytes; escapes such as `\xe9` that the listener wrote become bytes again."""
    return re.sub(
        rb"\\x([0-9a-f]{2})",
        lambda escape: bytes.fromhex(escape[1].decode()),
        challenge.encode("utf-8", "replace"),
    )


def bundled_words() -> tuple[str, ...]:
    """Return the small word list that comes with Mailtap, the commonest words first."""
    text = files(__package__).joinpath("words.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def read_words(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the lines of a word list, one at a time, so that its size does not matter.

    A byte order mark and line ends (LF or CRLF) are dropped, empty lines skipped; spaces belong to
    the word. After the mark of UTF-16, as Windows writes it, the list is read as that. Else bytes that are
    not UTF-8 are kept and tried as they are.

    Raises:
        WordListError: the file is missing or cannot be read, or can be read only once, as a pipe can.
    """
    try:
        if is_device(path):
            raise _unreadable(path, N_("it can be read only once, and is needed for each digest"))
        with Path(path).open("rb") as file:
            wide = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            encoding, errors = ("utf-16", "replace") if wide else ("utf-8-sig", "surrogateescape")
            lines = TextIOWrapper(file, encoding, errors, newline="\n")
            while line := lines.readline(_LONGEST):
                word = line.rstrip("\r\n")
                if word:
                    yield word
    except OSError as error:
        raise _unreadable(path, system_reason(error)) from error


def _unreadable(path: str | os.PathLike[str], reason: str) -> WordListError:
    text = N_("Cannot read the word list {path}: {reason}. Give a text file, one word a line.")
    return WordListError(text, path=str(path), reason=reason)


def seconds_to_exhaust(alphabet: int, length: int, rate: float) -> float:
    """Return how many seconds it takes to try every password of one length.

    Args:
        alphabet: how many different characters there are.
        length: characters in the password.
        rate: tries a second; more than zero.
    """
    try:
        return float(alphabet**length) / rate
    except OverflowError:
        return math.inf


def _apop(challenge: bytes) -> Callable[[bytes], bytes]:
    """Return a function from password to APOP digest; the challenge is hashed only once."""
    state = hashlib.md5(challenge, usedforsecurity=False)

    def digest_of(password: bytes) -> bytes:
        attempt = state.copy()
        attempt.update(password)
        return attempt.digest()

    return digest_of


def _cram_md5(challenge: bytes) -> Callable[[bytes], bytes]:
    """Return a function from password to CRAM-MD5 digest: HMAC (RFC 2104), inlined because it is quicker."""
    empty = hashlib.md5(usedforsecurity=False)

    def digest_of(password: bytes) -> bytes:
        if len(password) > _BLOCK:
            password = hashlib.md5(password, usedforsecurity=False).digest()
        key = password.ljust(_BLOCK, b"\0")
        inner, outer = empty.copy(), empty.copy()
        inner.update(key.translate(_INNER) + challenge)
        outer.update(key.translate(_OUTER) + inner.digest())
        return outer.digest()

    return digest_of


_MECHANISMS = {"APOP": _apop, "CRAM-MD5": _cram_md5}


def _names(username: str | None) -> Iterable[str]:
    """Return a user name as the words to try: whole, and without its domain."""
    return dict.fromkeys(name for name in (username, (username or "").partition("@")[0]) if name)
