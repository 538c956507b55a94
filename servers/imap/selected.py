"""The selected mailbox of an IMAP session: numbers, flags, and the commands on messages (RFC 3501, 6.4)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mailtap.servers.imap.entry import Entry
from mailtap.servers.imap.fetch import items
from mailtap.servers.imap.replies import flags
from mailtap.servers.imap.search import Search
from mailtap.servers.imap.words import Atom, BadSyntax, keyword, string

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailtap.servers.imap.search import Test
    from mailtap.servers.imap.words import Word
    from mailtap.servers.mailbox import Mailbox

SYSTEM_FLAGS: Final = ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")
_RANGE: Final = rb"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?"
_SET: Final = re.compile(_RANGE + rb"(?:," + _RANGE + rb")*")
_ZERO: Final = re.compile(rb"(?<!\d)0+(?!\d)")
_FLAG: Final = re.compile(rb"\\?[!#$&'+\-./0-9:;<=>?@A-Z^_`a-z|~]{1,60}")
_MOST_FLAGS: Final = 30  # of one message
_PIECE: Final = 64 * 1024  # octets of an answer, after which the client may read first


class Selected:
    """A mailbox as one session sees it: its messages keep their numbers until the client is told.

    Args:
        mailbox: whose messages they are.
        read_only: whether it was opened by EXAMINE.
    """

    def __init__(self, mailbox: Mailbox, *, read_only: bool) -> None:
        self._mailbox = mailbox
        self.read_only = read_only
        self._messages = list(mailbox.messages)

    @property
    def count(self) -> int:
        """How many messages there are."""
        return len(self._messages)

    @property
    def first_unseen(self) -> int | None:
        """The number of the first message that is not seen."""
        unseen = (entry.sequence for entry in self._all() if "\\Seen" not in entry.flags)
        return next(unseen, None)

    def news(self) -> Iterator[bytes]:
        """Yield what other sessions and new mail have changed (RFC 3501, section 7.4.1 and 7.3.1)."""
        now = self._mailbox.messages
        present = {message.number for message in now}
        for place in range(len(self._messages) - 1, -1, -1):
            if self._messages[place].number not in present:
                del self._messages[place]
                yield b"* %d EXPUNGE\r\n" % (place + 1)
        known = {message.number for message in self._messages}
        arrived = [message for message in now if message.number not in known]
        if arrived:
            self._messages += arrived
            yield b"* %d EXISTS\r\n" % len(self._messages)

    def fetch(self, words: tuple[Word, ...], *, by_uid: bool) -> Iterator[bytes]:
        """Yield the answers to FETCH, long ones in pieces: a client may ask for one mail again and again.

        Raises:
            BadSyntax: the command makes no sense.
        """
        wanted = self._chosen(words, by_uid=by_uid)
        asked = items(words[1:])
        if by_uid and not any(item.name == b"UID" for item in asked):
            asked = [*items((Atom(b"UID"),)), *asked]
        marks = any(item.seen for item in asked) and not self.read_only
        for entry in filter(wanted, self._all()):
            now, shown = entry, asked
            if marks and "\\Seen" not in entry.flags:
                now = replace(entry, flags=entry.flags | {"\\Seen"})
                self._mailbox.set_flags(now.message.number, now.flags)
                if not any(item.name == b"FLAGS" for item in asked):
                    shown = [*asked, *items((Atom(b"FLAGS"),))]
            told = b"* %d FETCH (" % now.sequence
            for place, item in enumerate(shown):
                told += (b" " if place else b"") + item.name + b" " + item.show(now)
                if len(told) > _PIECE:
                    yield told
                    told = b""
            yield told + b")\r\n"

    def store(self, words: tuple[Word, ...], *, by_uid: bool) -> Iterator[bytes]:
        """Yield the answers to STORE (RFC 3501, section 6.4.6).

        Raises:
            BadSyntax: the command makes no sense.
        """
        wanted = self._chosen(words, by_uid=by_uid)
        match = re.fullmatch(r"([+-]?)FLAGS(\.SILENT)?", keyword(words[1]) if len(words) > 1 else "")
        if match is None or len(words) < 3:  # noqa: PLR2004  # set, what to do, flags
            raise BadSyntax("STORE what?")
        given = read_flags(words[2] if isinstance(words[2], tuple) else words[2:])
        change = _CHANGES[match[1]]
        for entry in filter(wanted, self._all()):
            changed = change(entry.flags, given)
            if len(changed) > _MOST_FLAGS:
                raise BadSyntax("Too many flags")
            self._mailbox.set_flags(entry.message.number, changed)
            if not match[2]:
                uid = b" UID %d" % entry.message.number if by_uid else b""
                yield b"* %d FETCH (FLAGS %b%b)\r\n" % (entry.sequence, flags(changed), uid)

    def search(self, words: tuple[Word, ...], *, by_uid: bool) -> Iterator[bytes | None]:
        """Return what yields None for each mail, and then the answer to SEARCH (RFC 3501, section 6.4.4).

        Raises:
            BadSyntax: the command makes no sense.
        """
        return self._search(Search(self._numbers, self._uids).test(words), by_uid=by_uid)

    def _search(self, test: Test, *, by_uid: bool) -> Iterator[bytes | None]:
        told = b"* SEARCH"
        for entry in self._all():
            if test(entry):
                told += b" %d" % (entry.message.number if by_uid else entry.sequence)
            yield None
        yield told + b"\r\n"

    def expunge(self) -> None:
        """Remove what is marked as deleted; `news()` tells of it (RFC 3501, section 6.4.3)."""
        deleted = {entry.message.number for entry in self._all() if "\\Deleted" in entry.flags}
        self._mailbox.expunge(deleted)

    def _all(self) -> Iterator[Entry]:
        for number, message in enumerate(self._messages, start=1):
            yield Entry(number, message, self._mailbox.flags(message.number))

    def _chosen(self, words: tuple[Word, ...], *, by_uid: bool) -> Test:
        """Return what tells whether a message is in the set that a command begins with.

        Raises:
            BadSyntax: it is no set, or of numbers that no message has (RFC 3501, section 9, sequence-set).
        """
        if not words or not isinstance(words[0], Atom):
            raise BadSyntax("A set of messages is expected there")
        if by_uid:
            uids = self._uids(string(words[0]))
            return lambda entry: uids(entry.message.number)
        numbers = self._numbers(string(words[0]))
        # In an empty mailbox, `1:*` is what many clients ask for all the same.
        if self._messages and any(int(end) > self.count for end in re.findall(rb"\d+", words[0].value)):
            raise BadSyntax("There is no such message")
        return lambda entry: numbers(entry.sequence)

    def _numbers(self, text: bytes) -> Callable[[int], bool]:
        return read_set(text, self.count)

    def _uids(self, text: bytes) -> Callable[[int], bool]:
        return read_set(text, self._messages[-1].number if self._messages else 0)


def read_set(text: bytes, last: int) -> Callable[[int], bool]:
    """Return what tells whether a number is in a set such as `1,3:5,9:*` (RFC 3501, section 9).

    Args:
        text: the set.
        last: what `*` stands for.

    Raises:
        BadSyntax: it is no set.
    """
    if _SET.fullmatch(text) is None or _ZERO.search(text):
        raise BadSyntax("A set of messages is expected there")
    ranges = []
    for part in text.split(b","):
        ends = [last if end == b"*" else int(end) for end in part.split(b":")]
        ranges.append((min(ends), max(ends)))
    return lambda number: any(low <= number <= high for low, high in ranges)


def read_flags(words: tuple[Word, ...]) -> frozenset[str]:
    """Return flags as they are kept: system flags in their own spelling.

    Raises:
        BadSyntax: one is no flag, or one that only the server sets.
    """
    known = {name.upper(): name for name in SYSTEM_FLAGS}
    names = set()
    for word in words:
        if not isinstance(word, Atom) or _FLAG.fullmatch(word.value) is None:
            raise BadSyntax("That is no flag")
        name = known.get(word.value.decode().upper(), word.value.decode())
        if name.startswith("\\") and name not in SYSTEM_FLAGS:
            raise BadSyntax("No such flag")
        names.add(name)
    return frozenset(names)


_CHANGES: Final[dict[str, Callable[[frozenset[str], frozenset[str]], frozenset[str]]]] = {
    "": lambda _, given: given,
    "+": lambda names, given: names | given,
    "-": lambda names, given: names - given,
}
