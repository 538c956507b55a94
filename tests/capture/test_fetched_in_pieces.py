"""What IMAP clients fetch in pieces is put together as the message that it is a part of."""

from __future__ import annotations

import base64

import pytest
import wire
from feature import heard

from mailtap.capture.model import Endpoint

HEADER = (
    b"From: ann@x.test\r\nTo: bob@y.test\r\nSubject: Secret plan\r\nX-Priority: 3\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)
TEXT = base64.encodebytes(b"Meet me at noon. " * 20).replace(b"\n", b"\r\n")
BODY = "body '" + "Meet me at noon. " * 20 + "' message=1"
NAMES = [
    "sender 'ann@x.test' source=header message=1",
    "recipient 'bob@y.test' source=header message=1",
    "subject 'Secret plan' message=1",
]
ENVELOPE = (
    b'ENVELOPE (NIL "Secret plan" (("Ann" NIL "ann" "x.test")) NIL NIL ((NIL NIL "bob" "y.test")) '
    b'NIL NIL NIL "<1@x.test>")'
)
STRUCTURE = b'BODYSTRUCTURE ("text" "plain" ("charset" "utf-8") NIL NIL "base64" %d 9 NIL NIL NIL NIL)' % len(
    TEXT
)
NOT_WHOLE = "Message 1 is not whole."


def literal(data: bytes) -> bytes:
    return b"{%d}\r\n" % len(data) + data


def fetched(*exchanges: tuple[bytes, bytes]) -> tuple[list[str], list[str]]:
    """Return what is heard of messages when a client asks so and is answered so; and the notes."""
    turns = [("S", b"* OK IMAP4rev1\r\n"), ("C", b"a SELECT INBOX\r\n"), ("S", b"a OK in\r\n")]
    for number, (asked, answer) in enumerate(exchanges):
        turns += [
            ("C", b"t%d FETCH 1 (%b)\r\n" % (number, asked)),
            ("S", b"* 1 FETCH (%b)\r\nt%d OK done\r\n" % (answer, number)),
        ]
    return heard(wire.conversation(turns, server=Endpoint("192.0.2.1", 143)))


def section(name: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return how a section is asked for and answered."""
    return b"BODY.PEEK[" + name + b"]", b"BODY[" + name + b"] " + literal(data)


def chunks(name: bytes, data: bytes, size: int) -> list[tuple[bytes, bytes]]:
    """Return the same in chunks, with one behind the end."""
    return [
        (
            b"BODY.PEEK[%b]<%d.%d>" % (name, start, size),
            b"BODY[%b]<%d> " % (name, start) + literal(data[start : start + size]),
        )
        for start in range(0, len(data) + size, size)
    ]


def fields(names: bytes, data: bytes) -> tuple[bytes, bytes]:
    return section(b"HEADER.FIELDS (" + names + b")", data)


@pytest.mark.parametrize("found", [b"X-Priority: 3\r\n\r\n", b"\r\n"], ids=["found", "absent"])
def test_some_fields_do_not_hide_the_envelope(found: bytes) -> None:
    asked, answer = fields(b"X-PRIORITY", found)
    assert fetched((b"ENVELOPE " + asked, ENVELOPE + b" " + answer)) == (NAMES, [])


def test_fields_asked_for_one_by_one_are_one_header() -> None:
    lines = HEADER.splitlines(keepends=True)[:3]
    asked = [fields(line.partition(b":")[0].upper(), line + b"\r\n") for line in lines]
    assert fetched(*asked) == (NAMES, [])


def test_two_lists_of_fields_at_once_are_one_header() -> None:
    first = fields(b"CONTENT-TYPE", b"Content-Type: text/plain; charset=utf-8\r\n\r\n")
    second = fields(b"FROM TO SUBJECT", b"".join(HEADER.splitlines(keepends=True)[:3]) + b"\r\n")
    assert fetched((first[0] + b" " + second[0], first[1] + b" " + second[1])) == (NAMES, [])


def test_a_text_in_chunks_is_whole_when_its_end_has_come() -> None:
    assert fetched(section(b"HEADER", HEADER), *chunks(b"TEXT", TEXT, 100)) == ([*NAMES, BODY], [])


def test_a_text_cut_short_is_said_not_to_be_whole() -> None:
    leaks, notes = fetched(section(b"HEADER", HEADER), chunks(b"TEXT", TEXT, 100)[0])
    assert leaks[:-1] == NAMES
    assert leaks[-1].startswith("body 'Meet me at noon.")
    assert notes == [NOT_WHOLE]


def test_a_preview_and_then_the_whole_is_one_message() -> None:
    some = fields(b"FROM TO SUBJECT", b"".join(HEADER.splitlines(keepends=True)[:3]) + b"\r\n")
    preview = chunks(b"TEXT", TEXT, 100)[0]
    assert fetched(some, preview, section(b"", HEADER + TEXT)) == ([*NAMES, BODY], [])


def test_a_part_of_a_part_is_said_not_to_be_whole() -> None:
    leaks, notes = fetched((STRUCTURE, STRUCTURE), chunks(b"1", TEXT, 100)[0])
    assert len(leaks) == 1
    assert notes == [NOT_WHOLE]


def test_parts_in_chunks() -> None:
    both = ENVELOPE + b" " + STRUCTURE
    assert fetched((b"ENVELOPE BODYSTRUCTURE", both), *chunks(b"1", TEXT, 100)) == ([*NAMES, BODY], [])


def test_what_the_server_decoded_is_not_decoded_again() -> None:
    """RFC 3516."""
    both = ENVELOPE + b" " + STRUCTURE
    binary = (b"BINARY.PEEK[1]", b"BINARY[1] ~" + literal(base64.b64decode(TEXT)))
    assert fetched((b"ENVELOPE BODYSTRUCTURE", both), binary) == ([*NAMES, BODY], [])


@pytest.mark.parametrize("known", [ENVELOPE, b"FLAGS ()"], ids=["envelope", "fields"])
def test_the_structure_tells_how_a_text_is_to_be_read(known: bytes) -> None:
    some = fields(b"FROM TO SUBJECT", b"".join(HEADER.splitlines(keepends=True)[:3]) + b"\r\n")
    told = known + b" " + STRUCTURE + b" " + some[1]
    assert fetched((b"ENVELOPE BODYSTRUCTURE " + some[0], told), section(b"TEXT", TEXT)) == (
        [*NAMES, BODY],
        [],
    )


def test_an_attached_mail_of_one_part_keeps_its_number() -> None:
    """RFC 9051, section 6.4.5.1: its own part is 2.1, and 2 is the mail."""
    inner = b"From: c@x.test\r\nSubject: inner\r\n\r\nInner body\r\n"
    message = (
        b'("message" "rfc822" ("name" "fwd.eml") NIL NIL "7bit" %d (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" NIL NIL NIL "base64" 12 1 NIL NIL NIL NIL) 4 NIL ("attachment" ("filename" "fwd.eml")) '
        b"NIL NIL)" % len(inner)
    )
    outer = b'("text" "plain" NIL NIL NIL "7bit" 7 1 NIL NIL NIL NIL)'
    told = b"BODYSTRUCTURE (" + outer + message + b' "mixed" ("boundary" "b") NIL NIL NIL)'
    leaks, notes = fetched((b"BODYSTRUCTURE", told), section(b"1", b"Outer\r\n"), section(b"2", inner))
    assert leaks[0].startswith("body 'Outer")
    assert "Inner body" in leaks[0]
    assert leaks[1].startswith("attachment 'fwd.eml' message=1")
    assert notes == []


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_a_mail_appended_as_utf8_is_heard(plus: bytes) -> None:
    """RFC 6855, section 4."""
    message = HEADER + TEXT
    line = b'c APPEND "Sent" (\\Seen) UTF8 (~{%d%b}\r\n' % (len(message), plus)
    rest = ("C", message + b")\r\n")
    turns = [("S", b"* OK IMAP4rev1\r\n"), ("C", b"a SELECT INBOX\r\n"), ("S", b"a OK in\r\n")]
    turns += [("C", line + rest[1])] if plus else [("C", line), ("S", b"+ go\r\n"), rest]
    turns += [("S", b"c OK done\r\n")]
    assert heard(wire.conversation(turns, server=Endpoint("192.0.2.1", 143))) == ([*NAMES, BODY], [])
