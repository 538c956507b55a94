"""The shapes in which a mail protocol may carry a text: one regular expression for each.

As it is, and in the charsets of mail; quoted-printable (RFC 2045, section 6.7; Q of RFC 2047) and percent
signs (RFC 2231); base64 (RFC 4648), alone, inside something longer such as SASL PLAIN (RFC 4616), and
broken over lines; UTF-7 (RFC 2152) and its kin in IMAP (RFC 3501, section 5.1.3). Bytes are looked for in
whole streams, so a text that is split over segments is one text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Final

from mailtap.demo.testing.errors import SecretTooShort

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST: Final = 4  # bytes of UTF-8; fewer are found by chance, in base64 above all
LONGEST: Final = 256  # characters of a secret that are looked for
CHARSETS: Final = (
    *("utf-8", "utf-16-le", "utf-16-be", "utf-7", "latin-1", "cp1252"),
    *("iso2022_jp", "shift_jis", "euc_jp"),
)
_ALPHABET: Final = ascii_letters[26:] + ascii_letters[:26] + digits + "+/"
_SPELLINGS: Final = {"+": "+-", "/": "/_,"}  # RFC 4648, section 5; RFC 3501, section 5.1.3
_LINE_BREAK: Final = rb"(?:\r?\n[ \t]*)?"
_SOFT_BREAK: Final = rb"(?:=\r?\n\.?)?"
_QUOTABLE: Final = {b'"': rb'\\?"', b"\\": rb"\\{1,2}"}  # in quoted strings (RFC 9051, section 9)
_ELSE: Final = {b" ": b"|[_+]"}
_ESCAPES: Final = (b"\x1b$B", b"\x1b(B")  # ISO-2022-JP (RFC 1468): between them, a text has none


@dataclass(frozen=True, slots=True)
class Needle:
    """One shape of a text.

    Attributes:
        shape: its name, for people.
        pattern: finds it in a stream.
    """

    shape: str
    pattern: re.Pattern[bytes]


@lru_cache(maxsize=64)
def needles(secret: str | bytes) -> tuple[Needle, ...]:
    """Return every shape to look for in what crossed the wire, the plainest first.

    Of a secret of more than 256 characters, the first ones are looked for.

    Raises:
        SecretTooShort: it would be found by chance.
    """
    size = len(secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass"))
    if size < SHORTEST:
        raise SecretTooShort(f"A secret of {size} bytes is found by chance: give one of {SHORTEST} or more.")
    return _needles(dict(_encoded(secret[:LONGEST])))


@lru_cache(maxsize=64)
def needles_in_text(secret: str) -> tuple[Needle, ...]:
    """Return the shapes to look for in a text that was decoded already, as UTF-8."""
    return _needles({secret[:LONGEST].encode("utf-8", "backslashreplace"): "utf-8"})


def _needles(encoded: dict[bytes, str]) -> tuple[Needle, ...]:
    plain = [
        Needle("as it is" if charset == "utf-8" else f"in {charset}", re.compile(re.escape(data)))
        for data, charset in encoded.items()
    ]
    quoted = [Needle("quoted or percent-encoded", re.compile(_quoted(data))) for data in encoded]
    base64 = [
        Needle("in base64", re.compile(_base64(data, before))) for data in encoded for before in range(3)
    ]
    return (*plain, *quoted, *base64)


def _encoded(secret: str | bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the secret as bytes, with the charset's name."""
    if isinstance(secret, bytes):
        yield secret, "utf-8"
        yield secret.hex().encode(), "hexadecimal"
        return
    seen: set[bytes] = set()
    for text in _spelled(secret):
        for charset in CHARSETS:
            try:
                data = text.encode(charset)
            except UnicodeEncodeError:
                continue
            for form in (data, data.removeprefix(_ESCAPES[0]).removesuffix(_ESCAPES[1])):
                if form not in seen:
                    seen.add(form)
                    yield form, charset
        for form, name in ((_imap_utf7(text), "IMAP's UTF-7"), (json.dumps(text)[1:-1].encode(), "JSON")):
            if form not in seen:
                seen.add(form)
                yield form, name


def _spelled(text: str) -> Iterator[str]:
    """Yield a text as given, with the line ends of mail, and with characters composed and decomposed."""
    spelled = [text, re.sub(r"\r?\n", "\r\n", text)]
    yield from dict.fromkeys(
        [*spelled, *(unicodedata.normalize(form, each) for each in spelled for form in ("NFC", "NFD"))]
    )


def _imap_utf7(text: str) -> bytes:
    """Return the text as IMAP writes mailbox names: `&` shifts, `,` is `/` (RFC 3501, section 5.1.3)."""
    words = []
    for word in re.findall(r"[\x20-\x7e]+|[^\x20-\x7e]+", text):
        if word.isascii() and word.isprintable():
            words.append(word.replace("&", "&-").encode())
        else:
            shifted = ("+" + word).encode("utf-7").removeprefix(b"+-+").removesuffix(b"-")
            words.append(b"&" + shifted.replace(b"/", b",") + b"-")
    return b"".join(words)


def _quoted(data: bytes) -> bytes:
    """Return an expression for bytes that may each be escaped, in lines that may be broken between them."""
    return _SOFT_BREAK.join(
        b"(?:%b|[=%%](?i:%02x)%b)" % (_QUOTABLE.get(byte, re.escape(byte)), byte[0], _ELSE.get(byte, b""))
        for byte in (data[at : at + 1] for at in range(len(data)))
    )


def _base64(data: bytes, before: int) -> bytes:
    """Return an expression for bytes in base64 that begin so many bytes (0 to 2) after a group of three.

    At both ends a character may hold bits of a neighbour: only the bits of ours count.
    """
    bits = "?" * (8 * before) + "".join(f"{byte:08b}" for byte in data)
    bits += "?" * (-len(bits) % 6)
    sextets = [bits[at : at + 6] for at in range(0, len(bits), 6)]
    return _LINE_BREAK.join(_characters(sextet) for sextet in sextets if set(sextet) != {"?"})


@cache  # there are a few hundred
def _characters(sextet: str) -> bytes:
    """Return an expression for the base64 characters that six bits, some of them unknown, may be."""
    known = re.compile(sextet.replace("?", "."))
    found = "".join(
        _SPELLINGS.get(character, character)
        for value, character in enumerate(_ALPHABET)
        if known.fullmatch(f"{value:06b}")
    )
    return re.escape(found).encode() if len(found) == 1 else f"[{re.escape(found)}]".encode()
