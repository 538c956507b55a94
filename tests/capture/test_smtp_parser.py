"""SMTP where the conversation is damaged, late, half missing or odd; whole ones are in `dialogues`."""

from __future__ import annotations

import dialogue
import hearing
import pytest

from mailtap.capture.events import LoginSeen, Malformed, MessageSeen
from mailtap.capture.model import Direction, Protocol
from mailtap.capture.protocols import Dialogue

Heard = tuple[bytes | None, tuple[tuple[bytes, bool | None], ...], bytes | None, bool]


def messages(text: str, port: int = 4242) -> list[Heard]:
    return [
        (
            each.sender and each.sender.path.data,
            tuple((one.path.data, one.accepted) for one in each.recipients),
            each.content and each.content.data,
            each.whole,
        )
        for each in hearing.listen(dialogue.holed(text), port)
        if isinstance(each, MessageSeen)
    ]


HELLO = "S: 220 mx\nC: EHLO me\nS: 250 mx\n"
MAIL = "C: MAIL FROM:<a>\nS: 250 ok\nC: RCPT TO:<b>\nS: 250 ok\n"
DATA = "C: DATA\nS: 354 go\nC: x\nC: .\nS: 250 ok\n"
WHOLE: Heard = (b"a", ((b"b", True),), b"x\r\n", True)


@pytest.mark.parametrize(
    ("text", "port", "expected"),
    [
        pytest.param(HELLO + MAIL + DATA, 4242, [WHOLE], id="whole"),
        pytest.param("S: 220 mx\nC: mail from: <a> BODY=8BITMIME\nS: 250 ok\nC: RCPT TO:b\nS: 250 ok\n" + DATA, 4242, [WHOLE], id="lenient"),
        pytest.param(HELLO + MAIL.replace("FROM:", "FROM:Bob B. ").replace("TO:", "TO: 'B'") + DATA, 4242, [WHOLE], id="names"),
        pytest.param(HELLO + MAIL + DATA + DATA.replace("354 go", "503 no").replace("C: x\nC: .\nS: 250 ok\n", ""), 4242, [WHOLE], id="data-again"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: 451 later\n" + DATA, 4242, [WHOLE], id="data-refused-once"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: 354 go\nC: x\nC: .\nS: 554 spam\n", 4242, [WHOLE], id="refused-after-data"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: 354 go\nC: x\nC: .\n", 4242, [WHOLE], id="no-verdict"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: 354 go\nC: x\n", 4242, [(b"a", ((b"b", True),), b"x\r\n", False)], id="cut"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: 354 go\nC: x\nC: [9 lost]\nC: y\nC: .\nS: 250 ok\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), b"x\r\n", False), WHOLE], id="hole-in-data"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: [8 lost]\nC: x\nC: .\nS: 250 ok\n", 4242, [WHOLE], id="lost-go-ahead"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: [8 lost]\nC: RSET\nS: 250 ok\n", 4242, [(b"a", ((b"b", True),), None, True)], id="lost-refusal-of-data"),
        pytest.param(HELLO + "C: MAIL FROM:<a>\nS: 250 ok\nC: RCPT TO:<b>\nS: [6 lost]\nC: RCPT TO:<c>\nS: 550 no\n" + DATA, 4242, [(b"a", ((b"b", None), (b"c", False)), b"x\r\n", True)], id="lost-verdict"),
        pytest.param(HELLO + "C: MAIL FROM:<a>\nS: 250 ok\nC: [20 lost]\nS: 250 ok\nC: RCPT TO:<b>\nS: 250 ok\n" + DATA, 4242, [WHOLE], id="lost-recipient"),
        pytest.param(HELLO + MAIL + "C: [6 lost]\nS: 354 go\nC: [3 lost]\nC: RCPT TO:<evil>\nC: .\nS: 250 ok\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), None, False), WHOLE], id="lost-data-command"),
        pytest.param(HELLO + MAIL.replace("<b>", "<z>") + "C: [60 lost]\nS: 250 ok\nC: RCPT TO:<b>\nS: 250 ok\n" + DATA, 4242, [(b"a", ((b"z", True),), None, True), (None, ((b"b", True),), b"x\r\n", True)], id="lost-end-and-beginning"),
        pytest.param(HELLO + MAIL + "C: [6 lost]\nS: 250 ok\nC: MAIL FROM:<c>\nS: 550 no\nC: RCPT TO:<d>\nS: 503 no\n", 4242, [(b"a", ((b"b", True),), None, False), (b"c", ((b"d", False),), None, True)], id="lost-reset"),
        pytest.param(HELLO + MAIL + "C: BDAT 3\nC: x\nS: 250 ok\nC: [11 lost]\nS: 250 ok\nC: BDAT 3 LAST\nC: z\nS: 250 ok\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), b"x\r\n", False), WHOLE], id="lost-chunk"),
        pytest.param(HELLO + MAIL + "C: [6 lost]\nS: [8 lost]\nC: Subject: x\nC: RCPT TO:<evil>\nC: .\nS: 250 ok\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), None, False), WHOLE], id="lost-beginning-of-a-message"),
        pytest.param(MAIL + DATA, 4242, [WHOLE], id="begun-late"),
        pytest.param("C: PASS x\nC: MAIL FROM:<evil>\nC: .\nS: 250 queued\n" + MAIL + DATA, 25, [WHOLE], id="begun-in-a-body"),
        pytest.param("C: EHLO me\nC: MAIL FROM:<a>\nC: RCPT TO:<b>\nC: DATA\nC: x\nC: .\nC: QUIT\n", 4242, [(b"a", ((b"b", None),), b"x\r\n", True)], id="client-half"),
        pytest.param("C: EHLO me\nC: MAIL FROM:<a>\nC: RCPT TO:<b>\nC: DATA\nC: QUIT\n", 4242, [(b"a", ((b"b", None),), None, True)], id="client-half-data-refused"),
        pytest.param("S: 220 mx\nC: LHLO me\nS: 250 mx\nC: MAIL FROM:<a>\nC: RCPT TO:<b>\nC: RCPT TO:<c>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: x\nC: .\nS: 250 ok\nS: 550 no\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True), (b"c", True)), b"x\r\n", True), WHOLE], id="lmtp"),
        pytest.param("S: 220 mx\nC: LHLO me\nS: 250 mx\nC: RSET\nS: 250 ok\n" + MAIL + "C: RCPT TO:<c>\nS: 250 ok\n" + DATA + "S: 250 ok\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True), (b"c", True)), b"x\r\n", True), WHOLE], id="lmtp-after-rset"),
        pytest.param(HELLO + MAIL + "C: BDAT 3\nC: x\nS: 250 ok\nC: BDAT 0 LAST\nS: 250 ok\n", 4242, [WHOLE], id="bdat"),
        pytest.param(HELLO + MAIL + "C: BDAT 3 LAST\nC: x\nS: 250 ok\n" + MAIL + "C: bdat 3 last\nC: x\nS: 250 ok\n", 4242, [WHOLE, WHOLE], id="bdat-twice"),
        pytest.param(HELLO + MAIL + "C: BDAT 1 LAST\nC: x\nS: 250 ok\nS: 500 what\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), b"x", True), WHOLE], id="bdat-size-too-small"),
        pytest.param(HELLO + MAIL + "C: BDAT 300 LAST\nC: x\n", 4242, [(b"a", ((b"b", True),), b"x\r\n", False)], id="bdat-size-too-large"),
        pytest.param(HELLO + MAIL + "C: BDAT 9 LAST\nC: [6 lost]\nC: x\nS: 250 ok\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), b"", False), WHOLE], id="bdat-hole"),
        pytest.param(HELLO + "C: MAIL FROM:<a>\nS: 530 log in\nC: RCPT TO:<b>\nS: 503 no\n" + MAIL + DATA, 4242, [(b"a", ((b"b", False),), None, True), WHOLE], id="refused-and-again"),
        pytest.param(HELLO + MAIL + "C: EHLO again\nS: 250 mx\n" + MAIL + DATA, 4242, [(b"a", ((b"b", True),), None, True), WHOLE], id="ehlo-resets"),
        pytest.param(HELLO + MAIL + "C: DATA\nS: 354 go\nC: x\\n.\\nRCPT TO:<evil>\nC: .\nS: 250 ok\n", 4242, [(b"a", ((b"b", True),), b"x\n.\nRCPT TO:<evil>\r\n", True)], id="smuggling"),
    ],
)  # fmt: skip
def test_messages(text: str, port: int, expected: list[Heard]) -> None:
    assert messages(text, port) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "C: AUTH PLAIN\nS: [6 lost]\nC: AGEAYg==\nS: 235 ok\n", [(b"a", b"b", True)], id="lost-go-ahead"
        ),
        pytest.param(
            "C: AUTH PLAIN AGEAYg==\nS: [6 lost]\nC: NOOP\nS: 550 no\n",
            [(b"a", b"b", None)],
            id="lost-verdict",
        ),
        pytest.param(
            "C: AUTH LOGIN\nS: 334 x\nC: YQ==\nS: [9 lost]\nC: Yg==\nS: 535 no\n",
            [(b"a", b"b", False)],
            id="lost-prompt",
        ),
        pytest.param("C: [90 lost]\nC: AUTH PLAIN AGEAYg==\nC: .\nS: 250 ok\n", [], id="in-a-message"),
        pytest.param(
            "C: [90 lost]\nC: AUTH PLAIN AGEAYg==\nS: 235 ok\n", [(b"a", b"b", True)], id="after-a-message"
        ),
        pytest.param(
            "C: AUTH LOGIN\nS: 334 x\nC: YQ==\nS: 535 no\n", [(b"a", None, False)], id="refused-at-the-name"
        ),
        pytest.param("C: AUTH LOGIN =\nS: 334 x\nC: Yg==\nS: 235 ok\n", [(b"", b"b", True)], id="empty-name"),
        pytest.param(
            "C: AUTH LOGIN =\nS: 334 VXNlcm5hbWU6\nC: YQ==\nS: 334 UGFzc3dvcmQ6\nC: Yg==\nS: 235 ok\n",
            [(b"a", b"b", True)],
            id="empty-initial-response",
        ),
        pytest.param(
            "C: AUTH LOGIN =\nS: 334 VXNlcm5hbWU6\nC: YQ==\nS: 535 no\n",
            [(b"a", None, False)],
            id="empty-initial-response-and-refused",
        ),
        pytest.param(
            "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC:\nS: 334 UGFzc3dvcmQ6\nC: Yg==\nS: 535 no\n",
            [(b"", b"b", False)],
            id="empty-name-when-asked",
        ),
        pytest.param("C: AUTH PLAIN\nS: 504 no\nC: AUTH LOGIN\nS: 504 no\n", [], id="no-mechanism"),
        pytest.param(
            "C: AUTH\nS: 501 what\nC: AUTH PLAIN AGEAYg==\nS: 235 ok\n",
            [(b"a", b"b", True)],
            id="nothing-named",
        ),
        pytest.param("C: AUTH PLAIN AGEAYg==\n", [(b"a", b"b", None)], id="no-answer"),
        pytest.param("C: AUTH PLAIN AGEAYg==\nS: 432 change it\n", [(b"a", b"b", False)], id="later"),
        pytest.param(
            "C: AUTH PLAIN AMOpAGLp\nS: 235 ok\n", [("é".encode(), b"b\xe9", True)], id="utf-8-and-latin-1"
        ),
    ],
)
def test_logins(text: str, expected: list[object]) -> None:
    events = hearing.listen(dialogue.holed(HELLO + text))
    got = [
        (each.username and each.username.data, each.password and each.password.data, each.accepted)
        for each in events
        if isinstance(each, LoginSeen)
    ]
    assert got == expected


def test_an_auth_response_that_is_no_base64_is_said() -> None:
    events = hearing.listen(
        dialogue.turns(HELLO + "C: AUTH PLAIN !!!\nS: 501 no\nC: AUTH PLAIN YWJj\nS: 535 no\n")
    )
    assert [type(each) for each in events] == [Malformed, Malformed]


def test_the_client_half_alone_reads_logins() -> None:
    text = "C: EHLO me\nC: AUTH LOGIN\nC: YQ==\nC: Yg==\nC: AUTH CRAM-MD5\nC: *\nC: QUIT\n"
    kinds = [type(each).__name__ for each in hearing.listen(dialogue.turns(text))]
    assert kinds == ["LoginSeen", "LoginCancelled"]


def test_the_protocol_is_known_after_the_first_command() -> None:
    listener = Dialogue(4242)
    for direction, item in hearing.items(dialogue.turns("S: 220 x\nC: EHLO me\n")):
        assert listener.protocol is None
        listener.feed(direction, item)
    assert listener.protocol is Protocol.SMTP


def test_a_greeting_of_many_lines() -> None:
    turns = dialogue.turns(
        "S: 220-one\nS: 220-two\nS: 220 three\n" + (HELLO + MAIL + DATA).partition("\n")[2]
    )
    assert [each.whole for each in hearing.listen(turns) if isinstance(each, MessageSeen)] == [True]
    assert {turn[0] for turn in turns} == set(Direction)


@pytest.mark.parametrize("command", ["NOOP", "MAIL FROM:<a>"])
def test_a_command_after_a_lost_refusal_is_no_response(command: str) -> None:
    text = HELLO + f"C: AUTH PLAIN\nS: [6 lost]\nC: {command}\nS: 250 ok\nC: AUTH PLAIN AGEAYg==\nS: 235 ok\n"
    events = hearing.listen(dialogue.holed(text))
    assert not [each for each in events if isinstance(each, Malformed)]
    (login,) = (each for each in events if isinstance(each, LoginSeen))
    assert login.accepted is True
