"""The keys of SEARCH (RFC 3501, section 6.4.4): words in, a test of messages out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from mailtap.servers.imap.replies import day, when
from mailtap.servers.imap.words import BadSyntax, Text, keyword, string

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mailtap.servers.imap.entry import Entry
    from mailtap.servers.imap.words import Word

_DEEPEST: Final = 20  # keys in keys
_MOST: Final = 100  # keys of a search
CHARSETS: Final = frozenset({"US-ASCII", "UTF-8"})


Test: TypeAlias = "Callable[[Entry], bool]"
Numbers: TypeAlias = Callable[[bytes], Callable[[int], bool]]


class BadCharset(BadSyntax):
    """The search is in a charset that the server does not know."""


class Search:
    """Makes tests from words.

    Args:
        sequences: reads a set of message sequence numbers.
        uids: reads a set of unique identifiers.
    """

    def __init__(self, sequences: Numbers, uids: Numbers) -> None:
        self._sequences, self._uids = sequences, uids
        self._keys = 0

    def test(self, words: tuple[Word, ...]) -> Test:
        """Return the test that all keys of a command make.

        Raises:
            BadSyntax: there is no such key.
            BadCharset: it names a charset that is not known here.
        """
        if words and keyword(words[0]) == "CHARSET":
            if len(words) < 3 or string(words[1]).upper().decode("ascii", "replace") not in CHARSETS:  # noqa: PLR2004
                raise BadCharset("US-ASCII and UTF-8 are known here")
            words = words[2:]
        if not words:
            raise BadSyntax("SEARCH for what?")
        return self._every(iter(words), 0)

    def _every(self, words: Iterator[Word], depth: int) -> Test:
        tests = [self._key(word, words, depth) for word in words]  # a key takes its arguments from the rest
        return lambda entry: all(test(entry) for test in tests)

    def _key(self, word: Word, rest: Iterator[Word], depth: int) -> Test:
        self._keys += 1
        if depth > _DEEPEST or self._keys > _MOST:
            raise BadSyntax("Too many keys")
        if isinstance(word, tuple):
            return self._every(iter(word), depth + 1)
        name = keyword(word)
        if name in _FLAGS:
            flag, wanted = _FLAGS[name]
            return lambda entry: (flag in entry.flags) is wanted
        if name in _CONSTANT:
            answer = _CONSTANT[name]
            return lambda _: answer
        if name in {"NOT", "OR"}:
            return self._joined(name, rest, depth)
        if name in _ARGUMENTS:
            return _ARGUMENTS[name](name, *(string(_next(rest)) for _ in range(1 + (name == "HEADER"))))
        return self._numbered(word, name, rest)

    def _joined(self, name: str, rest: Iterator[Word], depth: int) -> Test:
        one = self._key(_next(rest), rest, depth + 1)
        if name == "NOT":
            return lambda entry: not one(entry)
        other = self._key(_next(rest), rest, depth + 1)
        return lambda entry: one(entry) or other(entry)

    def _numbered(self, word: Word, name: str, rest: Iterator[Word]) -> Test:
        if name == "UID":
            uids = self._uids(string(_next(rest)))
            return lambda entry: uids(entry.message.number)
        if isinstance(word, Text):
            raise BadSyntax("No such key")
        sequences = self._sequences(string(word))
        return lambda entry: sequences(entry.sequence)


def _next(rest: Iterator[Word]) -> Word:
    try:
        return next(rest)
    except StopIteration:
        raise BadSyntax("A key lacks its argument") from None


def _field(name: str, value: bytes) -> Test:
    return _header("HEADER", name.encode(), value)


def _header(_: str, name: bytes, value: bytes) -> Test:
    field, wanted = name.decode("ascii", "replace").casefold(), value.decode("utf-8", "replace").casefold()
    return lambda entry: any(
        wanted in text for each, readings in entry.fields if each == field for text in readings
    )


def _text(name: str, value: bytes) -> Test:
    octets, wanted = value.lower(), value.decode("utf-8", "replace").casefold()

    def test(entry: Entry) -> bool:
        in_body = name == "BODY"
        if entry.lowered.find(octets, len(entry.part.head) if in_body else 0) >= 0:
            return True
        fields = () if in_body else chain.from_iterable(readings for _, readings in entry.fields)
        return any(wanted in text for text in chain(fields, entry.texts))

    return test


def _size(name: str, value: bytes) -> Test:
    if not value.isdigit() or len(value) > 10:  # noqa: PLR2004  # more than any message has octets
        raise BadSyntax("A number of octets is expected there")
    size, larger = int(value), name == "LARGER"
    return lambda entry: len(entry.message.content) > size if larger else len(entry.message.content) < size


def _date(name: str, value: bytes) -> Test:
    """Compare days; the date of arrival is that of the Date field here (INTERNALDATE)."""
    wanted = day(value)
    if wanted is None:
        raise BadSyntax("A date such as 1-Feb-2026 is expected there")

    def test(entry: Entry) -> bool:
        told: datetime = when(entry.part.header.get("Date"))
        date = told.date()
        return _COMPARED[name.removeprefix("SENT")](date.toordinal() - wanted.date().toordinal())

    return test


def _word(name: str, value: bytes) -> Test:
    flag, wanted = value.decode("ascii", "replace"), name == "KEYWORD"
    return lambda entry: (flag in entry.flags) is wanted


_COMPARED: Final[dict[str, Callable[[int], bool]]] = {
    "BEFORE": lambda days: days < 0,
    "ON": lambda days: days == 0,
    "SINCE": lambda days: days >= 0,
}
_FLAGS: Final = {
    prefix + name: (f"\\{name.capitalize()}", not prefix)
    for name in ("ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN")
    for prefix in ("", "UN")
}
# No message is recent here: which session is the first to see one is not kept.
_CONSTANT: Final = {"ALL": True, "NEW": False, "OLD": True, "RECENT": False}
_ARGUMENTS: Final[dict[str, Callable[..., Test]]] = {
    **dict.fromkeys(("BCC", "CC", "FROM", "SUBJECT", "TO"), _field),
    **dict.fromkeys(("BODY", "TEXT"), _text),
    **dict.fromkeys(("LARGER", "SMALLER"), _size),
    **dict.fromkeys(("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"), _date),
    **dict.fromkeys(("KEYWORD", "UNKEYWORD"), _word),
    "HEADER": _header,
}
