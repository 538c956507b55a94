"""The states of an IMAP session (RFC 3501, section 3), and the silent one of a handshake."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a session is."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    HANDSHAKE = "handshake"
    LOGOUT = "logout"


ANY: Final = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
LOGGED_OUT: Final = frozenset({State.NOT_AUTHENTICATED})
LOGGED_IN: Final = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED: Final = frozenset({State.SELECTED})
