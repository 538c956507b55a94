"""The ways in which a secret could stand on the wire."""

from __future__ import annotations

import base64
import quopri
from urllib.parse import quote

CHARSETS = ("utf-8", "utf-7", "utf-16-le", "utf-16-be", "iso-2022-jp", "shift_jis", "euc_jp")


def spellings(secret: str) -> dict[str, bytes]:
    """Return the secret as bytes in every charset and transfer encoding that mail knows, by name."""
    found: dict[str, bytes] = {}
    for charset in CHARSETS:
        try:
            octets = secret.encode(charset)
        except UnicodeEncodeError:
            continue
        if charset == "iso-2022-jp":  # in the midst of other Japanese there is no escape around it
            octets = octets.removeprefix(b"\x1b$B").removesuffix(b"\x1b(B")
        found[charset] = octets
        found[f"{charset}, quoted-printable"] = quopri.encodestring(octets).strip()
        found[f"{charset}, RFC 2231"] = quote(octets).encode()
        found |= {f"{charset}, base64 at {shift}": _base64(octets, shift) for shift in range(3)}
    return found


def _base64(octets: bytes, shift: int) -> bytes:
    """Return how bytes look in base64 after `shift` others: the characters that depend on nothing else."""
    encoded = base64.b64encode(b"\0" * shift + octets)
    return encoded[(shift * 8 + 5) // 6 : (shift + len(octets)) * 8 // 6]
