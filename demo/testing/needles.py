"""The shapes in which a mail protocol may carry a text: one regular expression for each.

As it is, and in the charsets of mail; quoted-printable (RFC 2045, section 6.7; Q of RFC 2047) and percent
signs (RFC 2231); base64 (RFC 4648), alone, inside something longer such as SASL PLAIN (RFC 4616), and
broken over lines; UTF-7 (RFC 2152) and its kin in IMAP (RFC 3501, section 5.1.3). Bytes are looked for in
whole streams, so a text that is split over segments is one text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Final

from mailtap.demo.testing.errors import SecretTooShort

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST: Final = 4  # characters; fewer are found by chance, in base64 above all
CHARSETS: Final = (
    *("utf-8", "utf-16-le", "utf-16-be", "utf-7", "latin-1"),
    *("iso2022_jp", "shift_jis", "euc_jp"),
)
_ALPHABET: Final = ascii_letters[26:] + ascii_letters[:26] + digits + "+/"
_SPELLINGS: Final = {"+": "+-", "/": "/_,"}  # RFC 4648, section 5; RFC 3501, section 5.1.3
_LINE_BREAK: Final = rb"(?:\r?\n[ \t]*)?"
_SOFT_BREAK: Final = rb"(?:=\r?\n\.?)?"
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
    """Return every shape to look for, the plainest first.

    Raises:
        SecretTooShort: it would be found by chance.
    """
    if len(secret) < SHORTEST:
        raise SecretTooShort(
            f"A secret of {len(secret)} characters is found by chance: give one of {SHORTEST} or more."
        )
    encoded = dict(_encoded(secret))
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
        return
    seen: set[bytes] = set()
    for charset in CHARSETS:
        try:
            data = secret.encode(charset)
        except UnicodeEncodeError:
            continue
        for form in (data, data.removeprefix(_ESCAPES[0]).removesuffix(_ESCAPES[1])):
            if form not in seen:
                seen.add(form)
                yield form, charset
    imap = _imap_utf7(secret)
    if imap not in seen:
        yield imap, "IMAP's UTF-7"


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
        b"(?:%b|[=%%](?i:%02x)%b)" % (re.escape(byte), byte[0], b"|[_+]" if byte == b" " else b"")
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
