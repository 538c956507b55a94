"""Undoes the transfer encodings of content, as it is really sent (RFC 2045, section 6)."""

from __future__ import annotations

import binascii
import re

ENCODINGS = frozenset((b"", b"7bit", b"8bit", b"binary", b"quoted-printable", b"base64"))
"""The encodings that are undone here."""

_NAME = re.compile(rb'[\s"]*([^\s";(]*)')
_SOFT_BREAK = re.compile(rb"=[ \t]+(?=\r?\n|\Z)")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_BASE64_LINE = re.compile(rb"(?:[A-Za-z0-9+/=]{4})*\Z")
_LEAST = 2  # letters of four that must stand before the padding


def encoding(value: bytes) -> bytes:
    """Return the encoding that a Content-Transfer-Encoding names, without what is around it."""
    found = _NAME.match(value)
    return found[1].lower() if found else b""


def decoded(content: bytes, name: bytes) -> bytes:
    """Return content with the encoding `name` undone, which is one of `ENCODINGS`."""
    if name == b"quoted-printable":
        if b"= " in content or b"=\t" in content:
            content = _SOFT_BREAK.sub(b"=", content)  # section 6.7, rule 3: white space was added on the way
        return binascii.a2b_qp(content)
    if name == b"base64":
        try:
            return binascii.a2b_base64(content.translate(None, b"\r\n"), strict_mode=True)
        except binascii.Error:
            return _salvaged(content) or content
    return content


def _salvaged(content: bytes) -> bytes:
    """Return what broken base64 says: up to the padding, and on where whole lines of base64 follow it."""
    pieces: list[bytes] = []
    letters = bytearray()
    stop = len(content)
    for found in re.finditer(rb"([^=]*)(=*)", content):
        if found.start() >= stop:
            break
        letters += _NO_BASE64.sub(b"", found[1][: stop - found.start()])
        if found[2] and len(letters) % 4 >= _LEAST:
            pieces.append(_unpadded(letters))
            letters.clear()
            if len(pieces) == 1:
                stop = _end_of_base64(content, found.end())
    return b"".join((*pieces, _unpadded(letters)))


def _end_of_base64(content: bytes, start: int) -> int:
    """Return where the lines from `start` on are no base64 any more, such as a list's footer."""
    for line in content[start:].splitlines(keepends=True):
        if not _BASE64_LINE.match(line.strip()):
            break
        start += len(line)
    return start


def _unpadded(letters: bytearray) -> bytes:
    return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"==")
