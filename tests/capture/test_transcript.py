"""Captures told as conversations: the order, the kinds of utterances, and the marks on what leaked."""

from __future__ import annotations

import itertools
import ssl
from pathlib import Path

import dialogue
import hearing
import pytest
import tlspeers
import wire
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtap.capture.model import Chunk, Conversation, Direction, Field, Gap, Leak, LineKind, Protocol
from mailtap.capture.pipeline import listen
from mailtap.capture.records import Namer
from mailtap.capture.transcript import transcribe
from mailtap.capture.utterances import Cutter

C, S = Direction.CLIENT, Direction.SERVER
SIDES = {C: "C", S: "S"}
FOLDER = Path(__file__).parent / "dialogues"


def packets(turns: list[tuple[Direction, bytes]], *, port: int = 110) -> list[wire.Packet]:
    server = wire.SERVER._replace(port=port)
    return wire.conversation([(SIDES[who], data) for who, data in turns], server=server)


def told(heard: list[wire.Packet]) -> Conversation:
    (conversation,) = transcribe(heard, [each for each in listen(heard) if isinstance(each, Leak)])
    return conversation


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob("*.txt"))])
def test_every_line_is_told_in_order(path: Path) -> None:
    script = dialogue.load(path)
    conversation = told(packets(list(script.turns)))
    for who in Direction:
        sent = b"".join(data for each, data in script.turns if each is who)
        said = [each for each in conversation.utterances if each.direction is who]
        assert b"".join(sent[each.span.start : each.span.end] for each in said) == sent
        assert all(sent[each.span.start : each.span.end].startswith(each.data) for each in said)
    order = [each.packets[0] for each in conversation.utterances]
    assert order == sorted(order)
    assert conversation.complete
    total = sum(len(data) for _, data in script.turns)
    assert conversation.client_bytes + conversation.server_bytes == total


def test_leaks_are_marked_where_they_stand() -> None:
    script = dialogue.load(FOLDER / "pop3_user_pass.txt")
    conversation = told(packets(list(script.turns)))
    marked = [
        (each.data[start:end], field) for each in conversation.utterances for start, end, field in each.marks
    ]
    assert marked == [
        (b"mrose", Field.USERNAME),
        (b"wrong", Field.PASSWORD),
        (b"mrose", Field.USERNAME),
        (b"tan staaf \xe9", Field.PASSWORD),
        (b"one", Field.SUBJECT),
        (b"PASS x", Field.BODY),
        (b".two dots", Field.BODY),
    ]
    assert conversation.protocol is Protocol.POP3


POST = b"POST /webmail/login HTTP/1.1\r\nContent-Length: 30\r\n"
POST += b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
FORM = b"username=taro&password=fujisan"
WEBMAIL: list[tuple[Direction, bytes]] = [
    (C, b"GET /webmail/ HTTP/1.1\r\n\r\n"),
    (S, b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n<html>\n"),
    (S, b"page"),
    (C, POST),
    (C, FORM[:12]),
    (C, FORM[12:]),
    (S, b"HTTP/1.1 303 See Other\r\nLocation: /webmail/inbox\r\nContent-Length: 0\r\n\r\n"),
    (C, b"GET /webmail/inbox HTTP/1.1\r\n\r\n"),
]


def test_a_content_without_a_line_end_keeps_apart_from_the_next_request() -> None:
    conversation = told(packets(WEBMAIL, port=80))
    assert [each.data for each in conversation.utterances if each.data] == [
        line for _, text in [*WEBMAIL[:4], (C, FORM), *WEBMAIL[6:]] for line in text.splitlines() if line
    ]
    (form,) = [each for each in conversation.utterances if each.data == FORM]
    assert len(form.packets) == 2
    assert form.marks == ((9, 13, Field.USERNAME), (23, 30, Field.PASSWORD))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([(C, b"USER mro"), (S, b"+OK late\r\n"), (C, b"se\r\n"), (S, b"+OK\r\n")], id="pop3"),
        pytest.param(
            [(S, b"* OK IMAP\r\n"), (C, b"a LOG"), (S, b"* 1 EXISTS\r\n"), (C, b"OUT\r\n")], id="imap"
        ),
    ],
)
def test_a_command_is_one_line_whatever_the_server_says_meanwhile(
    script: list[tuple[Direction, bytes]],
) -> None:
    said = [each.data for each in told(packets(script)).utterances if each.direction is C]
    assert said == [b"".join(data for who, data in script if who is C).rstrip()]


def test_one_blob_may_leak_two_fields() -> None:
    script = dialogue.load(FOLDER / "smtp_auth_plain.txt")
    (last,) = [
        each for each in told(packets(list(script.turns), port=25)).utterances if b"auth plain" in each.data
    ]
    assert last.marks == ((11, 39, Field.PASSWORD), (11, 39, Field.USERNAME))


@pytest.mark.parametrize(
    ("version", "clear"),
    [
        pytest.param(
            ssl.TLSVersion.TLSv1_2,
            ["TLS handshake, ClientHello", "TLS handshake, ServerHello", "TLS handshake, Certificate"],
            id="tls1.2",
        ),
        pytest.param(
            ssl.TLSVersion.TLSv1_3, ["TLS handshake, ClientHello", "TLS handshake, ServerHello"], id="tls1.3"
        ),
    ],
)
def test_tls_records_are_named(version: ssl.TLSVersion, clear: list[str]) -> None:
    conversation = told(packets(tlspeers.handshake(version), port=995))
    said = [each.description for each in conversation.utterances]
    assert said[: len(clear)] == clear
    assert "TLS change cipher spec" in said
    assert "TLS application data, " in said[-1]
    assert said[-1].endswith(" bytes")
    assert {each.kind for each in conversation.utterances} == {LineKind.TLS}
    marked = [
        (each.data[start:end], field) for each in conversation.utterances for start, end, field in each.marks
    ]
    assert marked == [(tlspeers.NAME.encode(), Field.SERVER_NAME)]
    if version is ssl.TLSVersion.TLSv1_2:
        assert said.count("TLS handshake, encrypted") == 2
    assert not any(tlspeers.SECRET in each.data for each in conversation.utterances)


def test_text_before_tls() -> None:
    opening = [(S, b"+OK\r\n"), (C, b"STLS\r\n"), (S, b"+OK\r\n")]
    conversation = told(packets(opening + tlspeers.handshake(ssl.TLSVersion.TLSv1_3)))
    kinds = [each.kind for each in conversation.utterances]
    assert kinds[:4] == [LineKind.TEXT, LineKind.TEXT, LineKind.TEXT, LineKind.TLS]
    assert conversation.protocol is Protocol.POP3


def test_a_hole_is_told() -> None:
    turns = dialogue.turns("S: +OK\nC: USER a\nS: +OK\nC: PASS b\nS: +OK\nC: QUIT\nS: +OK\n")
    heard = wire.lose(packets(turns), 8)
    conversation = told(heard)
    holes = [each for each in conversation.utterances if each.kind is LineKind.GAP]
    assert [(each.span.end - each.span.start, each.description) for each in holes] == [(5, "5 bytes missing")]
    assert not conversation.complete


def test_several_connections_keep_apart() -> None:
    turns = dialogue.turns("S: +OK\nC: QUIT\nS: +OK\n")
    first = wire.conversation([(SIDES[who], data) for who, data in turns])
    other = wire.CLIENT._replace(port=50000)
    second = wire.conversation([(SIDES[who], data) for who, data in turns], client=other)
    told_both = transcribe(wire.interleave(first, second), [])
    assert [each.flow.number for each in told_both] == [1, 2]
    assert [len(each.utterances) for each in told_both] == [3, 3]
    assert told_both[1].flow.client == other


def test_a_connection_without_a_byte_is_not_told() -> None:
    assert transcribe(wire.conversation([]), []) == ()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        pytest.param(b"text\r\n", LineKind.TEXT, id="text"),
        pytest.param("日本語\r\n".encode(), LineKind.TEXT, id="utf-8"),
        pytest.param("日本語\r\n".encode("iso2022_jp"), LineKind.TEXT, id="iso-2022-jp"),
        pytest.param(b"\x00\x01\n", LineKind.BINARY, id="binary"),
        pytest.param(b"\x16\n", LineKind.BINARY, id="like-tls-but-short"),
    ],
)
def test_kinds(line: bytes, kind: LineKind) -> None:
    cutter = Cutter(C)
    cutter.feed(1, Chunk(0, line, 1, 1))
    cutter.flush()
    assert [each.kind for _, each in cutter.said] == [kind]


def test_a_record_that_continues_a_message() -> None:
    namer = Namer()
    message = b"\x0b\x00\x00\x10" + bytes(16)
    assert namer.name(b"\x16\x03\x03\x00\x0a" + message[:10], 10) == "TLS handshake, Certificate"
    assert namer.name(b"\x16\x03\x03\x00\x0a" + message[10:], 10) == "TLS handshake, continued"
    assert namer.name(b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00", 4) == "TLS handshake, ServerHelloDone"


@given(st.lists(st.binary(min_size=1, max_size=30) | st.integers(1, 99), max_size=12))
@settings(deadline=None)
def test_any_bytes_are_told_once(turns: list[bytes | int]) -> None:
    cutter = Cutter(S)
    items = hearing.items((S, turn) for turn in turns)
    for number, (_, item) in enumerate(items):
        cutter.feed(number, item)
    cutter.flush()
    spans = [each.span for _, each in cutter.said]
    assert all(one.end == two.start for one, two in itertools.pairwise(spans))
    assert sum(span.end - span.start for span in spans) == sum(
        item.length if isinstance(item, Gap) else len(item.data) for _, item in items
    )


def test_tls_goes_on_behind_a_hole() -> None:
    cutter = Cutter(S)
    hello = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"
    record = b"\x17\x03\x03\x00\x03abc"
    turns: list[bytes | int] = [hello, record[:5], 3, record, b"\nxx\x00\x03 in a record \n", 5, record]
    for number, (_, item) in enumerate(hearing.items((S, turn) for turn in turns)):
        cutter.feed(number, item)
    assert [each.description for _, each in cutter.said] == [
        "TLS handshake, ServerHello",
        "TLS, 5 bytes of a record",
        "3 bytes missing",
        "TLS application data, 3 bytes",
        "TLS, 19 bytes of a record",
        "5 bytes missing",
        "TLS application data, 3 bytes",
    ]
