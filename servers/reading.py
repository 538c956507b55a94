"""What a message says with its encodings undone, as a reader or a search wants it (RFC 2045 and 2047).

Each takes a time in proportion to its input: the standard library's decoder of encoded words does not, nor
does its codec `punycode`, which a message may name as its charset.
"""

from __future__ import annotations

import binascii
import encodings
import pkgutil
import quopri
import re
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.servers.parts import Part

_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_BEGIN: Final = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?")
# Known by heart: for each name that it does not know, the standard library searches its folders.
_CODECS: Final = frozenset(aliases) | {module.name for module in pkgutil.iter_modules(encodings.__path__)}
_NO_CHARSETS: Final = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}
)


class _Word(NamedTuple):
    """An encoded word: where it stands in its text, its charset, and its octets."""

    start: int
    end: int
    charset: str
    octets: bytes


def field(value: str) -> tuple[str, str]:
    """Return the readings of a header field: its encoded words undone, and as it was sent; both unfolded.

    Args:
        value: the field's value; bytes that are no ASCII as surrogate escapes.
    """
    sent = _FOLD.sub("", value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(_undone(sent)) if "=?" in sent else sent, sent


def texts(part: Part) -> Iterator[str]:
    """Yield each text in a message, decoded."""
    for child in part.children:
        yield from texts(child)
    if not part.children and part.header.get_content_maintype() == "text":
        yield text(part)


def text(part: Part) -> str:
    """Return the text of a part, decoded; what cannot be decoded becomes replacement characters."""
    return _in_charset(_transferred(part), part.header.get_content_charset() or "utf-8")


def _transferred(part: Part) -> bytes:
    """Return a part's octets with the transfer encoding undone (RFC 2045, section 6)."""
    encoding = str(part.header.get("Content-Transfer-Encoding", "")).strip().lower()
    try:
        if encoding == "base64":
            # Newer Pythons read on behind the padding, which ends the data (section 6.8).
            return binascii.a2b_base64(part.body.partition(b"=")[0] + b"==")
    except binascii.Error:
        return part.body
    return quopri.decodestring(part.body) if encoding == "quoted-printable" else part.body


def _undone(line: str) -> Iterator[str]:
    """Yield a field piece by piece, without the white space between two encoded words (section 6.2).

    Octets of neighbours in one charset are put together first: many senders cut characters in two.
    """
    at, charset, octets = 0, "", bytearray()
    for word in _words(line):
        between = line[at : word.start]
        apart = not at or (between and not between.isspace())
        if apart or word.charset != charset:
            yield _in_charset(octets, charset)
            yield between if apart else ""
            octets = bytearray()
        octets += word.octets
        at, charset = word.end, word.charset
    yield _in_charset(octets, charset)
    yield line[at:]


def _words(line: str) -> Iterator[_Word]:
    """Yield the encoded words that can be decoded."""
    at = 0
    while begin := _BEGIN.search(line, at):
        start, at = begin.end(), line.find("?=", begin.end()) + 2
        if at < start:  # nor does any later one end
            return
        charset = begin[1].partition("*")[0]  # behind it is the language (RFC 2231, section 5)
        octets = _octets(begin[2].lower(), line[start : at - 2].encode())
        if octets is not None and _known(charset):
            yield _Word(begin.start(), at, charset.lower(), octets)


def _octets(encoding: str, encoded: bytes) -> bytes | None:
    """Return what is in an encoded word; None where it cannot be decoded."""
    if encoding == "q":
        return binascii.a2b_qp(encoded, header=True)
    try:
        return binascii.a2b_base64(encoded + b"==")  # many senders leave the padding out
    except binascii.Error:
        return None


def _known(charset: str) -> bool:
    name = encodings.normalize_encoding(charset.lower())
    return name in _CODECS and name not in _NO_CHARSETS


def _in_charset(octets: bytes | bytearray, charset: str) -> str:
    try:
        return octets.decode(charset if _known(charset) else "utf-8", "replace")
    except (ValueError, LookupError):  # a codec that is none of texts
        return octets.decode("utf-8", "replace")
