"""What the servers have to say to people: English messages, which whoever runs the servers may translate.

The translations are in `locale/` (GNU gettext); the servers themselves load none.
"""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """Translates an English message."""

    def __call__(self, message: str, /) -> str:
        """Return the message in the reader's language."""


def english(message: str, /) -> str:
    """Return the message as it is."""
    return message


def N_(message: str) -> str:  # noqa: N802  # gettext's own name for "translate this later"
    """Mark a message for the catalogue."""
    return message
