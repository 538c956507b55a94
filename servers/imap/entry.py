"""A message as an IMAP session sees it: its number, its flags, and its parts, cut once they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

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
