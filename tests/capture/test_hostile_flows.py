"""Flows made to cost: neither time nor memory grows faster than what is heard, whatever it is."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import wire

from mailtap.capture.model import Endpoint, Leak, Note
from mailtap.capture.pipeline import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailtap.capture.model import Packet

SIZE = 300_000  # bytes
MOST_SECONDS = 5
MOST_MEMORY = 20 << 20
SMTP, WEB, IMAP, TLS = (Endpoint("192.0.2.1", port) for port in (25, 80, 143, 995))
FORM = (
    b"POST /webmail HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
HEAD = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
MIXED = b"Content-Type: multipart/mixed; boundary=b"


def fetched(message: bytes) -> list[Packet]:
    """Return a POP3 session in which a message is fetched."""
    turns = [
        ("S", b"+OK ready\r\n"),
        ("C", b"USER a\r\n"),
        ("S", b"+OK\r\n"),
        ("C", b"PASS secret\r\n"),
        ("S", b"+OK\r\n"),
        ("C", b"RETR 1\r\n"),
        ("S", b"+OK\r\n" + message + b"\r\n.\r\n"),
    ]
    return wire.conversation(turns)


def with_bare_line_feeds(message: bytes) -> list[Packet]:
    """Return the same of a message that is not well-formed."""
    return fetched(message.replace(b"\r\n", b"\n"))


def submitted(*turns: tuple[str, bytes]) -> list[Packet]:
    """Return an SMTP session that goes on like this after its greeting."""
    begin = [("S", b"220 x ESMTP\r\n"), ("C", b"EHLO a\r\n"), ("S", b"250 x\r\n")]
    return wire.conversation([*begin, *turns], server=SMTP)


def of_imap(*turns: tuple[str, bytes]) -> list[Packet]:
    """Return an IMAP session that goes on like this after its login."""
    begin = [("S", b"* OK IMAP4rev1\r\n"), ("C", b"a LOGIN user secret\r\n"), ("S", b"a OK\r\n")]
    return wire.conversation([*begin, *turns], server=IMAP)


def responses(one: Callable[[int], bytes], size: int) -> list[Packet]:
    """Return an IMAP session in which such responses to a FETCH come, numbered."""
    count = size // len(one(10_000))
    return of_imap(("C", b"b FETCH 1 BODY[]\r\n"), ("S", b"".join(map(one, range(count)))))


FLOWS = [
    pytest.param(fetched(HEAD + b"\r\n" + b"..\r\n" * (SIZE // 4)), id="stuffed dots"),
    pytest.param(fetched(b"To: " + b"a@b," * (SIZE // 4) + b"\r\n\r\nx"), id="addresses in a field"),
    pytest.param(fetched(b"To: a@b\r\n" * (SIZE // 9) + b"\r\nx"), id="fields of addresses"),
    pytest.param(fetched(b"Subject: a\r\n" * (SIZE // 12) + b"\r\nx"), id="subjects"),
    pytest.param(
        fetched(HEAD + b'Content-Type: text/plain; a="' + b'\\"' * (SIZE // 2) + b"\r\n\r\nx"), id="escapes"
    ),
    pytest.param(
        fetched(HEAD + MIXED + b"\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (SIZE // 10) + b"--b--"), id="parts"
    ),
    pytest.param(
        with_bare_line_feeds(HEAD + MIXED + b"\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (SIZE // 10)),
        id="parts, not well-formed",
    ),
    pytest.param(
        fetched(HEAD + MIXED.replace(b"mixed", b"digest") + b"\r\n\r\n" + b"--b\r\n\r\nA: b\r\n\r\nx\r\n" * (SIZE // 18)),
        id="messages in a digest",
    ),
    pytest.param(
        with_bare_line_feeds(HEAD + MIXED + b";" * (3 * SIZE) + b"\r\n\r\n--b\r\n\r\nx\r\n--b--"), id="semicolons"
    ),
    pytest.param(
        fetched(HEAD + MIXED + b"b" * (SIZE // 2) + b"\r\n\r\n--b" + b"b" * (SIZE // 2)), id="a long boundary"
    ),
    pytest.param(
        responses(lambda at: b"* 1 FETCH (BODY[]<%d> {1}\r\na)\r\n" % at, SIZE), id="pieces of one byte"
    ),
    pytest.param(
        responses(lambda at: b"* 1 FETCH (BODY[HEADER]<%d> {1}\r\na)\r\n" % at, SIZE), id="pieces of a header"
    ),
    pytest.param(
        submitted(("C", b"MAIL FROM:<a@b>\r\n"), ("S", b"250 x\r\n"), ("C", b"BDAT 9\r\nTo: a@b\r\n" * (SIZE // 18)), ("C", b"BDAT 0 LAST\r\n"), ("S", b"250 x\r\n" * (SIZE // 18 + 1))),
        id="a header in chunks",
    ),
    pytest.param(
        wire.conversation([("C", FORM + b"c8\r\n" + b"\r\nc8\r\n".join([b"a=b&" * 50] * (SIZE // 200)) + b"\r\n0\r\n\r\n"), ("S", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], server=WEB),
        id="a form in chunks",
    ),
    pytest.param(of_imap(("C", b"b LOGIN " + b"{0+}\r\n" * (SIZE // 6) + b"\r\n")), id="empty literals"),
    pytest.param(wire.conversation([("C", b"\x16\x03\x01\x00\x00" * (SIZE // 5))], server=TLS), id="empty records"),
    pytest.param(
        wire.conversation(
            [
                ("C", b"\x16\x03\x01\x00\x01\x01"),
                ("S", b"\x16\x03\x03\x00\x01\x02" * (SIZE // 6)),
            ],
            server=TLS,
        ),
        id="records of one byte",
    ),
    pytest.param(
        submitted(("C", b"AUTH SCRAM-SHA-1\r\n"), ("S", b"334 \r\n" * (SIZE // 12)), ("C", b"YQ==\r\n" * (SIZE // 12))),
        id="an endless exchange",
    ),
    pytest.param(
        submitted(("C", b"MAIL FROM:<a@b>\r\n"), ("S", b"250 x\r\n"), ("C", b"BDAT 0\r\n" * (SIZE // 16)), ("S", b"250 x\r\n" * (SIZE // 16))),
        id="empty chunks",
    ),
]  # fmt: skip


def listened(packets: list[Packet]) -> Iterator[Leak | Note]:
    listener = Listener()
    yield from listener.hear_together(packets)
    yield from listener.close()


@pytest.mark.parametrize("packets", FLOWS)
def test_it_costs_little_time_and_memory(packets: list[Packet]) -> None:
    begin = time.process_time()
    heard = sum(1 for _ in listened(packets))
    assert time.process_time() - begin < MOST_SECONDS
    assert heard
    tracemalloc.start()
    try:
        for _ in listened(packets):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
