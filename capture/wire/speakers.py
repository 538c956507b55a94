"""Tell the server by what it says, where neither a SYN nor a well-known port tells.

Only how lines begin is looked at: replies of POP3 (RFC 1939, section 3), SMTP (RFC 5321, section 4.2)
and IMAP (RFC 9051, section 2.2.2), and which hello of TLS it is (RFC 8446, section 4).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtap.capture.wire.half import Half

_ANSWERS = re.compile(
    rb"\+OK|-ERR|\+ |\* |[2-5]\d\d[ -]|[A-Za-z0-9.]{1,20} (?:OK|NO|BAD)\b|\x16\x03[\x00-\x04]..\x02",
    re.DOTALL,
)
_ASKS = re.compile(
    rb"(?:USER|PASS|APOP|RETR|TOP|STAT|CAPA|UIDL|AUTH|EHLO|HELO|DATA|BDAT)\b|MAIL FROM:|RCPT TO:"
    rb"|[A-Za-z0-9.]{1,20} (?:LOGIN|AUTHENTICATE|SELECT|EXAMINE|(?:UID )?FETCH|APPEND|CAPABILITY)\b"
    rb"|\x16\x03[\x00-\x04]..\x01",
    re.DOTALL | re.IGNORECASE,
)


def server_among(halves: tuple[Half, Half]) -> int | None:
    """Return which of two directions sounds like a server's: 0 or 1; None where neither does more."""
    first, second = (_answers(half) for half in halves)
    return None if first == second else int(second > first)


def _answers(half: Half) -> int:
    """Return how many more of the pieces that wait begin like a server's answer than like a request."""
    return sum(
        bool(_ANSWERS.match(piece.data)) - bool(_ASKS.match(piece.data)) for piece in half.early if piece.data
    )
