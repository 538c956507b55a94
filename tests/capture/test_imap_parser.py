"""IMAP where the conversation is damaged, late, pipelined or half missing; whole ones are in `dialogues`."""

from __future__ import annotations

import dialogue
import hearing
import pytest

from mailtap.capture.events import LoginSeen, MessageSeen
from mailtap.capture.model import Direction
from mailtap.capture.protocols import Dialogue

HELLO = "S: * OK ready\n"


def logins(text: str, port: int = 4242) -> list[tuple[bytes | None, bytes | None, bool | None]]:
    return [
        (each.username and each.username.data, each.password and each.password.data, each.accepted)
        for each in hearing.listen(dialogue.holed(text), port)
        if isinstance(each, LoginSeen)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(HELLO + "C: a LOGIN u p\nS: a OK\n", [(b"u", b"p", True)], id="plain"),
        pytest.param(HELLO + 'C: a LOGIN "" ""\nS: a NO\n', [(b"", b"", False)], id="empty"),
        pytest.param(HELLO + "C: a LOGIN u p\nC: b LOGIN v q\nS: b OK\nS: a NO\n", [(b"u", b"p", False), (b"v", b"q", True)], id="answered-out-of-order"),
        pytest.param(HELLO + "C: a LOGIN u p\n", [(b"u", b"p", None)], id="no-answer"),
        pytest.param(HELLO + "C: a LOGIN u p\nS: [9 lost]\nC: b NOOP\nS: b NO\n", [(b"u", b"p", None)], id="lost-verdict"),
        pytest.param(HELLO + "C: a LOGIN u p\nS: [9 lost]\nC: b LOGIN v q\nS: b NO\nC: c LOGIN w r\nS: c OK\n", [(b"u", b"p", None), (b"v", b"q", False), (b"w", b"r", True)], id="lost-verdict-among-logins"),
        pytest.param(HELLO + "C: a LOGIN {2}\nS: a BAD no\nC: b LOGIN u p\nS: b OK\n", [(b"u", b"p", True)], id="refused-literal"),
        pytest.param(HELLO + "C: a LOGIN {2}\nS: + go\nC: u\\\nC: [9 lost]\nC: p\nS: a OK\nC: b LOGIN u p\nS: b OK\n", [(b"u", b"p", True)], id="hole-in-literal"),
        pytest.param(HELLO + "C: a LOGIN {2}\nS: + go\nC: [2 lost]\nC:  p\nS: a OK\n", [], id="user-name-lost"),
        pytest.param(HELLO + "C: a LOGIN u\nS: a BAD\n", [], id="too-few-words"),
        pytest.param("C: a LOGIN u p\nC: b SELECT INBOX\n", [(b"u", b"p", None)], id="client-half"),
        pytest.param("C: a LOGIN {1}\nC: u {1}\nC: p\nC: b SELECT INBOX\n", [(b"u", b"p", None)], id="client-half-literals"),
        pytest.param("C: a SELECT INBOX\nS: * 1 EXISTS\nS: a OK\nC: b LOGIN u p\nS: b BAD\n", [(b"u", b"p", False)], id="begun-late"),
        pytest.param(HELLO + "C: a AUTHENTICATE PLAIN AGEAYg==\nS: [9 lost]\nC: b APPEND x {3}\nS: + go\nC: x\nC:\nS: b OK\n", [(b"a", b"b", None)], id="lost-verdict-before-another-invitation"),
        pytest.param(HELLO + "C: a AUTHENTICATE LOGIN\nS: + x\nC: YQ==\nS: + x\nC: Yg==\nS: [9 lost]\nC: b IDLE\nS: + go\nC: DONE\nS: b OK\n", [(b"a", b"b", None)], id="lost-verdict-before-idle"),
        pytest.param(HELLO + "C: a APPEND x {20}\nS: [7 lost]\nC: x LOGIN in text\nC:\nC:\nS: a OK\nC: b LOGIN u p\nS: b OK\n", [(b"u", b"p", True)], id="lost-invitation-to-a-message"),
        pytest.param(HELLO + "C: a IDLE\nS: a BAD\nC: b LOGIN u p\nS: b OK\n", [(b"u", b"p", True)], id="idle-refused"),
    ],
)  # fmt: skip
def test_logins(text: str, expected: list[object]) -> None:
    assert logins(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        HELLO + "C: [40 lost]\nC: subject\nC: x LOGIN in text\nC: of a mail\nS: a OK\n",
        HELLO + "C: [40 lost]\nC: subject\nC: x LOGIN in text\nC: of a mail\nS: x OK\n",
        "S: + c3RhbGU=\nC: YQ==\nS: a OK\n",
        "S: + go\nC: AUTH PLAIN AGEAYg==\nC: of a mail\nS: a OK\n",
    ],
    ids=[
        "a-message",
        "a-message-and-a-tag-of-its-own",
        "a-login",
        "a-message-that-sounds-like-another-protocol",
    ],
)
@pytest.mark.parametrize("login", ["b LOGIN a b", "b AUTHENTICATE PLAIN AGEAYg=="])
def test_a_capture_that_lacks_the_beginning_of(text: str, login: str) -> None:
    assert logins(f"{text}C: {login}\nS: b OK\n", 143) == [(b"a", b"b", True)]


def messages(text: str) -> list[tuple[bytes, bool]]:
    return [
        (each.content.data, each.whole)
        for each in hearing.listen(dialogue.holed(text))
        if isinstance(each, MessageSeen) and each.content is not None
    ]


BEGUN = HELLO + "C: a SELECT INBOX\nS: a OK\nC: b FETCH 1 BODY[]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(BEGUN + "S: * 1 FETCH (RFC822 {3}\nS: x\nS: )\nS: b OK\n", [(b"x\r\n", True)], id="rfc822"),
        pytest.param(BEGUN + 'S: * 1 FETCH (BODY[] "x")\nS: b OK\n', [(b"x", True)], id="quoted"),
        pytest.param(BEGUN + "S: * 1 FETCH (BODY[] NIL)\nS: b NO\n", [], id="nil"),
        pytest.param(BEGUN + "S: * 1 FETCH (BODY[] {30}\nS: x\n", [(b"x\r\n", False)], id="cut"),
        pytest.param(BEGUN + "S: * 1 FETCH (BODY[] {9}\nS: x\nS: [6 lost]\nS: )\nS: b OK\n", [(b"x\r\n", False)], id="hole"),
        pytest.param(BEGUN + "S: * 1 FETCH (RFC822.HEADER {3}\nS: h\nS:  RFC822.TEXT {3}\nS: t\nS: )\nS: b OK\n", [(b"h\r\nt\r\n", True)], id="header-and-text"),
        pytest.param(BEGUN + "S: * 1 FETCH (BODY[HEADER] {3}\nS: h\nS: )\nS: * 2 FETCH (BODY[TEXT] {3}\nS: t\nS: )\nS: b OK\n", [(b"h\r\n", True), (b"Content-Type: multipart/mixed; boundary==_mailtap_joins_these_parts\r\n\r\n--=_mailtap_joins_these_parts\r\n\r\nt\r\n\r\n--=_mailtap_joins_these_parts--\r\n", True)], id="of-two-messages"),
        pytest.param(BEGUN + "S: * 1 FETCH (RFC822.SIZE 4 BODY[]<0> {2}\nS: ab BODY[]<2> {2}\nS: cd)\nS: b OK\n", [(b"abcd", True)], id="pieces-of-known-size"),
        pytest.param(BEGUN + "S: * 1 FETCH (BODY[]<0> {2}\nS: ab)\nS: b OK\n", [(b"ab", False)], id="piece-of-unknown-size"),
        pytest.param(BEGUN + "S: * 1 FETCH (BODY[]<2> {2}\nS: ab)\nS: b OK\n", [], id="piece-without-beginning"),
        pytest.param(BEGUN + "S: b OK\nC: c FETCH 1 (BODY[]<0.2> BODY[]<2.2> BODY[]<4.2>)\nS: * 1 FETCH (BODY[]<0> {2}\nS: ab BODY[]<4> {1}\nS: e)\nS: * 1 FETCH (BODY[]<2> {2}\nS: cd)\nS: c OK\n", [(b"abcde", True)], id="last-piece-before-another"),
        pytest.param(BEGUN + "S: b OK\nC: c FETCH 1 (BODY[]<0.2> BODY[]<4.2>)\nS: * 1 FETCH (BODY[]<0> {2}\nS: ab BODY[]<4> {1}\nS: e)\nS: c OK\n", [(b"ab", False)], id="piece-missing"),
        pytest.param(BEGUN + "S: b OK\nC: c FETCH 1 BODY[]<0.2>\nS: * 1 FETCH (BODY[]<0> {2}\nS: ab)\nS: * 1 FETCH (BODY[] {5}\nS: abcde)\nS: c OK\n", [(b"abcde", True)], id="the-whole-after-a-piece"),
        pytest.param(BEGUN + "S: b OK\nC: c FETCH 1 BODY[1]<0.9>\nS: * 1 FETCH (BODY[1]<0> {2}\nS: ab BODY[]<0> {2}\nS: xy)\nS: * 1 FETCH (BODY[]<2> {1}\nS: z)\nS: c OK\n", [(b"xyz", False)], id="short-piece-of-a-part-only"),
        pytest.param(BEGUN + 'S: * 1 FETCH (ENVELOPE ("date" "BODY[]" NIL) FLAGS ())\nS: b OK\n', [], id="envelope-only"),
        pytest.param(BEGUN + "S: b OK\nC: c FETCH 1 BODY[]<0.5>\nS: * 1 FETCH (BODY[]<0> {2}\nS: ab)\nS: c OK\n", [(b"ab", True)], id="short-piece-is-the-last"),
    ],
)  # fmt: skip
def test_messages(text: str, expected: list[tuple[bytes, bool]]) -> None:
    assert messages(text) == expected


def test_joined_parts_are_read_as_mail() -> None:
    text = BEGUN + "S: * 1 FETCH (BODY[TEXT] {3}\nS: t\nS: )\nS: b OK\n"
    leaks, notes = hearing.lines(hearing.read(hearing.listen(dialogue.turns(text))))
    assert leaks == ["body 't\\n' message=1"]
    assert not notes


def test_a_message_is_heard_when_it_is_complete() -> None:
    listener = Dialogue(143)
    turns = dialogue.turns(BEGUN + "S: * 1 FETCH (BODY[] {3}\nS: x\nS: )\nS: b OK\n")
    heard = [len(listener.feed(direction, item)) for direction, item in hearing.items(turns)]
    assert heard == [0, 0, 0, 0, 0, 0, 1, 0]
    assert {direction for direction, _ in turns} == set(Direction)


def test_a_lost_verdict_does_not_hold_up_the_rest() -> None:
    listener = Dialogue(143)
    turns = dialogue.holed(HELLO + "C: a LOGIN u p\nS: [9 lost]\nC: b LOGIN v q\nS: b NO\n")
    heard = [len(listener.feed(direction, item)) for direction, item in hearing.items(turns)]
    assert heard == [0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    "text", ['C: a LOGIN "" {0+}\nC:\n', "C: a LOGIN {0+}\nC:  x\n"], ids=["quoted", "literal"]
)
def test_an_empty_word_has_a_place(text: str) -> None:
    (event,) = (each for each in hearing.listen(dialogue.turns(HELLO + text + "S: a NO\n")))
    assert isinstance(event, LoginSeen)
    for heard in (event.username, event.password):
        assert heard is not None
        assert all(span.start < span.end for span in heard.spans)
