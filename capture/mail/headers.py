"""Reads header fields as they were sent (RFC 5322; encoded words: RFC 2047; parameters: RFC 2231)."""

from __future__ import annotations

import binascii
import inspect
import re
from email.utils import getaddresses
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from mailtap.capture.mail import charsets

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_LIMIT = 65_536
"""Longest header field read, in bytes."""
HEAD_LIMIT = 1 << 20
"""Longest header, all its fields together, that is read, in bytes."""

# A text may have a bare `?` in it, which is wrong and common, but no other word's beginning.
_WORD = re.compile(
    rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([BbQq])\?"
    rb"([^?=\r\n]*(?:(?:\?(?!=)|=(?!\?(?!=)))[^?=\r\n]*)*)\?="
)
_ADDRESS = re.compile(r"[^\s<>,;:\"]{1,64}@[^\s<>,;:\"]{1,255}")
_LABELLED = re.compile(rb"([^']{0,40})'[^']*'")  # RFC 2231, section 4: charset'language'text
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_PLAIN_ADDRESS = re.compile(
    rb"(?:[A-Za-z0-9 ]*<)?([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)(>?)"
)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
# Newer Pythons tell nothing of a field in which something is odd, unless they are asked.
_LENIENT = {"strict": False} if "strict" in inspect.signature(getaddresses).parameters else {}
END = re.compile(rb"\r?\n\r?\n|\A\r?\n")
"""The end of a header and the empty line behind it."""
_STRAY = re.compile(rb"^(?![!-9;-~]+:|[ \t])[^\n]*(?:\n[ \t][^\n]*)*\n?", re.MULTILINE)
_SPACE_BEFORE_COLON = re.compile(rb"^([!-9;-~]+)[ \t]+:", re.MULTILINE)
_KNOWN = re.compile(
    rb"^(?:from|to|cc|subject|date|message-id|received|mime-version|content-[a-z-]+):",
    re.MULTILINE | re.IGNORECASE,
)


def mended(message: bytes) -> bytes:
    """Return a message without the lines of its header that are no fields, at which a parser takes it to end.

    Such are the second line of a field that was not folded rightly, and the `>From` of a mailbox file. They
    stay where no well-known field stands behind them: this may be no header at all.
    """
    end = END.search(message)
    if end is None or not 0 < end.start() <= HEAD_LIMIT:
        return message
    head = _SPACE_BEFORE_COLON.sub(rb"\1:", message[: end.start()])
    stray = _STRAY.search(head)
    if not _KNOWN.search(head, stray.end() if stray else 0):
        return message
    head = _STRAY.sub(b"", head).rstrip(b"\r\n")
    return message if message.startswith(head) and len(head) == end.start() else head + message[end.start() :]


def text(raw: bytes) -> str:
    """Return a header's value with folding and encoded words undone (RFC 2047)."""
    raw = _FOLD.sub(b"", raw[:HEADER_LIMIT]).strip()
    pieces: list[tuple[bytes, str | None]] = []
    at = 0
    for word in _WORD.finditer(raw):
        between = raw[at : word.start()]
        if between.strip() or not pieces or pieces[-1][1] is None:
            pieces.append((between, None))
        data, charset = _word_bytes(word), word[1].decode("ascii", "backslashreplace")
        if pieces[-1][1] is not None and pieces[-1][1].lower() == charset.lower():
            data = pieces.pop()[0] + data  # a character may be split between two words
        pieces.append((data, charset))
        at = word.end()
    pieces.append((raw[at:], None))
    return "".join(charsets.decode(data, charset or "") for data, charset in pieces)


def _word_bytes(word: re.Match[bytes]) -> bytes:
    if word[2] in b"Qq":
        return binascii.a2b_qp(word[3], header=True)
    return _lenient_base64(word[3])


def _lenient_base64(data: bytes) -> bytes:
    data = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    return binascii.a2b_base64(data[: len(data) - (len(data) % 4 == 1)] + b"==")


def fields(head: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Find all fields: name in lower case, and where the value stands, folded lines included.

    RFC 5322, section 2.2.3.
    """
    for found in _FIELD.finditer(head):
        name, value = found.groups()
        yield name.lower(), found.start(2), found.end() - value.endswith(b"\r")


def addresses(raw: bytes) -> list[str]:
    """Return the addresses of a From, To or Cc field without the names in it (RFC 5322, section 3.4)."""
    if (plain := plain_address(raw)) is not None:
        return [plain]  # most are, and the parser below is slow
    unfolded = charsets.decode(_FOLD.sub(b"", raw[:HEADER_LIMIT]))
    try:
        found = [address for _, address in getaddresses([unfolded], **_LENIENT)]
    except RecursionError:  # comments nested too deep for some Python versions
        found = []
    found = [each for each in found if each and each[0] != "@"] or _ADDRESS.findall(unfolded)
    # What stands before an address without quotes is a piece of a name, and no address.
    return list(dict.fromkeys([each for each in found if "@" in each] or found))


def plain_address(raw: bytes) -> str | None:
    """Return the address of a field that holds just one, in angle brackets behind a plain name or bare."""
    found = _PLAIN_ADDRESS.fullmatch(raw)
    return found[1].decode() if found and (b"<" in raw) == bool(found[2]) else None


_PARAMETER = re.compile(
    rb'(?:;\s*|\s)([^\s=;*"]{1,80})(?:\*(\d{1,4}))?(\*)?\s*=\s*(?:"((?:\\.|[^"\\])*)"?|([^;]*))', re.DOTALL
)


def parameters(raw: bytes) -> dict[str, str]:
    """Return a header's parameters, names in lower case (RFC 2045, section 5.1; RFC 2231, sections 3, 4)."""
    pieces: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, number, extended, quoted, bare in _PARAMETER.findall(_FOLD.sub(b"", raw[:HEADER_LIMIT])):
        value = re.sub(rb"\\(.)", rb"\1", quoted) if quoted else bare.strip()
        place = int(number) if number else -1 if extended else -2
        key = name.lower().decode("ascii", "backslashreplace")
        pieces.setdefault(key, {}).setdefault(place, (value, bool(extended)))
    return {name: _join(parts) for name, parts in pieces.items()}


def _join(parts: dict[int, tuple[bytes, bool]]) -> str:
    """Return one parameter's value: RFC 2231's form where it is there, else the plain one."""
    if 0 in parts:
        pieces = [parts[place] for place in range(len(parts)) if place in parts]
    elif -1 in parts:
        pieces = [parts[-1]]
    else:
        return text(next(iter(parts.values()))[0])  # encoded words here are wrong and common
    charset, data = b"", pieces[0][0]
    if pieces[0][1] and (labelled := _LABELLED.match(data)):
        charset, data = labelled[1], data[labelled.end() :]
    rest = b"".join(unquote_to_bytes(piece) if extended else piece for piece, extended in pieces[1:])
    data = unquote_to_bytes(data) if pieces[0][1] else data
    return charsets.decode(data + rest, charset.decode("ascii", "backslashreplace"))
