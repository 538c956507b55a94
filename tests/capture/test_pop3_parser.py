"""POP3 where the conversation is damaged, late, half missing or hostile; whole ones are in `dialogues`."""

from __future__ import annotations

import dialogue
import hearing
import pytest
import wire

from mailtap.capture.events import LoginSeen, MessageSeen, TlsSeen
from mailtap.capture.model import Direction, Leak, Protocol
from mailtap.capture.pipeline import listen
from mailtap.capture.protocols import Dialogue
from mailtap.capture.protocols.lines import LINE_LIMIT

C, S = Direction.CLIENT, Direction.SERVER


def logins(text: str, port: int = 4242) -> list[tuple[bytes | None, bytes | None, bool | None]]:
    return [
        (each.username and each.username.data, each.password and each.password.data, each.accepted)
        for each in hearing.listen(dialogue.holed(text), port)
        if isinstance(each, LoginSeen)
    ]


LOGIN = "C: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("S: +OK\n" + LOGIN, [(b"mrose", b"tanstaaf", True)], id="whole"),
        pytest.param("S: +OK\nC: USER mrose\nS: +OK\nC: PASS \nS: -ERR\n", [(b"mrose", b"", False)], id="empty-password"),
        pytest.param(
            "S: +OK\nC: USER a\nS: +OK\nC: PASS  two  spaces \nS: +OK\n", [(b"a", b" two  spaces ", True)], id="spaces"
        ),
        pytest.param("S: +OK\nC: USER a\\n\\\nS: +OK\nC: PASS b\\n\\\nS: +OK\n", [(b"a", b"b", True)], id="bare-line-feeds"),
        pytest.param("S: +OK\nC: USER a\nS: -ERR\nC: QUIT\nS: +OK\n", [(b"a", None, False)], id="refused-user"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\n", [(b"a", None, None)], id="user-alone"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nC: PASS b\n", [(b"a", b"b", None)], id="no-answer"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nC: PASS b\\\n", [(b"a", None, None)], id="half-a-password"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nC: PASS b\nS: -ERR\\\n", [(b"a", b"b", False)], id="no-line-end"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nS: [5 lost]\nC: PASS b\nS: +OK\n", [(b"a", b"b", True)], id="hole-before"),
        pytest.param("S: +OK\nC: USER a\nS: [5 lost]\nC: PASS b\nS: +OK\n", [(b"a", b"b", True)], id="lost-reply-resyncs"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nC: PASS b\nS: [5 lost]\nC: STAT\nS: -ERR\n", [(b"a", b"b", None)], id="lost-verdict"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nC: [8 lost]\nS: +OK\nC: STAT\nS: +OK\n", [(b"a", None, None)], id="lost-pass"),
        pytest.param("S: +OK\nC: [8 lost]\nS: +OK\nC: PASS b\nS: -ERR\n", [(None, b"b", False)], id="lost-user"),
        pytest.param("S: +OK\nC: USER a\nS: +OK\nC: [6 lost]\nC: b\nS: +OK\nC: STAT\nS: +OK\n", [(b"a", None, None)], id="lost-verb"),
        pytest.param("S: +OK\nC: CAPA\nC: USER a\nC: PASS b\nS: [9 lost]\nS: +OK\nS: -ERR\nC: STAT\nS: +OK\n", [(b"a", b"b", None)], id="pipelined-and-lost"),
        pytest.param("C: PASS b\nS: +OK\n", [(None, b"b", True)], id="begun-at-pass"),
        pytest.param("C: PASS b\nS: -ERR\nC: USER a\nS: +OK\nC: PASS c\nS: +OK\n", [(None, b"b", False), (b"a", b"c", True)], id="begun-late"),
        pytest.param("S: +OK\nC: NOOP\nS: +OK\n" + LOGIN, [(b"mrose", b"tanstaaf", True)], id="neutral-first"),
        pytest.param("S: +OK\nC: XYZZY\nS: -ERR\n" + LOGIN, [], id="no-pop-on-a-strange-port"),
    ],
)  # fmt: skip
def test_logins(text: str, expected: list[tuple[bytes | None, bytes | None, bool | None]]) -> None:
    assert logins(text) == expected


def test_on_its_own_port_an_unknown_first_command_is_forgiven() -> None:
    assert logins("S: +OK\nC: XYZZY\nS: -ERR\n" + LOGIN, 110) == [(b"mrose", b"tanstaaf", True)]


def test_on_its_own_port_what_is_left_of_a_first_command_is_passed_over() -> None:
    assert logins("S: +OK\nC: [4 lost]\nC: R mrose\nS: +OK\nC: PASS b\nS: +OK\n", 110) == [(None, b"b", True)]


@pytest.mark.parametrize(
    ("text", "port", "expected"),
    [
        pytest.param("C: USER a\nC: PASS b\nC: STAT\n", 110, [(b"a", b"b", None)], id="client-on-110"),
        pytest.param("C: USER a\nC: PASS b\nC: STAT\n", 4242, [], id="client-elsewhere-could-be-ftp"),
        pytest.param("C: USER a\nC: PASS b\nC: UIDL\n", 4242, [(b"a", b"b", None)], id="client-with-uidl"),
        pytest.param("S: +OK\nS: +OK\nS: +OK\n", 110, [], id="server-on-110"),
    ],
)
def test_half_of_a_login(text: str, port: int, expected: object) -> None:
    assert logins(text, port) == expected


def messages(text: str, port: int = 4242) -> list[tuple[bytes, bool]]:
    return [
        (each.content.data, each.whole)
        for each in hearing.listen(dialogue.holed(text), port)
        if isinstance(each, MessageSeen) and each.content is not None
    ]


FETCH = "S: +OK\nC: USER a\nS: +OK\nC: RETR 1\n"


@pytest.mark.parametrize(
    ("text", "port", "expected"),
    [
        pytest.param(FETCH + "S: +OK 5 octets\nS: long body\nS: .\n", 4242, [(b"long body\r\n", True)], id="wrong-count"),
        pytest.param(FETCH + "S: +OK\nS: .\n", 4242, [(b"", True)], id="empty"),
        pytest.param(FETCH + "S: +OK\nS: ..\nS: ...\nS: .x\nS: .\n", 4242, [(b".\r\n..\r\nx\r\n", True)], id="dots"),
        pytest.param(FETCH + "S: +OK\n" + "S: ..\nS: ...\nS: .x\n" * 999 + "S: .\n", 4242, [(b".\r\n..\r\nx\r\n" * 999, True)], id="very many dots"),
        pytest.param(FETCH + "S: +OK\nS: a\\n.\\nb\nS: .\n", 4242, [(b"a\n.\nb\r\n", True)], id="bare-line-feeds-inside"),
        pytest.param(FETCH + "S: +OK\\n\\\nS: a\\n\\\nS: .\\n\\\n", 4242, [(b"a\n", True)], id="bare-line-feeds"),
        pytest.param(FETCH + "S: -ERR\nC: RETR 2\nS: +OK\nS: x\nS: .\n", 4242, [(b"x\r\n", True)], id="refused"),
        pytest.param(FETCH + "S: +OK\nS: begun\n", 4242, [(b"begun\r\n", False)], id="cut"),
        pytest.param(FETCH + "S: +OK\nS: a\nS: [9 lost]\nS: b\nS: .\nC: RETR 2\nS: +OK\nS: c\nS: .\n", 4242, [(b"a\r\n", False), (b"c\r\n", True)], id="hole"),
        pytest.param(FETCH + "S: [3 lost]\nS: x\nS: .\nC: RETR 2\nS: +OK\nS: y\nS: .\n", 4242, [(b"y\r\n", True)], id="lost-reply"),
        pytest.param(FETCH + "S: +OK\nS: a\nS: [9 lost]\nS: .\nC: RETR 2\nC: STLS\nS: +OK\nC: \x16\x03\x01\nS: \x16\x03\x03\n", 4242, [(b"a\r\n", False)], id="lost-reply-before-tls"),
        pytest.param("C: [8 lost]\nC: RETR 1\nC: RETR 2\nS: +OK\nS: Subject: a\nS: .\nC: NOOP\nS: +OK\nC: STAT\nS: -ERR\n", 110, [(b"Subject: a\r\n", True)], id="lost-command-before-two"),
        pytest.param("C: RETR 1\nS: +OK\nS: Subject: late\nS: .\n", 4242, [(b"Subject: late\r\n", True)], id="begun-late"),
        pytest.param("S: +OK POP3\nS: +OK\nS: +OK\nS: Subject: x\nS:\nS: +OK\nS: .\nS: +OK\n", 4242, [(b"Subject: x\r\n\r\n+OK\r\n", True)], id="server-half"),
        pytest.param("S: +OK\nS: +OK\nS: 1 20\nS: .\nS: +OK\n", 110, [], id="server-half-listing"),
    ],
)  # fmt: skip
def test_messages(text: str, port: int, expected: list[tuple[bytes, bool]]) -> None:
    assert messages(text, port) == expected


@pytest.mark.parametrize(
    ("greeting", "challenge"),
    [
        pytest.param("+OK <server> ready <1.2@x>", b"<1.2@x>", id="a-name-in-brackets"),
        pytest.param("+OK ready <1.2.x>", b"<1.2.x>", id="no-at-sign"),
    ],
)
def test_the_challenge_is_the_message_id(greeting: str, challenge: bytes) -> None:
    text = f"S: {greeting}\nC: APOP a c4c9334bac560ecc979e58001b3e22fb\nS: +OK\n"
    (event,) = hearing.listen(dialogue.turns(text))
    assert isinstance(event, LoginSeen)
    assert event.challenge is not None
    assert event.challenge.data == challenge


def test_a_capture_that_lacks_nothing_did_not_begin_late_whatever_the_client_says_first() -> None:
    digest = "c4c9334bac560ecc979e58001b3e22fb"
    text = f"S: +OK <1.2@x>\nC: STAT\nS: -ERR\nC: APOP a {digest}\nS: +OK\n"
    turns = [("C" if side is C else "S", data) for side, data in dialogue.turns(text)]
    assert [each.challenge for each in listen(wire.conversation(turns)) if isinstance(each, Leak)] == [
        None,
        "<1.2@x>",
    ]


@pytest.mark.parametrize(
    ("answer", "server"),
    [(b"QUIT\r\n", b"+OK\r\n"), (b"\x16\x03\x01\x00\x01\x01", b"\x16\x03\x03\x00\x01\x02")],
    ids=["no", "yes"],
)
def test_where_replies_were_lost_the_client_tells_whether_tls_began(answer: bytes, server: bytes) -> None:
    turns = dialogue.holed("S: +OK\nC: NOOP\nS: [5 lost]\nC: STLS\nS: +OK\n")
    heard = hearing.listen([*turns, (C, answer), (S, server)], 110)
    assert [type(each) for each in heard] == ([TlsSeen] if answer.startswith(b"\x16") else [])


def test_a_line_too_long_is_skipped_and_said() -> None:
    long = [
        (S, b"+OK\r\n"),
        (C, b"USER " + b"a" * LINE_LIMIT + b"\r\n"),
        (S, b"-ERR\r\n"),
        *dialogue.holed(LOGIN),
    ]
    found = hearing.read(hearing.listen(long, 110))
    assert "longer than 65,536 bytes" in str(found[0])
    assert [each.value.reveal() for each in found if isinstance(each, Leak)] == ["mrose", "tanstaaf"]


def test_a_line_without_end_stays_small() -> None:
    listener = Dialogue(110)
    for direction, item in hearing.items(
        [(S, b"+OK\r\n"), (C, b"CAPA\r\n"), (S, b"-ERR\r\n"), *[(C, b"a" * 8192)] * 400]
    ):
        listener.feed(direction, item)
        assert listener._talk.client.pending < 2 * LINE_LIMIT
    assert listener.protocol is Protocol.POP3


def test_an_empty_password_has_a_place() -> None:
    turns = dialogue.turns("S: +OK\nC: USER a\nS: +OK\nC: PASS \nS: +OK\n")
    (event,) = (each for each in hearing.listen(turns) if isinstance(each, LoginSeen))
    assert event.password is not None
    assert hearing.cut(turns, event.password.spans) == b"\r\n"
