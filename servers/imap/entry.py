"""A message as an IMAP session sees it: its number, its flags, and what is made of it when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mailtap.servers import reading
from mailtap.servers.parts import cut

if TYPE_CHECKING:
    from mailtap.servers.mailbox import Message
    from mailtap.servers.parts import Part


@dataclass(frozen=True)
class Entry:
    """One message of the selected mailbox.

    Attributes:
        sequence: its message sequence number (RFC 3501, section 2.3.1.2).
        message: the message.
        flags: its flags now.
    """

    sequence: int
    message: Message
    flags: frozenset[str]

    @cached_property
    def part(self) -> Part:
        """The message, cut into its MIME parts."""
        return cut(self.message.content)

    @cached_property
    def lowered(self) -> bytes:
        """The whole message in small letters, as far as they are ASCII."""
        return self.message.content.lower()

    @cached_property
    def fields(self) -> tuple[tuple[str, tuple[str, str]], ...]:
        """The header's fields: each one's name, and its readings, case-folded."""
        return tuple(
            (name.casefold(), (decoded.casefold(), sent.casefold()))
            for name, value in self.part.header.items()
            for decoded, sent in (reading.field(value),)
        )

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The texts in the message, decoded and case-folded."""
        return tuple(text.casefold() for text in reading.texts(self.part))
