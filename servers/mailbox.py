"""The lab's mailboxes, in memory: what SMTP delivers is, byte for byte, what POP3 and IMAP serve.

No header is added on the way: a lesson that compares what was sent with what was fetched must find
the same bytes.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from mailtap.servers.accounts import Account, Accounts
    from mailtap.servers.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One stored message.

    Attributes:
        uid: its unique-id listing (RFC 1939, section 7, UIDL): never reused, the same in each session.
        number: its unique identifier in IMAP (RFC 3501, section 2.3.1.1): ascending, never reused.
        content: its bytes, exactly as delivered.
        sender: the envelope's reverse-path (RFC 5321, section 3.3); empty where it was put there by hand.
    """

    uid: str
    number: int
    content: bytes
    sender: str = ""


class MailboxFull(Exception):  # noqa: N818  # a state of the mailbox, and the name clients know it by
    """A message does not fit into a mailbox any more."""


class Mailbox:
    """One user's messages. Safe to use from several threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._guard = threading.Lock()
        self._messages: tuple[Message, ...] = ()
        self._octets = 0
        self._count = 0
        self._locked = False
        self._flags: dict[int, frozenset[str]] = {}

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages that are there now, oldest first."""
        return self._messages

    def has_room(self, octets: int) -> bool:
        """Tell whether a message of this size would fit."""
        fits = self._octets + octets <= self._limits.mailbox_octets
        return fits and len(self._messages) < self._limits.mailbox_messages

    def add(self, content: bytes, *, sender: str = "") -> Message:
        """Store a message and return it.

        Raises:
            MailboxFull: it does not fit.
        """
        with self._guard:
            if not self.has_room(len(content)):
                raise MailboxFull("The mailbox is full: fetch and delete mail, or raise the limits.")
            self._count += 1
            # The counter keeps twins apart; the digest keeps a client that remembers ids from taking
            # the first message of today's run for the first message of yesterday's.
            uid = f"{self._count}.{hashlib.sha256(content).hexdigest()[:24]}"
            message = Message(uid=uid, number=self._count, content=content, sender=sender)
            self._messages += (message,)
            self._octets += len(content)
        return message

    @property
    def next_number(self) -> int:
        """The number that the next message will get (RFC 3501, section 2.3.1.1, UIDNEXT)."""
        return self._count + 1

    def flags(self, number: int) -> frozenset[str]:
        """Return the flags of a message (RFC 3501, section 2.3.2)."""
        return self._flags.get(number, frozenset())

    def set_flags(self, number: int, flags: frozenset[str]) -> None:
        """Keep the flags of a message."""
        self._flags[number] = flags

    def expunge(self, numbers: Collection[int]) -> None:
        """Remove messages for good (RFC 3501, section 6.4.3)."""
        self._remove(lambda message: message.number in numbers)

    def lock(self) -> Maildrop | None:
        """Take the exclusive access that a POP3 session needs (RFC 1939, section 4); None if it is taken."""
        with self._guard:
            if self._locked:
                return None
            self._locked = True
            return Maildrop(self, self._messages)

    def _unlock(self, deleted: Collection[str]) -> None:
        self._remove(lambda message: message.uid in deleted)
        self._locked = False

    def _remove(self, condemned: Callable[[Message], bool]) -> None:
        with self._guard:
            self._messages = tuple(message for message in self._messages if not condemned(message))
            self._octets = sum(len(message.content) for message in self._messages)
            numbers = {message.number for message in self._messages}
            self._flags = {number: flags for number, flags in self._flags.items() if number in numbers}


class Maildrop:
    """A mailbox as one POP3 session sees it: a snapshot under an exclusive lock (RFC 1939, section 4).

    Messages are numbered from 1; a message marked as deleted goes when the session commits.
    """

    def __init__(self, mailbox: Mailbox, messages: tuple[Message, ...]) -> None:
        self._mailbox: Mailbox | None = mailbox
        self._messages = messages
        self._deleted: set[int] = set()

    def present(self) -> Iterator[tuple[int, Message]]:
        """Yield the number and message of each one that is not marked as deleted."""
        for number, message in enumerate(self._messages, start=1):
            if number not in self._deleted:
                yield number, message

    def get(self, number: int) -> Message | None:
        """Return a message by its number, unless it is marked as deleted."""
        known = 1 <= number <= len(self._messages) and number not in self._deleted
        return self._messages[number - 1] if known else None

    def delete(self, number: int) -> None:
        """Mark a message as deleted (RFC 1939, section 5, DELE)."""
        self._deleted.add(number)

    def reset(self) -> None:
        """Take all marks back (RFC 1939, section 5, RSET)."""
        self._deleted.clear()

    def commit(self) -> None:
        """Remove what is marked, and give the lock back (RFC 1939, section 6, the UPDATE state)."""
        self._close({self._messages[number - 1].uid for number in self._deleted})

    def release(self) -> None:
        """Give the lock back and remove nothing: the session ended without QUIT."""
        self._close(())

    def _close(self, deleted: Collection[str]) -> None:
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            mailbox._unlock(deleted)  # noqa: SLF001  # the two halves of one lock


class Mailboxes:
    """Every account's mailbox, by login name: `mailboxes["taro"]`."""

    def __init__(self, accounts: Accounts, limits: Limits) -> None:
        self._boxes = {account.username: Mailbox(limits) for account in accounts}
        self._delivery = threading.Lock()

    def __getitem__(self, username: str) -> Mailbox:
        return self._boxes[username]

    def __iter__(self) -> Iterator[str]:
        return iter(self._boxes)

    def have_room(self, recipients: Iterable[Account], octets: int) -> bool:
        """Tell whether a message of this size would fit into each of these accounts' mailboxes."""
        return all(self._boxes[account.username].has_room(octets) for account in recipients)

    def deliver(self, recipients: Iterable[Account], content: bytes, *, sender: str = "") -> None:
        """Store a message once for each of these accounts, or for none of them.

        Raises:
            MailboxFull: it does not fit into one of the mailboxes; nothing was stored.
        """
        boxes = [self._boxes[name] for name in dict.fromkeys(account.username for account in recipients)]
        with self._delivery:
            if not all(box.has_room(len(content)) for box in boxes):
                raise MailboxFull("A recipient's mailbox is full: nothing was delivered.")
            for box in boxes:
                box.add(content, sender=sender)
