"""Makes messages of the kinds that mail is made of, and knows what a reader of them must see."""

from __future__ import annotations

import base64
import hashlib
import quopri
from email.header import Header
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

_WORDS = (
    "the", "report", "about", "last", "quarter", "shows", "that", "sales", "in", "most", "regions",
    "have", "grown", "while", "costs", "stayed", "where", "they", "were", "so", "we", "should", "meet",
    "next", "week", "to", "talk", "about", "plans", "for", "summer", "please", "send", "me", "your",
    "numbers", "before", "friday", "and", "tell", "everybody", "in", "your", "team", "that", "there",
    "will", "be", "cake", "thank", "you", "and", "best", "wishes",
)  # fmt: skip
_JAPANESE = (
    "お世話になっております。", "来週の会議の資料をお送りします。", "ご確認のほどよろしくお願いいたします。",
    "先日の件ですが、", "予算は変更ありません。", "夏の予定について", "ご意見をお聞かせください。",
)  # fmt: skip
_ACCENTS = ("café", "naïve", "Grüße", "façade", "Ærø", "mañana", "crème")
_LINE = 72


class Letter(NamedTuple):
    """A message and what is to be read in it.

    Attributes:
        data: header and body as sent, with CR LF.
        mark: its Message-ID, different from all others.
        subject: its subject, decoded.
        body: its text, decoded.
        attachments: hex SHA-256 of each attachment.
    """

    data: bytes
    mark: str
    subject: str
    body: str
    attachments: tuple[str, ...] = ()


def write(number: int, random: Random) -> Letter:
    """Return a letter; `number` makes it different from all others."""
    kind = random.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]
    return kind(number, random)


def _plain(number: int, random: Random) -> Letter:
    text = _text(random, random.randrange(300, 6_000))
    return _letter(number, f"Report {number}", b"Content-Type: text/plain; charset=us-ascii", text, text)


def _bare(number: int, random: Random) -> Letter:
    text = _text(random, random.randrange(200, 3_000))
    return _letter(number, f"Note {number}", b"", text, text)


def _accents(number: int, random: Random) -> Letter:
    text = _text(random, random.randrange(300, 5_000), (*_WORDS, *_ACCENTS))
    mime = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
    encoded = quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")
    return _letter(number, f"Grüße {number}", mime, text, encoded)


def _japanese(number: int, random: Random) -> Letter:
    lines = ["".join(random.choices(_JAPANESE, k=2)) for _ in range(random.randrange(5, 60))]
    text = "\n".join(lines) + "\n"
    mime = b"Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit"
    encoded = text.replace("\n", "\r\n").encode("iso-2022-jp")
    return _letter(number, f"会議 {number}", mime, text, encoded)


def _alternative(number: int, random: Random) -> Letter:
    text = _text(random, random.randrange(500, 4_000))
    page = "<html><body>\n" + "".join(
        f'<p style="margin:0;font-family:Arial,sans-serif">{line}</p>\n' for line in text.splitlines()
    )
    parts = (
        (b"Content-Type: text/plain; charset=utf-8", _crlf(text)),
        (
            b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable",
            quopri.encodestring((page + "</body></html>\n").encode()).replace(b"\n", b"\r\n"),
        ),
    )
    return _letter(number, f"News {number}", *_multipart(number, b"alternative", parts, text))


def _attachment(number: int, random: Random) -> Letter:
    text = _text(random, random.randrange(100, 1_500))
    content = random.randbytes(random.randrange(4_000, 80_000))
    name = f"figures-{number}.pdf".encode()
    parts = (
        (b"Content-Type: text/plain; charset=us-ascii", _crlf(text)),
        (
            b'Content-Type: application/pdf; name="' + name + b'"\r\n'
            b'Content-Disposition: attachment; filename="' + name + b'"\r\n'
            b"Content-Transfer-Encoding: base64",
            base64.encodebytes(content).replace(b"\n", b"\r\n"),
        ),
    )
    letter = _letter(number, f"Figures {number}", *_multipart(number, b"mixed", parts, text))
    return letter._replace(attachments=(hashlib.sha256(content).hexdigest(),))


_KINDS = {_plain: 25, _bare: 8, _accents: 12, _japanese: 10, _alternative: 25, _attachment: 20}


def _text(random: Random, size: int, words: tuple[str, ...] = _WORDS) -> str:
    """Return lines of words of about that many characters, some of which begin with a dot."""
    lines = []
    while size > 0:
        line = ("." if random.random() < 0.01 else "") + " ".join(random.choices(words, k=12))  # noqa: PLR2004
        lines.append(line[: _LINE + 20])
        size -= len(lines[-1]) + 2
    return "\n".join(lines) + "\n"


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _multipart(
    number: int, kind: bytes, parts: tuple[tuple[bytes, bytes], ...], text: str
) -> tuple[bytes, str, bytes]:
    """Return header field, text to be read, and body of a multipart message (RFC 2046, section 5.1)."""
    boundary = b"----=_Part_%d" % number
    mime = b"Content-Type: multipart/" + kind + b';\r\n boundary="' + boundary + b'"'
    body = b"".join(b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + content for head, content in parts)
    # Of a part, the line end before the boundary belongs to the boundary.
    return mime, text.removesuffix("\n"), body + b"--" + boundary + b"--\r\n"


def _letter(number: int, subject: str, mime: bytes, text: str, body: str | bytes) -> Letter:
    """Return the letter with its header fields above the body."""
    mark = f"<{number}.bench@example.org>"
    title = subject if subject.isascii() else Header(subject, "utf-8").encode()
    lines = [
        b"Received: from desk%d.example.org by mail.example.org with ESMTP id %08X;" % (number % 90, number),
        b"\tWed, 25 Nov 2026 07:15:%02d +0900" % (number % 60),
        b"From: Hanako <hanako%d@example.org>" % (number % 997),
        b"To: Taro Yamada <taro%d@example.net>" % (number % 991),
        b"Subject: " + title.encode(),
        b"Date: Wed, 25 Nov 2026 07:15:%02d +0900" % (number % 60),
        b"Message-ID: " + mark.encode(),
        b"MIME-Version: 1.0",
    ]
    head = b"\r\n".join([*lines, mime] if mime else lines[:-1])
    data = head + b"\r\n\r\n" + (_crlf(body) if isinstance(body, str) else body)
    return Letter(data, mark, subject, text)
