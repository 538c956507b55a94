"""Events turned into leaks and notes: one row for each kind of event."""

from __future__ import annotations

import hashlib
from typing import get_args

import hearing
import pytest

from mailtap.capture.events import (
    Address,
    CompressionStarted,
    Event,
    HalfGivenUp,
    Heard,
    LoginCancelled,
    LoginSeen,
    Malformed,
    MessageSeen,
    ServerNameSeen,
    TlsSeen,
    UnknownProtocol,
)
from mailtap.capture.leaks import read_event
from mailtap.capture.model import Direction, Evidence, Field, Leak, Note, Protocol, Source, Span


def at(start: int, end: int) -> tuple[Span, ...]:
    return (Span(Direction.CLIENT, start, end),)


def heard(data: bytes, start: int = 0) -> Heard:
    return Heard(data, at(start, start + len(data)))


LOGIN = LoginSeen(
    protocol=Protocol.POP3,
    mechanism="APOP",
    spans=at(0, 4),
    username=heard(b"mrose", 5),
    digest=heard(b"c4c9", 11),
    challenge=heard(b"<1@x>", 50),
    accepted=False,
)
MESSAGE = MessageSeen(
    protocol=Protocol.SMTP,
    content=heard(b"From: header@x\r\nSubject: hi\r\n\r\nbody\r\n", 100),
    sender=Address(heard(b"a@x", 10), accepted=True),
    recipients=(Address(heard(b"b@x", 20), accepted=False), Address(heard(b"", 30), accepted=None)),
)
CASES = [
    pytest.param(LOGIN, ["username 'mrose' mechanism=APOP refused", "digest 'c4c9' mechanism=APOP username=mrose challenge=<1@x> refused"], [], id="login"),
    pytest.param(LoginSeen(protocol=Protocol.SMTP, mechanism="GSSAPI", spans=at(0, 6)), [], ["A login by GSSAPI, which this listener cannot read."], id="opaque-login"),
    pytest.param(LoginCancelled(protocol=Protocol.SMTP, mechanism="LOGIN", spans=at(0, 5)), [], ["A LOGIN login was cancelled."], id="cancelled"),
    pytest.param(MESSAGE, ["sender 'a@x' source=envelope message=7 accepted", "recipient 'b@x' source=envelope message=7 refused", "subject 'hi' message=7", "body 'body\\n' message=7"], [], id="message"),
    pytest.param(MessageSeen(protocol=Protocol.POP3, content=heard(b"From: a@x\r\n\r\n"), whole=False), ["sender 'a@x' source=header message=7"], ["Message 7 is not whole."], id="cut-message"),
    pytest.param(MessageSeen(protocol=Protocol.POP3, content=heard(b"\r\nx"), whole=False, limited=True), ["body 'x' message=7"], ["Message 7 was cut at this listener's size limit."], id="limited-message"),
    pytest.param(MessageSeen(protocol=Protocol.SMTP, content=None, sender=Address(heard(b"a@x"), accepted=None)), ["sender 'a@x' source=envelope message=7"], [], id="envelope-only"),
    pytest.param(ServerNameSeen(Protocol.TLS, heard(b"mail.example.org")), ["server_name 'mail.example.org'"], [], id="server-name"),
    pytest.param(TlsSeen(protocol=Protocol.TLS, spans=at(0, 9), version="TLS 1.2", names=("a", "b"), certificate=at(9, 20), opaque=4310), [], ["TLS began at packet 1, 4,310 bytes opaque (TLS 1.2).", "The server's certificate names a, b."], id="tls"),
    pytest.param(TlsSeen(protocol=Protocol.TLS, spans=at(0, 9), version="", names=(), certificate=(), opaque=1), [], ["TLS began at packet 1, one byte opaque."], id="tls-of-unknown-version"),
    pytest.param(CompressionStarted(Protocol.IMAP, at(0, 9)), [], ["Compressed (IMAP COMPRESS): the rest was not read."], id="compressed"),
    pytest.param(Malformed(Protocol.POP3, at(0, 9), "something odd"), [], ["something odd"], id="malformed"),
    pytest.param(UnknownProtocol(at(0, 9)), [], ["Unknown protocol on a mail port."], id="unknown"),
    pytest.param(HalfGivenUp(Protocol.POP3, Direction.SERVER, at(0, 9)), [], ["The server's half did not come; the client's was read without it."], id="half"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "leaks", "notes"), CASES)
def test_events(event: Event, leaks: list[str], notes: list[str]) -> None:
    assert hearing.lines(read_event(event, hearing.locate, 7)) == (leaks, notes)


def test_each_kind_of_event_has_a_row() -> None:
    assert {type(case.values[0]) for case in CASES} == set(get_args(Event))


def test_evidence_is_asked_for_what_carries_the_value() -> None:
    asked: list[tuple[Span, ...]] = []

    def locate(spans: tuple[Span, ...]) -> Evidence:
        asked.append(spans)
        return hearing.locate(spans)

    read_event(LOGIN, locate, 1)
    read_event(MESSAGE, locate, 1)
    assert asked == [at(5, 10), at(50, 55) + at(11, 15), at(10, 13), at(20, 23), at(125, 127), at(131, 137)]


def test_an_empty_message_asks_for_no_evidence() -> None:
    def locate(spans: tuple[Span, ...]) -> Evidence:
        raise AssertionError(spans)

    assert read_event(MessageSeen(protocol=Protocol.POP3, content=Heard(b"", at(5, 5))), locate, 1) == []


def test_an_attachment_is_named_typed_and_hashed() -> None:
    raw = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
    (leak,) = read_event(MessageSeen(protocol=Protocol.POP3, content=heard(raw)), hearing.locate, 1)
    assert isinstance(leak, Leak)
    assert leak.attachment is not None
    assert (leak.field, leak.value.reveal()) == (Field.ATTACHMENT, "a.pdf")
    assert leak.attachment.content == b"\0\1\2"
    assert leak.attachment.sha256 == hashlib.sha256(b"\0\1\2").hexdigest()
    assert raw[leak.evidence.spans[0].start : leak.evidence.spans[0].end].strip() == b"AAEC"


def test_headers_count_only_where_there_is_no_envelope() -> None:
    found = read_event(MESSAGE, hearing.locate, 1)
    sources = [each.source for each in found if isinstance(each, Leak) and each.source]
    assert sources == [Source.ENVELOPE, Source.ENVELOPE]


def test_notes_know_where_they_belong() -> None:
    for case in CASES:
        for note in read_event(case.values[0], hearing.locate, 1):
            if isinstance(note, Note):
                assert note.flow == hearing.FLOW
                assert note.packets == (1,)
