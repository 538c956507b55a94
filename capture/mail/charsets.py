r"""Decodes text in the charsets that mail really uses, labelled, mislabelled or not labelled at all.

It never fails: a byte that no charset explains becomes an escape such as `\xe9`.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}\Z")
_SPACE, _DELETE = 0x20, 0x7F
_SECOND_RANGE = 0x1F  # rows from here on have lead bytes from 0xE0 on
_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\([BD]|\([BJI])")
_JAPANESE = re.compile(rb"\x1b\$[@B(]|\x1b\(I")

# What a label means in practice: codecs to try, the standard first, then its real-life superset.
_CODECS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shift_jis": ("shift_jis", "cp932"),
        "shift-jis": ("shift_jis", "cp932"),
        "sjis": ("shift_jis", "cp932"),
        "x-sjis": ("cp932",),
        "csshiftjis": ("shift_jis", "cp932"),
        "windows-31j": ("cp932",),
        "cswindows31j": ("cp932",),
        "windows-932": ("cp932",),
        "x-ms-cp932": ("cp932",),
        "ms_kanji": ("cp932",),
        "gb2312": ("gb18030",),
        "gb-2312": ("gb18030",),
        "gb_2312-80": ("gb18030",),
        "csgb2312": ("gb18030",),
        "gbk": ("gb18030",),
        "x-gbk": ("gb18030",),
        "cp936": ("gb18030",),
        "big5": ("big5", "cp950", "big5hkscs"),
        "x-big5": ("big5", "cp950", "big5hkscs"),
        "x-x-big5": ("big5", "cp950", "big5hkscs"),
        "euc-kr": ("cp949",),
        "ks_c_5601-1987": ("cp949",),
        "x-windows-949": ("cp949",),
        "windows-949": ("cp949",),
        **dict.fromkeys(
            ("iso-8859-1", "iso8859-1", "iso_8859-1", "iso88591", "iso-ir-100", "latin1", "latin-1", "l1"),
            ("cp1252", "latin-1"),
        ),
        "cp-1252": ("cp1252",),
        "x-cp1252": ("cp1252",),
        "iso-8859-8-i": ("iso8859_8",),
        "iso-8859-6-i": ("iso8859_6",),
        "unicode-1-1-utf-7": ("utf_7",),
        "x-mac-roman": ("mac_roman",),
        "windows-874": ("cp874",),
        "tis-620": ("tis_620", "cp874"),
    }
)
_UNLABELLED = frozenset(
    {
        "",
        "us-ascii",
        "ascii",
        "ansi_x3.4-1968",
        "unknown-8bit",
        "x-unknown",
        "unknown",
        "8bit",
        "default",
    }
)
# Codecs of Python's that are no charsets of mail, and that may be slow or mean something else.
_NOT_CHARSETS = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"}
)


def decode(data: bytes, label: str = "") -> str:
    """Return bytes as text.

    Args:
        data: the bytes.
        label: the charset that the message names for them; empty where it names none.
    """
    name = label.strip().strip("\"'").lower()
    if name in _UNLABELLED or not _NAME.match(name) or name.replace("-", "_") in _NOT_CHARSETS:
        return _unlabelled(data)
    for family, function in _FAMILIES.items():
        if name.startswith(family):
            return function(data, name)
    codecs = _CODECS.get(name, (name,))
    for codec in (*codecs, "utf-8"):
        text = _strictly(data, codec)
        if text is not None:
            return text
    try:
        return data.decode(codecs[-1], "backslashreplace")
    except (LookupError, ValueError):  # a label that Python does not know, or a codec that cannot go on
        return _unlabelled(data)


def _unlabelled(data: bytes) -> str:
    if _JAPANESE.search(data) and data.isascii():
        return _iso_2022_jp(data, "iso-2022-jp")
    return data.decode("utf-8", "backslashreplace")


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (LookupError, ValueError):
        return None


def _iso_2022_jp(data: bytes, name: str) -> str:
    """RFC 1468 and its kin (RFC 1554, RFC 2237, ISO-2022-JP-MS, cp50220 …).

    Mailers label as ISO-2022-JP what only Microsoft's variants hold: circled digits, half-width kana.
    """
    if name.startswith("iso-2022-jp") and "ms" not in name:
        for codec in ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_ext", "iso2022_jp_2004"):
            text = _strictly(data, codec)
            if text is not None:
                return text
    if not data.isascii() and not _JAPANESE.search(data):
        text = _strictly(data, "utf-8") or _strictly(data, "cp932")
        if text is not None:
            return text
    pieces, at, character_set = [], 0, b"\x1b(B"
    for escape in _JIS_ESCAPE.finditer(data):
        pieces.append(_jis(data[at : escape.start()], character_set))
        at, character_set = escape.end(), escape[0]
    pieces.append(_jis(data[at:], character_set))
    return "".join(pieces)


def _jis(data: bytes, escape: bytes) -> str:
    """Decode a stretch that one escape sequence governs (ISO/IEC 2022; JIS X 0202)."""
    if escape in (b"\x1b(B", b"\x1b(J"):
        return data.decode("cp932", "backslashreplace")  # half-width kana may stand here with the high bit
    if escape == b"\x1b(I":
        return bytes(byte | 0x80 if byte > _SPACE else byte for byte in data).decode(
            "cp932", "backslashreplace"
        )
    pieces = []
    lines = re.split(rb"(\r?\n)", data)
    for line in lines:
        if escape == b"\x1b$(D":
            eucs = b"".join(
                b"\x8f" + bytes(byte | 0x80 for byte in line[at : at + 2]) for at in range(0, len(line), 2)
            )
            pieces.append(eucs.decode("euc_jp", "backslashreplace") if line.strip() else line.decode())
        elif line.strip():
            pieces.append(_jis_to_shift_jis(line).decode("cp932", "backslashreplace"))
        else:
            pieces.append(line.decode())
    return "".join(pieces)


def _jis_to_shift_jis(line: bytes) -> bytes:
    """Map pairs of JIS X 0208 bytes to Shift_JIS (JIS X 0208, annex 1), rows of the vendors included."""
    out = bytearray()
    for at in range(0, len(line) - 1, 2):
        high, low = line[at], line[at + 1]
        row = (high - 0x21) >> 1
        out.append((row + (0x81 if row < _SECOND_RANGE else 0xC1)) & 0xFF)
        out.append((low + (0x7E if not high & 1 else 0x1F if low < _DELETE - 0x1F else 0x20)) & 0xFF)
    return bytes(out) + line[len(line) & ~1 :]


def _euc_jp(data: bytes, _name: str) -> str:
    """EUC-JP, and the vendor rows that eucJP-ms adds to it."""
    for codec in ("euc_jp", "utf-8"):
        text = _strictly(data, codec)
        if text is not None:
            return text
    pieces = re.split(rb"((?:[\xa1-\xfe]{2})+)", data)  # runs of pairs stand at the odd places
    return "".join(
        _jis_to_shift_jis(bytes(byte & 0x7F for byte in piece)).decode("cp932", "backslashreplace")
        if place % 2
        else piece.decode("euc_jp", "backslashreplace")
        for place, piece in enumerate(pieces)
    )


_FAMILIES: Mapping[str, Callable[[bytes, str], str]] = MappingProxyType(
    {
        "iso-2022-jp": _iso_2022_jp,
        "csiso2022jp": lambda data, _name: _iso_2022_jp(data, "iso-2022-jp"),
        "cp5022": _iso_2022_jp,
        "x-windows-5022": _iso_2022_jp,
        "euc-jp": _euc_jp,
        "eucjp": _euc_jp,
        "x-euc-jp": _euc_jp,
    }
)
